import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseProxyHeader, ProxyHeader } from "@plimsoll/wire/proxy-protocol";
import { EndpointState, StateCell } from "../../observe/table.ts";
import type { PoolPlan } from "../../pool/plan.ts";
import { listenerPlan, poolPlan, routePlan } from "../fixtures/plans.ts";
import { Stage } from "../fixtures/stage.ts";
import type { ListenerPlan } from "../plan.ts";

const udp = { idle: 60_000, maxFlows: 10_000, answers: 0, amplification: 0 };

function plans(
  endpoints: number,
  flows: Partial<ListenerPlan["udp"]>,
  pool: Partial<PoolPlan>,
  over: Partial<ListenerPlan>,
) {
  return {
    listeners: [listenerPlan({ protocol: "udp", udp: { ...udp, ...flows }, ...over })],
    pools: [poolPlan(endpoints, pool)],
  };
}

function staged(
  endpoints = 1,
  flows: Partial<ListenerPlan["udp"]> = {},
  pool: Partial<PoolPlan> = {},
  over: Partial<ListenerPlan> = {},
): Stage {
  return new Stage(plans(endpoints, flows, pool, over));
}

function setState(stage: Stage, slot: number, state: number): void {
  stage.table.cells[stage.table.state(slot) + StateCell.state] = state;
  stage.advance(50);
}

/** Nothing is left of any flow, whatever became of it. */
function expectNothingLeft(stage: Stage): void {
  expect(stage.datagrams.ends.filter((end) => !end.closed)).toEqual([]);
  for (let slot = 0; slot < 4; slot++) {
    expect([slot, stage.endpointCell("inFlight", slot), stage.endpointCell("tunnels", slot)]).toEqual([slot, 0, 0]);
  }
  expect([stage.listenerCell("open"), stage.engine.open, stage.wheel.size]).toEqual([0, 0, 0]);
}

describe("a flow", () => {
  test("takes a client's datagrams to one endpoint, and its answers back", () => {
    const stage = staged(1);
    const { datagrams } = stage;
    for (const text of ["one", "two", ""]) datagrams.send(text);
    expect(datagrams.ends.map(({ received }) => received)).toEqual([["one", "two", ""]]);
    datagrams.ends[0]!.answer("uno");
    datagrams.ends[0]!.answer("");
    expect(datagrams.news()).toEqual(["192.0.2.7 5000 uno", "192.0.2.7 5000 "]);
    const names = [
      "accepted",
      "open",
      "datagramsIn",
      "datagramsOut",
      "datagramsDropped",
      "bytesIn",
      "bytesOut",
    ] as const;
    expect(names.map((name) => stage.listenerCell(name))).toEqual([1, 1, 3, 2, 0, 6, 3]);
    const counted = (["inFlight", "tunnels", "requests", "bytesUp", "bytesDown"] as const).map((name) =>
      stage.endpointCell(name),
    );
    expect(counted).toEqual([1, 1, 1, 6, 3]);
  });

  test("is a client's address and port: others have their own, and are spread", () => {
    const stage = staged(2);
    const { datagrams } = stage;
    datagrams.send("a", "192.0.2.1", 1);
    datagrams.send("b", "192.0.2.1", 2);
    datagrams.send("c", "192.0.2.2", 1);
    datagrams.send("d", "192.0.2.1", 1);
    expect(datagrams.ends.map(({ port, received }) => [port, received])).toEqual([
      [3000, ["a", "d"]],
      [3001, ["b"]],
      [3000, ["c"]],
    ]);
    for (const [index, end] of datagrams.ends.entries()) end.answer(String(index));
    expect(datagrams.news()).toEqual(["192.0.2.1 1 0", "192.0.2.1 2 1", "192.0.2.2 1 2"]);
  });

  test("is forgotten after silence, which every datagram of either side breaks; and told in the log", () => {
    const stage = staged(1, { idle: 10_000 });
    const { datagrams } = stage;
    datagrams.send("hello");
    stage.advance(9_000);
    datagrams.ends[0]!.answer("hi");
    stage.advance(9_000);
    datagrams.send("more");
    stage.advance(9_000);
    expect(stage.records).toEqual([]);
    stage.advance(1_200);
    expectNothingLeft(stage);
    expect(stage.records).toMatchObject([
      {
        protocol: "UDP",
        listener: "web",
        route: "all",
        pool: "app",
        endpoint: "127.0.0.1:3000",
        client: "192.0.2.7",
        bytesIn: 9,
        bytesOut: 2,
        upstreamMs: 9_000,
        status: 0,
        fault: "",
        ended: "idle",
      },
    ]);
    datagrams.send("again");
    expect(datagrams.ends.length).toBe(2);
  });

  test("ends at once when every datagram had its answers, where that is known", () => {
    const stage = staged(1, { answers: 1 });
    const { datagrams } = stage;
    datagrams.send("q1");
    datagrams.send("q2");
    datagrams.ends[0]!.answer("a1");
    expect(datagrams.ends[0]!.closed).toBe(false);
    datagrams.ends[0]!.answer("a2");
    expectNothingLeft(stage);
    expect(datagrams.news()).toEqual(["192.0.2.7 5000 a1", "192.0.2.7 5000 a2"]);
  });

  test("sends no more than is allowed for what its client sent", () => {
    const stage = staged(1, { amplification: 3 });
    const { datagrams } = stage;
    datagrams.send("0123456789");
    const [end] = datagrams.ends;
    end!.answer("a".repeat(20));
    end!.answer("b".repeat(11));
    end!.answer("c".repeat(10));
    expect(datagrams.news().map((one) => one.length - "192.0.2.7 5000 ".length)).toEqual([20, 10]);
    expect(stage.listenerCell("datagramsDropped")).toBe(1);
  });
});

