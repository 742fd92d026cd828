import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { LastLines, LineSplitter, longestLine } from "./lines.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Pushes pieces and copies the lines that come out, because they are borrowed. */
function split(pieces: readonly Uint8Array[], flush = true): string[] {
  const splitter = new LineSplitter();
  const lines: string[] = [];
  const line = (bytes: Uint8Array): void => void lines.push(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  for (const piece of pieces) splitter.push(piece, line);
  if (flush) splitter.flush(line);
  return lines;
}

describe("LineSplitter", () => {
  test("gives lines without their ends, and what is left at the end", () => {
    expect(split([encode("one\ntwo\r\n\nthree")])).toEqual(["one", "two", "", "three"]);
    expect(split([encode("one\n")])).toEqual(["one"]);
    expect(split([])).toEqual([]);
  });

  test("holds back an unfinished line", () => {
    expect(split([encode("a"), encode("b")], false)).toEqual([]);
    expect(split([encode("a"), encode("b\nc")], false)).toEqual(["ab"]);
  });

  test("gives the same lines however the bytes are cut", () => {
    const text = fc.array(fc.constantFrom("a", "ü", "→", "😀", "\n", "\r\n", " "), { maxLength: 60 });
    fc.assert(
      fc.property(text, fc.array(fc.nat(200), { maxLength: 12 }), (parts, cuts) => {
        const bytes = encode(parts.join(""));
        const places = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
        const pieces = places.slice(1).map((to, index) => bytes.subarray(places[index] ?? 0, to));
        expect(split(pieces)).toEqual(split([bytes]));
        const expected = parts
          .join("")
          .split("\n")
          .map((line) => line.replace(/\r$/, ""));
        if (expected.at(-1) === "") expected.pop();
        expect(split(pieces)).toEqual(expected);
      }),
    );
  });

  test("an endless line comes in bounded pieces, no character cut in two, nothing lost", () => {
    fc.assert(
      fc.property(fc.nat(7), fc.integer({ min: 1, max: 40_000 }), (shift, size) => {
        const text = "x".repeat(shift) + "€😀".repeat(6000);
        const bytes = encode(text);
        const pieces: Uint8Array[] = [];
        for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
        const lines = split(pieces);
        expect(lines.join("")).toBe(text);
        for (const line of lines) expect(encode(line).length).toBeLessThanOrEqual(longestLine);
        expect(lines.length).toBe(Math.ceil(bytes.length / (longestLine - 3)));
      }),
      { numRuns: 30 },
    );
  });

  test("bytes that are no UTF-8 pass as they are", () => {
    const splitter = new LineSplitter();
    const raw = new Uint8Array(longestLine * 2 + 5).fill(0xbf);
    let total = 0;
    splitter.push(raw, (line) => (total += line.length));
    splitter.flush((line) => (total += line.length));
    expect(total).toBe(raw.length);
  });
});

test("LastLines keeps the last few, shortened, and no empty ones", () => {
  const last = new LastLines(2);
  for (const line of ["a", "", "b", "c".repeat(5000)]) last.add(encode(line));
  expect(last.list()).toEqual(["b", "c".repeat(400)]);
});
