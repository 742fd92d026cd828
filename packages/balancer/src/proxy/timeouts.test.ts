// Every rung of the table in docs/life-of-a-request.md, on time that is moved by hand: not before its time, soon after it,
// with its fault and its status, and with nothing left behind.
import { describe, expect, test } from "bun:test";
import type { FaultCode } from "../base/fault.ts";
import type { Peer } from "./fixtures/network.ts";
import { listenerPlan, poolPlan } from "./fixtures/plans.ts";
import { answer, get, Stage } from "./fixtures/stage.ts";

/** The wheel's step and the tick that drives it. */
const late = 75;
const clientTimes = { ...listenerPlan().timeouts, headers: 1_000, body: 2_000, idle: 5_000 };
const poolTimes = { ...poolPlan().timeouts, connect: 300, firstByte: 700, idle: 1_500, tunnelIdle: 9_000 };
const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";

function stageWith(limits = poolPlan().limits): Stage {
  return new Stage({
    listeners: [listenerPlan({ timeouts: clientTimes })],
    pools: [poolPlan(1, { timeouts: poolTimes, retry: { ...poolPlan().retry, attempts: 1 }, limits })],
  });
}

/** Nothing under way, nothing counted as such, no timer armed but those of idle connections. */
function expectQuiet(stage: Stage): void {
  expect(stage.endpointCell("inFlight")).toBe(0);
  expect(stage.poolCell("queued")).toBe(0);
  expect(stage.engine.busy).toBe(0);
  expect(stage.wheel.size).toBe(stage.engine.open);
}

function statusOf(client: Peer): number {
  return Number(/^HTTP\/1\.1 (\d+)/.exec(client.text)?.[1] ?? 0);
}

/** Says that `after` ms nothing has happened, and shortly later `code` has. */
function expectFault(stage: Stage, client: Peer, after: number, code: FaultCode, status: number): void {
  stage.advance(after - 25);
  expect(stage.faults).toEqual({});
  expect(client.over).toBeFalse();
  stage.advance(25 + late);
  expect(stage.faults).toEqual({ [code]: 1 });
  expect(statusOf(client)).toBe(status);
  if (status > 0) expect(client.text).toContain(`details="${code}"`);
  expect(stage.records.at(-1)?.fault).toBe(code);
  expectQuiet(stage);
}

