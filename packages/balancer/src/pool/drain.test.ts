import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { EndpointCell, StateCell } from "../observe/table.ts";
import { closingTime, EndpointDrain, spreadClosing, spreadOf } from "./drain.ts";
import type { Endpoint } from "./endpoint.ts";
import { endpointPlan, makePool, makeWorker, poolPlan, reload, seeded, setState, type TestWorker } from "./fixtures.ts";
import { type Occupant, Occupants } from "./occupants.ts";

interface TestOccupant extends Occupant {
  /** What was asked of it: ms, or -1. */
  readonly asked: number[];
  cuts: number;
}

function occupant(tunnel: boolean, list: Occupants, since = 0, patient = false): TestOccupant {
  const one: TestOccupant = {
    nextThere: null,
    previousThere: null,
    tunnel,
    patient,
    since,
    asked: [],
    cuts: 0,
    closeAfter: (ms) => void one.asked.push(ms),
    cut: () => {
      one.cuts++;
      list.leave(one);
    },
  };
  return one;
}

function fill(list: Occupants, tunnels: number, exchanges: number): TestOccupant[] {
  const all = [...Array<boolean>(tunnels).fill(true), ...Array<boolean>(exchanges).fill(false)].map((tunnel) =>
    occupant(tunnel, list),
  );
  for (const one of all) list.enter(one);
  return all;
}

describe("the list", () => {
  test("over any history it holds who entered and has not left, oldest first", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(9)), { maxLength: 60 }), (steps) => {
        const list = new Occupants();
        const everybody = Array.from({ length: 10 }, (_, since) => occupant(false, list, since));
        const model: Occupant[] = [];
        for (const [enters, at] of steps) {
          const one = everybody[at] as Occupant;
          const place = model.indexOf(one);
          if (enters && place < 0) {
            list.enter(one);
            model.push(one);
          } else if (!enters) {
            list.leave(one);
            if (place >= 0) model.splice(place, 1);
          }
          expect(list.all()).toEqual(model);
          expect(list.first).toBe(model[0] ?? null);
        }
      }),
    );
  });
});

describe("the spread", () => {
  test("few tunnels are soon asked, many take most of the window and never all of it", () => {
    expect(spreadOf(1, 30_000)).toBe(50);
    expect(spreadOf(100, 30_000)).toBe(5_000);
    expect(spreadOf(10_000, 30_000)).toBe(24_000);
    expect(spreadOf(100, 0)).toBe(0);
  });

  test("each has a moment of its own, in its own part of the spread", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), fc.nat(300_000), fc.nat(), (count, left, seed) => {
        const random = seeded(seed);
        const spread = spreadOf(count, left);
        const times = Array.from({ length: count }, (_, index) => closingTime(index, count, spread, random));
        for (const [index, time] of times.entries()) {
          expect(time).toBeGreaterThanOrEqual((index * spread) / count);
          expect(time).toBeLessThanOrEqual(((index + 1) * spread) / count);
        }
        expect(Math.max(...times)).toBeLessThanOrEqual(left * 0.8);
      }),
    );
  });
});

describe("patient tunnels", () => {
  test("are asked in the last part of the window, spread over it, and leave it time to end", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 1, max: 300_000 }),
        fc.nat(),
        (count, left, seed) => {
          const list = new Occupants();
          const all = Array.from({ length: count }, () => occupant(true, list, 0, true));
          const hasty = occupant(true, list);
          spreadClosing([...all, hasty], left, seeded(seed));
          const times = all.map((one) => one.asked[0] as number);
          expect(Math.min(...times)).toBeGreaterThanOrEqual(left * 0.8);
          expect(Math.max(...times)).toBeLessThanOrEqual(left * 0.95 + 1e-6);
          expect([...times].sort((a, b) => a - b)).toEqual(times);
          expect(hasty.asked[0] as number).toBeLessThanOrEqual(50);
        },
      ),
    );
  });

  test("one that joins a drain under way is asked late as well", () => {
    const list = new Occupants();
    const drain = new EndpointDrain();
    drain.review(1_000, 11_000, 1_000, list, seeded(1));
    const late = occupant(true, list, 0, true);
    drain.joined(late, 6_000, seeded(2));
    expect(late.asked[0]).toBeGreaterThanOrEqual(4_000);
    expect(late.asked[0]).toBeLessThanOrEqual(4_750);
  });
});

