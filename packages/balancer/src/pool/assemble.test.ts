import { describe, expect, test } from "bun:test";
import { PoolCell } from "../observe/table.ts";
import { buildPools, commitPools } from "./assemble.ts";
import { endpointPlan, makePool, makeTable, makeWaiter, makeWorker, poolPlan, reload, setState } from "./fixtures.ts";
import type { IdleConnection } from "./idle.ts";

function connection(): IdleConnection & { retired: boolean } {
  return {
    idleSince: 0,
    exchanges: 0,
    retired: false,
    retire() {
      this.retired = true;
    },
  };
}

const limits = { inFlight: 1, queue: 10, queueTimeout: 1_000 };

describe("a reload", () => {
  test("with the same plan gives the same pool", () => {
    const worker = makeWorker();
    const pool = makePool(poolPlan(), worker);
    expect(reload(pool, structuredClone(poolPlan()), worker)).toBe(pool);
  });

  test("keeps endpoints by id, address and slot, with all that is known of them", () => {
    const worker = makeWorker();
    const before = makePool(poolPlan(), worker);
    const [a, b, c] = before.endpoints;
    a!.begin();
    a!.keepAliveAge.told(5);
    const kept = connection();
    a!.idle.put(kept, worker.time.now);
    const moved = { kind: "tcp", host: "127.0.0.1", port: 9_000 } as const;
    const after = reload(
      before,
      poolPlan({
        endpoints: [
          endpointPlan(1, { address: moved }), // same slot and id, elsewhere
          endpointPlan(0, { weight: 5, zone: "z", backup: true }),
          endpointPlan(5, { id: endpointPlan(2).id, address: endpointPlan(2).address }), // a slot of its own
        ],
      }),
      worker,
    );
    expect(after.endpoints[1]).toBe(a!);
    expect([a!.weight, a!.zone, a!.backup, a!.inFlight(), a!.keepAliveAge.learned]).toEqual([5, "z", true, 1, 4_000]);
    expect(kept.retired).toBe(false);
    expect(after.endpoints[0]).not.toBe(b!);
    expect(after.endpoints[2]).not.toBe(c!);
  });

  test("that is prepared and refused changes nothing", () => {
    const worker = makeWorker();
    const before = makePool(poolPlan({ limits }), worker);
    const kept = connection();
    before.endpoints[2]!.idle.put(kept, worker.time.now);
    before.endpoints[0]!.begin();
    const rotation = before.rotation;
    const cells = worker.table.cells.slice();
    const pools = buildPools(
      [
        poolPlan({
          endpoints: [endpointPlan(0, { weight: 9, zone: "z", backup: true }), endpointPlan(7)],
          limits: { inFlight: 50, queue: 0, queueTimeout: 1 },
          keepAlive: { maxIdle: 0, idle: 1, maxRequests: 1 },
          balance: "maglev",
        }),
        poolPlan({ name: "other", slot: 1, endpoints: [endpointPlan(6)] }),
      ],
      new Map([["app", before]]),
      worker,
    );
    expect(pools.get("app")).not.toBe(before);
    expect(worker.table.cells).toEqual(cells);
    expect(before.rotation).toBe(rotation);
    const [a] = before.endpoints;
    expect([a!.weight, a!.zone, a!.backup, a!.maxInFlight, a!.idle.maxIdle]).toEqual([1, "", false, 1, 4]);
    expect(kept.retired).toBe(false);
    for (let i = 0; i < 20; i++) expect(before.pick(i, null)?.slot).toBeOneOf([1, 2]);
  });

  test("retires the idle connections of what went away; what is in flight there finishes", () => {
    const worker = makeWorker();
    const before = makePool(poolPlan(), worker);
    const gone = before.endpoints[2]!;
    const kept = connection();
    gone.idle.put(kept, worker.time.now);
    gone.begin();
    const after = reload(before, poolPlan({ endpoints: [endpointPlan(0), endpointPlan(1)] }), worker);
    expect(kept.retired).toBe(true);
    expect(gone.idle.put(connection(), worker.time.now)).toBe(false);
    expect(gone.inFlight()).toBe(1);
    gone.end();
    expect(gone.inFlight()).toBe(0);
    expect(after.endpoints).not.toContain(gone);
  });

  test("an endpoint that comes back later begins anew and keeps connections again", () => {
    const worker = makeWorker();
    const first = makePool(poolPlan(), worker);
    const second = reload(first, poolPlan({ endpoints: [endpointPlan(0)] }), worker);
    const third = reload(second, poolPlan(), worker);
    expect(third.endpoints[0]).toBe(first.endpoints[0]!);
    expect(third.endpoints[2]).not.toBe(first.endpoints[2]!);
    expect(third.endpoints[2]!.idle.put(connection(), worker.time.now)).toBe(true);
  });

  test("those who wait keep their places, and may now find room", () => {
    const worker = makeWorker();
    const before = makePool(poolPlan({ limits, endpoints: [endpointPlan(0)] }), worker);
    before.pick(0, null)!.begin();
    const waiters = [makeWaiter(), makeWaiter(), makeWaiter()];
    for (const waiter of waiters) before.wait(waiter);
    const after = reload(before, poolPlan({ limits, endpoints: [endpointPlan(0), endpointPlan(1)] }), worker);
    expect(waiters[0]!.outcome).toBe(after.endpoints[1]!);
    expect(waiters[1]!.outcome).toBeNull();
    before.leave(waiters[1]!); // an exchange of the old snapshot speaks to the pool it knows
    before.endpoints[0]!.end();
    before.wake();
    expect(waiters[1]!.outcome).toBeNull();
    expect(waiters[2]!.outcome).toBe(after.endpoints[0]!);
    expect(after.waiting).toBe(0);
  });

  test("a removed limit lets everybody in", () => {
    const worker = makeWorker();
    const before = makePool(poolPlan({ limits, endpoints: [endpointPlan(0)] }), worker);
    before.pick(0, null)!.begin();
    const waiters = [makeWaiter(), makeWaiter(), makeWaiter()];
    for (const waiter of waiters) before.wait(waiter);
    reload(before, poolPlan({ endpoints: [endpointPlan(0)] }), worker);
    expect(waiters.every((waiter) => waiter.outcome === before.endpoints[0])).toBe(true);
  });

  test("the old pool, still held by an exchange, retries on the new one's endpoints, over any number of reloads", () => {
    const worker = makeWorker();
    const first = makePool(poolPlan(), worker);
    let pool = first;
    for (let slot = 0; slot < 7; slot++) pool = reload(pool, poolPlan({ endpoints: [endpointPlan(slot)] }), worker);
    expect(first.pick(0, first.endpoints[0]!)).toBe(pool.endpoints[0]!);
    setState(worker, pool.endpoints[0]!, "disabled");
    first.tick(worker.time.now, worker.time.now);
    expect(first.pick(0, null)).toBeNull();
    expect(first.refusal).toBe("unusable");
  });

  test("into another slot takes the length of the queue along", () => {
    const worker = makeWorker();
    const before = makePool(poolPlan({ limits, endpoints: [endpointPlan(0)] }), worker);
    before.pick(0, null)!.begin();
    before.wait(makeWaiter());
    reload(before, poolPlan({ slot: 1, limits, endpoints: [endpointPlan(0)] }), worker);
    const queued = (slot: number) => worker.table.cells[worker.table.pool(0, slot) + PoolCell.queued];
    expect([queued(0), queued(1)]).toEqual([0, 1]);
  });
});

describe("a pool that went away", () => {
  test("keeps no connection, and serves or times out those who wait", () => {
    const worker = makeWorker(makeTable());
    const pool = makePool(poolPlan({ limits, endpoints: [endpointPlan(0)] }), worker);
    const before = new Map([[pool.name, pool]]);
    const [endpoint] = pool.endpoints;
    endpoint!.begin();
    const waiters = [makeWaiter(), makeWaiter()];
    for (const waiter of waiters) pool.wait(waiter);
    const removed = commitPools(buildPools([], before, worker), before);
    expect(removed).toEqual([pool]);
    expect(endpoint!.idle.put(connection(), worker.time.now)).toBe(false);
    endpoint!.end();
    pool.wake();
    expect(waiters[0]!.outcome).toBe(endpoint!);
    pool.tick(worker.time.now + 1_000, worker.time.now + 1_000);
    expect(waiters[1]!.outcome).toBe("timed out");
    expect(pool.waiting).toBe(0);
  });

  test("without anybody waiting needs no more care", () => {
    const worker = makeWorker();
    const pool = makePool(poolPlan(), worker);
    const before = new Map([[pool.name, pool]]);
    expect(commitPools(buildPools([], before, worker), before)).toEqual([]);
  });
});