describe("the client", () => {
  test("sends half a head: 408", () => {
    const stage = stageWith();
    const client = stage.asking("GET / HT");
    expectFault(stage, client, clientTimes.headers, "request-head-timeout", 408);
    expect(client.closed).toBeTrue();
  });

  test("trickles its head: the clock runs from the first byte", () => {
    const stage = stageWith();
    const client = stage.asking("G");
    for (const byte of "ET / HTTP") {
      stage.advance(clientTimes.headers / 10);
      client.send(byte);
    }
    stage.advance(clientTimes.headers / 10 + late);
    expect(stage.faults).toEqual({ "request-head-timeout": 1 });
  });

  test("trickles a second head after an answer: the same", () => {
    const stage = stageWith();
    const client = stage.asking(get + "G");
    stage.origin().send(answer());
    client.news();
    expectFault(stage, client, clientTimes.headers, "request-head-timeout", 408);
  });

  test("says nothing at all: closed without a word", () => {
    const stage = stageWith();
    const client = stage.client();
    stage.advance(clientTimes.headers - 25);
    expect(client.over).toBeFalse();
    stage.advance(25 + late);
    expect(client.closed).toBeTrue();
    expect(client.text).toBe("");
    expect(stage.faults).toEqual({});
    expectQuiet(stage);
  });

  test("asks nothing further: closed without a word after timeouts.idle", () => {
    const stage = stageWith();
    const client = stage.asking(get);
    stage.origin().send(answer());
    client.news();
    stage.advance(clientTimes.idle - 25);
    expect(client.over).toBeFalse();
    stage.advance(25 + late);
    expect(client.closed).toBeTrue();
    expect(client.text).toBe("");
    expect(stage.faults).toEqual({});
    expectQuiet(stage);
  });

  test("asks nothing further after an answer that it took late: the same time", () => {
    const stage = stageWith();
    const client = stage.asking(get);
    client.room = 10;
    stage.origin().send(answer());
    stage.advance(1_000);
    client.take(10_000);
    stage.advance(clientTimes.idle - 25);
    expect(client.over).toBeFalse();
    stage.advance(25 + late);
    expect(client.closed).toBeTrue();
  });

  test("stops sending its body: 408", () => {
    const stage = stageWith();
    const client = stage.asking(`${post}begun`);
    stage.advance(clientTimes.body - 100);
    client.send("more");
    expectFault(stage, client, clientTimes.body, "request-body-timeout", 408);
    expect(stage.origin().wasReset).toBeTrue();
  });

  test("sends its body a byte at a time: 408 after 30 s with less than limits.minBodyRate", () => {
    const stage = stageWith();
    const client = stage.asking(`${post}begun`);
    for (let i = 0; i < 29; i++) {
      stage.advance(1_000);
      client.send("x");
    }
    expect(stage.faults).toEqual({});
    stage.advance(1_000 + late);
    client.send("x");
    expect(stage.faults).toEqual({ "request-body-timeout": 1 });
    expect(statusOf(client)).toBe(408);
    expect(stage.origin().wasReset).toBeTrue();
    expectQuiet(stage);
  });

  test.each([
    ["brings as much as is asked", 256, 260],
    ["may be as slow as it likes", 0, 1],
  ])("goes on with a body that %s", (_, minBodyRate, bytes) => {
    const { limits } = listenerPlan();
    const stage = new Stage({
      listeners: [listenerPlan({ timeouts: clientTimes, limits: { ...limits, minBodyRate } })],
      pools: [poolPlan(1, { timeouts: poolTimes })],
    });
    const client = stage.asking(`${post}begun`);
    for (let i = 0; i < 100; i++) {
      stage.advance(1_000);
      client.send("x".repeat(bytes));
    }
    expect(stage.faults).toEqual({});
    expect(client.over).toBeFalse();
  });

  test("is not read because its endpoint takes nothing, and what was held for it has just gone there: it is not blamed", () => {
    const stage = stageWith();
    const client = stage.asking(post);
    const origin = stage.origin();
    origin.room = 1_000;
    client.send("x".repeat(50_000));
    client.send("x".repeat(40_000));
    expect(client.flowing).toBeFalse();
    // What waits for the endpoint goes out, and what is held here takes its place.
    origin.take(60_000);
    expect(client.flowing).toBeFalse();
    for (let i = 0; i < 40; i++) {
      stage.advance(poolTimes.idle - 500);
      // The endpoint is slow, and never silent for as long as it may be.
      origin.take(500);
    }
    expect(stage.faults).toEqual({});
    origin.take(1_000_000);
    expect(client.flowing).toBeTrue();
    // From here on the clock is the client's, from the start.
    expectFault(stage, client, clientTimes.body, "request-body-timeout", 408);
  });

  test("may be silent for as long as timeouts.body says, however long that is", () => {
    const stage = new Stage({
      listeners: [listenerPlan({ timeouts: { ...clientTimes, body: 300_000 } })],
      pools: [poolPlan(1, { timeouts: poolTimes })],
    });
    const client = stage.asking(`${post}begun`);
    stage.advance(200_000);
    client.send("more");
    expect(stage.faults).toEqual({});
  });

  test("is not held to a speed while the endpoint takes nothing", () => {
    const stage = new Stage({
      listeners: [listenerPlan({ timeouts: clientTimes })],
      pools: [poolPlan(1, { timeouts: { ...poolTimes, idle: 60_000 } })],
    });
    const client = stage.asking(`${post}begun`);
    const origin = stage.origin();
    origin.room = 10;
    client.send("x".repeat(100));
    client.send("held");
    expect(client.flowing).toBeFalse();
    stage.advance(50_000);
    origin.take(10_000);
    expect(client.flowing).toBeTrue();
    client.send("x");
    stage.advance(1_000);
    client.send("x");
    expect(stage.faults).toEqual({});
  });

  test("is not held to a speed once the answer has begun", () => {
    const stage = stageWith();
    const client = stage.asking(`${post}begun`);
    const origin = stage.origin();
    origin.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
    for (let i = 0; i < 100; i++) {
      stage.advance(1_000);
      client.send("x");
      origin.send("2\r\nok\r\n");
    }
    expect(stage.faults).toEqual({});
    expect(client.over).toBeFalse();
  });

  test("does not take a whole answer: reset, whatever is read of the endpoint", () => {
    const stage = stageWith();
    const client = stage.asking(get);
    client.room = 50;
    stage.origin().send(answer("x".repeat(1_000)));
    // The first look finds what the kernel has, the second that it got no shorter.
    stage.advance(clientTimes.body * 2 - 25);
    expect(client.over).toBeFalse();
    stage.advance(25 + 2 * late);
    expect(client.wasReset).toBeTrue();
    expectQuiet(stage);
  });

  test("does not take a long answer: reset, and the endpoint is let go", () => {
    const stage = stageWith();
    const client = stage.asking(get);
    client.room = 50;
    stage.origin().send(`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${"x".repeat(5_000)}`);
    expect(stage.origin().flowing).toBeFalse();
    stage.advance(clientTimes.body * 2 - 25);
    expect(stage.faults).toEqual({});
    stage.advance(25 + 2 * late);
    expect(stage.faults).toEqual({ "client-read-timeout": 1 });
    expect(client.wasReset).toBeTrue();
    expect(stage.origin().wasReset).toBeTrue();
    expectQuiet(stage);
  });

  test("does not take an answer that began before its body was complete: reset all the same", () => {
    const stage = stageWith();
    const client = stage.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nha");
    client.room = 50;
    stage.origin().send(`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${"x".repeat(5_000)}`);
    client.send("lf");
    stage.advance(clientTimes.body * 2 + 2 * late);
    expect(stage.faults).toEqual({ "client-read-timeout": 1 });
    expect(client.wasReset).toBeTrue();
    expectQuiet(stage);
  });

  test("neither sends the rest of its body nor takes what is answered meanwhile: reset", () => {
    const stage = stageWith();
    const client = stage.asking(`${post}begun`);
    client.room = 50;
    stage.origin().send(`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${"x".repeat(5_000)}`);
    stage.advance(clientTimes.body * 2 + 2 * late);
    expect(stage.faults).toEqual({ "client-read-timeout": 1 });
    expect(client.wasReset).toBeTrue();
    expectQuiet(stage);
  });

  test("takes a little now and then: it may go on", () => {
    const stage = stageWith();
    const client = stage.asking(get);
    client.room = 50;
    stage.origin().send(`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${"x".repeat(5_000)}`);
    for (let i = 0; i < 20; i++) {
      stage.advance(clientTimes.body - 100);
      client.take(10);
    }
    expect(stage.faults).toEqual({});
    expect(client.over).toBeFalse();
  });

  test("lets the kernel's queue shrink: it may go on too", () => {
    const stage = stageWith();
    const client = stage.asking(get);
    client.room = 50;
    stage.origin().send(`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${"x".repeat(5_000)}`);
    const connection = stage.network.accepted[0];
    // Fast enough for limits.minReadRate: slower ones are in slow-readers.test.ts.
    for (let queued = 20; queued > 0; queued--) {
      if (connection !== undefined) connection.queued = queued * 1_000;
      stage.advance(clientTimes.body);
    }
    expect(client.over).toBeFalse();
    stage.advance(clientTimes.body * 2);
    expect(client.wasReset).toBeTrue();
  });
});

