// One client connection: pipelining, keep-alive, half-close and slow readers, cut at every byte.
import { describe, expect, test } from "bun:test";
import { type StrictAnswer, readStrictAnswers, readStrictRequests } from "@plimsoll/wire/http1/strict-reader";
import type { Peer } from "./fixtures/network.ts";
import { listenerPlan, onPath, poolPlan, routePlan } from "./fixtures/plans.ts";
import { answer, get, Stage } from "./fixtures/stage.ts";

function answers(client: Peer, methods: readonly string[]): readonly StrictAnswer[] {
  return readStrictAnswers(client.received, methods, { closed: client.ended });
}

function bodies(client: Peer, methods: readonly string[] = ["GET", "GET", "GET", "GET"]): string[] {
  return answers(client, methods).map(({ body }) => Buffer.from(body).toString("latin1"));
}

/** Lets every origin answer each request it has with the request's own target and body. */
function echo(stage: Stage): void {
  stage.network.welcome = (_, connection) => {
    const { peer } = connection;
    let served = 0;
    peer.onArrival = () => {
      const requests = readStrictRequests(peer.received, { partial: true });
      for (const { target, body } of requests.slice(served)) {
        served++;
        peer.send(answer(`${target}:${Buffer.from(body).toString("latin1")}`));
      }
    };
    return "open";
  };
}

const three =
  "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n" +
  "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" +
  "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";

test.each(["X-Forwarded-Port", "Forwarded", "Via"])(
  "each request of a connection goes without %s where it is removed",
  (name) => {
    const requestHeaders = { set: [], add: [], remove: [name.toLowerCase()] };
    const stage = new Stage({ listeners: [listenerPlan({ routes: [routePlan({ requestHeaders })] })] });
    const client = stage.client();
    const names = Array.from({ length: 3 }, () => {
      client.send(get);
      const [request] = readStrictRequests(Buffer.from(stage.origin().news(), "latin1"));
      stage.origin().send(answer());
      return request?.headers.map(([field]) => field);
    });
    expect(names[0]).not.toContain(name);
    expect(names).toEqual([names[0], names[0], names[0]]);
  },
);

describe("pipelining", () => {
  test("three requests cut at every byte get three answers in order", () => {
    for (let at = 0; at <= three.length; at++) {
      const stage = new Stage();
      echo(stage);
      const client = stage.client();
      client.sendCut(three, [at]);
      expect(bodies(client)).toEqual(["/1:", "/2:hello", "/3:abc"]);
      expect(stage.endpointCell("inFlight")).toBe(0);
      expect(stage.connects).toBe(1);
    }
  });

  test("byte by byte, with a client that takes its answers byte by byte", () => {
    const stage = new Stage();
    echo(stage);
    const client = stage.client();
    client.room = 0;
    for (const byte of three) client.send(byte);
    for (let i = 0; i < 2000 && client.received.length < 5000; i++) client.take(1);
    expect(bodies(client)).toEqual(["/1:", "/2:hello", "/3:abc"]);
    expect(client.ended).toBeFalse();
  });

  test("answers that the kernel cuts at every byte arrive whole and in order", () => {
    const whole = new Stage({}, { seed: 5 });
    echo(whole);
    const { length } = whole.asking(three).received;
    for (let first = 0; first < length; first += 3) {
      const stage = new Stage({}, { seed: 5 });
      echo(stage);
      const client = stage.client();
      client.room = first;
      client.send(three);
      expect(client.received.length).toBe(first);
      client.take(1_000_000);
      expect(bodies(client)).toEqual(["/1:", "/2:hello", "/3:abc"]);
    }
  });

  test("answers of our own and of an endpoint keep their order", () => {
    const stage = new Stage({
      listeners: [
        listenerPlan({
          routes: [
            routePlan(),
            routePlan({
              match: onPath("/own"),
              action: { kind: "fixed", status: 200, contentType: "text/plain", body: "own" },
            }),
          ],
        }),
      ],
    });
    echo(stage);
    const one = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
    const client = stage.asking(one("/own") + one("/a") + one("/own") + one("/own") + one("/b"));
    expect(
      bodies(
        client,
        Array.from({ length: 5 }, () => "GET"),
      ),
    ).toEqual(["own", "/a:", "own", "own", "/b:"]);
  });

  test("reading stops when more than 64 KiB of later requests wait, and goes on afterwards", () => {
    const stage = new Stage();
    const client = stage.asking(get);
    let sent = 0;
    for (; client.flowing && sent < 4000; sent++) client.send(get);
    expect(client.flowing).toBeFalse();
    expect(sent * get.length).toBeWithin(64 * 1024, 64 * 1024 + 2 * get.length);
    for (let i = 0; i <= sent; i++) stage.origin().send(answer());
    expect(
      bodies(
        client,
        Array.from({ length: sent + 1 }, () => "GET"),
      ),
    ).toHaveLength(sent + 1);
    expect(client.flowing).toBeTrue();
  });
});