describe("an endpoint", () => {
  test("that is said not to listen loses its flows at once; the next datagram asks another", () => {
    const stage = staged(2);
    const { datagrams } = stage;
    datagrams.send("lost");
    datagrams.ends[0]!.refuse();
    expect(stage.records).toMatchObject([{ fault: "connect-refused", endpoint: "127.0.0.1:3000" }]);
    datagrams.send("again");
    datagrams.send("again", "192.0.2.8");
    expect(datagrams.ends.map(({ port }) => port)).toEqual([3000, 3001, 3001]);
    expect(stage.endpointCell("connectRefusals")).toBe(1);
    expect(stage.faults["connect-refused"]).toBe(1);
  });

  test("that is unready or disabled loses them, too", () => {
    for (const state of [EndpointState.unready, EndpointState.disabled]) {
      const stage = staged(2);
      const { datagrams } = stage;
      datagrams.send("one");
      setState(stage, 0, state);
      expect([datagrams.ends[0]!.closed, stage.records[0]?.fault]).toEqual([true, "endpoint-left"]);
      datagrams.send("two");
      expect(datagrams.ends.map(({ port }) => port)).toEqual([3000, 3001]);
    }
  });

  test("keeps them when nobody is ready: it is as good as any", () => {
    const stage = staged(2);
    const { datagrams } = stage;
    datagrams.send("one");
    setState(stage, 1, EndpointState.unready);
    setState(stage, 0, EndpointState.unready);
    datagrams.send("two");
    expect(datagrams.ends.map(({ received }) => received)).toEqual([["one", "two"]]);
  });

  test("that leaves the configuration, with its pool or alone, loses them at once", () => {
    const alone = staged(2);
    alone.datagrams.send("one");
    alone.run(plans(2, {}, { endpoints: poolPlan(2).endpoints.slice(1) }, {}));
    alone.advance(50);
    expect([alone.datagrams.ends[0]!.closed, alone.records[0]?.fault]).toEqual([true, "endpoint-left"]);
    alone.datagrams.send("two");
    expect(alone.datagrams.ends[1]!.port).toBe(3001);

    const whole = staged(1);
    whole.datagrams.send("one");
    const routes = [routePlan({ action: { kind: "pool", pool: "other" } })];
    whole.run({
      listeners: [listenerPlan({ protocol: "udp", udp, routes })],
      pools: [poolPlan(1, { name: "other", slot: 1 })],
    });
    whole.advance(50);
    whole.datagrams.send("two");
    expect(whole.datagrams.ends.map(({ port, closed }) => [port, closed])).toEqual([
      [3000, true],
      [3100, false],
    ]);
  });

  test("that stays keeps them over a reload, which may change their times", () => {
    const stage = staged(2);
    const { datagrams } = stage;
    datagrams.send("one");
    stage.run(plans(2, { idle: 1_000 }, { balance: "random" }, {}));
    stage.advance(500);
    datagrams.send("two");
    expect(datagrams.ends.map(({ received }) => received)).toEqual([["one", "two"]]);
    stage.advance(1_100);
    expectNothingLeft(stage);
  });

  test("that drains keeps them to the end of its window and gets no new ones", () => {
    const stage = staged(2);
    const { datagrams, table } = stage;
    datagrams.send("one");
    const wall = 1_767_225_600_000 + stage.time.now;
    table.cells[table.state(0) + StateCell.drainFrom] = wall;
    table.cells[table.state(0) + StateCell.drainUntil] = wall + 5_000;
    setState(stage, 0, EndpointState.draining);
    datagrams.send("two");
    for (const port of [1, 2, 3]) datagrams.send("new", "192.0.2.9", port);
    expect(datagrams.ends.map(({ port }) => port)).toEqual([3000, 3001, 3001, 3001]);
    expect(datagrams.ends[0]!.received).toEqual(["one", "two"]);
    stage.advance(5_100);
    expect(datagrams.ends.map(({ closed }) => closed)).toEqual([true, false, false, false]);
    expect(stage.records).toMatchObject([{ fault: "drain-window-over" }]);
    expect(stage.endpointCell("cutTunnels")).toBe(1);
  });

  test("that answers is known to work", () => {
    const stage = staged(2, {}, { balance: "peakEwma" });
    stage.datagrams.send("one");
    stage.advance(40);
    stage.datagrams.ends[0]!.answer("uno");
    expect(stage.endpointCell("ewma")).toBeGreaterThan(0);
  });
});

