// What is particular to one algorithm each; what all share is in contract.test.ts.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { mix } from "../../base/hash.ts";
import { bareEndpoints, seeded } from "../fixtures.ts";
import { first } from "./first.ts";
import { leastOutstanding } from "./least-outstanding.ts";
import { maglev } from "./maglev.ts";
import { p2c } from "./p2c.ts";
import { peakEwma } from "./peak-ewma.ts";
import { ringHash } from "./ring-hash.ts";
import { roundRobin } from "./round-robin.ts";
import { turns } from "./turns.ts";
import { weightedDraw } from "./weighted-draw.ts";

describe("roundRobin", () => {
  test("equal weights come in the configuration's order", () => {
    const { endpoints, surroundings } = bareEndpoints([2, 2, 2]);
    const pick = roundRobin.build(endpoints, () => 0, surroundings);
    expect(Array.from({ length: 7 }, () => pick(0).slot)).toEqual([0, 1, 2, 0, 1, 2, 0]);
  });

  test("is smooth: in every stretch of picks each endpoint has its share to within two", () => {
    const weights = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 2, maxLength: 12 });
    fc.assert(
      fc.property(weights, fc.integer(), (list, seed) => {
        const total = list.reduce((sum, weight) => sum + weight, 0);
        const { endpoints, surroundings } = bareEndpoints(list);
        const pick = roundRobin.build(endpoints, seeded(seed), surroundings);
        const picks = Array.from({ length: 3 * total }, () => pick(0).slot);
        for (const [slot, weight] of list.entries()) {
          for (let from = 0; from + total <= picks.length; from++) {
            const count = picks.slice(from, from + total).filter((picked) => picked === slot).length;
            if (Math.abs(count - weight) > 2) return false;
          }
        }
        return true;
      }),
      { numRuns: 60 },
    );
  });

  test("turns go on evenly after their deadlines were set back", () => {
    const next = turns([{ weight: 1e-5 }, { weight: 2e-5 }], () => 0.5); // due times pass 1e6 every ten turns
    const counts = [0, 0];
    for (let i = 0; i < 9_000; i++) counts[next()]!++;
    expect(Math.abs(counts[0]! - 3_000)).toBeLessThan(3);
  });
});

describe("leastOutstanding", () => {
  test("is exact over all of them up to 128", () => {
    const random = seeded(4);
    const { endpoints, surroundings } = bareEndpoints(Array.from({ length: 128 }, () => 1 + Math.floor(random() * 3)));
    const pick = leastOutstanding.build(endpoints, random, surroundings);
    for (let i = 0; i < 3_000; i++) {
      const least = Math.min(...endpoints.map((endpoint) => endpoint.inFlight() / endpoint.weight));
      const endpoint = pick(0);
      expect(endpoint.inFlight() / endpoint.weight).toBe(least);
      endpoint.begin();
      if (random() < 0.3) endpoints[Math.floor(random() * 128)]!.end();
    }
  });

  test("a tie among busy ones is not always won by the same", () => {
    const { endpoints, surroundings } = bareEndpoints([1, 1, 1, 1, 1, 1, 1, 1]);
    for (const endpoint of endpoints) endpoint.begin();
    // Those that tie stand unevenly: the second has a long stretch of busier ones before it, or after it.
    const tied = [0, 1, 4];
    for (const endpoint of endpoints) if (!tied.includes(endpoint.slot)) endpoint.begin();
    const pick = leastOutstanding.build(endpoints, seeded(2), surroundings);
    const counts = endpoints.map(() => 0);
    for (let i = 0; i < 6_000; i++) counts[pick(0).slot]!++;
    for (const slot of tied) expect(Math.abs(counts[slot]! - 2_000)).toBeLessThan(180);
  });

  test("with a thousand, what it takes is among the least loaded", () => {
    const { endpoints, surroundings } = bareEndpoints(Array.from({ length: 1000 }, () => 1));
    const random = seeded(8);
    const pick = leastOutstanding.build(endpoints, random, surroundings);
    for (let i = 0; i < 20_000; i++) pick(0).begin();
    const loads = endpoints.map((endpoint) => endpoint.inFlight());
    expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(4); // 20 each on average
  });
});

describe("p2c", () => {
  test("holds the most loaded of a hundred near the mean", () => {
    const { endpoints, surroundings } = bareEndpoints(Array.from({ length: 100 }, () => 1));
    const pick = p2c.build(endpoints, seeded(1), surroundings);
    for (let i = 0; i < 1_000; i++) pick(0).begin();
    expect(Math.max(...endpoints.map((endpoint) => endpoint.inFlight()))).toBeLessThanOrEqual(14); // random: about 20
  });

  test("draws two different endpoints: of two, the lighter one always wins", () => {
    const { endpoints, surroundings } = bareEndpoints([1, 50]);
    endpoints[1]!.begin();
    const pick = p2c.build(endpoints, seeded(1), surroundings);
    for (let i = 0; i < 1_000; i++) expect(pick(0)).toBe(endpoints[0]!);
  });
});

