// Answers that the balancer makes by itself: the form by Accept, what tells that it was the balancer and why, the operator's
// own pages, and what the access log is told of these and of all the other outcomes.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { field, textOf, type Answer } from "@plimsoll/testbed/answers";
import { answerText, bytes, closeMidway, echo, neverAnswers } from "@plimsoll/testbed/scripts";
import { eventually } from "@plimsoll/testbed/waiting";
import type { FaultCode } from "../../../packages/balancer/src/base/fault.ts";
import type { AccessRecord } from "../../../packages/balancer/src/observe/access-record.ts";
import { type EngineUnderTest, type Planned, startEngine, withEngine } from "./engine-under-test.ts";

type Engine = EngineUnderTest<"app">;

/** No port answers there. */
const nobody = 1;

const plan: Planned<"app"> = ({ app }) => ({
  routes: [
    { path: "/app/*", name: "app" },
    { path: "/dead", name: "dead", to: "dead" },
    { path: "/small", name: "small", maxBodyBytes: 3 },
    { path: "/fixed", name: "fixed", to: { kind: "fixed", status: 200, contentType: "text/plain", body: "fixed" } },
    { path: "/empty", name: "empty", to: { kind: "fixed", status: 204, contentType: "", body: "" } },
    { path: "/old", name: "old", to: { kind: "redirect", to: "/new", status: 308 } },
  ],
  pools: { app: { endpoints: [app] }, dead: { endpoints: [nobody] } },
});

let under: Engine;

beforeAll(async () => {
  under = await startEngine({ app: echo() }, plan);
});

afterAll(async () => {
  await under.close();
});

async function ask(target: string, lines: readonly string[] = [], method = "GET", engine = under): Promise<Answer> {
  const client = await engine.connect();
  await client.send([`${method} ${target} HTTP/1.1`, "Host: x", ...lines, "", ""].join("\r\n"));
  const answer = await client.readAnswer({ method });
  client.close();
  return answer;
}

