import { describe, expect, test } from "bun:test";
import { latencyBuckets, PoolCell } from "../observe/table.ts";
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
  setState,
  type TestWorker,
} from "./fixtures.ts";
import type { PoolPlan } from "./plan.ts";
import type { Pool } from "./pool.ts";

const limits = { inFlight: 1, queue: 4, queueTimeout: 1_000 };

function one(over: Partial<PoolPlan> = {}): { worker: TestWorker; pool: Pool } {
  const worker = makeWorker();
  return { worker, pool: makePool(poolPlan(over), worker) };
}

function cell(worker: TestWorker, pool: Pool, which: number): number {
  return worker.table.cells[worker.table.pool(worker.row, pool.slot) + which]!;
}

/** Begins exchanges until the pool has no more room. */
function fill(pool: Pool): Endpoint[] {
  const taken: Endpoint[] = [];
  for (let next = pool.pick(0, null); next !== null; next = pool.pick(0, null)) {
    next.begin();
    taken.push(next);
  }
  return taken;
}

function tick(pool: Pool, worker: TestWorker, ms = 25): void {
  worker.time.now += ms;
  pool.tick(worker.time.now, worker.time.now);
}

describe("pick", () => {
  test("finds the one place that is left, whatever the algorithm", () => {
    for (const balance of [
      "roundRobin",
      "leastOutstanding",
      "p2c",
      "peakEwma",
      "ringHash",
      "maglev",
      "random",
      "first",
    ] as const) {
      const endpoints = Array.from({ length: 8 }, (_, slot) => endpointPlan(slot, { weight: 1 + slot }));
      const { pool } = one({ balance, endpoints, limits });
      expect(fill(pool)).toHaveLength(8);
      expect(pool.refusal).toBe("full");
      for (const endpoint of pool.endpoints) {
        endpoint.end();
        for (let key = 0; key < 20; key++) expect(pool.pick(key, null)).toBe(endpoint);
        endpoint.begin();
      }
    }
  });

  test("takes another than the one to avoid, and that one if it must", () => {
    for (const balance of ["roundRobin", "p2c", "maglev", "ringHash", "first"] as const) {
      const { worker, pool } = one({ balance, readiness });
      for (const endpoint of pool.endpoints) setState(worker, endpoint, "ready");
      tick(pool, worker);
      const [a, b, c] = pool.endpoints as [Endpoint, Endpoint, Endpoint];
      for (let key = 0; key < 100; key++) expect(pool.pick(key, a)).not.toBe(a);
      setState(worker, b, "unready");
      setState(worker, c, "unready");
      tick(pool, worker);
      for (let key = 0; key < 100; key++) expect(pool.pick(key, a)).toBe(a);
    }
  });

  test("of several to avoid none is taken while there is another, and any if there is not", () => {
    for (const balance of Object.keys(algorithms) as (keyof typeof algorithms)[]) {
      const pool = makePool(poolPlan({ balance }), makeWorker());
      const [a, b, c] = pool.endpoints as [Endpoint, Endpoint, Endpoint];
      for (let key = 0; key < 50; key++) {
        expect(pool.pick(key, [a, c])).toBe(b);
        expect(pool.pick(key, [a, b, c])).not.toBeNull();
      }
    }
  });

  test("one to avoid that has left the rotation is not taken", () => {
    const { worker, pool } = one({ readiness, failOpen: false });
    setState(worker, pool.endpoints[0]!, "ready");
    tick(pool, worker);
    setState(worker, pool.endpoints[0]!, "draining");
    tick(pool, worker);
    expect(pool.pick(0, pool.endpoints[0]!)).toBeNull();
    expect(pool.refusal).toBe("unusable");
  });

  test("says when nobody is usable, and counts it", () => {
    const { worker, pool } = one({ readiness, failOpen: false });
    expect(pool.pick(0, null)).toBeNull();
    expect(pool.refusal).toBe("unusable");
    expect(cell(worker, pool, PoolCell.unusable)).toBe(1);
  });

  test("fails open, says so and counts it", () => {
    const { worker, pool } = one({ readiness });
    expect(pool.pick(0, null)).not.toBeNull();
    expect(pool.failedOpen).toBe(true);
    expect(cell(worker, pool, PoolCell.failOpen)).toBe(1);
    setState(worker, pool.endpoints[0]!, "ready");
    tick(pool, worker);
    expect(pool.pick(0, null)).toBe(pool.endpoints[0]!);
    expect(pool.failedOpen).toBe(false);
    expect(cell(worker, pool, PoolCell.failOpen)).toBe(1);
  });

  test("while it fails open, those that refuse connections are put out, but for the last", () => {
    const { worker, pool } = one({ readiness, endpoints: [endpointPlan(0), endpointPlan(1), endpointPlan(2)] });
    const [a, b, c] = pool.endpoints as [Endpoint, Endpoint, Endpoint];
    for (const endpoint of pool.endpoints) setState(worker, endpoint, "unready");
    tick(pool, worker);
    a.connectFailed(worker.time.now, true);
    b.connectFailed(worker.time.now, true);
    for (let key = 0; key < 50; key++) expect(pool.pick(key, null)).toBe(c);
    expect(pool.failedOpen).toBe(true);
    c.connectFailed(worker.time.now, true);
    expect(pool.pick(0, null)).toBe(c);
    tick(pool, worker);
    expect(pool.pick(0, null)).toBe(c);
  });

  test("a pool without endpoints is unusable", () => {
    const { pool } = one({ endpoints: [] });
    expect(pool.pick(0, null)).toBeNull();
    expect(pool.refusal).toBe("unusable");
  });

  test("an endpoint that was just ejected is not picked, without waiting for a tick", () => {
    const { worker, pool } = one({});
    pool.endpoints[0]!.connectFailed(worker.time.now, true);
    for (let i = 0; i < 100; i++) expect(pool.pick(i, null)).not.toBe(pool.endpoints[0]!);
  });

  test("the last primary ejected: the backup is there without waiting for a tick", () => {
    const { worker, pool } = one({ endpoints: [endpointPlan(0), endpointPlan(1, { backup: true })] });
    expect(pool.pick(0, null)).toBe(pool.endpoints[0]!);
    pool.endpoints[0]!.connectFailed(worker.time.now, true);
    expect(pool.pick(0, pool.endpoints[0]!)).toBe(pool.endpoints[1]!);
    tick(pool, worker, 1_000);
    expect(pool.pick(0, null)).toBe(pool.endpoints[0]!);
  });

  test("an ejection by another worker is seen at the next tick, and its end too", () => {
    const table = makeTable(2);
    const [w0, w1] = [makeWorker(table, 0), makeWorker(table, 1)];
    const [here, there] = [makePool(poolPlan(), w0), makePool(poolPlan(), w1)];
    there.endpoints[1]!.connectFailed(w1.time.now, true);
    tick(here, w0);
    for (let i = 0; i < 50; i++) expect(here.pick(i, null)).not.toBe(here.endpoints[1]!);
    tick(here, w0, 1_000);
    expect(here.rotation.usable).toHaveLength(3);
  });

  test("a full zone spills over before anybody waits", () => {
    const endpoints = ["a", "b", "b"].map((zone, slot) => endpointPlan(slot, { zone }));
    const { pool } = one({ endpoints, zone: "a", limits });
    const taken = fill(pool);
    expect(taken[0]).toBe(pool.endpoints[0]!);
    expect(new Set(taken).size).toBe(3);
  });

  test("a full primary does not wake the backups", () => {
    const { pool } = one({ endpoints: [endpointPlan(0), endpointPlan(1, { backup: true })], limits });
    expect(fill(pool)).toEqual([pool.endpoints[0]!]);
  });

  test("the rotation is the same value until a state changes", () => {
    const { worker, pool } = one({ readiness });
    const before = pool.rotation;
    for (let i = 0; i < 10; i++) tick(pool, worker);
    expect(pool.rotation).toBe(before);
    setState(worker, pool.endpoints[0]!, "ready");
    tick(pool, worker);
    expect(pool.rotation).not.toBe(before);
  });
});

