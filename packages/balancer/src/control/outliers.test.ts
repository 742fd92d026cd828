// From the workers' cells to who is out: sums over all rows, what is written, what is told.
import { expect, test } from "bun:test";
import { EndpointCell, EndpointState, SharedTable, StateCell } from "../observe/table.ts";
import type { OutlierPlan, PoolPlan } from "../pool/plan.ts";
import { endpointPlan, poolPlan, readiness } from "../pool/fixtures.ts";
import { Outliers } from "./outliers.ts";

const outliers: OutlierPlan = { maxEjected: 0.5, base: 30_000, longest: 300_000, consecutive: 5, latency: 4 };

function setting(over: Partial<PoolPlan> = {}) {
  const table = SharedTable.local({ workers: 4, endpoints: 4, pools: 1, listeners: 1 });
  const endpoints = [0, 1, 2, 3].map((slot) => endpointPlan(slot));
  const at = {
    table,
    now: 1_000_000,
    pools: [poolPlan({ endpoints, outliers, readiness, slowStart: 30_000, ...over })],
    events: [] as string[],
    tick: () => {},
  };
  const watcher = new Outliers({
    table,
    clock: { now: () => at.now, wall: () => at.now },
    timers: {
      every: (_, fn) => {
        at.tick = fn;
        return () => (at.tick = () => {});
      },
      after: () => () => {},
    },
    log: { event: (level, name, text) => void at.events.push(`${level} ${name}: ${text}`) },
    pools: () => at.pools,
  });
  for (const { slot } of endpoints) table.cells[table.state(slot) + StateCell.state] = EndpointState.ready;
  watcher.start();
  const cell = (slot: number, which: number) => table.cells[table.state(slot) + which]!;
  /** Counts `n` in one worker's row. */
  const count = (row: number, slot: number, which: number, n: number) => {
    table.cells[table.endpoint(row, slot) + which]! += n;
  };
  /** A second in which every worker sees what `bad` tells of slot 1, and good answers of the rest. */
  const second = (bad: number) => {
    for (let row = 0; row < 4; row++) {
      for (const slot of [0, 2, 3]) count(row, slot, EndpointCell.answers2xx, 5);
      if (bad >= 0) count(row, 1, bad, 2);
      else count(row, 1, EndpointCell.answers4xx, 5);
    }
    at.now += 1_000;
    at.tick();
  };
  return { ...at, at, watcher, cell, count, second };
}

test.each([
  ["answers5xx", "8 answers with 5xx"],
  ["resets", "8 broken off"],
  ["timeouts", "8 timeouts"],
  ["connectFailures", "8 failed connects"],
] as const)("two %s in each of four workers are eight together", (kind, words) => {
  const { at, second, cell, watcher } = setting();
  second(-1);
  second(EndpointCell[kind]);
  const until = at.now + 30_000;
  expect(at.events).toEqual([
    `warn endpoint.ejected: app/127.0.0.1:3001 is ejected for 30 s: 8 tries in a row failed (${words}), 0 of its peers' 60`,
  ]);
  expect(cell(1, StateCell.ejectedUntil)).toBe(until);
  // Cold from the moment it comes back, so that no worker gives it a full share in between.
  expect(cell(1, StateCell.warmFrom)).toBe(until);
  expect(cell(1, StateCell.ejections)).toBe(1);
  expect(watcher.ejection("app", 1)).toMatchObject({ until, times: 1 });
  expect(watcher.ejection("app", 0)).toBeNull();
});

test("what a client asked wrong is no fault of the endpoint, and refusals are left to its probe", () => {
  const { at, second, count } = setting();
  second(-1);
  for (let i = 0; i < 60; i++) second(EndpointCell.answers4xx);
  for (let i = 0; i < 60; i++) {
    for (let row = 0; row < 4; row++) count(row, 1, EndpointCell.connectRefusals, 2);
    second(EndpointCell.connectFailures);
  }
  expect(at.events).toEqual([]);
});

test("it comes back by itself, and is told of", () => {
  const { at, second, cell } = setting();
  second(-1);
  second(EndpointCell.resets);
  const until = cell(1, StateCell.ejectedUntil);
  while (at.now < until) second(-1);
  expect(cell(1, StateCell.ejectedUntil)).toBe(0);
  expect(cell(1, StateCell.warmFrom)).toBe(until);
  expect(at.events.slice(1)).toEqual([
    "info endpoint.admitted: app/127.0.0.1:3001 is back in rotation: its time out is over",
  ]);
});

test("admitted before its time, it is cold from now on", () => {
  const { at, second, cell, table } = setting();
  second(-1);
  second(EndpointCell.resets);
  for (const slot of [0, 2, 3]) table.cells[table.state(slot) + StateCell.state] = EndpointState.unready;
  second(-1);
  expect(cell(1, StateCell.ejectedUntil)).toBe(0);
  expect(cell(1, StateCell.warmFrom)).toBe(at.now);
});

test("switched off, or gone with its pool, nobody stays out", () => {
  for (const change of ["off", "gone"] as const) {
    const { at, second, cell, watcher } = setting();
    second(-1);
    second(EndpointCell.resets);
    expect(cell(1, StateCell.ejectedUntil)).toBeGreaterThan(0);
    const { pools } = at;
    at.pools = change === "off" ? [{ ...pools[0]!, outliers: null }] : [];
    at.tick();
    // A pool that comes back within the slot's rest finds the cells as they were.
    at.pools = change === "off" ? at.pools : pools;
    at.tick();
    expect(cell(1, StateCell.ejectedUntil)).toBe(0);
    expect(watcher.ejection("app", 1)).toBeNull();
  }
});

test("after `stop` nobody looks any more", () => {
  const { at, second, watcher } = setting();
  second(-1);
  watcher.stop();
  second(EndpointCell.resets);
  expect(at.events).toEqual([]);
});

test("of a thousand endpoints, every tenth that breaks off is ejected, and no other", () => {
  const table = SharedTable.local({ workers: 8, endpoints: 1_000, pools: 1, listeners: 1 });
  const endpoints = Array.from({ length: 1_000 }, (_, slot) => endpointPlan(slot));
  let now = 1e6;
  const watcher = new Outliers({
    table,
    clock: { now: () => now, wall: () => now },
    timers: { every: () => () => {}, after: () => () => {} },
    log: { event: () => {} },
    pools: () => [poolPlan({ endpoints, outliers })],
  });
  for (let second = 0; second < 20; second++) {
    for (let slot = 0; slot < 1_000; slot++) {
      table.cells[
        table.endpoint(slot % 8, slot) + (slot % 10 === 0 ? EndpointCell.resets : EndpointCell.answers2xx)
      ]! += 9;
    }
    now += 1_000;
    watcher.review();
  }
  const out = endpoints.filter(({ slot }) => watcher.ejection("app", slot) !== null);
  expect(out.map(({ slot }) => slot)).toEqual(endpoints.flatMap(({ slot }) => (slot % 10 === 0 ? slot : [])));
});