describe("what is bounded", () => {
  test("flows: the one that was silent longest makes room", () => {
    const stage = staged(1, { maxFlows: 3 });
    const { datagrams } = stage;
    for (const port of [1, 2, 3]) datagrams.send("a", "192.0.2.1", port);
    datagrams.send("b", "192.0.2.1", 1);
    datagrams.send("c", "192.0.2.1", 4);
    expect(datagrams.ends.map(({ closed }) => closed)).toEqual([false, true, false, false]);
    expect([stage.listenerCell("flowsEvicted"), stage.listenerCell("open")]).toEqual([1, 3]);
    expect(stage.records).toMatchObject([{ fault: "flow-evicted" }]);
    // A limit that a reload lowered holds with the next newcomer.
    stage.run(plans(1, { maxFlows: 1 }, {}, {}));
    datagrams.send("d", "192.0.2.1", 5);
    expect(stage.listenerCell("open")).toBe(1);
  });

  test("flows at an endpoint: beyond them datagrams are dropped, and nothing waits", () => {
    const stage = staged(1, {}, { limits: { inFlight: 1, queue: 10, queueTimeout: 1_000 } });
    const { datagrams } = stage;
    datagrams.send("a", "192.0.2.1", 1);
    datagrams.send("b", "192.0.2.1", 2);
    expect([datagrams.ends.length, stage.listenerCell("datagramsDropped")]).toEqual([1, 1]);
    expect(stage.faults["pool-queue-full"]).toBe(1);
  });

  test("nobody usable, no route, no descriptor, no room: dropped and counted", () => {
    const unusable = staged(1, {}, { failOpen: false });
    setState(unusable, 0, EndpointState.disabled);
    unusable.datagrams.send("a");
    expect([unusable.faults["pool-unusable"], unusable.listenerCell("datagramsDropped")]).toEqual([1, 1]);

    const match = { ...routePlan().match, sources: ["10.0.0.0/8"] };
    const elsewhere = staged(1, {}, {}, { routes: [routePlan({ match })] });
    elsewhere.datagrams.send("a");
    elsewhere.datagrams.send("b", "10.1.2.3");
    expect([elsewhere.faults["route-not-found"], elsewhere.datagrams.ends.length]).toEqual([1, 1]);

    const exhausted = staged(1);
    exhausted.datagrams.descriptors = false;
    exhausted.datagrams.send("a");
    expect(exhausted.faults["connect-failed"]).toBe(1);
    expectNothingLeft(exhausted);

    const full = staged(1);
    full.datagrams.send("a");
    full.datagrams.room = false;
    full.datagrams.send("b");
    full.datagrams.ends[0]!.answer("c");
    expect([full.datagrams.news(), full.listenerCell("datagramsDropped")]).toEqual([[], 2]);
  });
});