describe("an answer to a fault", () => {
  const forms: readonly (readonly [accept: string | undefined, type: string])[] = [
    [undefined, "text/plain; charset=utf-8"],
    ["*/*", "text/plain; charset=utf-8"],
    ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"],
    ["application/json", "application/json"],
    ["application/json, text/plain, */*", "application/json"],
    ["application/problem+json", "application/json"],
    ["text/plain", "text/plain; charset=utf-8"],
    ["text/html;q=0.2, application/json;q=0.9", "application/json"],
    ["text/html; q=0, application/json;q=0.1", "application/json"],
    ["image/png", "text/plain; charset=utf-8"],
    ["TEXT/HTML", "text/html; charset=utf-8"],
    ["text/html;q=nonsense", "text/plain; charset=utf-8"],
    [`${"a/b,".repeat(500)}text/html`, "text/plain; charset=utf-8"],
  ];
  // "/nowhere" is refused before a head was made, "/dead" after it was.
  for (const target of ["/nowhere", "/dead"]) {
    for (const [accept, type] of forms) {
      test(`${target}, Accept: ${accept === undefined ? "none" : accept.slice(0, 60)}`, async () => {
        const answer = await ask(target, accept === undefined ? [] : [`Accept: ${accept}`]);
        expect([answer.status, field(answer, "content-type")]).toEqual([target === "/dead" ? 502 : 404, type]);
      });
    }
  }

  test("says that it was the balancer, why, and under which id", async () => {
    const answer = await ask("/dead", ["Accept: application/json"]);
    const id = field(answer, "x-request-id");
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(field(answer, "proxy-status")).toBe('plimsoll; error=connection_refused; details="connect-refused"');
    expect([field(answer, "cache-control"), field(answer, "connection")]).toEqual(["no-store", undefined]);
    expect(Math.abs(Date.parse(field(answer, "date") ?? "") - Date.now())).toBeLessThan(5000);
    expect(JSON.parse(textOf(answer))).toMatchObject({ status: 502, fault: "connect-refused", requestId: id });
    const record = under.records.find(({ requestId }) => requestId === id);
    expect(record).toMatchObject({ status: 502, fault: "connect-refused", pool: "dead" });
  });

  test("tells a client nothing of what is behind", async () => {
    const answer = await ask("/dead", ["Accept: text/html"]);
    const all = answer.headers.map(([name, value]) => `${name}: ${value}`).join("\n") + textOf(answer);
    expect(all).not.toMatch(/127\.0\.0\.1|ECONN/);
  });

  test("to HEAD has the length of the body and no body", async () => {
    const get = await ask("/nowhere");
    const head = await ask("/nowhere", [], "HEAD");
    expect([head.status, field(head, "content-length"), head.body.length]).toEqual([
      404,
      field(get, "content-length"),
      0,
    ]);
  });

  test("of routing keeps the connection, where the request was read to its end", async () => {
    const client = await under.connect();
    await client.send("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2));
    for (let n = 0; n < 2; n++) {
      const answer = await client.readAnswer();
      expect([answer.status, field(answer, "connection")]).toEqual([404, undefined]);
    }
    await client.send("POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n");
    expect(field(await client.readAnswer(), "connection")).toBe("close");
    expect(await client.readEnd()).toBe("fin");
  });

  test("cannot be made to hold what a client sent", async () => {
    const answer = await ask("/nowhere?<script>alert(1)</script>", ["Accept: text/html", "X-Request-Id: <b>"]);
    expect(textOf(answer)).not.toMatch(/script>|<b>/);
  });
});

test("fixed answers, redirects and empty ones have Date, and length where there is a body", async () => {
  const seen: unknown[] = [];
  for (const target of ["/fixed", "/old", "/empty"]) {
    const answer = await ask(target);
    expect(field(answer, "date")).toMatch(/ GMT$/);
    expect(field(answer, "proxy-status")).toBeUndefined();
    seen.push([answer.status, field(answer, "content-length") !== undefined, field(answer, "location")]);
  }
  expect(seen).toEqual([
    [200, true, undefined],
    [308, true, "/new"],
    [204, false, undefined],
  ]);
});

test("the operator's own pages take the place of ours, the exact status before its class", async () => {
  const errorPages = [
    { status: "404", contentType: "text/html; charset=utf-8", body: "<h1>Nichts zu sehen – 404</h1>" },
    { status: "5xx", contentType: "text/plain", body: "down" },
    { status: "4xx", contentType: "text/plain", body: "yours" },
  ];
  await withEngine(
    { app: echo() },
    (origins) => ({ ...plan(origins), listener: { errorPages } }),
    async (engine) => {
      const seen: unknown[] = [];
      for (const [target, lines] of [
        ["/nowhere", []],
        ["/dead", ["Accept: text/html"]],
        ["/small", ["Content-Length: 4"]],
      ] as const) {
        const answer = await ask(target, lines, "GET", engine);
        expect(field(answer, "proxy-status")).toStartWith("plimsoll; error=");
        expect(field(answer, "x-request-id")).toMatch(/^[0-9a-f]{32}$/);
        seen.push([answer.status, field(answer, "content-type"), Buffer.from(answer.body).toString("utf8")]);
      }
      expect(seen).toEqual([
        [404, "text/html; charset=utf-8", "<h1>Nichts zu sehen – 404</h1>"],
        [502, "text/plain", "down"],
        [413, "text/plain", "yours"],
      ]);
    },
  );
});

describe("the access log", () => {
  /** Sends this on a connection of its own, reads an answer and returns what the log was told. */
  async function logged(request: string, engine = under): Promise<AccessRecord> {
    const before = engine.records.length;
    const client = await engine.connect();
    await client.send(request);
    await client.readAnswer({ method: request.split(" ")[0] ?? "GET" });
    client.close();
    const record = await engine.record(before);
    expect(Math.abs(record.time - Date.now())).toBeLessThan(5000);
    expect(record.durationMs).toBeGreaterThanOrEqual(0);
    return record;
  }

  const nothing: Partial<AccessRecord> = {
    pool: "",
    endpoint: "",
    attempts: 0,
    upstreamMs: -1,
    connectMs: -1,
    queueMs: -1,
    reusedConnection: false,
  };

  test("of an exchange that went well", async () => {
    const request =
      "POST /app/a?b=c HTTP/1.1\r\nHost: Shop.test:80\r\nUser-Agent: test/1\r\nReferer: http://r/\r\n" +
      "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n";
    const record = await logged(request);
    const id = under.origin().requests.at(-1)?.header("x-request-id") ?? "none";
    expect(record).toMatchObject({
      listener: "web",
      route: "app",
      pool: "app",
      endpoint: under.origin().address,
      client: "127.0.0.1",
      method: "POST",
      target: "/app/a?b=c",
      host: "Shop.test:80",
      protocol: "HTTP/1.1",
      status: 200,
      bytesIn: 6,
      bytesOut: 6,
      attempts: 1,
      fault: "",
      requestId: id,
      userAgent: "test/1",
      referer: "http://r/",
      queueMs: -1,
    });
    expect(record.upstreamMs).toBeGreaterThanOrEqual(0);
    expect((await logged(request)).reusedConnection).toBe(true);
  });

  test("of HEAD, HTTP/1.0 and an answer without a body", async () => {
    const head = await logged("HEAD /app/ HTTP/1.0\r\n\r\n");
    expect(head).toMatchObject({ method: "HEAD", protocol: "HTTP/1.0", host: "", status: 200, bytesOut: 0 });
  });

  test("of own answers, with the bytes that really went out", async () => {
    const fixed = await logged("GET /fixed HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(fixed).toMatchObject({ ...nothing, route: "fixed", status: 200, bytesOut: 5, fault: "" });
    const head = await logged("HEAD /fixed HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(head).toMatchObject({ ...nothing, method: "HEAD", status: 200, bytesOut: 0 });
    const refusedHead = await logged("HEAD /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(refusedHead).toMatchObject({ method: "HEAD", status: 404, bytesOut: 0 });
    const old = await logged("GET /old HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(old).toMatchObject({ ...nothing, route: "old", status: 308 });
  });

  const refused: readonly (readonly [fault: FaultCode, request: string, expected: Partial<AccessRecord>])[] = [
    ["route-not-found", "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", { ...nothing, status: 404, route: "" }],
    [
      "request-body-too-large",
      "PUT /small HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n",
      { ...nothing, status: 413 },
    ],
    [
      "connect-refused",
      "GET /dead HTTP/1.1\r\nHost: x\r\n\r\n",
      { status: 502, pool: "dead", endpoint: "127.0.0.1:1" },
    ],
    [
      "request-malformed",
      "GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
      { ...nothing, status: 400, route: "", method: "" },
    ],
    ["request-target-too-long", `GET /${"a".repeat(9000)} HTTP/1.1\r\n`, { ...nothing, status: 414, target: "" }],
    ["request-version-unsupported", "GET / HTTP/3.1\r\n\r\n", { ...nothing, status: 505, host: "" }],
    ["request-method-unsupported", "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", { status: 501, method: "CONNECT" }],
  ];
  for (const [fault, request, expected] of refused) {
    test(`of ${fault}, counted once`, async () => {
      const count = under.faults(fault);
      expect(await logged(request)).toMatchObject({ ...expected, fault, client: "127.0.0.1", listener: "web" });
      expect(under.faults(fault) - count).toBe(1);
    });
  }

  test("of a refusal after a good request tells nothing of the good one", async () => {
    const before = under.records.length;
    const client = await under.connect();
    await client.send(
      "GET /app/ HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nUser-Agent: first\r\n\r\nG@T /\r\n\r\n",
    );
    await client.readAnswer();
    expect((await client.readAnswer()).status).toBe(400);
    expect(await under.record(before + 1)).toMatchObject({
      ...nothing,
      status: 400,
      method: "",
      target: "",
      userAgent: "",
      bytesIn: 0,
      protocol: "HTTP/1.1",
    });
  });

  test("of a chunked body that turns bad", async () => {
    const record = await logged(
      "POST /app/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense\r\n",
    );
    expect(record).toMatchObject({ status: 400, fault: "request-body-malformed", bytesIn: 3, pool: "app" });
  });

  test("of an answer cut short: the status that the client saw, and the fault", async () => {
    const answer = answerText("abcdef");
    await withEngine({ app: closeMidway(answer, answer.length - 3) }, undefined, async (engine) => {
      const client = await engine.connect();
      await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      expect(await client.readEnd()).toBe("rst");
      expect(await engine.record(0)).toMatchObject({ status: 200, fault: "answer-truncated", bytesOut: 3 });
    });
  });

  test("of an answer that is no HTTP", async () => {
    await withEngine({ app: bytes("nonsense\r\n\r\n") }, undefined, async (engine) => {
      const record = await logged("GET / HTTP/1.1\r\nHost: x\r\n\r\n", engine);
      expect(record).toMatchObject({ status: 502, fault: "answer-malformed", attempts: 1 });
    });
  });

  test("of a client that left: no status", async () => {
    await withEngine({ app: neverAnswers() }, undefined, async (engine) => {
      const client = await engine.connect();
      await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      await engine.origin().request(1);
      client.reset();
      expect(await engine.record(0)).toMatchObject({ status: 0, fault: "client-gone", attempts: 1 });
    });
  });

  test("has one line for each request, in order", async () => {
    await withEngine({ app: echo() }, undefined, async (engine) => {
      const client = await engine.connect();
      const targets = Array.from({ length: 50 }, (_, i) => `/${i}`);
      await client.send(targets.map((target) => `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`).join(""));
      for (const _ of targets) await client.readAnswer();
      await eventually("all records", () => engine.records.length >= targets.length);
      expect(engine.records.map(({ target }) => target)).toEqual(targets);
      expect(engine.listener("requests")).toBe(50);
      expect(engine.listener("answers2xx")).toBe(50);
    });
  });
});
