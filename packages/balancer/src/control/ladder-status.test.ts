import { expect, test } from "bun:test";
import { EndpointCell, latencyBuckets, PoolCell, SharedTable } from "../observe/table.ts";
import { poolPlan } from "../pool/fixtures.ts";
import type { PoolPlan } from "../pool/plan.ts";
import { drainWindow } from "./drain-window.ts";
import { ladderStatus } from "./ladder-status.ts";

const shutdown = { lag: 2_000, window: 30_000, stopGrace: 0 };

function statusOf(over: Partial<PoolPlan>, fill: (table: SharedTable, pool: PoolPlan) => void = () => {}) {
  const table = SharedTable.local({ workers: 2, endpoints: 8, pools: 2, listeners: 1, sessions: 0 });
  const pool = poolPlan(over);
  fill(table, pool);
  const plan = { listeners: [], pools: [pool] };
  return ladderStatus(table, plan, shutdown, pool, drainWindow(table, pool));
}

const undeclared = poolPlan().declared;

test("a pool that nothing is known of has a ladder, and nothing observed", () => {
  const { ladders, more, observed, contradictions } = statusOf({});
  expect(observed).toEqual({ p50: null, p99: null, longest: null, idle: null });
  expect([ladders.length, more, contradictions.length]).toEqual([1, 0, 0]);
  const rungs = ladders[0]?.sections[0]?.rungs.map(({ name, ms, source }) => [name, ms, source.kind]);
  expect(rungs).toEqual([
    ["client", null, "undeclared"],
    ["balancer", 126_000, "reckoned"],
    ["one try", 60_000, "running"],
    ["application", null, "undeclared"],
    ["downstream", null, "undeclared"],
  ]);
});

test("latencies are summed over workers, and what was learned is the shortest", () => {
  const { observed } = statusOf({}, (table, pool) => {
    const bucket = latencyBuckets.indexOf(100);
    table.cells[table.pool(0, pool.slot) + PoolCell.latency + bucket] = 1;
    table.cells[table.pool(1, pool.slot) + PoolCell.latency + bucket] = 1;
    table.cells[table.pool(1, pool.slot) + PoolCell.longest] = 99;
    table.cells[table.endpoint(0, 0) + EndpointCell.keepAlive] = 9_000;
    table.cells[table.endpoint(1, 1) + EndpointCell.keepAlive] = 4_000;
  });
  expect(observed).toEqual({ p50: 75, p99: 99, longest: 99, idle: 4_000 });
});

test("what contradicts a declaration is said", () => {
  const declared = { ...undeclared, client: 35_000, app: 20_000, keepAlive: 65_000 };
  const { contradictions } = statusOf({ declared }, (table, pool) => {
    table.cells[table.pool(0, pool.slot) + PoolCell.longest] = 41_000;
    table.cells[table.endpoint(0, 0) + EndpointCell.keepAlive] = 4_000;
  });
  expect(contradictions).toEqual([
    "the longest request lately took 41s, and the application is declared to work for 20s at most",
    "the longest request lately took 41s, and a drain would cut it after 30s",
    "the longest request lately took 41s, and clients are declared to wait for 35s",
    "the application is declared to keep idle connections for 65s, and was seen to close them so soon that none is used again after 4s".replace(
      "65s",
      "1m5s",
    ),
  ]);
});

test("what agrees with it is not", () => {
  const declared = { ...undeclared, client: 35_000, app: 20_000, keepAlive: 5_000 };
  const { contradictions } = statusOf({ declared }, (table, pool) => {
    table.cells[table.pool(0, pool.slot) + PoolCell.longest] = 19_000;
    table.cells[table.endpoint(0, 0) + EndpointCell.keepAlive] = 4_000;
  });
  expect(contradictions).toEqual([]);
});

test("an application that closes sooner than connections are used again", () => {
  const { contradictions } = statusOf({}, (table) => {
    table.cells[table.endpoint(0, 0) + EndpointCell.keepAlive] = 1_000;
  });
  expect(contradictions.join()).toContain("no connection is used again after 1s");
});