test("algorithms that go by the client, and stickiness by its address, keep all its ports together", () => {
  for (const pool of [
    { balance: "ringHash", hashKey: { from: "source" } },
    { balance: "maglev", hashKey: null },
    { sticky: { by: "source", name: "", whileDraining: true, cookie: null } },
  ] as const) {
    const stage = staged(4, {}, pool);
    for (let client = 1; client < 8; client++) {
      for (const port of [1, 2, 3]) stage.datagrams.send("x", `192.0.2.${client}`, port);
      const own = new Set(stage.datagrams.ends.slice(-3).map(({ port }) => port));
      expect([pool, client, own.size]).toEqual([pool, client, 1]);
    }
    expect(new Set(stage.datagrams.ends.map(({ port }) => port)).size).toBeGreaterThan(1);
  }
  const counted = staged(2);
  counted.datagrams.send("x");
  counted.datagrams.send("y");
  expect(counted.poolCell("requests")).toBe(1);
});

test("stopping: nothing more is read, what was asked is answered, the rest is cut at the end of the window", async () => {
  const stage = staged(1);
  const { datagrams } = stage;
  datagrams.send("quiet", "192.0.2.1", 1);
  datagrams.ends[0]!.answer("done");
  datagrams.send("asked", "192.0.2.1", 2);
  datagrams.send("stuck", "192.0.2.1", 3);
  datagrams.news();
  let over = false;
  const stopped = stage.engine.stop(5_000).then(() => void (over = true));
  expect([datagrams.reading, datagrams.isOpen]).toEqual([false, true]);
  expect(datagrams.ends.map(({ closed }) => closed)).toEqual([true, false, false]);
  datagrams.ends[1]!.answer("late");
  expect(datagrams.news()).toEqual(["192.0.2.1 2 late"]);
  stage.advance(4_000);
  await Promise.resolve();
  expect(over).toBe(false);
  stage.advance(1_200);
  await stopped;
  expectNothingLeft(stage);
  expect([datagrams.isOpen, stage.records.at(-1)?.fault]).toEqual([false, "draining"]);
});

