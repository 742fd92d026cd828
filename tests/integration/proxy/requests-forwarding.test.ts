// What an origin gets is canonical: the request line and framing are our own, what belongs to the client's hop is gone, and
// of forwarding fields it gets those that can be believed.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Answer } from "@plimsoll/testbed/answers";
import type { SeenRequest } from "@plimsoll/testbed/script";
import { echo } from "@plimsoll/testbed/scripts";
import { type EngineUnderTest, startEngine, withEngine } from "./engine-under-test.ts";
import type { ListenerOptions, RouteOptions } from "./plans.ts";

type Lines = readonly (readonly [string, string])[];
type Engine = EngineUnderTest<"app">;

const id = expect.stringMatching(/^[0-9a-f]{32}$/) as unknown as string;
let under: Engine;

beforeAll(async () => {
  under = await startEngine({ app: echo() });
});

afterAll(async () => {
  await under.close();
});

/** Sends a request and returns it as the origin saw it. */
async function forwarded(bytes: string, engine: Engine = under): Promise<SeenRequest> {
  const count = engine.origin().requests.length;
  const client = await engine.connect();
  await client.send(bytes);
  const answer: Answer = await client.readAnswer({ method: bytes.split(" ")[0] ?? "GET" });
  expect(answer.status).toBe(200);
  client.close();
  return engine.origin().request(count + 1);
}

/** The fields that we add, for a client that is not trusted. */
function ours(host = "x.test", engine: Engine = under, via = "1.1"): Lines {
  return [
    ["X-Forwarded-For", "127.0.0.1"],
    ["X-Forwarded-Proto", "http"],
    ["X-Forwarded-Host", host],
    ["X-Forwarded-Port", String(engine.port)],
    ["Forwarded", `for=127.0.0.1;host=${/[:[]/.test(host) ? `"${host}"` : host};proto=http`],
    ["Via", `${via} plimsoll`],
    ["X-Request-Id", id],
  ];
}

function request(...lines: readonly string[]): string {
  return ["GET /a?b=c HTTP/1.1", "Host: x.test", ...lines, "", ""].join("\r\n");
}

async function withListener(
  listener: ListenerOptions,
  body: (engine: Engine) => Promise<void>,
  route: RouteOptions = {},
): Promise<void> {
  await withEngine(
    { app: echo() },
    ({ app }) => ({ listener, routes: [route], pools: { app: { endpoints: [app] } } }),
    body,
  );
}

describe("the request line", () => {
  test("goes on as it came", async () => {
    const { method, target } = await forwarded("M-SEARCH /a%20b//../c;d?e=%zz&f HTTP/1.1\r\nHost: x.test\r\n\r\n");
    expect([method, target]).toEqual(["M-SEARCH", "/a%20b//../c;d?e=%zz&f"]);
  });

  test("an absolute target becomes a path", async () => {
    const targets = ["http://x.test/a?b", "HTTP://X.test:80/a?b", "http://x.test", "http://x.test?b"];
    const seen: string[] = [];
    for (const target of targets) seen.push((await forwarded(`GET ${target} HTTP/1.1\r\nHost: x.test\r\n\r\n`)).target);
    expect(seen).toEqual(["/a?b", "/a?b", "/", "/?b"]);
  });

  test("OPTIONS for the whole server", async () => {
    const star = await forwarded("OPTIONS * HTTP/1.1\r\nHost: x.test\r\n\r\n");
    const absolute = await forwarded("OPTIONS http://x.test HTTP/1.1\r\nHost: x.test\r\n\r\n");
    expect([star.target, absolute.target]).toEqual(["*", "*"]);
  });

  test("HTTP/1.0 and HTTP/1.7 become HTTP/1.1", async () => {
    // The strict reader of the origin refuses other versions; Via tells which it was (RFC 9110 §7.6.3).
    const old = await forwarded("GET / HTTP/1.0\r\nHost: x.test\r\n\r\n");
    expect(old.headers).toEqual([["Host", "x.test"], ...ours("x.test", under, "1.0")]);
    const next = await forwarded("GET / HTTP/1.7\r\nHost: x.test\r\n\r\n");
    expect(next.headers).toEqual([["Host", "x.test"], ...ours()]);
  });
});