describe("one endpoint's drain", () => {
  test("tunnels are asked once, exchanges never; at the end of the window both are cut and counted", () => {
    const list = new Occupants();
    const drain = new EndpointDrain();
    const all = fill(list, 3, 2);
    const review = (now: number, until = 11_000) => drain.review(1_000, until, now, list, seeded(1));
    expect(review(1_025)).toBe(null);
    for (const now of [1_050, 5_000, 10_999]) expect(review(now)).toBe(null);
    expect(all.map((one) => one.asked.length)).toEqual([1, 1, 1, 0, 0]);
    list.leave(all[0] as Occupant);
    list.leave(all[3] as Occupant);
    expect(review(11_000)).toEqual({ exchanges: 1, tunnels: 2 });
    expect(all.map((one) => one.cuts)).toEqual([0, 1, 1, 0, 1]);
    expect(list.first).toBe(null);
    expect(review(11_025)).toBe(null);
    // Whoever still comes is cut as well: it is not to be counted on that nobody does.
    fill(list, 0, 1);
    expect(review(11_050)).toEqual({ exchanges: 1, tunnels: 0 });
  });

  test("taken back: what was asked is taken back; a shorter window asks anew", () => {
    const list = new Occupants();
    const drain = new EndpointDrain();
    const [tunnel] = fill(list, 1, 0) as [TestOccupant];
    drain.review(1_000, 61_000, 1_000, list, () => 0.5);
    drain.review(1_000, 2_000, 1_500, list, () => 0.5);
    expect(tunnel.asked).toEqual([25, 25]);
    expect(drain.active).toBe(true);
    drain.review(0, 0, 1_525, list, () => 0.5);
    expect(tunnel.asked).toEqual([25, 25, -1]);
    expect(drain.active).toBe(false);
    expect(drain.review(0, 0, 9_999_999, list, () => 0.5)).toBe(null);
    expect(tunnel.cuts).toBe(0);
  });

  test("a window of nothing cuts at the first look", () => {
    const list = new Occupants();
    fill(list, 1, 1);
    expect(new EndpointDrain().review(1_000, 1_000, 1_000, list, seeded(1))).toEqual({ exchanges: 1, tunnels: 1 });
  });

  test("a tunnel that joins gets a moment before the end, an exchange none", () => {
    const list = new Occupants();
    const drain = new EndpointDrain();
    const [before] = fill(list, 1, 0) as [TestOccupant];
    drain.joined(before, 0, () => 0.99);
    expect(before.asked).toEqual([]);
    drain.review(1_000, 11_000, 1_000, list, () => 0.5);
    const [tunnel, exchange] = fill(list, 1, 1) as [TestOccupant, TestOccupant];
    for (const one of [tunnel, exchange]) drain.joined(one, 6_000, () => 0.99);
    expect([tunnel.asked, exchange.asked]).toEqual([[0.99 * 0.8 * 5_000], []]);
  });
});

describe("in a pool", () => {
  function draining(worker: TestWorker, endpoint: Endpoint, window: number): void {
    const at = worker.table.state(endpoint.slot);
    setState(worker, endpoint, "draining");
    worker.table.cells[at + StateCell.drainFrom] = worker.time.now;
    worker.table.cells[at + StateCell.drainUntil] = worker.time.now + window;
  }
  const cell = (worker: TestWorker, endpoint: Endpoint, which: number) =>
    worker.table.cells[worker.table.endpoint(0, endpoint.slot) + which];

  test("ticks carry it out, tell the oldest, and count what was cut", () => {
    const worker = makeWorker();
    const pool = makePool(poolPlan(), worker);
    const endpoint = pool.endpoints[0] as Endpoint;
    const old = occupant(true, endpoint.occupants, worker.time.now - 700);
    const young = occupant(false, endpoint.occupants, worker.time.now - 10);
    for (const one of [old, young]) endpoint.enter(one, worker.random);
    pool.tick(worker.time.now, worker.time.now);
    expect(cell(worker, endpoint, EndpointCell.oldest)).toBe(0);
    draining(worker, endpoint, 5_000);
    worker.time.now += 25;
    pool.tick(worker.time.now, worker.time.now);
    expect(cell(worker, endpoint, EndpointCell.oldest)).toBe(300);
    expect(old.asked.length).toBe(1);
    expect(endpoint.drainWindowOpen(worker.time.now)).toBe(true);
    worker.time.now += 5_000;
    pool.tick(worker.time.now, worker.time.now);
    expect([old.cuts, young.cuts]).toEqual([1, 1]);
    expect(cell(worker, endpoint, EndpointCell.cutExchanges)).toBe(1);
    expect(cell(worker, endpoint, EndpointCell.cutTunnels)).toBe(1);
    expect(cell(worker, endpoint, EndpointCell.oldest)).toBe(0);
    expect(endpoint.drainWindowOpen(worker.time.now)).toBe(false);
  });

  test("an endpoint that left the configuration is drained until nothing is left", () => {
    const worker = makeWorker();
    const plan = poolPlan();
    const pool = makePool(plan, worker);
    const [gone, busy] = pool.endpoints as [Endpoint, Endpoint];
    const tunnel = occupant(true, gone.occupants);
    gone.enter(tunnel, worker.random);
    const next = reload(pool, { ...plan, endpoints: plan.endpoints.slice(1) }, worker);
    expect(next.endpoints).not.toContain(gone);
    expect(next.endpoints).toContain(busy);
    expect(next.unfinished).toBe(true);
    // Until the supervisor says when its window ends, nothing is asked: it does so once all workers have let go.
    next.tick(worker.time.now, worker.time.now);
    expect(tunnel.asked).toEqual([]);
    draining(worker, gone, 1_000);
    next.tick(worker.time.now, worker.time.now);
    expect(tunnel.asked.length).toBe(1);
    worker.time.now += 1_000;
    next.tick(worker.time.now, worker.time.now);
    expect(tunnel.cuts).toBe(1);
    expect(next.unfinished).toBe(false);
  });

  test("the longest exchange is forgotten after a period or two", () => {
    const worker = makeWorker();
    const pool = makePool(poolPlan({ endpoints: [endpointPlan(0)] }), worker);
    const longest = () => {
      const at = worker.table.pool(0, pool.slot);
      return [worker.table.cells[at + 14], worker.table.cells[at + 15]];
    };
    for (const ms of [20, 400, 30]) pool.observeLongest(ms);
    expect(longest()).toEqual([400, 0]);
    worker.time.now += 1_800_001;
    pool.tick(worker.time.now, worker.time.now);
    pool.observeLongest(50);
    expect(longest()).toEqual([50, 400]);
    worker.time.now += 1_800_001;
    pool.tick(worker.time.now, worker.time.now);
    expect(longest()).toEqual([0, 50]);
  });
});
