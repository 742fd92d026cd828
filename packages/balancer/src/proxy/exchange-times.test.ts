// The times of an exchange that belong to none of its connections, on time that is moved by hand: one try, the whole, what
// the client gave, and how long a client that closed its side is waited for.
import { describe, expect, test } from "bun:test";
import type { PoolPlan, PoolTimeouts, RetryPlan } from "../pool/plan.ts";
import { deadlineField } from "./deadline.ts";
import type { Peer } from "./fixtures/network.ts";
import { listenerPlan, poolPlan, routePlan } from "./fixtures/plans.ts";
import { answer, get, Stage } from "./fixtures/stage.ts";

/** The wheel's step and the tick that drives it. */
const late = 75;

interface Options {
  readonly timeouts?: Partial<PoolTimeouts>;
  readonly retry?: Partial<RetryPlan>;
  readonly pool?: Partial<PoolPlan>;
  readonly cancel?: boolean;
  readonly halfClose?: number;
  readonly trusted?: boolean;
}

function stageWith({ timeouts, retry, pool, cancel = true, halfClose = 1_000, trusted = true }: Options): Stage {
  const { timeouts: clientTimes } = listenerPlan();
  return new Stage({
    listeners: [
      listenerPlan({
        trustedProxies: trusted ? ["0.0.0.0/0"] : [],
        timeouts: { ...clientTimes, halfClose },
        routes: [routePlan({ cancel })],
      }),
    ],
    pools: [
      poolPlan(2, {
        timeouts: { ...poolPlan().timeouts, ...timeouts },
        retry: { ...poolPlan().retry, ...retry },
        ...pool,
      }),
    ],
  });
}

function statusOf(client: Peer): number {
  return Number(/^HTTP\/1\.1 (\d+)/.exec(client.text)?.[1] ?? 0);
}

function expectQuiet(stage: Stage): void {
  expect([stage.endpointCell("inFlight", 0), stage.endpointCell("inFlight", 1)]).toEqual([0, 0]);
  expect(stage.poolCell("queued")).toBe(0);
  expect(stage.engine.busy).toBe(0);
  expect(stage.wheel.size).toBe(stage.engine.open);
}

describe("one try", () => {
  test("that takes too long goes elsewhere, and the last one is a 504", () => {
    const stage = stageWith({ timeouts: { perTry: 400 } });
    const client = stage.asking(get);
    stage.advance(375);
    expect(stage.connects).toBe(1);
    stage.advance(late);
    expect([stage.connects, stage.origin(0).wasReset]).toEqual([2, true]);
    stage.advance(375);
    expect(client.over).toBeFalse();
    stage.advance(late);
    expect(statusOf(client)).toBe(504);
    expect(stage.faults).toEqual({ "try-timeout": 1 });
    expect(stage.records[0]).toMatchObject({ fault: "try-timeout", rung: "try", attempts: 2 });
    expect(stage.records[0]!.tries.map((one) => one.fault)).toEqual(["try-timeout", "try-timeout"]);
    expectQuiet(stage);
  });

  test("of a POST is not made again", () => {
    const stage = stageWith({ timeouts: { perTry: 400 } });
    const client = stage.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    stage.advance(400 + late);
    expect([statusOf(client), stage.connects]).toEqual([504, 1]);
  });

  test("that is not connected by then is one whose connection failed: any method is sent elsewhere", () => {
    const stage = stageWith({ timeouts: { perTry: 400 } });
    stage.network.welcome = () => (stage.connects === 1 ? "silent" : "open");
    const client = stage.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    stage.advance(400 + late);
    expect(stage.origin(1).text).toEndWith("\r\n\r\nhi");
    expect(stage.endpointCell("connectFailures", 0) + stage.endpointCell("connectFailures", 1)).toBe(1);
    stage.origin(1).send(answer());
    expect(statusOf(client)).toBe(200);
  });

  test("is not hurried while its body is under way, and is from there on", () => {
    const stage = stageWith({ timeouts: { perTry: 400 }, retry: { attempts: 1 } });
    const client = stage.asking("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n");
    for (let i = 0; i < 20; i++) {
      stage.advance(100);
      client.send("x");
    }
    stage.advance(375);
    expect(stage.faults).toEqual({});
    stage.advance(late);
    expect(stage.faults).toEqual({ "try-timeout": 1 });
  });

  test("whose answer has begun may take as long as it likes", () => {
    const stage = stageWith({ timeouts: { perTry: 400 } });
    const client = stage.asking(get);
    stage.origin(0).send("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n");
    for (let i = 0; i < 20; i++) {
      stage.advance(200);
      stage.origin(0).send("x");
    }
    expect(client.text).toEndWith("x".repeat(20));
    expectQuiet(stage);
  });
});

