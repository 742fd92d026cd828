import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { distance, nearest } from "./nearest.ts";

/** The textbook table, without bounds or early ends. */
function slowDistance(a: string, b: string): number {
  const d = Array.from({ length: a.length + 1 }, (_, i) =>
    Array.from({ length: b.length + 1 }, (_, j) => (i === 0 ? j : j === 0 ? i : 0)),
  );
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(d[i - 1]![j]! + 1, d[i]![j - 1]! + 1, d[i - 1]![j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, d[i - 2]![j - 2]! + 1);
      d[i]![j] = best;
    }
  }
  return d[a.length]![b.length]!;
}

describe("nearest", () => {
  test("finds what was meant", () => {
    const keys = ["address", "balance", "timeouts", "maxBodyBytes", "routes"];
    expect(nearest("adress", keys)).toBe("address");
    expect(nearest("blaance", keys)).toBe("balance");
    expect(nearest("timeout", keys)).toBe("timeouts");
    expect(nearest("max-body-bytes", keys)).toBe("maxBodyBytes");
    expect(nearest("ROUTE", keys)).toBe("routes");
  });

  test("says nothing rather than nonsense", () => {
    expect(nearest("zebra", ["address", "routes"])).toBeUndefined();
    expect(nearest("x", [])).toBeUndefined();
    expect(nearest("", ["a"])).toBe("a"); // one letter from it
    expect(nearest("q".repeat(1_000_000), ["address"])).toBeUndefined();
  });

  test("counts as the textbook does, up to the limit", () => {
    const word = fc.stringMatching(/^[abc]{0,8}$/);
    fc.assert(
      fc.property(word, word, fc.integer({ min: 0, max: 10 }), (a, b, limit) => {
        const exact = slowDistance(a, b);
        const found = distance(a, b, limit);
        if (exact <= limit) expect(found).toBe(exact);
        else expect(found).toBeGreaterThan(limit);
      }),
      { numRuns: 1000 },
    );
  });
});
