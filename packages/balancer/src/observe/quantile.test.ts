import { expect, test } from "bun:test";
import fc from "fast-check";
import { quantile } from "./quantile.ts";

const bounds = [1, 10, 100];

test("nothing counted, nothing known", () => expect(quantile([0, 0, 0, 0], 0.5, bounds)).toBeNull());

test("lies within the bucket that holds it", () => {
  expect(quantile([10, 0, 0, 0], 0.5, bounds)).toBe(0.5);
  expect(quantile([0, 10, 0, 0], 0.5, bounds)).toBe(5.5);
  expect(quantile([50, 0, 50, 0], 0.99, bounds)).toBeCloseTo(98.2);
  expect(quantile([50, 0, 50, 0], 0.5, bounds)).toBe(1);
});

test("above the last bound is the last bound", () => expect(quantile([1, 0, 0, 9], 0.5, bounds)).toBe(100));

test("rises with the share, and never leaves the bucket of the true value", () => {
  const values = fc.array(fc.double({ min: 0, max: 200, noNaN: true }), { minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (seen, q) => {
      const counts = [0, 0, 0, 0];
      for (const value of seen) counts[bounds.filter((bound) => value > bound).length]! += 1;
      const found = quantile(counts, q, bounds) ?? -1;
      const sorted = [...seen].sort((a, b) => a - b);
      const truth = sorted[Math.max(0, Math.ceil(q * seen.length) - 1)] ?? 0;
      const bucket = bounds.filter((bound) => truth > bound).length;
      expect(found).toBeGreaterThanOrEqual(bucket === 0 ? 0 : bounds[bucket - 1]!);
      expect(found).toBeLessThanOrEqual(bounds[Math.min(bucket, 2)]!);
      expect(quantile(counts, 1, bounds) ?? 0).toBeGreaterThanOrEqual(found);
    }),
  );
});
