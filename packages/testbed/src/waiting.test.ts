import { expect, test } from "bun:test";
import { eventually, within } from "./waiting.ts";

test("returns what was seen, or says what was not", async () => {
  let looks = 0;
  expect(await eventually("three looks", () => (++looks === 3 ? "seen" : undefined))).toBe("seen");
  await expect(eventually("the end of time", () => false, 30)).rejects.toThrow("not within 30 ms: the end of time");
});

test("a promise in time, late, and failing", async () => {
  expect(await within(1000, () => "x", Promise.resolve(1))).toBe(1);
  await expect(within(10, () => "an answer", new Promise(() => {}))).rejects.toThrow("not within 10 ms: an answer");
  await expect(within(1000, () => "x", Promise.reject(new Error("own")))).rejects.toThrow("own");
});
