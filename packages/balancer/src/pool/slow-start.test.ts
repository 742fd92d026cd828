// Shares over time, who counts as coming back, and what a pool makes of both.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { mix } from "../base/hash.ts";
import { EndpointState, StateCell } from "../observe/table.ts";
import { algorithms } from "./balance/table.ts";
import { endpointPlan, makePool, makeTable, makeWorker, poolPlan, readiness, reload, setState } from "./fixtures.ts";
import type { Endpoint } from "./endpoint.ts";
import type { AlgorithmName, PoolPlan } from "./plan.ts";
import type { Pool } from "./pool.ts";
import { comesIn, shareAt, stepLength } from "./slow-start.ts";

const slowStart = 30_000;

describe("the share", () => {
  test("is 10 % at first, then grows linearly to all of it", () => {
    expect([0, 3_000, 6_000, 15_000, 29_999, 30_000, 90_000].map((age) => shareAt(1, slowStart, 1 + age))).toEqual([
      0.1,
      0.1,
      0.2,
      0.5,
      29_999 / 30_000,
      1,
      1,
    ]);
  });

  test("is whole where nothing began or slow start is off", () => {
    expect(shareAt(0, slowStart, 5)).toBe(1);
    expect(shareAt(5, 0, 6)).toBe(1);
  });

  test("never leaves 10 % to 100 %, whatever clocks do", () => {
    const time = fc.double({ min: 0, max: 2e12, noNaN: true });
    fc.assert(
      fc.property(time, time, fc.integer({ min: 1, max: 1e7 }), (from, now, length) => {
        const share = shareAt(from, length, now);
        return share >= 0.1 && share <= 1;
      }),
    );
  });

  test("moves in steps that are neither short nor few", () => {
    expect(stepLength(30_000)).toBe(750);
    expect(stepLength(1_000)).toBe(250);
  });
});

test("what comes in is what did not work before and does now", () => {
  const { unknown, ready, unready, draining, disabled } = EndpointState;
  for (const out of [unready, draining, disabled]) {
    expect(comesIn(out, ready, true)).toBe(true);
    expect(comesIn(out, ready, false)).toBe(true);
    expect(comesIn(ready, out, true)).toBe(false);
    expect(comesIn(out, unknown, false)).toBe(true);
    expect(comesIn(out, unknown, true)).toBe(false);
  }
  expect(comesIn(unknown, ready, true)).toBe(true);
  expect(comesIn(unknown, ready, false)).toBe(false);
  expect(comesIn(ready, ready, true)).toBe(false);
});

/** A pool of four of which the last came back `age` ms ago, as its next tick sees it. */
function warmingPool(balance: AlgorithmName, age: number, over: Partial<PoolPlan> = {}) {
  const worker = makeWorker(makeTable(1, 4), 0, 5);
  const endpoints = [3, 0, 1, 2].map((slot) => endpointPlan(slot));
  const pool = makePool(poolPlan({ balance, endpoints, slowStart, readiness, ...over }), worker);
  for (const endpoint of pool.endpoints) setState(worker, endpoint, "ready");
  worker.time.now = 100_000;
  warmFrom(worker, 3, worker.time.now - age);
  pool.tick(worker.time.now, worker.time.now);
  return { worker, pool };
}

function warmFrom({ table }: ReturnType<typeof makeWorker>, slot: number, from: number): void {
  table.cells[table.state(slot) + StateCell.warmFrom] = from;
}

/** Picks by slot, nothing staying in flight. */
function tally(pool: Pool, times: number): number[] {
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < times; i++) counts[pool.pick(mix(i), null)!.slot]!++;
  return counts;
}

