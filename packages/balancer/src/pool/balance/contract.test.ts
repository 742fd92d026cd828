// What every algorithm of the table must keep to. A new one is tested here without a line written for it.
import { describe, expect, test } from "bun:test";
import { mix } from "../../base/hash.ts";
import type { Endpoint } from "../endpoint.ts";
import { bareEndpoints, seeded } from "../fixtures.ts";
import type { Algorithm } from "./algorithm.ts";
import { algorithms } from "./table.ts";

const table = Object.entries(algorithms);

/** Picks `times` with keys that spread, and counts by endpoint. `held` exchanges stay in flight, first in first out. */
function tally(algorithm: Algorithm, weights: readonly number[], times: number, held = 0): number[] {
  const { endpoints, surroundings } = bareEndpoints(weights);
  const pick = algorithm.build(endpoints, seeded(7), surroundings);
  const counts = weights.map(() => 0);
  const inFlight: Endpoint[] = [];
  for (let i = 0; i < times; i++) {
    const endpoint = pick(mix(i));
    counts[endpoint.slot]!++;
    if (held === 0) continue;
    endpoint.begin();
    inFlight.push(endpoint);
    if (inFlight.length > held) inFlight.shift()!.end();
  }
  return counts;
}

describe.each(table)("%s", (name, algorithm) => {
  test("goes by the name it has in the table", () => {
    expect(algorithm.name).toBe(name);
  });

  test("says in half a line how it chooses", () => {
    expect(algorithm.how).toMatch(/^[a-z].{10,70}[^.]$/);
  });

  test("with one endpoint there is one answer", () => {
    const { endpoints, surroundings } = bareEndpoints([5]);
    const pick = algorithm.build(endpoints, seeded(1), surroundings);
    for (let key = 0; key < 100; key++) expect(pick(mix(key))).toBe(endpoints[0]!);
  });

  test("never leaves the endpoints it was built over, whatever the key, the load and their number", () => {
    const random = seeded(3);
    for (const size of [1, 2, 3, 7, 64, 129, 300]) {
      const { endpoints, surroundings } = bareEndpoints(
        Array.from({ length: size }, () => 1 + Math.floor(random() * 9)),
      );
      const usable = endpoints.filter((_, index) => index % 3 !== 1);
      const members = new Set(usable);
      const pick = algorithm.build(usable, random, surroundings);
      for (let i = 0; i < 500; i++) {
        const endpoint = pick(Math.floor(random() * 2 ** 32));
        expect(members.has(endpoint)).toBe(true);
        if (random() < 0.6) endpoint.begin();
        else endpoint.end();
      }
    }
  });

  test("takes the extremes of a key", () => {
    const { endpoints, surroundings } = bareEndpoints([1, 1, 1]);
    const pick = algorithm.build(endpoints, seeded(1), surroundings);
    for (const key of [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) expect(endpoints).toContain(pick(key));
  });

  test("takes chance at its edges", () => {
    for (const chance of [0, 1 - 2 ** -53]) {
      for (const weights of [
        [1, 1, 1],
        [1, 5, 2],
        [1, 1000],
      ]) {
        const { endpoints, surroundings } = bareEndpoints(weights);
        const pick = algorithm.build(endpoints, () => chance, surroundings);
        for (let i = 0; i < 50; i++) {
          const endpoint = pick(mix(i));
          expect(endpoints).toContain(endpoint);
          endpoint.begin();
        }
      }
    }
  });

  // `first` is an order of preference and knows no shares.
  if (name !== "first") {
    test.each([[[1, 1, 1]], [[1, 2, 3]], [[10, 1, 1, 1]], [[100, 300, 200]]])(
      "shares by weight, idle and under load: %p",
      (weights) => {
        const times = 40_000;
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        // Chance: 4 sigma of a binomial. Rings: an endpoint's arc varies by about 1/sqrt(160 points a weight).
        const slack = name === "ringHash" ? 0.3 : name === "maglev" ? 0.03 : 0;
        // Ten in flight per unit of weight: with two or three, whole exchanges are too coarse to share out 10:1:1:1.
        for (const held of [0, 10 * total]) {
          const coarse = held === 0 ? 0 : 0.12;
          for (const [index, count] of tally(algorithm, weights, times, held).entries()) {
            const share = weights[index]! / total;
            const expected = times * share;
            const tolerance = 4 * Math.sqrt(expected * (1 - share)) + (slack + coarse) * expected;
            expect(Math.abs(count - expected)).toBeLessThan(tolerance);
          }
        }
      },
    );

    test("a thousand endpoints all get work, and none far more than its share", () => {
      const counts = tally(
        algorithm,
        Array.from({ length: 1000 }, () => 1),
        50_000,
      );
      expect(Math.min(...counts)).toBeGreaterThan(0);
      expect(Math.max(...counts)).toBeLessThan(name === "ringHash" ? 150 : 100);
    });

    test("when built again and again, it does not begin with the same endpoint", () => {
      const random = seeded(11);
      const { endpoints, surroundings } = bareEndpoints([1, 1, 1, 1]);
      const beginnings = endpoints.map(() => 0);
      for (let i = 0; i < 400; i++) beginnings[algorithm.build(endpoints, random, surroundings)(mix(i)).slot]!++;
      for (const count of beginnings) expect(count).toBeGreaterThan(50);
    });
  }

  if (algorithm.needsKey) {
    test("the same key finds the same endpoint, also in another worker and after a reload in another order", () => {
      for (const weights of [[1, 2, 3, 1, 1], Array.from({ length: 60 }, () => 1)]) {
        const { endpoints, surroundings } = bareEndpoints(weights);
        const here = algorithm.build(endpoints, seeded(1), surroundings);
        const there = algorithm.build(endpoints.toReversed(), seeded(2), surroundings);
        let different = 0;
        // Enough keys to meet nearly every place of Maglev's table: only few of them would differ.
        for (let i = 0; i < 200_000; i++) {
          const key = mix(i);
          if (here(key) !== here(key) || there(key) !== here(key)) different++;
        }
        expect(different).toBe(0);
      }
    });

    test.each([[[1, 1, 1]], [[1, 2, 3, 4, 5]], [Array.from({ length: 50 }, () => 1)]])(
      "when one leaves, few keys move besides its own: %p",
      (weights) => {
        const { endpoints, surroundings } = bareEndpoints(weights);
        const before = algorithm.build(endpoints, seeded(1), surroundings);
        const gone = endpoints[1]!;
        const after = algorithm.build(
          endpoints.filter((endpoint) => endpoint !== gone),
          seeded(1),
          surroundings,
        );
        let moved = 0;
        const keys = 20_000;
        for (let i = 0; i < keys; i++) {
          const key = mix(i);
          const old = before(key);
          if (old !== gone && after(key) !== old) moved++;
        }
        // A ring moves nothing else at all; Maglev trades a little of that for even shares (paper, §5.3).
        expect(moved / keys).toBeLessThanOrEqual(name === "ringHash" ? 0 : 0.06);
      },
    );
  } else {
    test("leaves the key alone", () => {
      const picks = (keys: (i: number) => number) => {
        const { endpoints, surroundings } = bareEndpoints([1, 2, 3]);
        const pick = algorithm.build(endpoints, seeded(5), surroundings);
        return Array.from({ length: 50 }, (_, i) => pick(keys(i)).slot);
      };
      expect(picks(() => 0)).toEqual(picks((i) => mix(i)));
    });
  }
});

describe("where load has a say", () => {
  test.each(["leastOutstanding", "p2c", "peakEwma"] as const)("%s keeps away from a busy endpoint", (name) => {
    const { endpoints, surroundings } = bareEndpoints([1, 1, 1, 1]);
    const pick = algorithms[name].build(endpoints, seeded(9), surroundings);
    for (let i = 0; i < 50; i++) endpoints[2]!.begin();
    for (let i = 0; i < 100; i++) {
      const endpoint = pick(0);
      expect(endpoint).not.toBe(endpoints[2]!);
      endpoint.begin();
    }
  });

  test.each(["first", "ringHash"] as const)("%s passes over what is full by itself", (name) => {
    const { endpoints, surroundings } = bareEndpoints([1, 1, 1], { limit: 2 });
    const pick = algorithms[name].build(endpoints, seeded(9), surroundings);
    for (let i = 0; i < 6; i++) {
      const endpoint = pick(mix(1));
      expect(endpoint.hasRoom()).toBe(true);
      endpoint.begin();
    }
    expect(endpoints.map((endpoint) => endpoint.inFlight())).toEqual([2, 2, 2]);
  });
});