test("a ring's bound counts what other workers have in flight, as of the last tick", () => {
  const table = makeTable(2);
  const [w0, w1] = [makeWorker(table, 0), makeWorker(table, 1)];
  const plan = poolPlan({ balance: "ringHash", hashBalance: 1.25 });
  const [here, there] = [makePool(plan, w0), makePool(plan, w1)];
  const home = here.pick(7, null)!;
  for (let i = 0; i < 90; i++) there.endpoints[i % 3]!.begin();
  tick(here, w0);
  // It takes its nth while n <= ceil(1.25 / 3 * (all in flight + 1)), and all are 60 more than its own: up to the 44th.
  let taken = 0;
  for (; here.pick(7, null) === home; taken++) home.begin();
  expect(30 + taken).toBe(44);
});

describe("the queue", () => {
  test("is served in order as places become free", () => {
    const { pool } = one({ limits });
    const taken = fill(pool);
    const waiters = [makeWaiter(), makeWaiter(), makeWaiter()];
    for (const waiter of waiters) expect(pool.wait(waiter)).toBe(true);
    for (const [index, endpoint] of taken.entries()) {
      endpoint.end();
      pool.wake();
      expect(waiters.map((waiter) => waiter.outcome !== null)).toEqual([0, 1, 2].map((at) => at <= index));
      expect(waiters[index]!.outcome).toBe(endpoint);
    }
    expect(pool.waiting).toBe(0);
  });

  test("has an end", () => {
    const { worker, pool } = one({ limits });
    fill(pool);
    for (let i = 0; i < 4; i++) expect(pool.wait(makeWaiter())).toBe(true);
    expect(pool.wait(makeWaiter())).toBe(false);
    expect(cell(worker, pool, PoolCell.queued)).toBe(4);
    expect(cell(worker, pool, PoolCell.queueOverflows)).toBe(1);
  });

  test("with length 0 there is none", () => {
    const { pool } = one({ limits: { ...limits, queue: 0 } });
    fill(pool);
    expect(pool.wait(makeWaiter())).toBe(false);
  });

  test("its length holds over all workers", () => {
    const table = makeTable(2);
    const [here, there] = [
      makePool(poolPlan({ limits }), makeWorker(table, 0)),
      makePool(poolPlan({ limits }), makeWorker(table, 1)),
    ];
    fill(here);
    for (let i = 0; i < 2; i++) expect(here.wait(makeWaiter())).toBe(true);
    for (let i = 0; i < 2; i++) expect(there.wait(makeWaiter())).toBe(true);
    expect(there.wait(makeWaiter())).toBe(false);
  });

  test("newcomers stand behind those who wait, although there is room", () => {
    const { pool } = one({ limits });
    const taken = fill(pool);
    const waiter = makeWaiter();
    pool.wait(waiter);
    taken[0]!.end();
    expect(pool.pick(0, null)).toBeNull();
    expect(pool.refusal).toBe("full");
    pool.wake();
    expect(waiter.outcome).toBe(taken[0]!);
  });

  test("newcomers stand behind a full queue, too", () => {
    const { pool } = one({ limits });
    const taken = fill(pool);
    for (let i = 0; i < limits.queue; i++) pool.wait(makeWaiter());
    taken[0]!.end();
    expect(pool.pick(0, null)).toBeNull();
  });

  test("newcomers stand behind those who wait in another worker, too", () => {
    const table = makeTable(2);
    const [w0, w1] = [makeWorker(table, 0), makeWorker(table, 1)];
    const [here, there] = [makePool(poolPlan({ limits }), w0), makePool(poolPlan({ limits }), w1)];
    const taken = fill(there);
    const waiter = makeWaiter();
    here.wait(waiter);
    taken[0]!.end();
    expect(there.pick(0, null)).toBeNull();
    expect(there.refusal).toBe("full");
    tick(here, w0);
    expect(waiter.outcome).not.toBeNull();
  });

  test("a full queue that a killed worker left behind refuses nothing there is room for", () => {
    const { worker, pool } = one({ limits });
    const table = makeTable(2);
    const here = makeWorker(table, 0);
    const alone = makePool(poolPlan({ limits }), here);
    table.cells[table.pool(1, 0) + PoolCell.queued] = limits.queue;
    expect(alone.pick(0, null)).not.toBeNull();
    expect(pool.pick(0, null)).not.toBeNull();
    expect(worker.row).toBe(0);
  });

  test("who leaves is out, once", () => {
    const { worker, pool } = one({ limits });
    const taken = fill(pool);
    const waiters = [makeWaiter(), makeWaiter(), makeWaiter()];
    for (const waiter of waiters) pool.wait(waiter);
    pool.leave(waiters[1]!);
    pool.leave(waiters[1]!);
    expect(cell(worker, pool, PoolCell.queued)).toBe(2);
    for (const endpoint of taken) endpoint.end();
    pool.wake();
    expect(waiters.map((waiter) => waiter.outcome !== null)).toEqual([true, false, true]);
  });

  test("who waits too long is told, oldest first, and not served afterwards", () => {
    const { worker, pool } = one({ limits });
    const taken = fill(pool);
    const [early, late] = [makeWaiter(), makeWaiter()];
    pool.wait(early);
    worker.time.now += 500;
    pool.wait(late);
    tick(pool, worker, 499);
    expect(early.outcome).toBeNull();
    tick(pool, worker, 1);
    expect(early.outcome).toBe("timed out");
    expect(late.outcome).toBeNull();
    expect(cell(worker, pool, PoolCell.queueTimeouts)).toBe(1);
    taken[0]!.end();
    pool.wake();
    expect(early.outcome).toBe("timed out");
    expect(late.outcome).toBe(taken[0]!);
  });

  test("an endpoint that becomes ready serves those who wait", () => {
    const { worker, pool } = one({ limits, readiness });
    setState(worker, pool.endpoints[0]!, "ready");
    tick(pool, worker);
    fill(pool);
    const waiter = makeWaiter();
    pool.wait(waiter);
    setState(worker, pool.endpoints[1]!, "ready");
    tick(pool, worker);
    expect(waiter.outcome).toBe(pool.endpoints[1]!);
  });

  test("a waiter whose exchange ends within `ready` lets the next one in, without going deeper each time", () => {
    const { pool } = one({ limits: { ...limits, queue: 50_000 }, endpoints: [endpointPlan(0)] });
    const [taken] = fill(pool);
    let served = 0;
    for (let i = 0; i < 50_000; i++) {
      pool.wait(
        makeWaiter((endpoint) => {
          served++;
          endpoint.end();
          pool.wake();
        }),
      );
    }
    taken!.end();
    pool.wake();
    expect(served).toBe(50_000);
  });

  test("one may queue again from within `ready`", () => {
    const { pool } = one({ limits, endpoints: [endpointPlan(0)] });
    const [taken] = fill(pool);
    const second = makeWaiter();
    pool.wait(makeWaiter(() => void pool.wait(second)));
    taken!.end();
    pool.wake();
    expect(second.outcome).toBeNull();
    taken!.end();
    pool.wake();
    expect(second.outcome).toBe(taken!);
  });
});

