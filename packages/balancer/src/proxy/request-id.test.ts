import { expect, test } from "bun:test";
import { seeded } from "../pool/fixtures.ts";
import { nextRequestId, requestIdLength, seedRequestIds, writeRequestId } from "./request-id.ts";

test("the second half counts up by one, over every carry", () => {
  seedRequestIds(seeded(1));
  let last = nextRequestId();
  const own = last.slice(0, 16);
  expect(last).toMatch(/^[0-9a-f]{32}$/);
  for (let i = 0; i < 70_000; i++) {
    const next = nextRequestId();
    if (next.slice(0, 16) !== own || BigInt(`0x${next.slice(16)}`) !== BigInt(`0x${last.slice(16)}`) + 1n) {
      throw new Error(`${last} was followed by ${next}`);
    }
    last = next;
  }
});

test("workers differ in the first half", () => {
  const halves = new Set<string>();
  for (let seed = 0; seed < 500; seed++) {
    seedRequestIds(seeded(seed));
    halves.add(nextRequestId().slice(0, 16));
  }
  expect(halves.size).toBe(500);
});

test("chance at its edges still makes hex digits", () => {
  for (const edge of [0, 1 - Number.EPSILON]) {
    seedRequestIds(() => edge);
    expect(nextRequestId()).toMatch(/^(0{16}|f{16})[0-9a-f]{16}$/);
  }
});

test("an id is written where it is asked for and nowhere else", () => {
  const out = new Uint8Array(requestIdLength + 2).fill(33);
  expect(writeRequestId(out, 1)).toBe(requestIdLength + 1);
  expect([out[0], out.at(-1)]).toEqual([33, 33]);
  expect(Buffer.from(out.subarray(1, -1)).toString()).toMatch(/^[0-9a-f]{32}$/);
});