describe("the whole", () => {
  test("ends with a 504, whatever is under way", () => {
    for (const welcome of ["open", "silent"] as const) {
      const stage = stageWith({ timeouts: { total: 600 } });
      stage.network.welcome = () => welcome;
      const client = stage.asking(get);
      stage.advance(575);
      expect(stage.faults).toEqual({});
      stage.advance(late);
      expect(statusOf(client)).toBe(504);
      expect(stage.faults).toEqual({ "total-timeout": 1 });
      expect(stage.records[0]).toMatchObject({ rung: "total", attempts: 1 });
      expectQuiet(stage);
    }
  });

  test("covers all tries", () => {
    const stage = stageWith({ timeouts: { total: 1_000, perTry: 400 }, retry: { attempts: 9 } });
    const client = stage.asking(get);
    stage.advance(1_000 + late);
    expect([statusOf(client), stage.connects]).toEqual([504, 3]);
    expect(stage.faults).toEqual({ "total-timeout": 1 });
  });

  test("cuts an answer that has begun: it must not look whole", () => {
    const stage = stageWith({ timeouts: { total: 600 } });
    const client = stage.asking(get);
    stage.origin(0).send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    for (let i = 0; i < 7; i++) {
      stage.advance(100);
      if (!stage.origin(0).over) stage.origin(0).send("1\r\nx\r\n");
    }
    expect([client.wasReset, stage.origin(0).wasReset]).toEqual([true, true]);
    expectQuiet(stage);
  });

  test("covers the queue, and does not cover tunnels", () => {
    const stage = stageWith({
      timeouts: { total: 600 },
      pool: { limits: { inFlight: 1, queue: 5, queueTimeout: 5_000 } },
    });
    for (const slot of [0, 1]) stage.table.cells[stage.table.endpoint(0, slot)] = 1;
    const client = stage.asking(get);
    stage.advance(600 + late);
    expect(statusOf(client)).toBe(504);
    expect(stage.records[0]).toMatchObject({ fault: "total-timeout", attempts: 0 });
    expect(stage.records[0]!.queueMs).toBeGreaterThan(575);
    for (const slot of [0, 1]) stage.table.cells[stage.table.endpoint(0, slot)] = 0;
    const tunnel = stage.asking("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    stage.origin().send("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    stage.advance(2_000);
    stage.origin().send("still there");
    expect(tunnel.text).toEndWith("still there");
  });

  test("the next request of a connection has its own", () => {
    const stage = stageWith({ timeouts: { total: 600 } });
    const client = stage.asking(get);
    for (let i = 0; i < 4; i++) {
      stage.advance(400);
      stage.origin(i % 2).send(answer());
      expect(statusOf(client)).toBe(200);
      client.news();
      if (i < 3) client.send(get);
    }
    stage.advance(2_000);
    expect(stage.faults).toEqual({});
  });
});

describe("deadlines", () => {
  const pool = { deadlineHeader: "x-request-deadline" };
  const asking = (ms: string) => `GET / HTTP/1.1\r\nHost: a\r\nX-Request-Deadline: ${ms}\r\n\r\n`;
  const told = (origin: Peer) => origin.text.match(/x-request-deadline: .*/gi);

  test("what is left goes to the endpoint, less each time", () => {
    const stage = stageWith({ pool });
    stage.asking(asking("5000"));
    expect(told(stage.origin(0))).toEqual(["x-request-deadline: 5000"]);
    stage.advance(1_000);
    stage.origin(0).end();
    expect(told(stage.origin(1))).toEqual(["x-request-deadline: 4000"]);
  });

  test("the least of all limits counts", () => {
    for (const [timeouts, given, expected] of [
      [{ total: 3_000 }, "5000", "3000"],
      [{ total: 3_000 }, "2000", "2000"],
      [{ total: 3_000, perTry: 1_000 }, "2000", "1000"],
      [{ total: 3_000 }, "soon", "3000"],
      [{}, "0777", "777"],
    ] as const) {
      const stage = stageWith({ pool, timeouts });
      stage.asking(asking(given));
      expect(told(stage.origin(0))).toEqual([`x-request-deadline: ${expected}`]);
    }
  });

  test("what an untrusted client says is dropped", () => {
    const stage = stageWith({ pool, trusted: false });
    stage.asking(asking("50"));
    expect(told(stage.origin(0))).toBeNull();
    stage.advance(5_000);
    expect(stage.faults).toEqual({});
  });

  test("at its end: 504, and the endpoint is let go, not blamed", () => {
    const stage = stageWith({ pool });
    const client = stage.asking(asking("500"));
    stage.advance(500 + late);
    expect(statusOf(client)).toBe(504);
    expect(stage.faults).toEqual({ "deadline-exceeded": 1 });
    expect(stage.records[0]).toMatchObject({ rung: "deadline" });
    expect([stage.endpointCell("failures", 0), stage.endpointCell("failures", 1)]).toEqual([0, 0]);
    expect(stage.origin(0).wasReset).toBeTrue();
    expectQuiet(stage);
  });

  test("who waits in the queue is dropped from there, and no endpoint sees it", () => {
    const stage = stageWith({ pool: { ...pool, limits: { inFlight: 1, queue: 5, queueTimeout: 5_000 } } });
    for (const slot of [0, 1]) stage.table.cells[stage.table.endpoint(0, slot)] = 1;
    const client = stage.asking(asking("500"));
    expect(stage.poolCell("queued")).toBe(1);
    stage.advance(500 + late);
    expect(statusOf(client)).toBe(504);
    expect(stage.faults).toEqual({ "deadline-exceeded-queued": 1 });
    expect([stage.connects, stage.poolCell("queued"), stage.poolCell("queueTimeouts")]).toEqual([0, 0, 0]);
    expect(stage.records[0]).toMatchObject({ rung: "deadline", attempts: 0 });
  });

  test("nothing left on arrival: nobody is asked", () => {
    const stage = stageWith({ pool });
    const client = stage.asking(asking("0"));
    expect([statusOf(client), stage.connects]).toEqual([504, 0]);
    client.news();
    client.send(asking("900"));
    stage.origin(0).send(answer());
    expect(statusOf(client)).toBe(200);
  });

  test("in gRPC's form under gRPC's name", () => {
    const stage = stageWith({ pool: { deadlineHeader: "grpc-timeout" } });
    stage.asking("GET / HTTP/1.1\r\nHost: a\r\ngrpc-timeout: 2S\r\n\r\n");
    expect(stage.origin(0).text).toContain("grpc-timeout: 2000m\r\n");
    const field = deadlineField("grpc-timeout")!;
    const forms = ["1H", "2M", "3S", "4m", "5999u", "999999n", "123456789m", "1", "1x", "-1S", "", "1.5S"];
    expect(forms.map((form) => field.read(form))).toEqual([3_600_000, 120_000, 3_000, 4, 5, 0, -1, -1, -1, -1, -1, -1]);
    expect([field.line(99_999_999), field.line(100_000_000)]).toEqual([
      "grpc-timeout: 99999999m\r\n",
      "grpc-timeout: 100000S\r\n",
    ]);
  });
});

describe("a client that goes away", () => {
  test("cancels its exchange by closing that connection, and is counted", () => {
    const stage = stageWith({});
    const client = stage.asking(get);
    client.reset();
    expect(stage.origin(0).wasReset).toBeTrue();
    expect(stage.poolCell("cancelled")).toBe(1);
    expectQuiet(stage);
  });

  test("does not where the route says so: the answer is read to its end, and the connection used again", () => {
    for (const early of [true, false]) {
      const stage = stageWith({ cancel: false });
      const client = stage.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
      if (early) stage.origin(0).send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
      client.reset();
      expect(stage.endpointCell("inFlight", 0) + stage.endpointCell("inFlight", 1)).toBe(1);
      stage.advance(5_000);
      stage.origin(0).send(early ? "llo" : answer("hello"));
      expect([stage.origin(0).over, stage.poolCell("cancelled")]).toEqual([false, 0]);
      expectQuiet(stage);
    }
  });

  test("does even there while its request is not whole", () => {
    const stage = stageWith({ cancel: false });
    const client = stage.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhi");
    client.reset();
    expect(stage.origin(0).wasReset).toBeTrue();
    expectQuiet(stage);
  });

  test("and an endpoint that never answers then is not waited for without end", () => {
    const stage = stageWith({ cancel: false, timeouts: { firstByte: 700 } });
    stage.asking(get).reset();
    stage.advance(700 + late);
    expect(stage.origin(0).wasReset).toBeTrue();
    expectQuiet(stage);
  });
});

describe("a client that closes its side", () => {
  test("gets its answer if that begins in time", () => {
    const stage = stageWith({});
    const client = stage.asking(get);
    client.end();
    stage.advance(900);
    stage.origin(0).send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    stage.advance(3_000);
    stage.origin(0).send("llo");
    expect(client.text).toEndWith("hello");
    expect(client.closed).toBeTrue();
    expectQuiet(stage);
  });

  test("is taken for gone after that, and its exchange is cancelled", () => {
    for (const halfClose of [0, 1_000]) {
      const stage = stageWith({ halfClose });
      const client = stage.asking(get);
      stage.advance(3_000);
      client.end();
      stage.advance(halfClose - 25);
      expect(client.over).toBeFalse();
      stage.advance(25 + late);
      expect([client.wasReset, stage.origin(0).wasReset]).toEqual([true, true]);
      expect(stage.faults).toEqual({ "client-gone": 1 });
      expect(stage.poolCell("cancelled")).toBe(1);
      expectQuiet(stage);
    }
  });

  test("the time begins anew with each request that it had sent before", () => {
    const stage = stageWith({});
    const client = stage.asking(get + get);
    client.end();
    stage.advance(800);
    stage.origin(0).send(answer("one"));
    stage.advance(800);
    stage.origin(1).send(answer("two"));
    expect(client.text).toEndWith("two");
    expectQuiet(stage);
  });

  test("is waited for as long as it takes where clients do not cancel", () => {
    const stage = stageWith({ cancel: false });
    const client = stage.asking(get);
    client.end();
    stage.advance(30_000);
    stage.origin(0).send(answer("late"));
    expect(client.text).toEndWith("late");
    expectQuiet(stage);
  });
});