describe("fields", () => {
  test("pass in their order, with their case, repeated as they were", async () => {
    const lines = ["b: 1", "A: 2", "b: 3", "Cookie: a=1", "Cookie: b=2", "X-Empty: ", "Accept: \xe4"];
    const { headers } = await forwarded(request(...lines));
    expect(headers).toEqual([
      ["Host", "x.test"],
      ["b", "1"],
      ["A", "2"],
      ["b", "3"],
      ["Cookie", "a=1"],
      ["Cookie", "b=2"],
      ["X-Empty", ""],
      ["Accept", "\xe4"],
      ...ours(),
    ]);
  });

  test("white space around values is not passed on", async () => {
    await forwarded(request("A:1", "B: \t 2 \t ", "C:"));
    // Through the raw bytes: the parsed ones are trimmed.
    const last = under.origin().requests.at(-1)!;
    expect(last.headers.slice(1, 4)).toEqual([
      ["A", "1"],
      ["B", "2"],
      ["C", ""],
    ]);
  });

  test("of this hop stay behind", async () => {
    const { headers } = await forwarded(
      request(
        "Connection: keep-alive, X-One , x-two,,TE",
        "Connection: X-Three",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic eA==",
        "TE: gzip",
        "Trailer: X-Sum",
        "Upgrade: example/1",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
        "x-one: 1",
        "X-TWO: 2",
        "X-Three: 3",
        "X-Four: 4",
      ),
    );
    expect(headers).toEqual([["Host", "x.test"], ["X-Four", "4"], ...ours()]);
  });

  test("that applications decide by cannot be named by Connection", async () => {
    const lines = ["Cookie: a=1", "Authorization: Basic eA==", "Content-Type: text/plain"];
    const { headers } = await forwarded(
      request("Connection: host, cookie, authorization, content-type, x-forwarded-for, via, x-request-id", ...lines),
    );
    expect(headers.slice(0, 4)).toEqual([
      ["Host", "x.test"],
      ["Cookie", "a=1"],
      ["Authorization", "Basic eA=="],
      ["Content-Type", "text/plain"],
    ]);
    expect(headers.slice(4)).toEqual([...ours()]);
  });

  test("TE: trailers is said anew, and nothing else of TE", async () => {
    const { headers } = await forwarded(request("TE: gzip;q=0.5, trailers", "Connection: TE"));
    expect(headers).toEqual([["Host", "x.test"], ["Connection", "TE"], ["TE", "trailers"], ...ours()]);
  });

  test("an upgrade is asked for anew", async () => {
    const { headers } = await forwarded(request("Connection: foo, Upgrade", "Upgrade:  WebSocket ", "Foo: bar"));
    expect(headers).toEqual([["Host", "x.test"], ["Connection", "upgrade"], ["Upgrade", "WebSocket"], ...ours()]);
  });

  test("an upgrade to another HTTP, without Connection, in HTTP/1.0 or with a body is not", async () => {
    for (const bytes of [
      request("Connection: Upgrade", "Upgrade: h2c"),
      request("Upgrade: websocket"),
      "GET / HTTP/1.0\r\nHost: x.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: x.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\na",
    ]) {
      const seen = await forwarded(bytes);
      expect([seen.header("upgrade"), seen.header("connection")]).toEqual([undefined, undefined]);
    }
  });

  test("with an underscore are dropped, refused or passed as the listener says", async () => {
    const bytes = request("X_Forwarded_For: 1.2.3.4", "X-Ok: 1");
    expect((await forwarded(bytes)).headers).toEqual([["Host", "x.test"], ["X-Ok", "1"], ...ours()]);
    await withListener({ underscores: "pass" }, async (engine) => {
      expect((await forwarded(bytes, engine)).header("x_forwarded_for")).toBe("1.2.3.4");
    });
    await withListener({ underscores: "reject" }, async (engine) => {
      const client = await engine.connect();
      await client.send(bytes);
      expect((await client.readAnswer()).status).toBe(400);
      expect(await client.readEnd()).toBe("fin");
      expect(engine.origin().requests).toEqual([]);
    });
  });

  test("of tracing pass", async () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const seen = await forwarded(request(`traceparent: ${traceparent}`, "tracestate: a=b"));
    expect([seen.header("traceparent"), seen.header("tracestate")]).toEqual([traceparent, "a=b"]);
  });

  test("a thousand short ones, where the listener allows them", async () => {
    // "a:b" grows by a space each on its way: no head may outgrow the room that was made for it.
    const lines = Array.from({ length: 990 }, (_, i) => `h${i}:v`);
    await withListener({ limits: { fields: 1000, headBytes: 65_536 } }, async (engine) => {
      const { headers } = await forwarded(request(...lines), engine);
      expect(headers.slice(1, 991)).toEqual(lines.map((line) => line.split(":") as [string, string]));
      expect(headers.slice(991)).toEqual([...ours("x.test", engine)]);
    });
  });
});

