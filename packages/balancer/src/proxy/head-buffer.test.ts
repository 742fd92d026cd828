import { expect, test } from "bun:test";
import { HeadBuffer, mostKept, releaseHead, takeHead } from "./head-buffer.ts";

test("a buffer fits what is asked for, and is empty then", () => {
  const head = new HeadBuffer();
  head.length = 5;
  expect(head.fit(100).length).toBe(4096);
  expect(head.length).toBe(0);
  expect(head.fit(4097).length).toBe(4097);
  expect(head.bytes.length).toBe(4097);
});

test("released buffers are taken again, never one twice", () => {
  const [one, two] = [takeHead(), takeHead()];
  releaseHead(one);
  releaseHead(two);
  const again = [takeHead(), takeHead()];
  expect(new Set(again)).toEqual(new Set([one, two]));
  expect(takeHead()).not.toBe(again[0] as HeadBuffer);
});

test("one that grew is not kept: a single large head must not stay in memory", () => {
  const grown = takeHead();
  grown.fit(50_000);
  releaseHead(grown);
  expect(takeHead()).not.toBe(grown);
});

test("no more are kept than busy connections could use", () => {
  const many = Array.from({ length: 1_000 }, () => new HeadBuffer());
  for (const head of many) releaseHead(head);
  const kept = new Set(many);
  let back = 0;
  for (let i = 0; i < 1_000; i++) if (kept.has(takeHead())) back++;
  expect(back).toBeLessThanOrEqual(256);
  expect(back).toBeGreaterThan(0);
});

test("a body is kept behind its head, in pieces, up to its limit", () => {
  const head = takeHead();
  head.fit(100).fill(72, 0, 100);
  head.length = 100;
  const piece = new Uint8Array(1_000).fill(98);
  let kept = 0;
  while (kept + piece.length <= mostKept) {
    expect(head.keep(piece, 0, piece.length)).toBeTrue();
    kept += piece.length;
  }
  expect(head.keep(piece, 0, mostKept - kept)).toBeTrue();
  expect([head.length, head.kept]).toEqual([100, mostKept]);
  expect(
    Buffer.from(head.bytes)
      .subarray(0, 100 + mostKept)
      .toString(),
  ).toBe("H".repeat(100) + "b".repeat(mostKept));
  expect(head.keep(piece, 0, 1)).toBeFalse();
  expect(head.kept).toBe(0);
});

test("behind a head of any size", () => {
  for (const size of [10, 4_096, 5_000, 65_536]) {
    const head = new HeadBuffer();
    head.fit(size);
    head.length = size;
    const body = new Uint8Array(mostKept).fill(7);
    expect(head.keep(body, 0, body.length)).toBeTrue();
    expect(head.bytes.subarray(size, size + mostKept)).toEqual(body);
  }
});
