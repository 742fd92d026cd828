// Clients that belong somewhere, in a pool in which everything happens at random: states, limits, reloads, ends, two workers.
import { expect, test } from "bun:test";
import { EndpointState, PoolCell, StateCell } from "../observe/table.ts";
import { buildPools, commitPools } from "./assemble.ts";
import type { Endpoint } from "./endpoint.ts";
import { endpointPlan, makeTable, makeWorker, poolPlan, seeded, type TestWorker } from "./fixtures.ts";
import type { PoolPlan } from "./plan.ts";
import type { Pool, Waiter } from "./pool.ts";
import { stickyPlan } from "./stick/fixtures.ts";
import { Carried, newVisit } from "./stick/stick.ts";

const slots = 5;
const limit = 3;
const queueTimeout = 400;

interface Worker {
  readonly worker: TestWorker;
  pools: ReadonlyMap<string, Pool>;
  readonly inFlight: Endpoint[];
  readonly waiting: Set<Waiter>;
}

function simulate(seed: number): void {
  const random = seeded(seed);
  const chance = (share: number) => random() < share;
  const any = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
  const table = makeTable(2, slots, 1);
  const time = { now: 10_000 };
  const problem = (text: string): never => {
    throw new Error(`seed ${seed}, at ${time.now}: ${text}`);
  };

  const planWith = (present: readonly number[]): PoolPlan =>
    poolPlan({
      endpoints: present.map((slot) => endpointPlan(slot)),
      sticky: stickyPlan("cookie"),
      limits: { inFlight: limit, queue: 8, queueTimeout },
    });
  let present = [0, 1, 2, 3, 4];
  const workers = [0, 1].map((row): Worker => {
    const worker = makeWorker(table, row, seed + row);
    const pools = buildPools([planWith(present)], null, worker);
    commitPools(pools, null);
    return { worker, pools, inFlight: [], waiting: new Set() };
  });
  const poolOf = (of: Worker): Pool => of.pools.get("app")!;

  const state = (slot: number) => table.cells[table.state(slot) + StateCell.state]!;
  const until = (slot: number) => table.cells[table.state(slot) + StateCell.drainUntil]!;
  /** Whether whoever belongs here must get nothing else. A state that changed is seen with the next tick at the latest. */
  const mustKeep = (of: Worker, home: Endpoint) => {
    // One that left and came back meanwhile is another one.
    if (!poolOf(of).endpoints.includes(home) || home.ejected || home.isEjected(time.now)) return false;
    const { slot } = home;
    const now = state(slot);
    return (
      now === EndpointState.ready ||
      now === EndpointState.unknown ||
      (now === EndpointState.draining && until(slot) > time.now)
    );
  };

  /** When each was disabled, and the last tick: a worker sees a state no sooner. */
  const disabledSince = Array.from({ length: slots }, () => Infinity);
  let ticked = 0;

  const take = (of: Worker, endpoint: Endpoint, home: Endpoint | null) => {
    if (home !== null && endpoint !== home && mustKeep(of, home)) problem(`${home.id} lost a client to ${endpoint.id}`);
    if (!endpoint.hasRoom()) problem(`${endpoint.id} was full`);
    if (disabledSince[endpoint.slot]! < ticked) problem(`${endpoint.id} is disabled`);
    endpoint.begin();
    of.inFlight.push(endpoint);
  };

  const arrive = (of: Worker) => {
    const pool = poolOf(of);
    const home = chance(0.7) ? any(pool.endpoints) : null;
    const visit = { ...newVisit(), endpoint: home, carried: home === null ? Carried.nothing : Carried.known };
    const endpoint = pool.pickSticky(visit, 0, null);
    if (endpoint !== null) return take(of, endpoint, home);
    if (pool.refusal !== "full") return;
    if (visit.waitsFor !== null && visit.waitsFor !== home) problem("it waits for somebody else's endpoint");
    const waiter: Waiter = {
      queuedAt: 0,
      next: null,
      prev: null,
      queue: null,
      ready(at) {
        if (!of.waiting.delete(waiter)) problem("a waiter was served twice");
        take(of, at, visit.waitsFor);
      },
      timedOut() {
        if (!of.waiting.delete(waiter)) problem("a waiter was given up twice");
        if (time.now - waiter.queuedAt < queueTimeout) problem("a waiter was given up too early");
      },
    };
    of.waiting.add(waiter);
    if (!pool.wait(waiter, visit.waitsFor)) of.waiting.delete(waiter);
  };

  const end = (of: Worker) => {
    const [endpoint] = of.inFlight.splice(Math.floor(random() * of.inFlight.length), 1);
    if (endpoint === undefined) return;
    endpoint.end();
    poolOf(of).wake();
  };

  const change = () => {
    const slot = any([0, 1, 2, 3, 4]);
    const at = table.state(slot);
    const next = any(["ready", "ready", "ready", "draining", "disabled"] as const);
    disabledSince[slot] = next === "disabled" ? time.now : Infinity;
    table.cells[at + StateCell.state] = EndpointState[next];
    table.cells[at + StateCell.drainFrom] = next === "draining" ? time.now : 0;
    table.cells[at + StateCell.drainUntil] = next === "draining" ? time.now + 300 : 0;
  };

  const reload = () => {
    present = [0, 1, 2, 3, 4].filter(() => chance(0.8));
    if (present.length === 0) present = [0];
    for (const of of workers) {
      const next = buildPools([planWith(present)], of.pools, of.worker);
      const before = of.pools;
      of.pools = next;
      commitPools(next, before);
    }
  };

  const tick = (ms: number) => {
    time.now += ms;
    ticked = time.now;
    for (const of of workers) {
      of.worker.time.now = time.now;
      poolOf(of).tick(time.now, time.now);
    }
  };

  for (let step = 0; step < 400; step++) {
    const of = any(workers);
    const what = random();
    if (what < 0.5) arrive(of);
    else if (what < 0.75) end(of);
    else if (what < 0.9) tick(Math.floor(random() * 60));
    else if (what < 0.94) change();
    else if (what < 0.97 && of.waiting.size > 0) {
      const leaver = any([...of.waiting]);
      of.waiting.delete(leaver);
      poolOf(of).leave(leaver);
    } else if (what > 0.985) reload();
    for (const one of workers) {
      if (poolOf(one).waiting !== one.waiting.size)
        problem(`${poolOf(one).waiting} wait, and ${one.waiting.size} should`);
      const cells = table.pool(one.worker.row, 0);
      if (table.cells[cells + PoolCell.queued] !== one.waiting.size) problem("the queued cell is wrong");
    }
  }
  for (const of of workers) while (of.inFlight.length > 0) end(of);
  tick(queueTimeout);
  for (const of of workers) {
    if (of.waiting.size > 0) problem("somebody waits for ever");
    while (of.inFlight.length > 0) end(of);
    const cells = table.pool(of.worker.row, 0);
    expect([table.cells[cells + PoolCell.queued], table.cells[cells + PoolCell.queuedOwn]]).toEqual([0, 0]);
  }
}

test("nobody loses a client that it may keep, nobody waits for ever, and the books are right: 300 seeds", () => {
  for (let seed = 1; seed <= 300; seed++) simulate(seed);
}, 60_000);