describe("the pool", () => {
  test("has no place in time: 503", () => {
    const stage = stageWith({ inFlight: 1, queue: 5, queueTimeout: 400 });
    const first = stage.asking(get);
    const client = stage.asking(get);
    stage.advance(375);
    expect(client.text).toBe("");
    expect(stage.poolCell("queued")).toBe(1);
    stage.advance(late);
    expect(statusOf(client)).toBe(503);
    expect(stage.faults).toEqual({ "pool-queue-timeout": 1 });
    expect(stage.poolCell("queueTimeouts")).toBe(1);
    expect(stage.records[0]).toMatchObject({ status: 503, attempts: 0, endpoint: "" });
    stage.origin().send(answer());
    expect(statusOf(first)).toBe(200);
    expectQuiet(stage);
  });

  test("whoever waits in it is served from a tick too", () => {
    const stage = stageWith({ inFlight: 1, queue: 5, queueTimeout: 400 });
    const state = stage.table.endpoint(0, 0);
    // Another worker's exchange: only the tick can see that it ended.
    stage.table.cells[state] = 1;
    const client = stage.asking(get);
    expect(stage.connects).toBe(0);
    stage.table.cells[state] = 0;
    stage.advance(25);
    stage.origin().send(answer());
    expect(statusOf(client)).toBe(200);
  });

  test("and the tick sends what it wrote, also on a connection that rested", () => {
    const stage = stageWith({ inFlight: 1, queue: 5, queueTimeout: 400 });
    stage.asking(get);
    stage.origin().send(answer());
    stage.origin().news();
    const inFlight = stage.table.endpoint(0, 0);
    stage.table.cells[inFlight] = 1;
    const client = stage.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    stage.table.cells[inFlight] = 0;
    stage.advance(25);
    expect(stage.connects).toBe(1);
    expect(stage.origin().text).toEndWith("\r\n\r\nabc");
    stage.origin().send(answer());
    expect(statusOf(client)).toBe(200);
  });
});

