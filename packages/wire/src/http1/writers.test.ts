// Writers against what the language itself writes.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { chunkHeadLength, copy, CRLF, LAST_CHUNK, writeAscii, writeChunkHead, writeDecimal } from "./writers.ts";
import { textOf } from "./written.ts";

const size = fc.oneof(
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  fc.integer({ min: 0, max: 70000 }),
  fc.integer({ min: 0, max: 13 }).map((power) => 16 ** power),
  fc.integer({ min: 1, max: 13 }).map((power) => 16 ** power - 1),
  fc.integer({ min: 0, max: 15 }).map((power) => 10 ** power),
);

describe("numbers", () => {
  test("a chunk head is the size in hexadecimal and CRLF", () => {
    fc.assert(
      fc.property(size, fc.nat(5), (n, at) => {
        const out = new Uint8Array(40);
        const end = writeChunkHead(out, at, n);
        expect(textOf(out, at, end)).toBe(`${n.toString(16)}\r\n`);
        expect(chunkHeadLength(n)).toBe(end - at);
        expect(out.subarray(end).every((byte) => byte === 0)).toBe(true);
      }),
    );
  });

  test("a decimal is what String writes", () => {
    fc.assert(
      fc.property(size, fc.nat(5), (n, at) => {
        const out = new Uint8Array(40);
        expect(textOf(out, at, writeDecimal(out, at, n))).toBe(String(n));
      }),
    );
  });
});

test("text is written byte by byte", () => {
  const out = new Uint8Array(8);
  expect(writeAscii(out, 2, "a\xe9")).toBe(4);
  expect([...out]).toEqual([0, 0, 0x61, 0xe9, 0, 0, 0, 0]);
  expect(writeAscii(out, 2, "")).toBe(2);
});

test("constants", () => {
  expect(textOf(CRLF)).toBe("\r\n");
  expect(textOf(LAST_CHUNK)).toBe("0\r\n\r\n");
});

test("copies short and long, also within one buffer and overlapping", () => {
  fc.assert(
    fc.property(fc.nat(300), fc.nat(300), fc.nat(200), fc.boolean(), (at, from, length, within) => {
      const bytes = Uint8Array.from({ length: 600 }, (_, i) => i * 7);
      const out = within ? bytes : new Uint8Array(600);
      const expected = [...out];
      expected.splice(at, length, ...bytes.slice(from, from + length));
      expect(copy(out, at, bytes, from, from + length)).toBe(at + length);
      expect([...out]).toEqual(expected);
    }),
  );
});
