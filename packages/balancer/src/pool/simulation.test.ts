// Workers, states, exchanges and waiters at random over one table, against a plain model of what must hold at every step.
import { expect, test } from "bun:test";
import type { Random } from "../base/random.ts";
import { EndpointState } from "../observe/table.ts";
import { algorithms } from "./balance/table.ts";
import type { Endpoint } from "./endpoint.ts";
import {
  endpointPlan,
  makePool,
  makeTable,
  makeWaiter,
  makeWorker,
  poolPlan,
  readiness,
  reload,
  seeded,
  setState,
  type TestWaiter,
  type TestWorker,
} from "./fixtures.ts";
import type { AlgorithmName, PoolPlan } from "./plan.ts";
import type { Pool } from "./pool.ts";

const states = Object.keys(EndpointState) as (keyof typeof EndpointState)[];
const limit = 3;
const queue = 12;
const slots = 6;

interface Worker {
  readonly around: TestWorker;
  pool: Pool;
  /** Exchanges in flight, by endpoint. */
  readonly running: Endpoint[];
  /** Everybody who ever queued here, in order, and whether they left by themselves. */
  readonly waiters: { readonly waiter: TestWaiter; left: boolean }[];
}

function randomPlan(random: Random, balance: AlgorithmName): PoolPlan {
  const endpoints = Array.from({ length: slots }, (_, slot) =>
    endpointPlan(slot, {
      weight: 1 + Math.floor(random() * 4),
      backup: slot >= 4,
      zone: slot % 2 === 0 ? "a" : "b",
    }),
  ).filter((_, slot) => slot === 0 || random() < 0.9);
  return poolPlan({
    endpoints,
    balance,
    readiness,
    hashBalance: random() < 0.5 ? 1.25 : 0,
    zone: random() < 0.5 ? "a" : "",
    failOpen: random() < 0.8,
    limits: { inFlight: limit, queue, queueTimeout: 500 },
  });
}

function simulate(seed: number, balance: AlgorithmName, steps: number): void {
  const random = seeded(seed);
  const below = (n: number) => Math.floor(random() * n);
  const table = makeTable(2, slots);
  let plan = randomPlan(random, balance);
  const workers: Worker[] = [0, 1].map((row) => {
    const around = makeWorker(table, row, seed + row);
    return { around, pool: makePool(plan, around), running: [], waiters: [] };
  });

  const tickAll = (ms: number) => {
    for (const { around, pool } of workers) {
      around.time.now += ms;
      pool.tick(around.time.now, around.time.now);
    }
  };
  const start = (worker: Worker) => {
    const endpoint = worker.pool.pick(below(2 ** 32), worker.running[0] ?? null);
    if (endpoint !== null) {
      judge(worker, endpoint);
      endpoint.begin();
      worker.running.push(endpoint);
      return;
    }
    if (worker.pool.refusal === "unusable") {
      expect(worker.pool.endpoints.some((one) => one.stateAllows(worker.around.time.now))).toBe(false);
      return;
    }
    const waiter = makeWaiter((given) => {
      expect(given.inFlight()).toBeLessThanOrEqual(limit);
      worker.running.push(given);
    });
    if (worker.pool.wait(waiter)) worker.waiters.push({ waiter, left: false });
    else expect(workers[0]!.pool.waiting + workers[1]!.pool.waiting).toBe(queue);
  };

  for (let step = 0; step < steps; step++) {
    const worker = workers[below(2)]!;
    const dice = random();
    if (dice < 0.45) {
      start(worker);
    } else if (dice < 0.8) {
      const [endpoint] = worker.running.splice(below(worker.running.length), 1);
      endpoint?.end();
      worker.pool.wake();
    } else if (dice < 0.86) {
      const waiting = worker.waiters.filter((one) => !one.left && one.waiter.outcome === null);
      const leaver = waiting[below(waiting.length)];
      if (leaver) {
        leaver.left = true;
        worker.pool.leave(leaver.waiter);
      }
    } else if (dice < 0.9) {
      const endpoint = worker.pool.endpoints[below(worker.pool.endpoints.length)]!;
      setState(worker.around, endpoint, states[below(states.length)]!);
      tickAll(1);
    } else if (dice < 0.94) {
      worker.pool.endpoints[below(worker.pool.endpoints.length)]!.connectFailed(worker.around.time.now, random() < 0.5);
      if (random() < 0.5) tickAll(1);
    } else if (dice < 0.95) {
      worker.pool.endpoints[below(worker.pool.endpoints.length)]!.connectSucceeded();
    } else if (dice < 0.96) {
      plan = randomPlan(random, balance);
      for (const one of workers) one.pool = reload(one.pool, plan, one.around);
    } else {
      tickAll(below(200));
    }
    verify(workers);
  }

  // In the end everybody gets what is due: nobody is left in a queue once there is room.
  for (const endpoint of workers[0]!.pool.endpoints) setState(workers[0]!.around, endpoint, "ready");
  for (let round = 0; round < 50; round++) {
    for (const worker of workers) {
      for (const endpoint of worker.running.splice(0)) endpoint.end();
      worker.pool.wake();
    }
    tickAll(1);
    verify(workers);
  }
  for (const { pool, waiters } of workers) {
    expect(pool.waiting).toBe(0);
    for (const { waiter, left } of waiters) expect(left).toBe(waiter.outcome === null);
  }
}

/** What a pick must never be. */
function judge({ pool, around }: Worker, endpoint: Endpoint): void {
  expect(pool.endpoints).toContain(endpoint);
  expect(endpoint.withdrawn()).toBe(false);
  expect(endpoint.hasRoom()).toBe(true);
  const now = around.time.now;
  // Another worker's ejection is seen at the next tick; a state and its own ejection at once (states tick here).
  if (!endpoint.isReady()) expect(pool.endpoints.some((one) => one.stateAllows(now))).toBe(false);
}

function verify(workers: readonly Worker[]): void {
  const counts = new Map<number, number>();
  for (const { running } of workers) {
    for (const endpoint of running) counts.set(endpoint.slot, (counts.get(endpoint.slot) ?? 0) + 1);
  }
  const { table } = workers[0]!.around;
  for (let slot = 0; slot < slots; slot++) {
    for (const { around } of workers) expect(table.cells[table.endpoint(around.row, slot)]).toBeGreaterThanOrEqual(0);
    expect(table.sum(table.endpoint(0, slot))).toBe(counts.get(slot) ?? 0);
  }
  for (const { pool, waiters } of workers) {
    const waiting = waiters.filter(({ waiter, left }) => !left && waiter.outcome === null);
    expect(pool.waiting).toBe(waiting.length);
    // First come, first served: nobody who still waits came before somebody who was served.
    const firstWaiting = waiters.findIndex(({ waiter, left }) => !left && waiter.outcome === null);
    const lastServed = waiters.findLastIndex(({ waiter }) => waiter.outcome !== null);
    if (firstWaiting >= 0) expect(lastServed).toBeLessThan(firstWaiting);
    // Keep the history short: those at the front whose story is over say nothing new.
    while (waiters.length > 200 && (waiters[0]!.left || waiters[0]!.waiter.outcome !== null)) waiters.shift();
  }
}

test.each(Object.keys(algorithms) as AlgorithmName[])(
  "%s keeps every promise through 6 x 1,500 random steps",
  (name) => {
    for (let seed = 1; seed <= 6; seed++) simulate(seed * 1_000 + name.length, name, 1_500);
  },
);
