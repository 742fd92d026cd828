// Ids and hashes of field names.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Field, fieldHash, fieldId, Fields, hashName } from "./fields.ts";
import { latin1 } from "./written.ts";

/** "xForwardedFor" as "x-forwarded-for". */
function spelled(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

describe("fieldId", () => {
  test.each(Object.entries(Field).filter(([key]) => key !== "other"))("%s", (key, id) => {
    const name = latin1(`..${spelled(key)}..`);
    expect(fieldId(name, 2, name.length - 2)).toBe(id);
    const upper = latin1(spelled(key).toUpperCase());
    expect(fieldId(upper, 0, upper.length)).toBe(id);
    expect(fieldId(upper, 0, upper.length - 1)).toBe(Field.other);
  });

  test("ids are distinct and fit a table of 64", () => {
    const ids = Object.values(Field);
    expect(new Set(ids).size).toBe(ids.length);
    expect(Math.max(...ids)).toBeLessThan(64);
  });

  test("near misses are other", () => {
    for (const name of [
      "",
      "hos",
      "hostt",
      "content_length",
      "content-lengthx",
      "xhost",
      "transfer_encoding",
      "h\x0fst",
    ]) {
      expect(fieldId(latin1(name), 0, name.length)).toBe(Field.other);
    }
  });

  test("a name with the hash of a known one is still another name", () => {
    // FNV-1a is easy to collide: the last bytes are searched until the hash is that of "host".
    const wanted = hashName("host");
    const found: string[] = [];
    const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
    const prime = 0x01000193;
    // Meet in the middle: hashes of all four-byte beginnings, and of "host" undone by all three-byte ends.
    let inverse = 1;
    for (let i = 0; i < 5; i++) inverse = Math.imul(inverse, 2 - Math.imul(prime, inverse));
    const begins = new Map<number, string>();
    for (const a of alphabet)
      for (const b of alphabet)
        for (const c of alphabet) for (const d of "abcdefghijkl") begins.set(hashName(a + b + c + d), a + b + c + d);
    search: for (const x of alphabet) {
      for (const y of alphabet) {
        for (const z of alphabet) {
          let hash = wanted;
          for (const character of [z, y, x]) hash = Math.imul(hash, inverse) ^ character.charCodeAt(0);
          const begin = begins.get(hash);
          if (begin === undefined) continue;
          found.push(begin + x + y + z);
          break search;
        }
      }
    }
    expect(found).toHaveLength(1);
    expect(hashName(found[0]!)).toBe(wanted);
    expect(fieldId(latin1(found[0]!), 0, 7)).toBe(Field.other);
  });
});

test("the hash of bytes in any case is that of the lower-case text", () => {
  const name = fc.string({ unit: fc.constantFrom(..."abcXYZ019-_!#$%&'*+.^`|~".split("")), maxLength: 30 });
  fc.assert(
    fc.property(name, (text) => {
      expect(fieldHash(latin1(text), 0, text.length)).toBe(hashName(text.toLowerCase()));
    }),
  );
});

test("growing keeps what is there", () => {
  const fields = new Fields(2);
  fields.at.set([1, 2, 3, 4, 5, 6, 7, 8]);
  fields.ids.set([9, 10]);
  fields.hashes.set([-1, -2]);
  fields.flags.set([3, 4]);
  fields.grow(1);
  expect(fields.ids).toHaveLength(2);
  fields.grow(5);
  expect([...fields.at.subarray(0, 8)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(fields.at).toHaveLength(20);
  expect([...fields.ids, ...fields.hashes, ...fields.flags]).toEqual([9, 10, 0, 0, 0, -1, -2, 0, 0, 0, 3, 4, 0, 0, 0]);
});
