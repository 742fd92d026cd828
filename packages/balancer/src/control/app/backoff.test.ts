import { expect, test } from "bun:test";
import fc from "fast-check";
import { backoffDelay, countFailures, stableAfter } from "./backoff.ts";

test("doubles from a quarter of a second to half a minute", () => {
  const longest = (failures: number): number => backoffDelay(failures, () => 1);
  expect([1, 2, 3, 4, 7, 8, 9, 1000].map(longest)).toEqual([250, 500, 1000, 2000, 16000, 30000, 30000, 30000]);
});

test("half of the delay is chance, none of it is negative", () => {
  fc.assert(
    fc.property(fc.nat(), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (failures, chance) => {
      const delay = backoffDelay(failures, () => chance);
      const least = backoffDelay(failures, () => 0);
      expect(delay).toBeGreaterThanOrEqual(least);
      expect(delay).toBeLessThanOrEqual(2 * least);
      expect(least).toBeGreaterThanOrEqual(125);
    }),
  );
});

test("a run that was stable clears the record", () => {
  expect(countFailures(0, -1)).toBe(1);
  expect(countFailures(6, stableAfter - 1)).toBe(7);
  expect(countFailures(6, stableAfter)).toBe(1);
});
