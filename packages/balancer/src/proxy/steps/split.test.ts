import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { compileSplit } from "./split.ts";

describe("compileSplit", () => {
  test("each part has exactly its share of [0, 1)", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 8 }), (weights) => {
        const sum = weights.reduce((a, b) => a + b, 0);
        if (sum === 0) return;
        const pick = compileSplit(weights.map((weight) => ({ weight })));
        const counts = weights.map(() => 0);
        // One point in the middle of each of `sum` equal steps: the counts must be the weights themselves.
        for (let i = 0; i < sum; i++) counts[pick(() => (i + 0.5) / sum)]!++;
        expect(counts).toEqual(weights);
      }),
    );
  });

  test("the ends of the range", () => {
    const pick = compileSplit([{ weight: 90 }, { weight: 10 }]);
    expect([0, 0.899999, 0.9, 1 - Number.EPSILON].map((point) => pick(() => point))).toEqual([0, 0, 1, 1]);
    const ended = compileSplit([{ weight: 1 }, { weight: 0 }]);
    expect([0, 1 - Number.EPSILON].map((point) => ended(() => point))).toEqual([0, 0]);
    expect(compileSplit([{ weight: 0 }, { weight: 3 }])(() => 0)).toBe(1);
    expect(compileSplit([{ weight: 0 }, { weight: 0 }])(() => 0.9)).toBe(0);
  });
});
