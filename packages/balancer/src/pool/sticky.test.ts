// Clients that belong to an endpoint, and a pool whose endpoints come and go.
import { describe, expect, test } from "bun:test";
import { PoolCell, StateCell } from "../observe/table.ts";
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
  setState,
  type TestWorker,
} from "./fixtures.ts";
import type { PoolPlan } from "./plan.ts";
import type { Pool } from "./pool.ts";
import { stickyPlan } from "./stick/fixtures.ts";
import { Carried, newVisit, type Visit } from "./stick/stick.ts";

function stage(over: Partial<PoolPlan> = {}) {
  const worker = makeWorker();
  const pool = makePool(poolPlan({ sticky: stickyPlan("cookie"), ...over }), worker);
  return { worker, pool, own: pool.endpoints[1]! };
}

/** A client that belongs there. */
function visitTo(endpoint: Endpoint): Visit {
  return { ...newVisit(), endpoint, carried: Carried.known };
}

function tick(pool: Pool, worker: TestWorker, ms = 25): void {
  worker.time.now += ms;
  pool.tick(worker.time.now, worker.time.now);
}

function cell(pool: Pool, worker: TestWorker, of: number): number {
  return worker.table.cells[worker.table.pool(worker.row, pool.slot) + of]!;
}

function drain(worker: TestWorker, endpoint: Endpoint, window: number): void {
  setState(worker, endpoint, "draining");
  const at = worker.table.state(endpoint.slot);
  worker.table.cells[at + StateCell.drainFrom] = worker.time.now;
  worker.table.cells[at + StateCell.drainUntil] = worker.time.now + window;
}

describe("its own endpoint", () => {
  test("is kept, however busy it is beside the others", () => {
    const { pool, own } = stage();
    for (let i = 0; i < 50; i++) {
      expect(pool.pickSticky(visitTo(own), 0, null)).toBe(own);
      own.begin();
    }
  });

  test("a client that belongs nowhere gets anybody", () => {
    const { pool } = stage();
    const seen = new Set(Array.from({ length: 60 }, () => pool.pickSticky(newVisit(), 0, null)));
    expect(seen).toEqual(new Set(pool.endpoints));
  });

  test("is not asked again when it has just failed", () => {
    const { pool, own } = stage();
    for (let i = 0; i < 20; i++) expect(pool.pickSticky(visitTo(own), 0, own)).not.toBe(own);
  });

  test("is kept while it drains, until the window is over; new clients go elsewhere at once", () => {
    const { pool, own, worker } = stage();
    drain(worker, own, 1000);
    tick(pool, worker);
    expect(pool.pickSticky(visitTo(own), 0, null)).toBe(own);
    for (let i = 0; i < 20; i++) expect(pool.pickSticky(newVisit(), 0, null)).not.toBe(own);
    tick(pool, worker, 1000);
    expect(pool.pickSticky(visitTo(own), 0, null)).not.toBe(own);
  });

  test("moves at the beginning of the drain where that is wanted", () => {
    const { pool, own, worker } = stage({ sticky: stickyPlan("cookie", { whileDraining: false }) });
    drain(worker, own, 1000);
    tick(pool, worker);
    expect(pool.pickSticky(visitTo(own), 0, null)).not.toBe(own);
  });

  test("with weight 0 it keeps its clients and gets no others", () => {
    const endpoints = [endpointPlan(0), endpointPlan(1, { weight: 0 }), endpointPlan(2)];
    const { pool, own } = stage({ endpoints });
    expect(pool.pickSticky(visitTo(own), 0, null)).toBe(own);
    for (let i = 0; i < 20; i++) expect(pool.pickSticky(newVisit(), 0, null)).not.toBe(own);
  });

  test("a backup keeps the clients it got when the others come back: two moves would cost two sessions", () => {
    const endpoints = [endpointPlan(0), endpointPlan(1, { backup: true })];
    const { pool, own } = stage({ endpoints });
    expect(pool.pick(0, null)).toBe(pool.endpoints[0]!);
    expect(pool.pickSticky(visitTo(own), 0, null)).toBe(own);
  });

  test.each(["disabled", "unready"] as const)("%s: another one", (state) => {
    const { pool, own, worker } = stage({ readiness });
    for (const endpoint of pool.endpoints) setState(worker, endpoint, "ready");
    setState(worker, own, state);
    tick(pool, worker);
    for (let i = 0; i < 20; i++) expect(pool.pickSticky(visitTo(own), 0, null)).not.toBe(own);
  });

  test("nobody listens there: another one, without waiting for the next tick", () => {
    const { pool, own, worker } = stage();
    own.connectFailed(worker.time.now, true);
    expect(pool.pickSticky(visitTo(own), 0, null)).not.toBe(own);
    own.connectSucceeded();
    tick(pool, worker);
    expect(pool.pickSticky(visitTo(own), 0, null)).toBe(own);
  });

  test("when nobody is ready and the pool fails open, everybody stays where they are", () => {
    const { pool, own, worker } = stage({ readiness });
    for (const endpoint of pool.endpoints) setState(worker, endpoint, "unready");
    tick(pool, worker);
    const before = cell(pool, worker, PoolCell.failOpen);
    for (let i = 0; i < 20; i++) expect(pool.pickSticky(visitTo(own), 0, null)).toBe(own);
    expect(cell(pool, worker, PoolCell.failOpen)).toBe(before + 20);
  });

  test("after a reload it is the same one; when it has left, another one", () => {
    const { pool, own, worker } = stage();
    const next = reload(pool, { ...pool.plan, balance: "first" }, worker);
    expect(next).not.toBe(pool);
    for (const one of [pool, next]) expect(one.pickSticky(visitTo(own), 0, null)).toBe(own);
    const without = pool.plan.endpoints.filter(({ id }) => id !== own.id);
    const last = reload(next, { ...pool.plan, endpoints: without }, worker);
    for (const one of [pool, next, last]) expect(one.pickSticky(visitTo(own), 0, null)).not.toBe(own);
  });
});