test("whatever happens in whatever order, answers reach who asked, and nothing is left at the end", () => {
  const client = fc.record({
    address: fc.constantFrom("192.0.2.1", "192.0.2.2"),
    port: fc.integer({ min: 1, max: 4 }),
  });
  const action = fc.oneof(
    { weight: 6, arbitrary: client.map((one) => ({ kind: "send", ...one }) as const) },
    { weight: 4, arbitrary: fc.nat().map((end) => ({ kind: "answer", end }) as const) },
    { weight: 1, arbitrary: fc.nat().map((end) => ({ kind: "refuse", end }) as const) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 900 }).map((ms) => ({ kind: "pass", ms }) as const) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("state" as const),
        slot: fc.nat(1),
        state: fc.integer({ min: 0, max: 4 }),
      }),
    },
  );
  const flows = fc.record({ maxFlows: fc.integer({ min: 1, max: 6 }), answers: fc.nat(2), amplification: fc.nat(2) });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), flows, (actions, limits) => {
      const stage = staged(2, { ...limits, idle: 2_000 });
      const { datagrams } = stage;
      /** Which client's text each end was sent: never two clients'. */
      for (const one of actions) {
        if (one.kind === "send") datagrams.send(`${one.address} ${one.port}`, one.address, one.port);
        else if (one.kind === "pass") stage.advance(one.ms);
        else if (one.kind === "state") setState(stage, one.slot, one.state);
        else {
          const open = datagrams.ends.filter(({ closed }) => !closed);
          const end = open[one.end % Math.max(1, open.length)];
          if (one.kind === "answer") end?.answer(end.received.at(-1) ?? "");
          else end?.refuse();
        }
        expect(stage.listenerCell("open")).toBe(datagrams.ends.filter(({ closed }) => !closed).length);
        expect(stage.listenerCell("open")).toBeLessThanOrEqual(limits.maxFlows);
      }
      for (const { received } of datagrams.ends) expect(new Set(received).size).toBeLessThanOrEqual(1);
      // Each answer repeats what its client had sent, which is its own name.
      for (const sent of datagrams.sent) {
        const [address, port, ...text] = sent.split(" ");
        expect(text.join(" ")).toBe(`${address} ${port}`);
      }
      stage.advance(2_100);
      expectNothingLeft(stage);
      expect(stage.defects).toEqual([]);
    }),
    { numRuns: 200 },
  );
});

describe("a PROXY header", () => {
  /** The header that a datagram begins with, and what stands behind it. */
  function headed(text: string | undefined) {
    const bytes = Buffer.from(text ?? "", "latin1");
    const header = new ProxyHeader();
    const end = parseProxyHeader(bytes, 0, bytes.length, header);
    const { datagram, source, sourcePort, destination, destinationPort } = header;
    const rest = bytes.subarray(Math.max(0, end)).toString("latin1");
    return [datagram, source, sourcePort, destination, destinationPort, rest];
  }

  test("stands in front of each datagram to the endpoint, and of none to the client", () => {
    const address = { host: "192.0.2.53", port: 53 };
    const stage = staged(1, { amplification: 2 }, { proxyProtocol: "v2" }, { address });
    const { datagrams } = stage;
    datagrams.send("one", "198.51.100.1", 4711);
    datagrams.send("", "198.51.100.1", 4711);
    datagrams.send("three", "2001:db8::1", 4712);
    const received = datagrams.ends.map((end) => end.received.map(headed));
    expect(received[0]).toEqual([
      [true, "198.51.100.1", 4711, "192.0.2.53", 53, "one"],
      [true, "198.51.100.1", 4711, "192.0.2.53", 53, ""],
    ]);
    expect(received[1]).toEqual([[true, "2001:db8::1", 4712, "192.0.2.53", 53, "three"]]);
    const [first, second] = datagrams.ends;
    expect(stage.endpointCell("bytesUp")).toBe(
      [...first!.received, ...second!.received].reduce((sum, text) => sum + text.length, 0),
    );
    first!.answer("uno");
    // How much may come back goes by what the client sent, not by what we put in front.
    first!.answer("four");
    expect(datagrams.news()).toEqual(["198.51.100.1 4711 uno"]);
    expect(stage.listenerCell("bytesIn")).toBe(8);
  });

  test("of a door for all addresses names the client's family and nobody", () => {
    for (const host of ["0.0.0.0", "::"]) {
      const stage = staged(1, {}, { proxyProtocol: "v2" }, { address: { host, port: 53 } });
      stage.datagrams.send("a", "198.51.100.1", 1);
      stage.datagrams.send("b", "2001:db8::1", 2);
      expect(stage.datagrams.ends.map(({ received }) => headed(received[0]))).toEqual([
        [true, "198.51.100.1", 1, "0.0.0.0", 53, "a"],
        [true, "2001:db8::1", 2, "::", 53, "b"],
      ]);
    }
  });
});