describe("what it counts", () => {
  test("each latency once, in the first bucket that holds it", () => {
    const { worker, pool } = one();
    const samples = [0, 0.25, 0.26, 60_000, 60_001];
    for (const ms of samples) pool.observeLatency(ms);
    const buckets = Array.from({ length: latencyBuckets.length + 1 }, (_, i) =>
      cell(worker, pool, PoolCell.latency + i),
    );
    expect(buckets.slice(0, 3)).toEqual([2, 1, 0]);
    expect(buckets.slice(-2)).toEqual([1, 1]);
    expect(cell(worker, pool, PoolCell.latencySum)).toBeCloseTo(120_001.51, 6);
  });

  test("retries are taken from one budget for all workers", () => {
    const table = makeTable(2);
    const [w0, w1] = [makeWorker(table, 0), makeWorker(table, 1)];
    const [here, there] = [makePool(poolPlan(), w0), makePool(poolPlan(), w1)];
    here.count(PoolCell.requests, 500);
    let granted = 0;
    for (let i = 0; i < 200; i++) if ((i % 2 === 0 ? here : there).retryAllowed()) granted++;
    expect(granted).toBe(100);
    expect(cell(w0, here, PoolCell.retries) + cell(w1, there, PoolCell.retries)).toBe(100);
    expect(cell(w0, here, PoolCell.retriesDenied) + cell(w1, there, PoolCell.retriesDenied)).toBe(100);
    expect(here.retryAllowed(0.5)).toBe(true);
  });
});