describe("a full endpoint", () => {
  const limits = { inFlight: 1, queue: 4, queueTimeout: 1000 };

  test("is waited for, although others have room", () => {
    const { pool, own, worker } = stage({ limits });
    own.begin();
    const visit = visitTo(own);
    expect([pool.pickSticky(visit, 0, null), pool.refusal, visit.waitsFor]).toEqual([null, "full", own]);
    const waiter = makeWaiter();
    expect(pool.wait(waiter, visit.waitsFor)).toBe(true);
    expect([pool.waiting, cell(pool, worker, PoolCell.queued), cell(pool, worker, PoolCell.queuedOwn)]).toEqual([
      1, 1, 1,
    ]);
    // It is in nobody's way.
    expect(pool.pick(0, null)).not.toBeNull();
    tick(pool, worker);
    expect(waiter.outcome).toBeNull();
    own.end();
    pool.wake();
    expect(waiter.outcome).toBe(own);
    expect([pool.waiting, cell(pool, worker, PoolCell.queued), cell(pool, worker, PoolCell.queuedOwn)]).toEqual([
      0, 0, 0,
    ]);
  });

  test("who comes later waits behind those who wait for the same one", () => {
    const { pool, own } = stage({ limits });
    own.begin();
    const first = makeWaiter();
    pool.wait(first, own);
    own.end();
    const visit = visitTo(own);
    expect([pool.pickSticky(visit, 0, null), visit.waitsFor]).toEqual([null, own]);
    const second = makeWaiter();
    pool.wait(second, own);
    pool.wake();
    expect([first.outcome, second.outcome]).toEqual([own, null]);
    own.end();
    pool.wake();
    expect(second.outcome).toBe(own);
  });

  test("room goes to whoever waited longest, for it or for any", () => {
    const { pool, own, worker } = stage({ limits });
    for (const endpoint of pool.endpoints) endpoint.begin();
    const [early, sticky, late] = [makeWaiter(), makeWaiter(), makeWaiter()];
    pool.wait(early);
    worker.time.now++;
    pool.wait(sticky, own);
    worker.time.now++;
    pool.wait(late);
    for (const expected of [early, sticky, late]) {
      own.end();
      pool.wake();
      expect(expected.outcome).toBe(own);
    }
  });

  test("is not waited for longer than others are, nor by more", () => {
    const { pool, own, worker } = stage({ limits });
    own.begin();
    const waiters = Array.from({ length: 5 }, () => makeWaiter());
    expect(waiters.map((waiter) => pool.wait(waiter, own))).toEqual([true, true, true, true, false]);
    tick(pool, worker, 999);
    expect(waiters[0]!.outcome).toBeNull();
    tick(pool, worker, 1);
    expect(waiters.slice(0, 4).map(({ outcome }) => outcome)).toEqual(Array.from({ length: 4 }, () => "timed out"));
    expect([pool.waiting, cell(pool, worker, PoolCell.queueTimeouts)]).toEqual([0, 4]);
  });

  test("that is disabled meanwhile lets its clients go", () => {
    const { pool, own, worker } = stage({ limits });
    own.begin();
    const waiter = makeWaiter();
    pool.wait(waiter, own);
    setState(worker, own, "disabled");
    tick(pool, worker);
    expect(pool.endpoints).toContain(waiter.outcome as Endpoint);
    expect(waiter.outcome).not.toBe(own);
  });

  test("that leaves the configuration lets its clients go, too", () => {
    const { pool, own, worker } = stage({ limits });
    own.begin();
    const waiter = makeWaiter();
    pool.wait(waiter, own);
    const next = reload(
      pool,
      { ...pool.plan, endpoints: pool.plan.endpoints.filter(({ id }) => id !== own.id) },
      worker,
    );
    expect(next.endpoints).toContain(waiter.outcome as Endpoint);
  });

  test("a client that goes away leaves no trace", () => {
    const { pool, own, worker } = stage({ limits });
    own.begin();
    const waiter = makeWaiter();
    pool.wait(waiter, own);
    pool.leave(waiter);
    pool.leave(waiter);
    expect([pool.waiting, cell(pool, worker, PoolCell.queuedOwn)]).toEqual([0, 0]);
    own.end();
    pool.wake();
    expect(waiter.outcome).toBeNull();
  });

  test("those who wait for it in one worker do not make others queue in another", () => {
    const table = makeTable(2);
    const [here, there] = [makeWorker(table, 0), makeWorker(table, 1)];
    const plan = poolPlan({ sticky: stickyPlan("cookie"), limits });
    const [one, two] = [makePool(plan, here), makePool(plan, there)];
    one.endpoints[1]!.begin();
    one.wait(makeWaiter(), one.endpoints[1]!);
    expect(two.pick(0, null)).not.toBeNull();
    for (const endpoint of one.endpoints) if (endpoint !== one.endpoints[1]) endpoint.begin();
    one.wait(makeWaiter());
    one.endpoints[0]!.end();
    expect(two.pick(0, null)).toBeNull(); // that place belongs to who waits for any
  });
});
