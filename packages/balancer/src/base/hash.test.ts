import { expect, test } from "bun:test";
import fc from "fast-check";
import { hashBytes, hashString, mix } from "./hash.ts";

test("agrees with published values of MurmurHash3 x86 32", () => {
  expect(hashString("")).toBe(0);
  expect(hashString("", 1)).toBe(0x514e28b7);
  expect(hashString("test")).toBe(0xba6bd213);
  expect(hashString("hello")).toBe(0x248bfa47);
  expect(hashString("hello, world")).toBe(0x149bbb7f);
  expect(hashString("The quick brown fox jumps over the lazy dog")).toBe(0x2e4ff723);
  expect(hashString("Hello, world!", 0x9747b28c)).toBe(0x24884cba);
});

test("a text hashes as its UTF-8 bytes, wherever they lie", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 40 }), fc.nat(9), fc.integer(), (text, offset, seed) => {
      const bytes = new TextEncoder().encode(text);
      const placed = new Uint8Array(offset + bytes.length + 5).fill(0xa5);
      placed.set(bytes, offset);
      return hashString(text, seed) === hashBytes(placed, offset, offset + bytes.length, seed);
    }),
  );
});

test("mix loses nothing and flips about half of the bits for any one of them", () => {
  const seen = new Set<number>();
  for (let i = 0; i < 50_000; i++) seen.add(mix(i));
  expect(seen.size).toBe(50_000);
  for (let bit = 0; bit < 32; bit++) {
    let flips = 0;
    for (let i = 0; i < 500; i++) {
      const h = Math.imul(i, 0x9e3779b1);
      for (let x = (mix(h) ^ mix(h ^ (1 << bit))) >>> 0; x !== 0; x &= x - 1) flips++;
    }
    expect(flips / 500).toBeGreaterThan(14);
    expect(flips / 500).toBeLessThan(18);
  }
});
