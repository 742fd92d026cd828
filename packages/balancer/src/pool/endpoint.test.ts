import { describe, expect, test } from "bun:test";
import { EndpointCell } from "../observe/table.ts";
import { endpointPlan, makePool, makeTable, makeWorker, poolPlan, readiness, setState } from "./fixtures.ts";

function pair(over: Parameters<typeof poolPlan>[0] = {}) {
  const table = makeTable(2);
  const [one, two] = [makeWorker(table, 0), makeWorker(table, 1)];
  const plan = poolPlan(over);
  return { one, two, here: makePool(plan, one).endpoints, there: makePool(plan, two).endpoints };
}

describe("in flight", () => {
  test("is the sum over all workers", () => {
    const { here, there } = pair();
    here[0]!.begin();
    there[0]!.begin();
    there[0]!.begin();
    expect(here[0]!.inFlight()).toBe(3);
    there[0]!.end();
    expect(here[0]!.inFlight()).toBe(2);
    expect(here[1]!.inFlight()).toBe(0);
  });

  test("never goes below zero, and never at another worker's cost", () => {
    const { here, there } = pair();
    there[0]!.begin();
    here[0]!.end();
    here[0]!.end();
    expect(here[0]!.inFlight()).toBe(1);
    expect(here[0]!.load.own).toBe(0);
  });

  test("has room up to the limit over all workers", () => {
    const { here, there } = pair({ limits: { inFlight: 2, queue: 0, queueTimeout: 1 } });
    here[0]!.begin();
    expect(there[0]!.hasRoom()).toBe(true);
    there[0]!.begin();
    expect(here[0]!.hasRoom()).toBe(false);
    here[0]!.end();
    expect(there[0]!.hasRoom()).toBe(true);
  });
});

describe("states", () => {
  test("unknown is ready only where nobody probes", () => {
    for (const probed of [false, true]) {
      const { one, here } = pair({ readiness: probed ? readiness : null });
      const allows = (state: Parameters<typeof setState>[2]) => {
        setState(one, here[0]!, state);
        return here[0]!.stateAllows(one.time.now);
      };
      expect(allows("unknown")).toBe(!probed);
      expect(allows("ready")).toBe(true);
      expect(allows("unready")).toBe(false);
      expect(allows("draining")).toBe(false);
      expect(allows("disabled")).toBe(false);
    }
  });
});

describe("connect failures", () => {
  test("three in a row put it out for a second, in every worker", () => {
    const { here, there } = pair();
    here[0]!.connectFailed(1_000);
    here[0]!.connectFailed(1_000);
    expect(there[0]!.stateAllows(1_000)).toBe(true);
    here[0]!.connectFailed(1_000);
    expect(here[0]!.stateAllows(1_000)).toBe(false);
    expect(there[0]!.stateAllows(1_999)).toBe(false);
    expect(there[0]!.stateAllows(2_000)).toBe(true);
  });

  test("a success in between starts the count again", () => {
    const { here } = pair();
    for (let i = 0; i < 10; i++) {
      here[0]!.connectFailed(1_000);
      here[0]!.connectFailed(1_000);
      here[0]!.connectSucceeded();
    }
    expect(here[0]!.stateAllows(1_000)).toBe(true);
  });

  test("one refusal is enough", () => {
    const { here } = pair();
    here[0]!.connectFailed(1_000, true);
    expect(here[0]!.stateAllows(1_000)).toBe(false);
  });

  test("the time out doubles up to half a minute, and a success ends the series", () => {
    const { here } = pair();
    let now = 1_000;
    const times: number[] = [];
    for (let i = 0; i < 7; i++) {
      here[0]!.connectFailed(now, true);
      const from = now;
      while (!here[0]!.stateAllows(now)) now += 500;
      times.push(now - from);
    }
    expect(times).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    here[0]!.connectSucceeded();
    here[0]!.connectFailed(now, true);
    expect(here[0]!.stateAllows(now + 1_000)).toBe(true);
  });

  test("many connects that fail at once are one outage", () => {
    const { here } = pair();
    for (let i = 0; i < 100; i++) here[0]!.connectFailed(1_000, true);
    expect(here[0]!.stateAllows(2_000)).toBe(true);
  });

  test("a success lets it back in at once", () => {
    const { here, there } = pair();
    here[0]!.connectFailed(1_000, true);
    here[0]!.connectSucceeded();
    expect(there[0]!.stateAllows(1_000)).toBe(true);
  });

  test("the last usable one stays", () => {
    const { here } = pair();
    for (const endpoint of here) for (let i = 0; i < 5; i++) endpoint.connectFailed(1_000, true);
    expect(here.map((endpoint) => endpoint.stateAllows(1_000))).toEqual([false, false, true]);

    const other = pair();
    setState(other.one, other.here[1]!, "draining");
    setState(other.one, other.here[2]!, "unready");
    other.here[0]!.connectFailed(1_000, true);
    expect(other.here[0]!.stateAllows(1_000)).toBe(true);
  });
});

describe("latency", () => {
  test("a worse sample counts at once, a better one with time", () => {
    const { one, here } = pair();
    const endpoint = here[0]!;
    endpoint.prior = 20;
    endpoint.observe(20, false);
    endpoint.observe(200, false);
    expect(endpoint.latency(one.time.now)).toBe(200);
    endpoint.observe(20, false);
    expect(endpoint.latency(one.time.now)).toBe(200); // no time has passed
    one.time.now += 10_000;
    endpoint.observe(20, false);
    expect(endpoint.latency(one.time.now)).toBeCloseTo(20 + 180 / Math.E, 3);
  });

  test("what is old fades to what is usual, from above and from below", () => {
    const { one, here } = pair();
    for (const [latency, endpoint] of [
      [500, here[0]!],
      [1, here[1]!],
    ] as const) {
      endpoint.prior = 50;
      endpoint.observe(latency, false);
      expect(endpoint.latency(one.time.now)).toBe(latency);
      expect(endpoint.latency(one.time.now + 100_000)).toBeCloseTo(50, 1);
    }
  });

  test("a fast failure looks slow, but not for ever", () => {
    const { one, here } = pair();
    const endpoint = here[0]!;
    endpoint.prior = 10;
    endpoint.observe(10, false);
    for (let i = 0; i < 40; i++) endpoint.observe(0.2, true);
    expect(endpoint.latency(one.time.now)).toBe(60_000);
    expect(endpoint.latency(one.time.now + 150_000)).toBeLessThan(11);
  });

  test("each worker keeps its own, in its row", () => {
    const { one, here, there } = pair();
    here[0]!.observe(30, false);
    expect(there[0]!.measured()).toBe(0);
    expect(one.table.cells[one.table.endpoint(0, 0) + EndpointCell.ewma]).toBe(30);
  });
});

test("cells are counted in the own row", () => {
  const { two, there } = pair({ endpoints: [endpointPlan(3)] });
  there[0]!.count(EndpointCell.requests);
  there[0]!.count(EndpointCell.bytesUp, 512);
  const at = two.table.endpoint(1, 3);
  expect(two.table.cells[at + EndpointCell.requests]).toBe(1);
  expect(two.table.cells[at + EndpointCell.bytesUp]).toBe(512);
});