describe.each(Object.keys(algorithms) as AlgorithmName[])("%s", (balance) => {
  test.each([0, 15_000, 24_000])("gives one that came back %p ms ago its part of a full share, by count", (age) => {
    const { pool } = warmingPool(balance, age);
    const share = Math.max(0.1, age / slowStart);
    const times = 40_000;
    const count = tally(pool, times)[3]!;
    // `first` would give everything to the one that leads the list; p2c and peakEwma draw without replacement, so that the
    // light one is met a little more often as the second.
    const expected = times * (balance === "first" ? share : share / (3 + share));
    expect(count).toBeGreaterThan(expected * 0.7);
    expect(count).toBeLessThan(expected * (balance === "ringHash" ? 1.4 : 1.15));
  });

  test.each([2, 4])("gives it no more than that while each endpoint has but %p in flight", (each) => {
    for (const age of [0, 15_000]) {
      const { pool } = warmingPool(balance, age);
      const share = Math.max(0.1, age / slowStart);
      const held: Endpoint[] = [];
      let count = 0;
      const times = 20_000;
      for (let i = 0; i < times; i++) {
        const endpoint = pool.pick(mix(i), null)!;
        endpoint.begin();
        if (endpoint.slot === 3) count++;
        held.push(endpoint);
        if (held.length > each * 4) held.shift()!.end();
      }
      const expected = times * (balance === "first" ? share : share / (3 + share));
      expect(count).toBeGreaterThan(expected * 0.6);
      expect(count).toBeLessThan(expected * (balance === "ringHash" ? 1.4 : 1.15));
    }
  });

  test("goes by requests in flight as ever when all warm up together", () => {
    if (balance !== "leastOutstanding" && balance !== "p2c" && balance !== "peakEwma") return;
    const { pool, worker } = warmingPool(balance, 0);
    for (const [slot, age] of [3_100, 3_300, 3_200, 3_000].entries()) warmFrom(worker, slot, worker.time.now - age);
    worker.time.now += 1_000;
    pool.tick(worker.time.now, worker.time.now);
    for (let i = 0; i < 40; i++) pool.pick(mix(i), null)!.begin();
    const loads = pool.endpoints.map((endpoint) => endpoint.inFlight());
    expect(Math.max(...loads) - Math.min(...loads)).toBeLessThan(balance === "leastOutstanding" ? 3 : 7);
  });

  test("gives it a full share in the end, and steps on the way there", () => {
    const { pool, worker } = warmingPool(balance, 0);
    const seen = new Set<number>();
    for (let i = 0; i < 1_300; i++) {
      seen.add(pool.endpoints[0]!.share);
      worker.time.now += 25;
      pool.tick(worker.time.now, worker.time.now);
    }
    expect(pool.endpoints[0]!.share).toBe(1);
    expect(seen.size).toBeGreaterThan(30);
    expect(seen.size).toBeLessThan(45);
    expect(pool.endpoints.map(({ weight }) => weight)).toEqual([1, 1, 1, 1]);
  });

  test("under load the one that warms up carries its part", () => {
    const { pool } = warmingPool(balance, 15_000);
    const held = Array.from({ length: 700 }, (_, i) => {
      const endpoint = pool.pick(mix(i), null)!;
      endpoint.begin();
      return endpoint;
    });
    const carried = held.filter(({ slot }) => slot === 3).length;
    const expected = balance === "first" ? 350 : 100;
    expect(Math.abs(carried - expected)).toBeLessThan(balance === "ringHash" || balance === "first" ? 60 : 35);
  });
});

