import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { copyBytes, copyOf, free, latin1, roundUp, sameBytes, spells, text } from "./bytes.ts";

const bytes = fc.uint8Array({ maxLength: 300 });
const range = fc.tuple(bytes, fc.nat(300), fc.nat(300)).map(([source, a, b]) => {
  const [from, to] = [Math.min(a, source.length), Math.min(b, source.length)].sort((x, y) => x - y) as [number, number];
  return { source, from, to };
});

describe("bytes and text", () => {
  test("every byte is one character and comes back the same", () => {
    fc.assert(
      fc.property(range, ({ source, from, to }) => {
        const read = text(source, from, to);
        expect(read).toHaveLength(to - from);
        expect(latin1(read)).toEqual(Buffer.from(source.subarray(from, to)));
      }),
    );
    expect(text(new Uint8Array([1, 2]), 2, 1)).toBe("");
  });

  test("a copy of a Buffer is one, too", () => {
    const source = latin1("abcdef");
    const copy = copyOf(source, 1, 4);
    source.fill(0x21);
    expect(text(copy, 0, copy.length)).toBe("bcd");
    expect(copyOf(source, 2, 2)).toHaveLength(0);
  });

  test("a copy moves exactly its range, views with an offset included", () => {
    fc.assert(
      fc.property(range, fc.nat(50), ({ source, from, to }, at) => {
        const target = new Uint8Array(new ArrayBuffer(500), 7, 400).fill(0xee);
        expect(copyBytes(target, at, source, from, to)).toBe(at + to - from);
        expect(target.subarray(at, at + to - from)).toEqual(source.slice(from, to));
        expect(target.subarray(0, at).every((byte) => byte === 0xee)).toBeTrue();
        expect(target.subarray(at + to - from).every((byte) => byte === 0xee)).toBeTrue();
      }),
    );
  });

  test("ranges are the same when their bytes are", () => {
    fc.assert(
      fc.property(range, fc.nat(20), fc.boolean(), ({ source, from, to }, at, change) => {
        const other = new Uint8Array(at + to - from + 3);
        other.set(source.subarray(from, to), at);
        const changed = change && to > from;
        if (changed) other[at] = (other[at] as number) ^ 1;
        expect(sameBytes(source, from, to, other, at, at + to - from)).toBe(!changed);
        expect(sameBytes(source, from, to, other, at, at + to - from + 1)).toBeFalse();
      }),
    );
  });

  test("a spelling ignores ASCII case and nothing else", () => {
    const word = fc.string({ unit: fc.constantFrom(..."abz-_09@[`{\xe4\xc4".split("")), maxLength: 6 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        const lower = b.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
        const same = a.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()) === lower;
        expect(spells(latin1(`<${a}>`), 1, a.length + 1, lower)).toBe(same);
        expect(spells(latin1(a.replaceAll(/[a-z]/g, (letter) => letter.toUpperCase())), 0, a.length, lower)).toBe(same);
      }),
    );
    // The bit that makes letters lower case must not make "@" a "`" or "[" a "{".
    expect(spells(latin1("@["), 0, 2, "`{")).toBeFalse();
    expect(spells(latin1("Ä"), 0, 1, "ä")).toBeFalse();
  });

  test("rounding up: the least power of two that is enough, 1024 at the least", () => {
    for (const [size, rounded] of [
      [0, 1024],
      [1024, 1024],
      [1025, 2048],
      [65_536, 65_536],
      [65_537, 131_072],
    ] as const) {
      expect(roundUp(size)).toBe(rounded);
    }
  });

  test("what is freed is empty for everybody who still has it", () => {
    const large = Buffer.allocUnsafeSlow(100_000).fill(1);
    const view = large.subarray(10, 20);
    free(large);
    expect([large.length, view.length, large[0]]).toEqual([0, 0, undefined]);
  });
});
