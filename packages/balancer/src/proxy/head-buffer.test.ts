import { expect, test } from "bun:test";
import { HeadBuffer, releaseHead, takeHead } from "./head-buffer.ts";

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