describe("peakEwma", () => {
  test("sends most to the fast one, and some to the slow one again once what is known of it has faded", () => {
    const { endpoints, surroundings, worker } = bareEndpoints([1, 1, 1]);
    const pick = peakEwma.build(endpoints, seeded(1), surroundings);
    const latencies = [10, 10, 100];
    const counts = [0, 0, 0];
    for (let i = 0; i < 3_000; i++) {
      const endpoint = pick(0);
      counts[endpoint.slot]!++;
      worker.time.now += 20;
      endpoint.observe(latencies[endpoint.slot]!, false);
    }
    expect(counts[2]!).toBeLessThan(100);
    expect(counts[2]!).toBeGreaterThan(0);
  });

  test("an endpoint nobody has measured counts as its peers' mean: neither flooded nor starved", () => {
    const { endpoints, surroundings } = bareEndpoints([1, 1, 1, 1]);
    for (const endpoint of endpoints.slice(0, 3)) endpoint.observe(50, false);
    const pick = peakEwma.build(endpoints, seeded(1), surroundings);
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < 4_000; i++) counts[pick(0).slot]!++;
    expect(Math.abs(counts[3]! - 1_000)).toBeLessThan(150);
  });

  test("a slow one takes over when the fast one is loaded in proportion", () => {
    const { endpoints, surroundings } = bareEndpoints([1, 1]);
    endpoints[0]!.observe(10, false);
    endpoints[1]!.observe(40, false);
    const pick = peakEwma.build(endpoints, seeded(1), surroundings);
    const counts = [0, 0];
    for (let i = 0; i < 100; i++) {
      const endpoint = pick(0);
      endpoint.begin();
      counts[endpoint.slot]!++;
    }
    expect(counts).toEqual([80, 20]);
  });
});

describe("ringHash", () => {
  test("nobody gets more than the bound, however popular one key is", () => {
    const { endpoints, surroundings } = bareEndpoints([1, 1, 1, 1], { hashBalance: 1.25 });
    const pick = ringHash.build(endpoints, seeded(1), surroundings);
    for (let i = 1; i <= 400; i++) {
      pick(mix(42)).begin();
      expect(Math.max(...endpoints.map((endpoint) => endpoint.inFlight()))).toBeLessThanOrEqual(
        Math.ceil((1.25 * i) / 4),
      );
    }
  });

  test("the surplus of a key always overflows to the same neighbour", () => {
    const { endpoints, surroundings } = bareEndpoints([1, 1, 1, 1, 1], { limit: 1 });
    const pick = ringHash.build(endpoints, seeded(1), surroundings);
    const home = pick(mix(7));
    home.begin();
    const neighbour = pick(mix(7));
    expect(neighbour).not.toBe(home);
    for (let i = 0; i < 20; i++) expect(pick(mix(7))).toBe(neighbour);
    home.end();
    expect(pick(mix(7))).toBe(home);
  });

  test("weights too big for a ring are scaled, not cut off", () => {
    const { endpoints, surroundings } = bareEndpoints([100_000, 300_000]);
    const pick = ringHash.build(endpoints, seeded(1), surroundings);
    let second = 0;
    for (let i = 0; i < 10_000; i++) second += pick(mix(i)).slot;
    expect(Math.abs(second - 7_500)).toBeLessThan(400);
  });
});

describe("maglev", () => {
  test("shares of a hundred endpoints differ by little", () => {
    const { endpoints, surroundings } = bareEndpoints(Array.from({ length: 100 }, () => 1));
    const pick = maglev.build(endpoints, seeded(1), surroundings);
    const counts = endpoints.map(() => 0);
    // Every place of the table about 60 times.
    for (let i = 0; i < 4_000_000; i++) counts[pick(i).slot]!++;
    expect(Math.max(...counts) / Math.min(...counts)).toBeLessThan(1.05);
  });
});

test("first fills in order", () => {
  const { endpoints, surroundings } = bareEndpoints([1, 1, 1], { limit: 2 });
  const pick = first.build(endpoints, seeded(1), surroundings);
  const order = Array.from({ length: 6 }, () => {
    const endpoint = pick(0);
    endpoint.begin();
    return endpoint.slot;
  });
  expect(order).toEqual([0, 0, 1, 1, 2, 2]);
  endpoints[0]!.end();
  expect(pick(0)).toBe(endpoints[0]!);
});

test("a weighted draw gives every entry its probability, and `other` never the one taken", () => {
  const weights = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 2, maxLength: 30 });
  fc.assert(
    fc.property(weights, fc.integer(), (list, seed) => {
      const entries = list.map((weight) => ({ weight }));
      const draw = weightedDraw(entries, seeded(seed));
      const total = list.reduce((sum, weight) => sum + weight, 0);
      const counts = list.map(() => 0);
      const times = 4_000;
      for (let i = 0; i < times; i++) {
        const index = draw();
        counts[index]!++;
        const other = draw.other(index);
        if (other === index || entries[other] === undefined) return false;
      }
      return counts.every((count, index) => {
        const expected = (times * list[index]!) / total;
        return Math.abs(count - expected) <= 6 * Math.sqrt(expected) + 6;
      });
    }),
    { numRuns: 60 },
  );
});
