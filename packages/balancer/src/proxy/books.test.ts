// What the access log is told of an exchange, from its first byte to its last.
import { describe, expect, test } from "bun:test";
import { listenerPlan, poolPlan, routePlan } from "./fixtures/plans.ts";
import { answer, get, Stage } from "./fixtures/stage.ts";

describe("the record", () => {
  test("of an exchange that went well", () => {
    const stage = new Stage();
    stage.network.welcome = () => "silent";
    const client = stage.asking(
      "POST /a?b HTTP/1.1\r\nHost: Shop:80\r\nUser-Agent: x\r\nReferer: y\r\nContent-Length: 3\r\n\r\nabc",
    );
    stage.advance(100);
    stage.network.connects[0]?.open();
    stage.network.run();
    stage.advance(50);
    stage.origin().send("HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhe");
    stage.advance(25);
    expect(stage.records).toEqual([]);
    stage.origin().send("llo");
    const id = /X-Request-Id: (\S+)/.exec(stage.origin().text)?.[1] ?? "";
    expect(stage.records).toMatchObject([
      {
        time: 1_767_225_600_000 + 100_000,
        listener: "web",
        route: "all",
        pool: "app",
        endpoint: "127.0.0.1:3000",
        client: "192.0.2.7",
        method: "POST",
        target: "/a?b",
        host: "Shop:80",
        protocol: "HTTP/1.1",
        status: 201,
        bytesIn: 3,
        bytesOut: 5,
        durationMs: 175,
        upstreamMs: 50,
        connectMs: 100,
        queueMs: -1,
        attempts: 1,
        fault: "",
        requestId: id,
        userAgent: "x",
        referer: "y",
        reusedConnection: false,
      },
    ]);
    expect(client.text).toEndWith("hello");
  });

  test("of what no endpoint saw", () => {
    const stage = new Stage({ listeners: [listenerPlan({ routes: [] })] });
    stage.asking(get);
    stage.asking("nonsense\r\n\r\n");
    expect(stage.records).toMatchObject([
      {
        status: 404,
        fault: "route-not-found",
        route: "",
        pool: "",
        endpoint: "",
        attempts: 0,
        upstreamMs: -1,
        method: "GET",
      },
      { status: 400, fault: "request-malformed", method: "", target: "", client: "192.0.2.7" },
    ]);
  });

  test("has nothing of the request before on the same connection", () => {
    const stage = new Stage();
    const client = stage.asking("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nUser-Agent: u\r\n\r\nab");
    stage.origin().send(answer());
    client.send(`GET /y HTTP/1.1\r\nHost: b\r\n\r\n`);
    stage.origin().send(answer(""));
    client.send("junk\x00\r\n\r\n");
    const [, second, third] = stage.records;
    expect(second).toMatchObject({ target: "/y", host: "b", userAgent: "", bytesIn: 0, bytesOut: 0, method: "GET" });
    expect(third).toMatchObject({
      target: "",
      route: "",
      endpoint: "",
      attempts: 0,
      reusedConnection: false,
      bytesIn: 0,
    });
    expect(new Set(stage.records.map(({ requestId }) => requestId)).size).toBe(3);
  });

  test("of a client behind a trusted proxy", () => {
    const stage = new Stage({ listeners: [listenerPlan({ trustedProxies: ["10.0.0.0/8"] })] });
    stage.asking(
      "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\nX-Request-Id: theirs\r\n\r\n",
      "10.0.0.1",
    );
    stage.origin().send(answer());
    expect(stage.records).toMatchObject([{ client: "203.0.113.9", requestId: "theirs" }]);
  });

  test("of a fixed answer to HEAD: no body bytes", () => {
    const action = { kind: "fixed", status: 200, contentType: "text/plain", body: "four" } as const;
    const stage = new Stage({ listeners: [listenerPlan({ routes: [routePlan({ action })] })] });
    stage.asking("GET / HTTP/1.0\r\n\r\n");
    stage.asking("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(stage.records).toMatchObject([
      { status: 200, bytesOut: 4, protocol: "HTTP/1.0" },
      { status: 200, bytesOut: 0, protocol: "HTTP/1.1" },
    ]);
  });
});

test("counters: listener, endpoint and pool agree", () => {
  const stage = new Stage({ pools: [poolPlan(1)] });
  const client = stage.asking(get + get);
  stage.origin().send(answer("a", "", 200));
  stage.origin().send(answer("b", "", 404));
  expect(stage.listenerCell("requests")).toBe(2);
  expect(stage.listenerCell("answers2xx")).toBe(1);
  expect(stage.listenerCell("answers4xx")).toBe(1);
  expect(stage.endpointCell("requests")).toBe(2);
  expect(stage.endpointCell("answers2xx")).toBe(1);
  expect(stage.endpointCell("answers4xx")).toBe(1);
  expect(stage.endpointCell("connects")).toBe(1);
  expect(stage.endpointCell("reuses")).toBe(1);
  expect(stage.poolCell("requests")).toBe(2);
  expect(stage.listenerCell("bytesIn")).toBe(get.length * 2);
  expect(stage.listenerCell("bytesOut")).toBe(client.received.length);
  expect(stage.endpointCell("bytesUp")).toBe(stage.origin().received.length);
  expect(stage.endpointCell("bytesDown")).toBe(answer("a").length + answer("b", "", 404).length);
});

test("every answer is to a request, also to one that could not be read", () => {
  const stage = new Stage();
  for (const bytes of ["GET / HTTP/1.1\r\n\r\n", "nonsense\r\n\r\n", "GET / HTTP/3.1\r\nHost: a\r\n\r\n"])
    stage.asking(bytes);
  stage.asking("GET / HT");
  stage.advance(11_000);
  expect(stage.listenerCell("requests")).toBe(4);
  expect(stage.listenerCell("answers4xx") + stage.listenerCell("answers5xx")).toBe(4);
});