describe("idle connections", () => {
  const connection = () => ({
    idleSince: 0,
    exchanges: 1,
    retired: false,
    retire() {
      this.retired = true;
    },
  });

  test("those of an endpoint that drains are closed, and none is kept until it is back", () => {
    const { worker, pool } = one();
    const endpoint = pool.endpoints[0]!;
    const kept = connection();
    endpoint.idle.put(kept, worker.time.now);
    setState(worker, endpoint, "draining");
    tick(pool, worker);
    expect(kept.retired).toBe(true);
    expect(endpoint.idle.put(connection(), worker.time.now)).toBe(false);
    setState(worker, endpoint, "ready");
    tick(pool, worker);
    expect(endpoint.idle.put(connection(), worker.time.now)).toBe(true);
  });

  test("are pruned by what was learned, else by the plan", () => {
    const { worker, pool } = one();
    const [a, b] = [connection(), connection()];
    pool.endpoints[0]!.keepAliveAge.told(3);
    pool.endpoints[0]!.idle.put(a, worker.time.now);
    pool.endpoints[1]!.idle.put(b, worker.time.now);
    for (let i = 0; i < 120; i++) tick(pool, worker);
    expect([a.retired, b.retired]).toEqual([true, false]);
    for (let i = 0; i < 80; i++) tick(pool, worker);
    // Too old to be used, and watched: when the endpoint closes it is not known yet.
    expect(b.retired).toBe(false);
    expect(pool.endpoints[1]!.idle.take(worker.time.now, 4_000)).toBe(null);
    expect(pool.endpoints[1]!.idle.aged()).toBe(true);
    for (let i = 0; i < 6_000; i++) tick(pool, worker);
    expect(b.retired).toBe(true);
  });
});
