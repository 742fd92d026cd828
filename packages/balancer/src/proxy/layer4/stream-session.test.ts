import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { EndpointState, StateCell } from "../../observe/table.ts";
import type { PoolPlan } from "../../pool/plan.ts";
import { listenerPlan, poolPlan, routePlan } from "../fixtures/plans.ts";
import { Stage } from "../fixtures/stage.ts";
import type { ListenerPlan } from "../plan.ts";

function stage(endpoints = 1, pool: Partial<PoolPlan> = {}, listener: Partial<ListenerPlan> = {}): Stage {
  return new Stage({
    listeners: [listenerPlan({ protocol: "tcp", ...listener })],
    pools: [poolPlan(endpoints, pool)],
  });
}

/** Moves an endpoint's state as the supervisor does. */
function drain(set: Stage, slot: number, window: number): void {
  const at = set.table.state(slot);
  const now = 1_767_225_600_000 + set.time.now;
  set.table.cells[at + StateCell.state] = EndpointState.draining;
  set.table.cells[at + StateCell.drainFrom] = now;
  set.table.cells[at + StateCell.drainUntil] = now + window;
}

describe("bytes", () => {
  test("go both ways as they come, and are counted at both ends", () => {
    const set = stage();
    const client = set.asking("hello");
    expect(set.origin().text).toBe("hello");
    set.origin().send("welcome");
    client.send(" again");
    expect(client.text).toBe("welcome");
    expect(set.origin().text).toBe("hello again");
    expect(set.listenerCell("bytesIn")).toBe(11);
    expect(set.listenerCell("bytesOut")).toBe(7);
    expect(set.endpointCell("bytesUp")).toBe(11);
    expect(set.endpointCell("bytesDown")).toBe(7);
    expect(set.endpointCell("tunnels")).toBe(1);
    expect(set.endpointCell("connections")).toBe(1);
  });

  test("an endpoint that speaks first is heard", () => {
    const set = stage();
    const client = set.client();
    set.origin().send("220 mail");
    expect(client.text).toBe("220 mail");
  });

  test("what comes before there is an endpoint is kept up to a bound, then the client is not read; nothing is lost", () => {
    const set = stage();
    set.network.welcome = () => "silent";
    const client = set.client();
    const piece = Buffer.alloc(40_000, "a");
    client.send(piece);
    expect(client.flowing).toBe(true);
    client.send(piece);
    expect(client.flowing).toBe(false);
    client.send("the rest");
    expect(client.unread).toBe(8);
    set.network.connects[0]!.open();
    expect(set.origin().received.length).toBe(80_008);
    expect(client.flowing).toBe(true);
    expect(set.origin().text.endsWith("aathe rest")).toBe(true);
  });

  test("a side that does not read stops the other, in both directions", () => {
    const set = stage();
    const client = set.asking("x");
    const origin = set.origin();
    origin.room = 3;
    client.send("abcdef");
    expect(client.flowing).toBe(false);
    client.room = 2;
    origin.send("uvwxyz");
    expect(origin.flowing).toBe(false);
    origin.take(100);
    client.take(100);
    expect(origin.text).toBe("xabcdef");
    expect(client.text).toBe("uvwxyz");
    expect([client.flowing, origin.flowing]).toEqual([true, true]);
  });

  test("whatever the pieces and the room, both directions arrive whole and in order, and ends come after them", () => {
    const step = fc.record({
      who: fc.constantFrom("client", "origin"),
      bytes: fc.integer({ min: 0, max: 70_000 }),
      room: fc.integer({ min: 0, max: 50_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.boolean(), (steps, clientEndsFirst) => {
        const set = stage();
        const client = set.client();
        const origin = set.origin();
        client.room = origin.room = 1000;
        const sent = { client: "", origin: "" };
        let next = 0;
        for (const { who, bytes, room } of steps) {
          const piece = String.fromCharCode(97 + (next++ % 26)).repeat(bytes);
          sent[who] += piece;
          (who === "client" ? client : origin).send(piece);
          (who === "client" ? client : origin).take(room);
        }
        const [first, second] = clientEndsFirst ? [client, origin] : [origin, client];
        first.end();
        second.end();
        for (let turn = 0; turn < 200; turn++) {
          client.take(50_000);
          origin.take(50_000);
        }
        expect(origin.text === sent.client).toBe(true);
        expect(client.text === sent.origin).toBe(true);
        expect([client.ended, origin.ended]).toEqual([true, true]);
        expect(set.listenerCell("open")).toBe(0);
        expect(set.endpointCell("inFlight")).toBe(0);
        expect(set.records).toHaveLength(1);
        expect(set.records[0]).toMatchObject({ bytesIn: sent.client.length, bytesOut: sent.origin.length, fault: "" });
      }),
      { numRuns: 150 },
    );
  });
});

describe("ends", () => {
  test("a client that has no more to say still gets its answer", () => {
    const set = stage();
    const client = set.asking("question");
    client.end();
    expect(set.origin().ended).toBe(true);
    expect(client.ended).toBe(false);
    set.origin().send("answer");
    expect(client.text).toBe("answer");
    set.origin().end();
    expect(client.ended).toBe(true);
    expect(set.records).toHaveLength(1);
    expect(set.records[0]).toMatchObject({ fault: "", ended: "client", protocol: "TCP", bytesIn: 8, bytesOut: 6 });
  });

  test("an endpoint that ends its side still gets what the client says", () => {
    const set = stage();
    const client = set.asking("a");
    set.origin().send("b");
    set.origin().end();
    expect(client.ended).toBe(true);
    client.send("more");
    expect(set.origin().text).toBe("amore");
    client.end();
    expect(set.records[0]).toMatchObject({ fault: "", ended: "endpoint" });
  });

  test("an end that came before there was an endpoint is passed on after what came with it", () => {
    const set = stage();
    set.network.welcome = () => "silent";
    const client = set.asking("all of it");
    client.end();
    set.network.connects[0]!.open();
    expect(set.origin().text).toBe("all of it");
    expect(set.origin().ended).toBe(true);
  });

  test("a reset is passed on as a reset, whoever made it, and says so", () => {
    const set = stage();
    const one = set.asking("x");
    set.origin().send("y");
    one.reset();
    expect(set.origin().wasReset).toBe(true);
    const two = set.asking("x");
    set.origin().send("y");
    set.origin().reset();
    expect(two.wasReset).toBe(true);
    expect(set.records.map(({ fault, ended }) => [fault, ended])).toEqual([
      ["client-gone", "client"],
      ["connection-reset", "endpoint"],
    ]);
    expect(set.faults).toEqual({ "client-gone": 1, "connection-reset": 1 });
    expect(set.endpointCell("resets")).toBe(1);
    expect(set.endpointCell("failures")).toBe(1);
  });

  test("what an endpoint said before its end arrives whole, whatever becomes of its connection after that", () => {
    const set = stage();
    const client = set.asking("get");
    set.origin().send("everything");
    set.origin().end();
    client.send("more");
    // A reset would take from the client what the kernel still holds for it.
    set.origin().reset();
    expect(client.text).toBe("everything");
    expect([client.wasReset, client.ended]).toEqual([false, true]);
    expect(set.endpointCell("resets")).toBe(0);
  });

  test("silence both ways for longer than tunnelIdle ends it; a byte either way is none", () => {
    const set = stage(1, { timeouts: { ...poolPlan().timeouts, tunnelIdle: 10_000 } });
    const client = set.asking("x");
    set.advance(9_000);
    set.origin().send("y");
    set.advance(9_000);
    client.send("z");
    set.advance(9_000);
    expect(client.over).toBe(false);
    set.advance(1_100);
    expect(client.ended).toBe(true);
    expect(set.origin().ended).toBe(true);
    expect(set.records[0]).toMatchObject({ fault: "tunnel-idle-timeout", rung: "tunnel", ended: "idle" });
  });
});

describe("endpoints", () => {
  test("a failed connect goes to another one with every byte, and stands in the log", () => {
    const set = stage(2);
    set.network.welcome = (address) => (address.kind === "tcp" && address.port === 3000 ? "refused" : "open");
    const client = set.asking("bytes");
    expect(set.connects).toBe(2);
    expect(set.origin(1).text).toBe("bytes");
    set.origin(1).send("ok");
    client.end();
    set.origin(1).end();
    expect(set.records[0]).toMatchObject({
      endpoint: "127.0.0.1:3001",
      attempts: 2,
      tries: [{ fault: "connect-refused" }, { fault: "" }],
    });
    expect(set.endpointCell("connectFailures", 0)).toBe(1);
    expect(set.endpointCell("connectRefusals", 0)).toBe(1);
    expect(set.endpointCell("retries", 1)).toBe(1);
    expect(set.endpointCell("inFlight", 0)).toBe(0);
    expect(set.poolCell("retries")).toBe(1);
  });

  test("one that does not accept in time is left for another", () => {
    const set = stage(2);
    set.network.welcome = (address) => (address.kind === "tcp" && address.port === 3000 ? "silent" : "open");
    const client = set.asking("bytes");
    set.advance(2_900);
    expect(set.connects).toBe(1);
    set.advance(200);
    expect(set.origin(1).text).toBe("bytes");
    expect(client.over).toBe(false);
  });

  test("when none can be had the client is reset, with the reason in log and metrics", () => {
    const set = stage(2);
    set.network.welcome = () => "refused";
    const client = set.asking("x");
    expect(client.wasReset).toBe(true);
    expect(set.connects).toBe(2);
    expect(set.faults).toEqual({ "connect-refused": 1 });
    expect(set.records[0]).toMatchObject({ fault: "connect-refused", attempts: 2, pool: "app" });
    expect(set.endpointCell("inFlight", 0) + set.endpointCell("inFlight", 1)).toBe(0);
    expect(set.endpointCell("tunnels", 0) + set.endpointCell("tunnels", 1)).toBe(0);
  });

  test("one that resets before a byte passed either way costs the client nothing", () => {
    const set = stage(2);
    const client = set.client();
    set.origin(0).reset();
    expect(set.connects).toBe(2);
    set.origin(1).send("220 hello");
    expect(client.text).toBe("220 hello");
    expect(set.endpointCell("resets", 0)).toBe(1);
    expect(set.endpointCell("inFlight", 0)).toBe(0);
    client.send("QUIT");
    expect(set.origin(1).text).toBe("QUIT");
  });

  test("after a byte went to it there is no other try: nobody knows what it did", () => {
    const set = stage(2);
    const client = set.asking("INSERT");
    set.origin(0).reset();
    expect(set.connects).toBe(1);
    expect(client.wasReset).toBe(true);
  });

  test("a full pool lets wait, in order, and not for ever", () => {
    const set = stage(1, { limits: { inFlight: 1, queue: 2, queueTimeout: 1_000 } });
    const first = set.asking("1");
    const second = set.asking("2");
    const third = set.asking("3");
    const fourth = set.asking("4");
    expect(fourth.wasReset).toBe(true);
    expect(set.connects).toBe(1);
    first.end();
    set.origin(0).end();
    set.advance(25);
    expect(set.connects).toBe(2);
    expect(set.origin(1).text).toBe("2");
    set.advance(1_100);
    expect(third.wasReset).toBe(true);
    expect(second.over).toBe(false);
    expect(set.faults).toEqual({ "pool-queue-full": 1, "pool-queue-timeout": 1 });
    expect(set.records.find((one) => one.fault === "pool-queue-timeout")?.queueMs).toBeGreaterThanOrEqual(1_000);
  });

  test("a client that goes away while it waits leaves its place to others", () => {
    const set = stage(1, { limits: { inFlight: 1, queue: 1, queueTimeout: 60_000 } });
    const first = set.asking("1");
    const second = set.asking("2");
    second.reset();
    const third = set.asking("3");
    expect(third.wasReset).toBe(false);
    first.reset();
    set.advance(25);
    expect(set.origin(1).text).toBe("3");
  });

  test("clients of one address stay together where the pool is sticky by source, and new ones go elsewhere in a drain", () => {
    const sticky = { by: "source", name: "", whileDraining: false, cookie: null } as const;
    const set = stage(3, { sticky, balance: "p2c" });
    const ports = new Set<number>();
    const seen = (index: number) => Number(set.network.connects[index]?.remotePort);
    for (let i = 0; i < 8; i++) {
      set.asking("x", "192.0.2.9");
      ports.add(seen(i));
    }
    expect(set.poolCell("stickyHits")).toBe(8);
    const busy = [0, 1, 2].filter((slot) => set.endpointCell("inFlight", slot) > 0);
    expect(busy).toHaveLength(1);
    drain(set, busy[0] as number, 10_000);
    set.advance(50);
    set.asking("x", "192.0.2.9");
    expect(set.endpointCell("inFlight", busy[0])).toBe(8);
  });

  test("routes by source, splits by weight", () => {
    const inner = routePlan({ name: "inner", match: { ...routePlan().match, sources: ["10.0.0.0/8"] } });
    const set = new Stage({
      listeners: [listenerPlan({ protocol: "tcp", routes: [inner] })],
      pools: [poolPlan(1)],
    });
    expect(set.asking("x", "10.1.2.3").over).toBe(false);
    expect(set.asking("x", "192.0.2.1").wasReset).toBe(true);
    expect(set.faults).toEqual({ "route-not-found": 1 });
    expect(set.records[0]).toMatchObject({ fault: "route-not-found", client: "192.0.2.1", attempts: 0 });
  });
});

describe("leaving", () => {
  test("in a drain new connections go elsewhere, and a quiet one is ended in order before the window is over", () => {
    const set = stage(2);
    const client = set.asking("x");
    set.origin(0).send("y");
    drain(set, 0, 20_000);
    set.advance(15_000);
    expect(client.over).toBe(false);
    set.asking("z");
    expect(set.origin(1).text).toBe("z");
    set.advance(4_100);
    expect(client.ended).toBe(true);
    expect(client.wasReset).toBe(false);
    client.end();
    set.origin(0).end();
    set.advance(25);
    expect(set.records[0]).toMatchObject({ fault: "", ended: "drain", endpoint: "127.0.0.1:3000" });
    expect(set.endpointCell("tunnelsClosed", 0)).toBe(1);
    expect(set.endpointCell("cutTunnels", 0)).toBe(0);
  });

  test("one that is never quiet is left alone until the window is over, and then reset", () => {
    const set = stage(1);
    const client = set.asking("x");
    drain(set, 0, 10_000);
    for (let i = 0; i < 19; i++) {
      set.advance(500);
      client.send("busy");
      expect(client.over).toBe(false);
    }
    set.advance(600);
    expect(client.wasReset).toBe(true);
    expect(set.origin().wasReset).toBe(true);
    expect(set.records[0]).toMatchObject({ fault: "drain-window-over", ended: "drain" });
    expect(set.endpointCell("cutTunnels")).toBe(1);
  });

  test("one that is still being connected to goes elsewhere when the window is over, for nothing was sent", () => {
    const set = stage(2);
    set.network.welcome = () => (set.connects === 1 ? "silent" : "open");
    const client = set.asking("x");
    drain(set, 0, 1_000);
    set.advance(1_050);
    expect(set.origin(1).text).toBe("x");
    set.origin(1).send("y");
    expect(client.text).toBe("y");
    expect(set.endpointCell("connectFailures", 0)).toBe(0);
    const alone = stage(1);
    alone.network.welcome = () => "silent";
    const other = alone.asking("x");
    drain(alone, 0, 1_000);
    alone.advance(1_050);
    expect([other.wasReset, alone.connects]).toEqual([true, 1]);
    expect(alone.records[0]).toMatchObject({ fault: "drain-window-over" });
  });

  test("a drain that is taken back ends nothing", () => {
    const set = stage(1);
    const client = set.asking("x");
    drain(set, 0, 10_000);
    set.advance(1_000);
    const at = set.table.state(0);
    set.table.cells[at + StateCell.state] = EndpointState.ready;
    set.table.cells[at + StateCell.drainFrom] = set.table.cells[at + StateCell.drainUntil] = 0;
    set.advance(30_000);
    expect(client.over).toBe(false);
  });

  test("a stop takes no new ones, ends quiet ones in order and cuts the rest at its end", async () => {
    const set = stage(1);
    const quiet = set.asking("x");
    const busy = set.asking("y");
    const over = set.engine.stop(10_000);
    for (let i = 0; i < 19; i++) {
      set.advance(500);
      busy.send(".");
    }
    expect(quiet.ended).toBe(true);
    expect(quiet.wasReset).toBe(false);
    set.advance(600);
    expect(busy.wasReset).toBe(true);
    set.advance(3_000);
    await over;
    expect(set.records.map(({ fault }) => fault).sort()).toEqual(["", "draining"]);
  });

  test("a connection that is still dialing when a stop begins is ended in order, too", async () => {
    const set = stage(1);
    set.network.welcome = () => "silent";
    const client = set.asking("x");
    const over = set.engine.stop(10_000);
    set.advance(500);
    set.network.connects[0]!.open();
    set.advance(9_400);
    expect([client.ended, client.wasReset]).toEqual([true, false]);
    set.advance(3_000);
    await over;
    expect(set.records.map(({ fault }) => fault)).toEqual([""]);
  });

  test("a reload lets connections be, also of a route that is gone", () => {
    const set = stage(1);
    const client = set.asking("x");
    set.run({ listeners: [listenerPlan({ protocol: "tcp" })], pools: [poolPlan(1, { slot: 1, name: "app" })] });
    client.send("y");
    expect(set.origin(0).text).toBe("xy");
    client.end();
    set.origin(0).end();
    expect(set.listenerCell("open")).toBe(0);
  });
});

describe("the PROXY protocol", () => {
  test("an endpoint that wants it hears of the client first, whoever speaks first, and once for each connection", () => {
    for (const [version, begin] of [
      ["v1", "PROXY TCP4 192.0.2.7 127.0.0.1 40000 8080\r\n"],
      ["v2", "\r\n\r\n\0\r\nQUIT\n"],
    ] as const) {
      const set = stage(1, { proxyProtocol: version });
      const client = set.client("192.0.2.7");
      expect(set.origin().text.startsWith(begin)).toBe(true);
      const said = set.origin().news().length;
      expect(said).toBeGreaterThan(0);
      client.send("bytes");
      expect(set.origin().news()).toBe("bytes");
      expect(set.endpointCell("bytesUp")).toBe(said + 5);
    }
  });

  test("who is refused for a header has a line in the log", () => {
    const set = stage(1, {}, { proxyProtocol: "require", trustedProxies: ["192.0.2.0/24"] });
    expect(set.asking("no header at all, but long enough").wasReset).toBe(true);
    expect(set.records).toMatchObject([
      { fault: "proxy-header-missing", client: "192.0.2.7", protocol: "tcp", bytesIn: 0 },
    ]);
    expect(set.listenerCell("refused")).toBe(1);
  });

  test("the client that a trusted proxy names is the client for routes and in the log", () => {
    const inner = routePlan({ name: "inner", match: { ...routePlan().match, sources: ["10.0.0.0/8"] } });
    const set = stage(1, {}, { proxyProtocol: "require", trustedProxies: ["192.0.2.0/24"], routes: [inner] });
    const client = set.client("192.0.2.7");
    expect(set.connects).toBe(0);
    client.send("PROXY TCP4 10.1.2.3 127.0.0.1 4000 5432\r\nfirst");
    expect(set.origin().text).toBe("first");
    client.end();
    set.origin().end();
    expect(set.records[0]).toMatchObject({ client: "10.1.2.3", route: "inner", bytesIn: 5 });
  });
});

test("a connection that is refused at once does not count for its client", () => {
  const { limits } = listenerPlan();
  const full = { limits: { ...poolPlan().limits, inFlight: 1, queue: 0 } };
  const set = stage(1, full, { limits: { ...limits, connectionsPerClient: 2 } });
  const other = set.asking("x", "198.51.100.1");
  for (let i = 0; i < 5; i++) expect(set.asking("y").wasReset).toBe(true);
  expect(set.faults).toEqual({ "pool-queue-full": 5 });
  other.end();
  set.origin().end();
  set.advance(100);
  expect(set.asking("z").wasReset).toBe(false);
});

test("connections over maxConnections are refused at once", () => {
  const { limits } = listenerPlan();
  const set = stage(1, {}, { limits: { ...limits, maxConnections: 1 } });
  set.asking("x");
  expect(set.asking("y").wasReset).toBe(true);
  expect(set.listenerCell("refused")).toBe(1);
});