describe("framing is our own", () => {
  test("a length is written once, in plain digits", async () => {
    const seen = await forwarded("POST / HTTP/1.1\r\ncontent-length:  003\t\r\nHost: x.test\r\n\r\nabc");
    expect(seen.headers).toEqual([["Host", "x.test"], ["Content-Length", "3"], ...ours()]);
    expect(Buffer.from(seen.body).toString()).toBe("abc");
  });

  test("a length of 0 is kept", async () => {
    const seen = await forwarded("POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 0\r\n\r\n");
    expect(seen.header("content-length")).toBe("0");
  });

  test("chunks are written anew, extensions and trailers stay behind", async () => {
    const count = under.origin().connections.length;
    const seen = await forwarded(
      "POST / HTTP/1.1\r\nHost: x.test\r\nTRANSFER-ENCODING:\tChunked\r\nTrailer: X-Sum\r\n\r\n" +
        '0003;a="b"\r\nabc\r\n00;last\r\nX-Sum: 1\r\n\r\n',
    );
    expect(seen.headers).toEqual([["Host", "x.test"], ["Transfer-Encoding", "chunked"], ...ours()]);
    expect(Buffer.from(seen.body).toString()).toBe("abc");
    expect(under.origin().connections.length).toBeLessThanOrEqual(count + 1);
  });
});