describe("the endpoint", () => {
  test("does not accept: 504", () => {
    const stage = stageWith();
    stage.network.welcome = () => "silent";
    const client = stage.asking(get);
    expectFault(stage, client, poolTimes.connect, "connect-timeout", 504);
    expect(stage.endpointCell("connectFailures")).toBe(1);
    expect(stage.endpointCell("connectRefusals")).toBe(0);
  });

  test("refuses: 502, and a restart is told from an outage by it", () => {
    const stage = stageWith();
    stage.network.welcome = () => "refused";
    expect(statusOf(stage.asking(get))).toBe(502);
    expect(stage.faults).toEqual({ "connect-refused": 1 });
    expect(stage.endpointCell("connectFailures")).toBe(1);
    expect(stage.endpointCell("connectRefusals")).toBe(1);
  });

  test("does not accept a request with a body, whose client sends on: 504 just the same", () => {
    const stage = stageWith();
    stage.network.welcome = () => "silent";
    const client = stage.asking(post);
    stage.advance(poolTimes.connect - 100);
    client.send("x");
    stage.advance(100 + late);
    expect(statusOf(client)).toBe(504);
    expect(stage.faults).toEqual({ "connect-timeout": 1 });
  });

  test("does not begin its answer: 504", () => {
    const stage = stageWith();
    const client = stage.asking(get);
    expectFault(stage, client, poolTimes.firstByte, "first-byte-timeout", 504);
    expect(stage.origin().wasReset).toBeTrue();
  });

  test("does not begin its second answer, on the same connection: 504", () => {
    const stage = stageWith();
    const client = stage.asking(get);
    stage.origin().send(answer());
    stage.advance(500);
    client.news();
    client.send(get);
    expect(stage.connects).toBe(1);
    expectFault(stage, client, poolTimes.firstByte, "first-byte-timeout", 504);
  });

  test("does not begin its answer to a pipelined request whose client takes the first one late: 504", () => {
    const stage = stageWith();
    const client = stage.asking(get + get);
    client.room = 10;
    stage.origin().send(answer());
    stage.advance(1_000);
    client.take(100_000);
    client.news();
    stage.advance(poolTimes.firstByte + late);
    expect(stage.faults).toEqual({ "first-byte-timeout": 1 });
    expect(statusOf(client)).toBe(504);
    expectQuiet(stage);
  });

  test("says 100 and nothing more: the first byte of the answer is still awaited", () => {
    const stage = stageWith();
    const client = stage.asking(get);
    stage.origin().send("HTTP/1.1 103 Early Hints\r\n\r\n");
    client.news();
    expectFault(stage, client, poolTimes.firstByte, "first-byte-timeout", 504);
  });

  test("sends half a head: still its first byte", () => {
    const stage = stageWith();
    const client = stage.asking(get);
    stage.origin().send("HTTP/1.1 200 OK\r\nA: b");
    expectFault(stage, client, poolTimes.firstByte, "first-byte-timeout", 504);
  });

  test("does not take the body: 504", () => {
    const stage = stageWith();
    const client = stage.asking(post);
    stage.origin().room = 3;
    client.send("x".repeat(1_000));
    expectFault(stage, client, poolTimes.idle, "upload-idle-timeout", 504);
  });

  test("takes the body slowly: it may go on, and so may its client", () => {
    const stage = stageWith();
    const client = stage.asking(post);
    stage.origin().room = 3;
    client.send("x".repeat(1_000));
    client.send("y".repeat(1_000));
    for (let i = 0; i < 10; i++) {
      stage.advance(poolTimes.idle - 100);
      stage.origin().take(10);
    }
    expect(stage.faults).toEqual({});
  });

  test("falls silent in its answer: the client is reset, for half an answer must not look whole", () => {
    const stage = stageWith();
    const client = stage.asking(get);
    stage.origin().send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal");
    stage.advance(poolTimes.idle - 100);
    stage.origin().send("f");
    stage.advance(poolTimes.idle - 25);
    expect(stage.faults).toEqual({});
    stage.advance(25 + late);
    expect(stage.faults).toEqual({ "answer-idle-timeout": 1 });
    expect(client.wasReset).toBeTrue();
    expect(stage.records.at(-1)).toMatchObject({ status: 200, bytesOut: 4, fault: "answer-idle-timeout" });
    expectQuiet(stage);
  });

  test("answers while a body comes in slowly: the upload is life enough", () => {
    const stage = stageWith();
    const client = stage.asking(post);
    stage.origin().send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    for (let i = 0; i < 10; i++) {
      stage.advance(poolTimes.idle - 100);
      client.send("x");
    }
    expect(stage.faults).toEqual({});
    stage.advance(poolTimes.idle + late);
    expect(stage.faults).toEqual({ "answer-idle-timeout": 1 });
  });

  test("is paused because its client is slow: that is not its silence", () => {
    const stage = stageWith();
    const client = stage.asking(post);
    stage.origin().room = 3;
    client.room = 100;
    client.send("x".repeat(1_000));
    stage.origin().send(`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${"y".repeat(1_000)}`);
    stage.origin().take(10_000);
    expect(stage.origin().flowing).toBeFalse();
    for (let i = 0; i < 10; i++) {
      stage.advance(clientTimes.body - 200);
      client.send("x");
      client.take(1);
    }
    expect(stage.faults).toEqual({});
    client.take(100_000);
    expect(stage.origin().flowing).toBeTrue();
  });
});

describe("a tunnel", () => {
  const upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";

  test("in which nothing passes is closed", () => {
    const stage = stageWith();
    const client = stage.asking(upgrade);
    stage.origin().send("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    stage.advance(poolTimes.tunnelIdle - 100);
    client.send("a");
    stage.advance(poolTimes.tunnelIdle - 100);
    stage.origin().send("b");
    stage.advance(poolTimes.tunnelIdle - 25);
    expect(stage.faults).toEqual({});
    expect(client.over).toBeFalse();
    stage.advance(25 + late);
    expect(stage.faults).toEqual({ "tunnel-idle-timeout": 1 });
    expect(client.closed).toBeTrue();
    expect(stage.origin().closed).toBeTrue();
    expect(stage.endpointCell("tunnels")).toBe(0);
    expectQuiet(stage);
  });
});