describe("the end of a connection", () => {
  test("a client that half-closes gets the answers to all that it had sent, then the end", () => {
    const stage = new Stage();
    const client = stage.asking(get + get + get);
    client.end();
    for (let i = 0; i < 3; i++) {
      expect(client.closed).toBeFalse();
      stage.origin().send(answer(String(i)));
    }
    expect(bodies(client)).toEqual(["0", "1", "2"]);
    expect(client.text.match(/Connection: close/g)).toHaveLength(1);
    expect(client.closed).toBeTrue();
    expect(stage.engine.open).toBe(0);
  });

  test("half of a request before the end of the client is nothing", () => {
    const stage = new Stage();
    const client = stage.asking(get + get.slice(0, 20));
    client.end();
    stage.origin().send(answer());
    expect(bodies(client)).toEqual(["ok"]);
    expect(client.closed).toBeTrue();
  });

  test("a half-closed client that takes its answer late is closed after the last byte, not by a timer", () => {
    const stage = new Stage();
    const client = stage.asking(get);
    client.room = 10;
    stage.origin().send(answer());
    client.end();
    expect(client.closed).toBeFalse();
    client.take(10_000);
    expect(bodies(client)).toEqual(["ok"]);
    expect(client.closed).toBeTrue();
  });

  test("an end in the middle of a body gives the exchange up", () => {
    const stage = new Stage();
    const client = stage.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    client.end();
    expect(client.wasReset).toBeTrue();
    expect(stage.origin().wasReset).toBeTrue();
    expect(stage.faults).toEqual({ "client-gone": 1 });
    expect(stage.endpointCell("inFlight")).toBe(0);
  });

  test("is not waited for after a request that its client called the last, and is after all others", () => {
    const last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    const post = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\n";
    for (const [request, atOnce] of [
      [last, true],
      ["GET / HTTP/1.0\r\n\r\n", true],
      [`${post}hello`, true],
      // The rest of the body, and what should not be there, may be on their way.
      [post, false],
      [last + get, false],
      // Ended by us.
      [get + get, false],
      ["nonsense\r\n\r\n", false],
    ] as const) {
      const limits = { ...listenerPlan().limits, requestsPerConnection: request === get + get ? 2 : 0 };
      const stage = new Stage({ listeners: [listenerPlan({ limits })] });
      stage.network.welcome = (_, { peer }) => {
        peer.onArrival = () => peer.send(answer("done"));
        return "open";
      };
      const client = stage.client();
      client.send(request);
      expect([request, client.closed, client.closedAtOnce]).toEqual([request, true, atOnce]);
    }
  });

  test("Connection: close, HTTP/1.0 and the request limit end it after the answer", () => {
    const limits = { ...listenerPlan().limits, requestsPerConnection: 2 };
    const cases: readonly [string, string][] = [
      ["GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "Connection: close"],
      ["GET / HTTP/1.0\r\n\r\n", "Connection: close"],
      [get + get, "Connection: close"],
    ];
    for (const [request, line] of cases) {
      const stage = new Stage({ listeners: [listenerPlan({ limits })] });
      echo(stage);
      const client = stage.asking(request + get);
      expect(client.text).toContain(line);
      expect(client.closed).toBeTrue();
      expect(stage.engine.open).toBe(0);
    }
  });

  test("a request limit of 0 is none", () => {
    const limits = { ...listenerPlan().limits, requestsPerConnection: 0 };
    const stage = new Stage({ listeners: [listenerPlan({ limits })] });
    echo(stage);
    const client = stage.asking(get.repeat(4));
    expect(bodies(client)).toHaveLength(4);
    expect(client.ended).toBeFalse();
  });

  test("HTTP/1.0 with keep-alive is told so and stays open", () => {
    const stage = new Stage();
    echo(stage);
    const client = stage.asking("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    expect(client.text).toContain("Connection: keep-alive\r\n");
    expect(client.ended).toBeFalse();
  });

  test("what is malformed is answered, and nothing behind it is read", () => {
    const stage = new Stage();
    echo(stage);
    const client = stage.asking(`${get}GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n${get}`);
    const [first, second, ...rest] = answers(client, ["GET", "GET"]);
    expect(first?.status).toBe(200);
    expect(second?.status).toBe(400);
    expect(rest).toEqual([]);
    expect(client.closed).toBeTrue();
    expect(stage.connects).toBe(1);
  });

  test("more connections than allowed are reset", () => {
    const limits = { ...listenerPlan().limits, maxConnections: 1 };
    const stage = new Stage({ listeners: [listenerPlan({ limits })] });
    const first = stage.client();
    expect(stage.client().wasReset).toBeTrue();
    expect(stage.listenerCell("refused")).toBe(1);
    first.end();
    expect(stage.client().wasReset).toBeFalse();
  });

  test("more connections of one client than allowed are reset, and others are not", () => {
    const limits = { ...listenerPlan().limits, connectionsPerClient: 2 };
    const stage = new Stage({ listeners: [listenerPlan({ limits, trustedProxies: ["10.0.0.0/8"] })] });
    const from = (address: string) => stage.network.client(address);
    const [first] = [from("192.0.2.1"), from("192.0.2.1")];
    expect(from("192.0.2.1").wasReset).toBeTrue();
    expect(stage.listenerCell("refused")).toBe(1);
    expect(stage.listenerCell("open")).toBe(2);
    expect(from("192.0.2.2").wasReset).toBeFalse();
    // Of IPv6 a client has a whole network.
    const six = ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:0:9::1", "2001:db8:0:1::1"].map(from);
    expect(six.map(({ wasReset }) => wasReset)).toEqual([false, false, true, false]);
    // A trusted proxy speaks for many.
    expect([1, 2, 3].map(() => from("10.1.2.3").wasReset)).toEqual([false, false, false]);
    first.end();
    expect(from("192.0.2.1").wasReset).toBeFalse();
    expect(from("192.0.2.1").wasReset).toBeTrue();
  });
});

describe("bodies", () => {
  test("a body pauses the client while its endpoint connects, and nothing but one read is held", () => {
    const stage = new Stage();
    stage.network.welcome = () => "silent";
    const client = stage.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc");
    expect(client.flowing).toBeFalse();
    client.send("d".repeat(1000));
    expect(client.unread).toBe(1000);
    stage.network.connects[0]?.open();
    stage.network.run();
    expect(client.flowing).toBeTrue();
    expect(stage.origin().text).toEndWith(`\r\n\r\nabc${"d".repeat(1000)}`);
  });

  test("a body pauses the client while the endpoint does not take it", () => {
    const stage = new Stage();
    const client = stage.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    const origin = stage.origin();
    const { length } = origin.received;
    origin.room = 500;
    client.send("x".repeat(1000));
    client.send("y".repeat(1000));
    expect(client.flowing).toBeFalse();
    expect(origin.received.length).toBe(length + 500);
    origin.take(100);
    expect(client.flowing).toBeFalse();
    origin.take(100_000);
    expect(client.flowing).toBeTrue();
    expect(origin.text).toEndWith(`\r\n\r\n${"x".repeat(1000)}${"y".repeat(1000)}`);
  });

  test("an answer pauses the endpoint while the client does not take it", () => {
    const stage = new Stage();
    const client = stage.asking(get);
    client.room = 300;
    const origin = stage.origin();
    origin.send(`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${"x".repeat(50_000)}`);
    expect(origin.flowing).toBeFalse();
    origin.send("y".repeat(50_000));
    expect(origin.unread).toBe(50_000);
    client.take(20_000);
    expect(origin.flowing).toBeFalse();
    client.take(1_000_000);
    expect(origin.flowing).toBeTrue();
    expect(bodies(client)).toEqual(["x".repeat(50_000) + "y".repeat(50_000)]);
  });

  test("an answer before the body's end closes the connection behind it", () => {
    const stage = new Stage();
    const client = stage.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    stage.origin().send(answer("no", "", 413));
    expect(answers(client, ["POST"])[0]?.status).toBe(413);
    expect(client.closed).toBeTrue();
    expect(stage.origin().closed).toBeTrue();
  });

  test("100 Continue goes through, and the body follows", () => {
    const stage = new Stage();
    const client = stage.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    expect(stage.origin().text).toContain("Expect: 100-continue\r\n");
    stage.origin().send("HTTP/1.1 100 Continue\r\n\r\n");
    expect(client.news()).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    client.send("ok");
    expect(stage.origin().text).toEndWith("\r\n\r\nok");
    stage.origin().send(answer());
    expect(bodies(client, ["POST"])).toEqual(["ok"]);
  });

  test("a body over the route's limit is refused, announced or not", () => {
    const listeners = [listenerPlan({ routes: [routePlan({ maxBodyBytes: 4 })] })];
    const announced = new Stage({ listeners });
    const client = announced.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    expect(answers(client, ["POST"])[0]?.status).toBe(413);
    expect(announced.connects).toBe(0);
    const chunked = new Stage({ listeners });
    const other = chunked.asking("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n");
    expect(other.received.length).toBe(0);
    other.send("1\r\ne\r\n");
    expect(answers(other, ["POST"])[0]?.status).toBe(413);
    expect(chunked.origin().wasReset).toBeTrue();
    expect(chunked.endpointCell("inFlight")).toBe(0);
  });
});

describe("winding down", () => {
  test("a stop closes idle connections, lets the busy finish, and resolves", async () => {
    const stage = new Stage();
    const idle = stage.asking(get);
    stage.origin().send(answer());
    stage.advance(1_000);
    const busy = stage.asking(get);
    const stopped = stage.engine.stop(30_000);
    stage.network.run();
    expect(idle.closed).toBeTrue();
    expect(busy.closed).toBeFalse();
    stage.origin(0).send(answer());
    expect(bodies(busy)).toEqual(["ok"]);
    expect(busy.text).toContain("Connection: close");
    expect(busy.closed).toBeTrue();
    stage.advance(50);
    await stopped;
  });

  test("a connection that was used a moment ago gets an answer to the request that may be on its way", async () => {
    const stage = new Stage();
    const client = stage.asking(get);
    stage.origin().send(answer("one"));
    client.news();
    const quiet = stage.asking(get);
    stage.origin().send(answer("other"));
    stage.advance(100);
    const stopped = stage.engine.stop(30_000);
    stage.advance(800);
    expect([client.closed, quiet.closed]).toEqual([false, false]);
    client.send(get);
    stage.advance(500);
    expect([client.closed, quiet.closed]).toEqual([false, true]);
    stage.origin().send(answer("two"));
    expect(bodies(client)).toEqual(["two"]);
    expect(client.text).toContain("Connection: close");
    expect(client.closed).toBeTrue();
    stage.advance(50);
    await stopped;
  });

  test("a connection that was asked nothing yet keeps the time for its first request, which is answered", async () => {
    const stage = new Stage();
    const [late, silent] = [stage.client(), stage.client()];
    stage.advance(3_000);
    const stopped = stage.engine.stop(30_000);
    stage.advance(3_000);
    expect([late.closed, silent.closed]).toEqual([false, false]);
    late.send(get);
    stage.origin().send(answer("first"));
    expect(bodies(late)).toEqual(["first"]);
    expect(late.text).toContain("Connection: close");
    stage.advance(3_900);
    expect([late.closed, silent.closed]).toEqual([true, false]);
    stage.advance(200);
    expect([silent.closed, silent.text, stage.engine.open]).toEqual([true, "", 0]);
    await stopped;
  });

  test("where memory is needed it has no such time", () => {
    const stage = new Stage();
    const silent = stage.client();
    stage.advance(3_000);
    stage.engine.shed();
    expect(silent.closed).toBe(true);
  });

  test("a stop that is announced: connections are still accepted, and every answer ends its connection", () => {
    const stage = new Stage();
    const before = stage.asking(get);
    stage.engine.announceStop();
    stage.origin().send(answer());
    expect(before.text).toContain("Connection: close");
    expect(before.closed).toBeTrue();
    const after = stage.asking(get);
    stage.origin().send(answer());
    expect(after.text).toStartWith("HTTP/1.1 200 ");
    expect(after.text).toContain("Connection: close");
    expect(after.closed).toBeTrue();
  });

  test("a listener tells whoever routes to it whether it wants traffic, before any route", () => {
    const stage = new Stage({ listeners: [listenerPlan({ readyPath: "/balancer-ready" })] });
    const ask = "GET /balancer-ready?from=router HTTP/1.1\r\nHost: a\r\n\r\n";
    const client = stage.asking(ask);
    expect(client.news()).toMatch(/^HTTP\/1\.1 200 OK\r\n.*no-store.*\r\n\r\nready\n$/s);
    client.send(get);
    stage.origin().send(answer("app"));
    expect(client.news()).toEndWith("app");
    stage.engine.announceStop();
    const again = stage.asking(ask);
    expect(again.text).toMatch(/^HTTP\/1\.1 503 .*Connection: close\r\n.*\r\n\r\nstopping\n$/s);
    expect(again.closed).toBeTrue();
    expect(stage.connects).toBe(1);
  });

  test("an authority finds its challenges on every listener before any route, and only while they are open", () => {
    const challenges = [["token", "token.thumbprint"]] as const;
    const listeners = [listenerPlan({ readyPath: "/ready" })];
    const stage = new Stage({ listeners, challenges });
    const ask = (token: string) => `GET /.well-known/acme-challenge/${token} HTTP/1.1\r\nHost: shop.example\r\n\r\n`;
    const client = stage.asking(ask("token"));
    expect(client.news()).toMatch(/^HTTP\/1\.1 200 OK\r\n.*no-store.*\r\n\r\ntoken\.thumbprint$/s);
    // A token that is not ours may be the application's.
    client.send(ask("other"));
    stage.origin().send(answer("app"));
    expect(client.news()).toEndWith("app");
    const prepared = stage.engine.prepare({ listeners, pools: [poolPlan()] });
    if ("commit" in prepared) prepared.commit();
    client.send(ask("token"));
    stage.origin().send(answer("app again"));
    expect(client.news()).toEndWith("app again");
    expect(stage.defects).toEqual([]);
  });

  test("what is left after the window is cut", async () => {
    const stage = new Stage();
    const busy = stage.asking(get);
    const stopped = stage.engine.stop(1_000);
    stage.advance(1_100);
    expect(busy.wasReset).toBeTrue();
    expect(stage.faults).toEqual({ draining: 1 });
    expect(stage.endpointCell("inFlight")).toBe(0);
    await stopped;
  });

  test("a listener that left the plan closes in the same way, and its pool's queue is served", () => {
    const stage = new Stage({ pools: [poolPlan(1, { limits: { inFlight: 1, queue: 5, queueTimeout: 1_000 } })] });
    const first = stage.asking(get);
    const second = stage.asking(get);
    stage.run({ listeners: [], pools: [] });
    expect(stage.network.listening).toBeFalse();
    stage.origin().send(answer());
    stage.origin().send(answer("two"));
    expect(bodies(first)).toEqual(["ok"]);
    expect(bodies(second)).toEqual(["two"]);
    expect(stage.engine.open).toBe(0);
  });
});

test("connections without a request are closed when their memory is needed, others go on", () => {
  const stage = new Stage();
  const idle = stage.asking(get);
  stage.origin().send(answer("1"));
  const busy = stage.asking(get);
  expect(stage.connects).toBe(1);
  stage.engine.shed();
  stage.network.run();
  stage.advance(2_000);
  expect(idle.ended).toBeTrue();
  stage.origin().send(answer("2"));
  expect(bodies(busy)).toEqual(["2"]);
  // The connection that was busy came back after that, and is kept.
  expect(busy.ended).toBeFalse();
});
