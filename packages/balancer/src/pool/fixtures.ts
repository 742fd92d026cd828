// Plans, a worker's surroundings and seeded chance for this folder's tests.
import type { Random } from "../base/random.ts";
import { EndpointState, SharedTable, StateCell } from "../observe/table.ts";
import { buildPools, commitPools } from "./assemble.ts";
import type { Surroundings } from "./balance/algorithm.ts";
import { Endpoint } from "./endpoint.ts";
import type { EndpointPlan, PoolPlan } from "./plan.ts";
import type { Pool, PoolContext, Waiter } from "./pool.ts";

/** A repeatable source of chance (mulberry32). */
export function seeded(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A worker whose time is set by hand: `time.now` is monotonic and wall time at once. */
export interface TestWorker extends PoolContext {
  readonly time: { now: number };
}

export function makeTable(workers = 1, endpoints = 8, pools = 2): SharedTable {
  return SharedTable.local({ workers, endpoints, pools, listeners: 1 });
}

export function makeWorker(table: SharedTable = makeTable(), row = 0, seed = 1): TestWorker {
  const time = { now: 1_000 };
  return {
    table,
    row,
    time,
    clock: { now: () => time.now, wall: () => time.now },
    wallNow: () => time.now,
    random: seeded(seed),
  };
}

export function endpointPlan(slot: number, over: Partial<EndpointPlan> = {}): EndpointPlan {
  const port = 3000 + slot;
  const address = { kind: "tcp", host: "127.0.0.1", port } as const;
  const id = `127.0.0.1:${port}`;
  return { slot, id, stableId: over.id ?? id, address, weight: 1, zone: "", backup: false, ...over };
}

export function poolPlan(over: Partial<PoolPlan> = {}): PoolPlan {
  return {
    slot: 0,
    name: "app",
    endpoints: [0, 1, 2].map((slot) => endpointPlan(slot)),
    balance: "p2c",
    hashKey: null,
    hashBalance: 0,
    zone: "",
    readiness: null,
    failOpen: true,
    sticky: null,
    outliers: null,
    slowStart: 0,
    drain: { window: 30_000 },
    timeouts: { connect: 3_000, firstByte: 60_000, idle: 60_000, tunnelIdle: 3_600_000, perTry: 0, total: 0 },
    retry: { attempts: 2, budget: 0.2, on: ["connect", "reset"], idempotencyKey: false, hedge: 0 },
    deadlineHeader: "",
    limits: { inFlight: 0, queue: 10, queueTimeout: 1_000 },
    keepAlive: { maxIdle: 4, idle: 4_000, maxRequests: 0 },
    proxyProtocol: "off",
    tls: null,
    declared: { client: 0, app: 0, downstream: 0, keepAlive: 0, stopGrace: 0 },
    ...over,
  };
}

export const readiness: NonNullable<PoolPlan["readiness"]> = {
  probe: "http",
  path: "/readyz",
  method: "GET",
  host: "",
  headers: [],
  expect: [[200, 299]],
  body: null,
  drainOn: [],
  tls: null,
  command: null,
  script: [],
  login: null,
  interval: 5_000,
  fastInterval: 1_000,
  timeout: 2_000,
  proxyProtocol: "off",
  rise: 2,
  fall: 3,
};

/** One pool, committed. */
export function makePool(plan: PoolPlan, worker: TestWorker): Pool {
  const pools = buildPools([plan], null, worker);
  commitPools(pools, null);
  return pools.get(plan.name)!;
}

/** The same pool under a new plan, committed. */
export function reload(pool: Pool, plan: PoolPlan, worker: TestWorker): Pool {
  const before = new Map([[pool.name, pool]]);
  const pools = buildPools([plan], before, worker);
  commitPools(pools, before);
  return pools.get(plan.name)!;
}

/** Endpoints of the given weights without a pool around them, for trying algorithms alone. */
export function bareEndpoints(
  weights: readonly number[],
  { limit = 0, hashBalance = 0, seed = 1 } = {},
): { endpoints: readonly Endpoint[]; surroundings: Surroundings; worker: TestWorker } {
  const worker = makeWorker(makeTable(1, weights.length), 0, seed);
  const plan = poolPlan({ limits: { inFlight: limit, queue: 0, queueTimeout: 1_000 } });
  const load = { own: 0, others: 0 };
  const endpoints = weights.map((weight, slot) => new Endpoint(plan, endpointPlan(slot, { weight }), worker, load));
  return { endpoints, surroundings: { clock: worker.clock, load, hashBalance }, worker };
}

/** Writes an endpoint's state as the supervisor does. */
export function setState(worker: TestWorker, endpoint: Endpoint, state: keyof typeof EndpointState): void {
  worker.table.cells[worker.table.state(endpoint.slot) + StateCell.state] = EndpointState[state];
}

/** A waiter that notes what became of it. */
export interface TestWaiter extends Waiter {
  outcome: Endpoint | "timed out" | null;
}

export function makeWaiter(onReady: (endpoint: Endpoint) => void = () => {}): TestWaiter {
  return {
    queuedAt: 0,
    next: null,
    prev: null,
    queue: null,
    outcome: null,
    ready(endpoint) {
      this.outcome = endpoint;
      endpoint.begin();
      onReady(endpoint);
    },
    timedOut() {
      this.outcome = "timed out";
    },
  };
}