describe("Host", () => {
  test("is kept as it was, with its port and its case", async () => {
    for (const host of ["Example.COM:8080", "[2001:db8::1]:80", "example.com.", "a_b.test"]) {
      const seen = await forwarded(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      expect(seen.headers).toEqual([["Host", host], ...ours(host)]);
    }
  });

  test("is made for HTTP/1.0 without one", async () => {
    const seen = await forwarded("GET / HTTP/1.0\r\n\r\n");
    expect(seen.header("host")).toBe("plimsoll");
    expect(seen.header("x-forwarded-host")).toBeUndefined();
    const absolute = await forwarded("GET http://x.test/a HTTP/1.0\r\n\r\n");
    expect([absolute.target, absolute.header("host")]).toEqual(["/a", "x.test"]);
  });
});

describe("who the client is", () => {
  const claims = [
    "X-Forwarded-For: 1.1.1.1",
    "X-Forwarded-For: 2.2.2.2",
    "x-forwarded-proto: https",
    "X-Forwarded-Host: evil",
    "X-Forwarded-Port: 1",
    "Forwarded: for=1.1.1.1;proto=https",
    "X-Request-Id: mine",
    "Via: 1.0 elsewhere",
  ];

  test("claims of a client that is not trusted are dropped; Via stays, it claims nothing", async () => {
    const { headers } = await forwarded(request(...claims));
    expect(headers).toEqual([["Host", "x.test"], ["Via", "1.0 elsewhere"], ...ours()]);
  });

  test("a trusted proxy is believed and added to", async () => {
    await withListener({ trustedProxies: ["127.0.0.0/8", "2.2.2.2/32"] }, async (engine) => {
      const { headers } = await forwarded(request(...claims), engine);
      expect(headers).toEqual([
        ["Host", "x.test"],
        ["X-Request-Id", "mine"],
        ["Via", "1.0 elsewhere"],
        ["X-Forwarded-For", "1.1.1.1, 2.2.2.2, 127.0.0.1"],
        ["X-Forwarded-Proto", "https"],
        ["X-Forwarded-Host", "evil"],
        ["X-Forwarded-Port", "1"],
        ["Forwarded", "for=1.1.1.1;proto=https, for=127.0.0.1;host=x.test;proto=http"],
        ["Via", "1.1 plimsoll"],
      ]);
      expect((await engine.record(0)).client).toBe("1.1.1.1");
    });
  });

  test("other X-Forwarded fields and X-Real-IP pass from a trusted proxy only: applications build addresses of them", async () => {
    const lines = ["X-Forwarded-Prefix: /evil", "X-Forwarded-Ssl: on", "x-real-ip: 9.9.9.9", "X-Forwarded: kept"];
    expect((await forwarded(request(...lines))).headers).toEqual([
      ["Host", "x.test"],
      ["X-Forwarded", "kept"],
      ...ours(),
    ]);
    await withListener({ trustedProxies: ["127.0.0.0/8"] }, async (engine) => {
      const { headers } = await forwarded(request(...lines), engine);
      expect(headers.slice(1, 5)).toEqual([
        ["X-Forwarded-Prefix", "/evil"],
        ["X-Forwarded-Ssl", "on"],
        ["x-real-ip", "9.9.9.9"],
        ["X-Forwarded", "kept"],
      ]);
    });
  });

  test("Max-Forwards counts down for OPTIONS and TRACE, ends here at 0, and is nobody's business otherwise", async () => {
    const asked = (method: string, left: string) => request(`Max-Forwards: ${left}`).replace("GET", method);
    const counted = await forwarded(asked("OPTIONS", "5"));
    expect(counted.headers).toEqual([["Host", "x.test"], ["Max-Forwards", "4"], ...ours()]);
    const traced = await forwarded(asked("TRACE", "1"));
    expect(traced.headers).toContainEqual(["Max-Forwards", "0"]);
    expect((await forwarded(asked("GET", "0"))).headers).toContainEqual(["Max-Forwards", "0"]);
    expect((await forwarded(asked("OPTIONS", "many"))).headers).toContainEqual(["Max-Forwards", "many"]);
    const seen = under.origin().requests.length;
    for (const [method, status] of [
      ["OPTIONS", 200],
      ["TRACE", 501],
    ] as const) {
      const client = await under.connect();
      await client.send(asked(method, "0"));
      expect((await client.readAnswer({ method })).status).toBe(status);
      client.close();
    }
    expect(under.origin().requests.length).toBe(seen);
  });

  test("a trusted proxy that says nothing gets what anybody gets", async () => {
    await withListener({ trustedProxies: ["127.0.0.1"] }, async (engine) => {
      const { headers } = await forwarded(request(), engine);
      expect(headers).toEqual([["Host", "x.test"], ...ours("x.test", engine)]);
    });
  });

  test("the chain is believed from its right end, up to the first that is not trusted", async () => {
    await withListener({ trustedProxies: ["127.0.0.1", "10.0.0.0/8"] }, async (engine) => {
      const chains: readonly (readonly [chain: string, client: string])[] = [
        ["6.6.6.6, 5.5.5.5, 10.0.0.1", "5.5.5.5"],
        ["10.0.0.2, 10.0.0.1", "10.0.0.2"],
        ["5.5.5.5:4711", "5.5.5.5"],
        ["[2001:db8::1]:4711, 10.0.0.1", "2001:db8::1"],
        ["2001:db8::1", "2001:db8::1"],
        // What is no address was put there by nobody who knows one: the proxy before it is as far as belief goes.
        ["5.5.5.5, unknown, 10.0.0.1", "10.0.0.1"],
        ["5.5.5.5, <script>", "127.0.0.1"],
        ["5.5.5.5,, 10.0.0.1", "10.0.0.1"],
        [",", "127.0.0.1"],
      ];
      for (const [index, [chain, client]] of chains.entries()) {
        await forwarded(request(`X-Forwarded-For: ${chain}`), engine);
        expect([chain, (await engine.record(index)).client]).toEqual([chain, client]);
      }
    });
  });

  test("an id of a trusted proxy is kept once, and not if it is empty or endless", async () => {
    await withListener({ trustedProxies: ["127.0.0.1"] }, async (engine) => {
      const ids = async (...lines: readonly string[]): Promise<readonly (string | undefined)[]> =>
        (await forwarded(request(...lines), engine)).headers
          .filter(([name]) => name.toLowerCase() === "x-request-id")
          .map(([, value]) => value);
      expect(await ids("X-Request-Id: one", "X-Request-Id: two")).toEqual(["one"]);
      expect(await ids("X-Request-Id:", "X-Request-Id: two")).toEqual(["two"]);
      expect(await ids(`X-Request-Id: ${"a".repeat(200)}`)).toEqual([id]);
    });
  });

  test("ids differ from request to request", async () => {
    const ids = new Set<string | undefined>();
    for (let n = 0; n < 40; n++) ids.add((await forwarded(request())).header("x-request-id"));
    expect(ids.size).toBe(40);
  });
});

describe("header edits of a route", () => {
  test("come after everything else", async () => {
    const requestHeaders: RouteOptions["requestHeaders"] = {
      set: [
        ["x-team", "kitchen"],
        ["host", "inside.test"],
      ],
      add: [["x-more", "two"]],
      remove: ["x-secret", "user-agent"],
    };
    await withListener(
      {},
      async (engine) => {
        const seen = await forwarded(request("X-Team: evil", "X-More: one", "X-Secret: s", "User-Agent: u"), engine);
        const values = (name: string): readonly string[] =>
          seen.headers.filter(([one]) => one.toLowerCase() === name).map(([, value]) => value);
        expect(["x-team", "x-more", "x-secret", "user-agent", "host"].map(values)).toEqual([
          ["kitchen"],
          ["one", "two"],
          [],
          [],
          ["inside.test"],
        ]);
        expect(seen.header("x-forwarded-host")).toBe("x.test");
      },
      { requestHeaders },
    );
  });
});
