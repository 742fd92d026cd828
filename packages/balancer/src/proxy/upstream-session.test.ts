// Connections to endpoints: when they are used again, what is learned of their lives, what becomes of stray bytes, and when
// a request goes to another one.
import { describe, expect, test } from "bun:test";
import { type FaultCode, faults } from "../base/fault.ts";
import { poolPlan } from "./fixtures/plans.ts";
import { answer, get, Stage } from "./fixtures/stage.ts";

const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";

/** A stage whose client has had one answer, so that there is an idle connection. */
function warm(lines = "", over: Parameters<typeof poolPlan>[1] = {}, endpoints = 1): ReturnType<typeof begun> {
  const found = begun(over, endpoints);
  found.stage.origin().send(answer("ok", lines));
  found.client.news();
  return found;
}

function begun(
  over: Parameters<typeof poolPlan>[1] = {},
  endpoints = 1,
): { stage: Stage; client: ReturnType<Stage["client"]> } {
  const stage = new Stage({ pools: [poolPlan(endpoints, over)] });
  return { stage, client: stage.asking(get) };
}

function statusOf(text: string): number {
  return Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0);
}

describe("reuse", () => {
  test("an answer that ended where it said leaves the connection for the next", () => {
    const ways = [
      answer(),
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
      "HTTP/1.1 204 No Content\r\n\r\n",
      "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
      "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 103 E\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ];
    for (const way of ways) {
      const { stage, client } = begun();
      stage.origin().send(way);
      client.send(get);
      expect(stage.connects).toBe(1);
      expect(stage.endpointCell("reuses")).toBe(1);
      stage.origin().send(answer());
      expect(client.text).toEndWith("ok");
      expect(stage.records.map(({ reusedConnection }) => reusedConnection)).toEqual([false, true]);
    }
  });

  test("the log says of the next exchange that it reused one only if it did", () => {
    const { stage, client } = warm();
    client.send(get);
    stage.origin().send(answer());
    stage.network.welcome = () => "refused";
    stage.advance(5_000);
    client.send(get);
    expect(stage.records.map(({ reusedConnection }) => reusedConnection)).toEqual([false, true, false]);
  });

  test("otherwise it is closed", () => {
    const ways = [
      answer("ok", "Connection: close\r\n"),
      "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
      `${answer()}excess`,
      `${answer()}HTTP/1.1 200 OK\r\n\r\n`,
    ];
    for (const way of ways) {
      const { stage, client } = begun();
      stage.origin(0).send(way);
      expect(statusOf(client.text)).toBe(200);
      expect(stage.origin(0).over).toBeTrue();
      client.send(get);
      expect(stage.connects).toBe(2);
    }
  });

  test("bytes after the answer, or while it rests, end it; the next request gets another", () => {
    const { stage, client } = warm();
    stage.origin(0).send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    expect(stage.origin(0).wasReset).toBeTrue();
    client.send(get);
    expect(stage.connects).toBe(2);
    stage.origin(1).send(answer("good"));
    expect(client.text).toEndWith("good");
    expect(client.text).not.toContain("evil");
  });

  test("an answer that ends before its request was sent leaves nothing to use again", () => {
    const stage = new Stage();
    const early = stage.asking(post.slice(0, -1));
    stage.origin(0).send(answer());
    expect(statusOf(early.text)).toBe(200);
    expect(stage.origin(0).over).toBeTrue();
    stage.asking(get);
    expect(stage.connects).toBe(2);
  });

  test("only so many rest, and only so many exchanges pass through one", () => {
    const one = { maxIdle: 1, idle: 4_000, maxRequests: 0 };
    const stage = new Stage({ pools: [poolPlan(1, { keepAlive: one })] });
    stage.asking(get);
    stage.asking(get);
    stage.origin(0).send(answer());
    stage.origin(1).send(answer());
    expect([stage.origin(0).closed, stage.origin(1).closed]).toEqual([false, true]);
    const { stage: other, client } = warm("", { keepAlive: { maxIdle: 4, idle: 4_000, maxRequests: 2 } });
    client.send(get);
    other.origin(0).send(answer());
    expect(other.origin(0).closed).toBeTrue();
  });

  test("where none may rest, the endpoint is told", () => {
    const { stage } = begun({ keepAlive: { maxIdle: 0, idle: 4_000, maxRequests: 0 } });
    expect(stage.origin().text).toContain("Connection: close\r\n");
    stage.origin().send(answer());
    expect(stage.origin().closed).toBeTrue();
  });

  test("when the endpoint left the plan, what rests is closed", () => {
    const { stage } = warm();
    stage.run({ pools: [poolPlan(1, { endpoints: [] })] });
    expect(stage.origin(0).closed).toBeTrue();
  });
});

describe("how long they may rest", () => {
  /** Whether the idle connection is still used after `ms`. */
  function reusedAfter(ms: number, lines = ""): boolean {
    const { stage, client } = warm(lines);
    stage.advance(ms);
    client.send(get);
    return stage.connects === 1;
  }

  test("the plan's time until something is known", () => {
    expect(reusedAfter(3_900)).toBeTrue();
    expect(reusedAfter(4_100)).toBeFalse();
  });

  test("what Keep-Alive says, less a second, or half of a short one", () => {
    expect(reusedAfter(8_900, "Keep-Alive: timeout=10\r\n")).toBeTrue();
    expect(reusedAfter(9_100, "Keep-Alive: timeout=10\r\n")).toBeFalse();
    expect(reusedAfter(900, "Keep-Alive: timeout=2, max=100\r\n")).toBeTrue();
    expect(reusedAfter(1_100, "Keep-Alive: timeout=2, max=100\r\n")).toBeFalse();
    expect(reusedAfter(400, "Keep-Alive: timeout=1\r\n")).toBeTrue();
    expect(reusedAfter(600, "Keep-Alive: timeout=1\r\n")).toBeFalse();
    expect(reusedAfter(0, "Keep-Alive: timeout=0\r\n")).toBeFalse();
  });

  test("what the endpoint shows by closing, less a second", () => {
    const { stage, client } = warm();
    stage.advance(3_000);
    stage.origin(0).end();
    client.send(get);
    stage.origin(1).send(answer());
    stage.advance(2_100);
    client.send(get);
    expect(stage.connects).toBe(3);
    stage.origin(2).send(answer());
    stage.advance(1_900);
    client.send(get);
    expect(stage.connects).toBe(3);
  });

  test("an early close tells of a restart, not of a setting", () => {
    const { stage, client } = warm();
    stage.advance(500);
    stage.origin(0).end();
    client.send(get);
    stage.origin(1).send(answer());
    stage.advance(3_900);
    client.send(get);
    expect(stage.connects).toBe(2);
  });
});

describe("another try", () => {
  const two = 2;

  test("a refused or failed connect goes to another endpoint, whatever the method", () => {
    for (const welcome of ["refused", "unreachable"] as const) {
      for (const request of [get, post]) {
        const stage = new Stage({ pools: [poolPlan(two)] });
        const asked: number[] = [];
        stage.network.welcome = (address) => {
          asked.push(address.kind === "tcp" ? address.port : 0);
          return asked.length === 1 ? welcome : "open";
        };
        const client = stage.asking(request);
        expect(new Set(asked).size).toBe(2);
        expect(stage.origin().text).toEndWith(request === post ? "\r\n\r\nabc" : "\r\n\r\n");
        stage.origin().send(answer());
        expect(statusOf(client.text)).toBe(200);
        expect(stage.records).toMatchObject([{ attempts: 2, fault: "", status: 200 }]);
        expect(stage.faults).toEqual({});
        expect([stage.endpointCell("inFlight", 0), stage.endpointCell("inFlight", 1)]).toEqual([0, 0]);
      }
    }
  });

  test("no more tries than the plan allows", () => {
    for (const attempts of [1, 2, 3]) {
      const stage = new Stage({ pools: [poolPlan(4, { retry: { ...poolPlan().retry, attempts } })] });
      stage.network.welcome = () => "refused";
      const client = stage.asking(get);
      expect(stage.connects).toBe(attempts);
      expect(statusOf(client.text)).toBe(502);
      expect(stage.faults).toEqual({ "connect-refused": 1 });
    }
  });

  test("no more than the budget allows", () => {
    // Five endpoints: whichever is put out, another one is asked.
    const stage = new Stage({ pools: [poolPlan(5)] });
    stage.network.welcome = () => "unreachable";
    for (let i = 0; i < 100; i++) stage.asking(get);
    expect(stage.poolCell("retries")).toBe(30);
    expect(stage.poolCell("retriesDenied")).toBe(70);
  });

  test("a reused connection that dies without a word: what is idempotent is sent again on a fresh one", () => {
    for (const death of ["end", "reset"] as const) {
      const { stage, client } = warm();
      client.send(get);
      expect(stage.connects).toBe(1);
      stage.origin(0)[death]();
      expect(stage.connects).toBe(2);
      stage.origin(1).send(answer("again"));
      expect(client.text).toEndWith("again");
      // The same bytes, id and all, but for the line that tells of it.
      const sent = stage.origin(1).text.replace("X-Plimsoll-Attempt: 2\r\n", "");
      expect(sent.length).toBe(stage.origin(1).text.length - 23);
      expect(stage.origin(0).text).toEndWith(sent);
    }
  });

  test("and what is not is not", () => {
    for (const request of [post, "PATCH / HTTP/1.1\r\nHost: a\r\n\r\n", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n"]) {
      const { stage, client } = warm();
      client.send(request);
      stage.origin(0).end();
      expect(stage.connects).toBe(1);
      expect(statusOf(client.text)).toBe(502);
      expect(stage.faults).toEqual({ "upstream-closed": 1 });
    }
  });

  test("nor is anything whose answer is not right", () => {
    const ends: readonly [string, FaultCode][] = [
      ["HTTP/1.1 abc\r\n\r\n", "answer-malformed"],
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "answer-coding-unsupported"],
      [`HTTP/1.1 200 OK\r\nA: ${"b".repeat(40_000)}\r\n\r\n`, "answer-head-too-large"],
      ["HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: y\r\n\r\n", "answer-upgrade-unasked"],
      ["HTTP/1.1 100 C\r\n\r\n".repeat(17), "answer-malformed"],
    ];
    for (const [bytes, code] of ends) {
      const { stage, client } = warm();
      client.send(get);
      stage.origin(0).send(bytes);
      stage.origin(0).end();
      expect(stage.faults).toEqual({ [code]: 1 });
      expect(stage.connects).toBe(1);
      expect(client.text).toContain(`HTTP/1.1 ${faults[code].status} `);
      expect(stage.origin(0).over).toBeTrue();
    }
  });

  test("an answer that is cut or badly coded resets the client, whole it must not look", () => {
    const cut = [
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\nzz\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\n0\r\n",
    ];
    for (const bytes of cut) {
      const { stage, client } = begun();
      stage.origin().send(bytes);
      stage.origin().end();
      expect(client.wasReset).toBeTrue();
      expect(client.text).not.toContain("0\r\n\r\n");
      expect(stage.faults).toEqual({ "answer-truncated": 1 });
    }
    const { stage, client } = begun();
    stage.origin().send("HTTP/1.1 200 OK\r\n\r\nuntil the en");
    stage.origin().reset();
    expect(client.wasReset).toBeTrue();
  });
});

describe("the queue", () => {
  const limits = { inFlight: 1, queue: 2, queueTimeout: 1_000 };

  test("serves in the order of arrival, bodies that waited included, on the connection that became free", () => {
    const { stage, client } = begun({ limits });
    const second = stage.asking(post);
    const third = stage.asking(get);
    expect(second.flowing).toBeFalse();
    stage.origin().send(answer("1"));
    expect(stage.connects).toBe(1);
    expect(stage.origin().text).toEndWith("\r\n\r\nabc");
    expect(second.flowing).toBeTrue();
    stage.origin().send(answer("2"));
    stage.origin().send(answer("3"));
    expect([client, second, third].map(({ text }) => text.at(-1))).toEqual(["1", "2", "3"]);
    expect(stage.records.map(({ queueMs }) => queueMs)).toEqual([-1, 0, 0]);
    expect(stage.poolCell("queued")).toBe(0);
  });

  test("a body that is larger than what was read before it waited comes whole", () => {
    const { stage } = begun({ limits });
    const second = stage.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    second.send("def");
    stage.origin().send(answer());
    second.send("ghi");
    expect(stage.origin().text).toEndWith("\r\n\r\nabcdefghi");
    stage.origin().send(answer("done"));
    expect(second.text).toEndWith("done");
  });

  test("is full at its limit: 503 at once", () => {
    const { stage } = begun({ limits });
    const clients = [stage.asking(get), stage.asking(get), stage.asking(get)];
    expect(clients.map(({ text }) => statusOf(text))).toEqual([0, 0, 503]);
    expect(stage.faults).toEqual({ "pool-queue-full": 1 });
  });

  test("is left by clients that go away", () => {
    const { stage, client } = begun({ limits });
    const second = stage.asking(get);
    second.reset();
    expect(stage.poolCell("queued")).toBe(0);
    stage.origin().send(answer());
    expect(statusOf(client.text)).toBe(200);
    expect(stage.endpointCell("requests")).toBe(1);
    expect(stage.faults).toEqual({ "client-gone": 1 });
  });

  test("a pool of nobody refuses", () => {
    const stage = new Stage({ pools: [poolPlan(0)] });
    expect(statusOf(stage.asking(get).text)).toBe(503);
    expect(stage.faults).toEqual({ "pool-unusable": 1 });
  });
});

describe("a client that goes away", () => {
  test("takes its exchange with it, wherever that stands", () => {
    const stages: readonly ((stage: Stage) => void)[] = [
      () => undefined,
      (stage) => stage.origin().send("HTTP/1.1 200 OK\r\nContent-Le"),
      (stage) => stage.origin().send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"),
    ];
    for (const until of stages) {
      const { stage, client } = begun();
      until(stage);
      client.reset();
      expect(stage.origin().wasReset).toBeTrue();
      expect(stage.faults).toEqual({ "client-gone": 1 });
      expect(stage.endpointCell("inFlight")).toBe(0);
      expect(stage.wheel.size).toBe(0);
    }
    const stage = new Stage();
    stage.network.welcome = () => "silent";
    stage.asking(get).reset();
    expect(stage.network.connects[0]?.state).toBe("closed");
    expect(stage.endpointCell("inFlight")).toBe(0);
  });
});
