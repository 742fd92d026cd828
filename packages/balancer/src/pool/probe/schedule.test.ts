import { expect, test } from "bun:test";
import { seeded } from "../fixtures.ts";
import { firstProbeAt, nextProbeAt } from "./schedule.ts";

test("first probes come soon, one after another, and never all at once", () => {
  const random = seeded(1);
  for (const count of [1, 3, 50, 1000]) {
    const times = Array.from({ length: count }, (_, index) => firstProbeAt(100, index, count, 5_000, random));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times[0]!).toBeGreaterThanOrEqual(100);
    expect(times.at(-1)!).toBeLessThanOrEqual(100 + Math.min(500, 10 * count));
    expect(new Set(times).size).toBe(count);
  }
  expect(firstProbeAt(0, 999, 1000, 100, random)).toBeLessThanOrEqual(100);
});

test("from the third on, an interval with 15 % of jitter on both sides", () => {
  const random = seeded(2);
  const waits = Array.from({ length: 2_000 }, () => nextProbeAt(1_000, 1_005, 2, 5_000, random) - 1_000);
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(4_250);
  expect(Math.max(...waits)).toBeLessThanOrEqual(5_750);
  expect(Math.min(...waits)).toBeLessThan(4_300);
  expect(Math.max(...waits)).toBeGreaterThan(5_700);
});

test("endpoints that began together are spread over the whole interval from the second probe on", () => {
  const random = seeded(3);
  const tenths = Array.from({ length: 10 }, () => 0);
  for (let i = 0; i < 5_000; i++) {
    const at = nextProbeAt(0, 2, 1, 5_000, random);
    expect(at).toBeLessThanOrEqual(5_000);
    tenths[Math.min(9, Math.floor(at / 500))]!++;
  }
  for (const count of tenths.slice(2)) expect(Math.abs(count - 500)).toBeLessThan(110);
});

test("a probe that outlasts its interval is followed by a pause, not by the next one at once", () => {
  expect(nextProbeAt(0, 9_000, 7, 5_000, seeded(4))).toBe(9_500);
});