describe.each(["ringHash", "maglev"] as const)("%s", (balance) => {
  const keys = 4_000;

  /** Where each of many keys is at home. */
  function homes(pool: Pool): number[] {
    return Array.from({ length: keys }, (_, key) => pool.pick(mix(key), null)!.slot);
  }

  function moved(before: readonly number[], pool: Pool): number {
    const after = homes(pool);
    return before.filter((slot, index) => slot !== after[index]).length;
  }

  test("a pool that comes back as a whole has every key at home as soon as the last one is back", () => {
    const { pool, worker } = warmingPool(balance, slowStart);
    const before = homes(pool);
    const back = (slot: number) => {
      setState(
        worker,
        pool.endpoints.find((one) => one.slot === slot)!,
        "ready",
      );
      warmFrom(worker, slot, worker.time.now);
    };
    for (const endpoint of pool.endpoints) setState(worker, endpoint, "unready");
    // One after the other, as probes with jitter find them.
    for (const slot of [2, 0, 3, 1]) {
      worker.time.now += 1_700;
      back(slot);
      pool.tick(worker.time.now, worker.time.now);
    }
    for (let age = 0; age <= slowStart + 10_000; age += 1_000) {
      expect(moved(before, pool)).toBe(0);
      worker.time.now += 1_000;
      pool.tick(worker.time.now, worker.time.now);
    }
    expect(pool.rotation.warming).toBe(false);
  });

  test("one that comes back beside warm ones gets its keys little by little, one that comes long after the others, too", () => {
    const { pool, worker } = warmingPool(balance, slowStart);
    const before = homes(pool);
    const [late] = pool.endpoints.filter(({ slot }) => slot === 3);
    for (const first of [0, worker.time.now]) {
      for (const slot of [0, 1, 2]) warmFrom(worker, slot, first);
      setState(worker, late!, "unready");
      worker.time.now += slowStart + 5_000;
      pool.tick(worker.time.now, worker.time.now);
      setState(worker, late!, "ready");
      warmFrom(worker, 3, worker.time.now);
      pool.tick(worker.time.now, worker.time.now);
      const own = before.filter((slot) => slot === 3).length;
      expect(moved(before, pool)).toBeGreaterThan(own * 0.8);
      expect(pool.rotation.warming).toBe(true);
      worker.time.now += slowStart;
      pool.tick(worker.time.now, worker.time.now);
      expect(moved(before, pool)).toBe(0);
    }
  });
});

test("weights count on: half of a weight of 4 is 2", () => {
  const endpoints = [endpointPlan(0, { weight: 4 }), endpointPlan(1)];
  const { pool, worker } = warmingPool("p2c", 0, { endpoints });
  warmFrom(worker, 0, worker.time.now - 15_000);
  setState(worker, pool.endpoints[1]!, "unready");
  pool.tick(worker.time.now, worker.time.now);
  expect(pool.endpoints[0]!.weight).toBe(2);
  expect(reload(pool, { ...pool.plan, slowStart: 0 }, worker).endpoints[0]!.weight).toBe(4);
});

test("when nobody is ready, nobody is cold", () => {
  const { pool, worker } = warmingPool("p2c", 0);
  for (const endpoint of pool.endpoints) setState(worker, endpoint, "unready");
  pool.tick(worker.time.now, worker.time.now);
  expect(pool.rotation).toMatchObject({ failOpen: true, warming: false });
  expect(pool.endpoints[0]!.share).toBe(1);
});

test("one that was out for seconds because it refused comes back cold, one for a second does not", () => {
  const worker = makeWorker(makeTable(1, 3), 0);
  const pool = makePool(poolPlan({ slowStart }), worker);
  const [sick] = pool.endpoints;
  const cell = worker.table.state(sick!.slot) + StateCell.warmFrom;
  const outs: number[] = [];
  for (let i = 0; i < 3; i++) {
    sick!.connectFailed(worker.time.now, true);
    outs.push(worker.table.cells[cell]!);
    pool.tick(worker.time.now, worker.time.now);
    worker.time.now += i < 2 ? 2 ** i * 1_000 : 100;
  }
  expect(outs.slice(0, 2)).toEqual([0, 0]);
  expect(outs[2]).toBe(worker.time.now - 100 + 4_000);
  // Let in before its time: from now on, not from when it would have been.
  sick!.connectSucceeded();
  expect(worker.table.cells[cell]).toBe(worker.time.now);
  pool.tick(worker.time.now, worker.time.now);
  expect(sick!.share).toBe(0.1);
});
