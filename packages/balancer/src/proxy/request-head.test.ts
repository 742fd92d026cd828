// The request head that goes upstream, judged by a reader that shares nothing with the codec: whatever was accepted comes out
// in canonical form, means the same, and fits the room that was made for it.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { AnswerHead, type HeadLimits, RequestHead, requestLimits } from "@plimsoll/wire/http1";
import { readStrictRequests, type StrictRequest } from "@plimsoll/wire/http1/strict-reader";
import { Wheel } from "../net/wheel.ts";
import { blankAccessRecord } from "../observe/access-record.ts";
import { makeWorker } from "../pool/fixtures.ts";
import { assemble } from "./assemble.ts";
import type { EngineContext } from "./engine-context.ts";
import { MemoryNetwork } from "./fixtures/network.ts";
import { listenerPlan, onPath, poolPlan, routePlan } from "./fixtures/plans.ts";
import { tryRequest } from "./fixtures/requests.ts";
import { ForwardingLines } from "./forwarding.ts";
import { HeadBuffer } from "./head-buffer.ts";
import type { ListenerPlan, RoutePlan } from "./plan.ts";
import { buildRequestHead, requestIdFrom, requestIdTo } from "./request-head.ts";
import { shapeRequest } from "./request-shape.ts";

const worker = makeWorker();

interface Setting {
  readonly route?: Partial<RoutePlan>;
  readonly listener?: Partial<ListenerPlan>;
  readonly trusted?: boolean;
  readonly close?: boolean;
  readonly limits?: HeadLimits;
}

interface Forwarded {
  readonly strict: StrictRequest;
  /** Without those that the balancer adds of itself. */
  readonly kept: readonly (readonly [string, string])[];
  readonly id: string;
  value(name: string): string | undefined;
}

const ours = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "forwarded", "via"];
const hop = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "upgrade",
  "http2-settings",
  "proxy-authorization",
  "proxy-authenticate",
];
const framing = ["content-length", "transfer-encoding"];

/** What a request becomes; null where the codec refuses it. */
function forward(text: string, setting: Setting = {}): Forwarded | null {
  const plan = listenerPlan({ ...setting.listener, routes: [routePlan(setting.route)] });
  const found = tryRequest(text, setting.limits ?? requestLimits, plan.underscores);
  if (found === null) return null;
  const snapshot = assemble({ listeners: [plan], pools: [poolPlan()] }, null, worker);
  const listener = snapshot.listeners.get("web");
  const route = listener?.routes[0];
  if (listener === undefined || route === undefined) throw new Error("no route");
  const context: EngineContext = {
    transport: new MemoryNetwork(),
    clock: worker.clock,
    wheel: new Wheel(0),
    random: worker.random,
    cells: worker.table.cells,
    own: worker.table.worker(0),
    log: null,
    handshakeFailed: () => {},
    record: blankAccessRecord(),
    requestHead: new RequestHead(),
    answerHead: new AnswerHead(),
    request: found.request,
    name: "plimsoll",
  };
  const { bytes, head } = found;
  const trusted = setting.trusted === true;
  const sender = {
    address: "192.0.2.7",
    scheme: "http",
    port: 8080,
    certificate: "",
    trusted,
    source: "192.0.2.7",
  } as const;
  const shape = shapeRequest(context, head, listener, route, sender, new ForwardingLines());
  shape.close = setting.close === true;
  const out = new HeadBuffer();
  // Just what was asked for, so that one byte too many is seen.
  out.bytes = new Uint8Array(1);
  buildRequestHead(bytes, head, shape, out);
  expect(out.length).toBeLessThanOrEqual(out.bytes.length);
  const body = bodyFor(head.framing, head.contentLength);
  const wire = Buffer.concat([out.bytes.subarray(0, out.length), Buffer.from(body)]);
  const [strict, ...rest] = readStrictRequests(wire);
  expect(rest).toEqual([]);
  if (strict === undefined) throw new Error("nothing came out");
  const value = (name: string): string | undefined =>
    strict.headers.find(([other]) => other.toLowerCase() === name)?.[1];
  const added = [...ours, ...framing, "host", "x-request-id", "connection", "te", "upgrade"];
  const kept = strict.headers.filter(([name]) => !added.includes(name.toLowerCase()));
  return { strict, kept, value, id: Buffer.from(out.bytes.subarray(requestIdFrom, requestIdTo)).toString("latin1") };
}

function bodyFor(kind: number, length: number): string {
  return kind === 2 ? "0\r\n\r\n" : "x".repeat(Math.max(0, Math.min(length, 1_000_000)));
}

function sure(text: string, setting?: Setting): Forwarded {
  const found = forward(text, setting);
  if (found === null) throw new Error(`refused: ${JSON.stringify(text)}`);
  return found;
}

const lines = (...all: readonly string[]): string =>
  `GET / HTTP/1.1\r\nHost: a\r\n${all.map((l) => `${l}\r\n`).join("")}\r\n`;

describe("by example", () => {
  test("lines that may pass do so untouched and in order", () => {
    const { kept, strict } = sure(lines("Accept: */*", "X-B:b", "X-C:   c \t", "x-empty:", "Accept: text/html"));
    expect(kept).toEqual([
      ["Accept", "*/*"],
      ["X-B", "b"],
      ["X-C", "c"],
      ["x-empty", ""],
      ["Accept", "text/html"],
    ]);
    expect(strict.headers[0]).toEqual(["Host", "a"]);
  });

  test("what belongs to this hop does not", () => {
    const { kept, value } = sure(
      lines(
        "Connection: x-one, close",
        "X-One: 1",
        "Keep-Alive: 5",
        "TE: gzip",
        "Trailer: a",
        "Upgrade: x",
        "X-Two: 2",
      ),
    );
    expect(kept).toEqual([["X-Two", "2"]]);
    expect([value("connection"), value("te"), value("upgrade")]).toEqual([undefined, undefined, undefined]);
  });

  test("who takes trailers is passed on, and so is a connection that is not to be kept", () => {
    expect(sure(lines("TE: trailers")).value("te")).toBe("trailers");
    expect(sure(lines("TE: trailers")).value("connection")).toBe("TE");
    expect(sure(lines(), { close: true }).value("connection")).toBe("close");
  });

  test("a Host that the route sets is the only one, whatever the client sent, and the forwarding fields keep the client's", () => {
    const requestHeaders = { set: [["host", "app.internal:8443"] as const], add: [], remove: [] };
    const cases = {
      "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n": "shop.example",
      "GET http://shop.example/ HTTP/1.1\r\nhost:  Shop.example:80\r\n\r\n": "Shop.example:80",
      "GET / HTTP/1.0\r\n\r\n": undefined,
    };
    for (const [text, client] of Object.entries(cases)) {
      const { strict, value } = sure(text, { route: { requestHeaders } });
      const hosts = strict.headers.filter(([name]) => name.toLowerCase() === "host");
      expect(hosts.map(([, host]) => host)).toEqual(["app.internal:8443"]);
      expect(value("x-forwarded-host")).toBe(client);
    }
  });

  test("an upgrade is asked for only without a body", () => {
    const asked = ["Connection: Upgrade", "Upgrade: websocket"];
    expect(sure(lines(...asked)).value("upgrade")).toBe("websocket");
    expect(sure(lines(...asked, "Content-Length: 3")).value("upgrade")).toBeUndefined();
  });

  test("absolute targets become origin-form, and their authority the Host", () => {
    expect(sure("GET http://b:80/x?y HTTP/1.1\r\nHost: b\r\n\r\n").strict.target).toBe("/x?y");
    expect(sure("GET http://b?y HTTP/1.1\r\nHost: b\r\n\r\n").strict.target).toBe("/?y");
    expect(sure("OPTIONS http://b HTTP/1.1\r\nHost: b\r\n\r\n").strict.target).toBe("*");
    expect(sure("GET http://b/x HTTP/1.0\r\n\r\n").value("host")).toBe("b");
    expect(sure("GET / HTTP/1.0\r\n\r\n").value("host")).toBe("plimsoll");
  });

  test("a path that can be read in two ways goes as the one that was matched", () => {
    const route = { match: onPath("/admin") };
    expect(sure("GET /x/../admin?q HTTP/1.1\r\nHost: a\r\n\r\n", { route }).strict.target).toBe("/admin?q");
    expect(sure("GET /x/../admin?q HTTP/1.1\r\nHost: a\r\n\r\n").strict.target).toBe("/x/../admin?q");
  });

  test("a rewritten path", () => {
    const rewrite = { kind: "prefix", from: "/v1", to: "/api" } as const;
    const match = { ...onPath("/"), path: { kind: "prefix", path: "/v1" } } as const;
    const { strict } = sure("GET /v1/a?b HTTP/1.1\r\nHost: a\r\n\r\n", { route: { rewrite, match } });
    expect(strict.target).toBe("/api/a?b");
  });

  test("what an untrusted client says of others is replaced, what a trusted one says is kept", () => {
    const said = ["X-Forwarded-For: 6.6.6.6", "Forwarded: for=6.6.6.6", "X-Request-Id: theirs", "Via: 1.1 cdn"];
    const untrusted = sure(lines(...said));
    expect(untrusted.value("x-forwarded-for")).toBe("192.0.2.7");
    expect(untrusted.value("x-request-id")).toMatch(/^[0-9a-f]{32}$/);
    expect(untrusted.strict.headers.filter(([name]) => name === "Via").map(([, value]) => value)).toEqual([
      "1.1 cdn",
      "1.1 plimsoll",
    ]);
    const trusted = sure(lines(...said), { trusted: true });
    expect(trusted.value("x-forwarded-for")).toBe("6.6.6.6, 192.0.2.7");
    expect(trusted.value("x-request-id")).toBe("theirs");
    expect(trusted.id).toBe("theirs");
  });

  test("of several trusted ids the first that is sane is kept", () => {
    const long = `X-Request-Id: ${"i".repeat(129)}`;
    const { strict, id } = sure(lines(long, "X-Request-Id:", "X-Request-Id: second", "X-Request-Id: third"), {
      trusted: true,
    });
    expect(strict.headers.filter(([name]) => name === "X-Request-Id")).toEqual([["X-Request-Id", "second"]]);
    expect(id).toBe("second");
    expect(sure(lines(long), { trusted: true }).id).toMatch(/^[0-9a-f]{32}$/);
  });

  test("edits remove, set and add; what they take over is not written twice", () => {
    const requestHeaders = {
      set: [
        ["X-Forwarded-Proto", "https"],
        ["X-Request-Id", "fixed"],
      ],
      add: [
        ["X-Client", "{client}"],
        ["X-Id", "{requestId}"],
      ],
      remove: ["cookie", "via"],
    } as const;
    const { strict, value } = sure(lines("Cookie: a", "Via: 1.1 x", "X-Forwarded-Proto: gopher"), {
      route: { requestHeaders },
    });
    const all = (name: string): string[] => strict.headers.filter(([n]) => n.toLowerCase() === name).map(([, v]) => v);
    expect(all("x-forwarded-proto")).toEqual(["https"]);
    expect(all("x-request-id")).toEqual(["fixed"]);
    expect(all("cookie")).toEqual([]);
    expect(all("via")).toEqual([]);
    expect(value("x-client")).toBe("192.0.2.7");
  });

  test("a thousand lines without a space, each of which grows by one, still fit", () => {
    const limits = { headBytes: 65_536, targetBytes: 8192, fieldBytes: 8192, fields: 1000 };
    const many = Array.from({ length: 998 }, (_, i) => `x${i}:${i}`);
    const { kept } = sure(lines(...many), { limits });
    expect(kept).toEqual(many.map((line) => line.split(":") as [string, string]));
  });
});

const word = fc.string({ unit: fc.constantFrom(..."abzAZ09-._~!".split("")), minLength: 1, maxLength: 12 });
const name = fc.oneof(
  word.map((text) => `x-${text.replaceAll(/[~!]/g, "")}`),
  fc.constantFrom(...ours, ...hop, ...framing, "Accept", "Cookie", "X-Request-Id", "x_under", "Expect", "X-A", "x-b"),
);
const value = fc.oneof(
  word,
  fc.constantFrom(
    "",
    "0",
    "5",
    "chunked",
    "close",
    "keep-alive",
    "upgrade, x-a",
    "x-b, TE, Host",
    "trailers",
    "100-continue",
  ),
  fc.constantFrom("websocket", "a, b", "for=1.2.3.4", "1.1.1.1, 2.2.2.2", "i".repeat(130), "\x80\xff", "h2c"),
);
const fieldLine = fc
  .tuple(name, fc.constantFrom(": ", ":", ":\t", ":  "), value, fc.constantFrom("", "", " ", "\t"))
  .map((parts) => parts.join(""));
const host = fc.oneof(
  word.map((text) => text.toLowerCase()),
  fc.constantFrom(
    "a:80",
    "[::1]:8080",
    "[2001:db8::1]",
    `${"l".repeat(60)}.${"m".repeat(60)}.example:65535`,
    "x".repeat(400),
  ),
);
const request = fc
  .record({
    method: fc.constantFrom("GET", "POST", "OPTIONS", "HEAD", "DELETE", "BREW"),
    target: fc.oneof(
      fc.constantFrom(
        "/",
        "*",
        "/a/../b",
        "/a//b;c?d",
        "//x",
        "/%2e%2E/x",
        "/a?b=c&d",
        "/%",
        "/\\x",
        `/${"p".repeat(3_000)}`,
      ),
      word.map((text) => `/${text}`),
    ),
    absolute: fc.boolean(),
    version: fc.constantFrom("1.1", "1.1", "1.1", "1.0"),
    host: fc.option(host, { freq: 8, nil: "" }),
    fields: fc.array(fieldLine, { maxLength: 20 }),
  })
  .map(({ method, target, absolute, version, host: named, fields }) => {
    const full = absolute && named !== "" ? `http://${named}${target === "*" ? "" : target}` : target;
    const all = [...(named === "" ? [] : [`Host: ${named}`]), ...fields];
    return `${method} ${full} HTTP/${version}\r\n${all.map((line) => `${line}\r\n`).join("")}\r\n`;
  });
const text = fc.oneof(word, fc.constantFrom("{client}", "{requestId}", "a{host}b", "é", "{scheme}{scheme}"));
const pairs = fc.array(fc.tuple(fc.constantFrom("X-Set", "X-A", "X-Request-Id", "Via", "Accept", "X-Long"), text), {
  maxLength: 4,
});
const setting = fc.record({
  trusted: fc.boolean(),
  close: fc.boolean(),
  listener: fc.constantFrom({}, { underscores: "pass" as const }),
  route: fc.record({
    requestHeaders: fc.record({
      set: pairs,
      add: pairs,
      remove: fc.subarray(["x-a", "cookie", "via", "x-request-id", "x-forwarded-for", "forwarded"]),
    }),
    match: fc.constantFrom(routePlan().match, { ...routePlan().match, path: { kind: "prefix", path: "" } } as const),
    rewrite: fc.constantFrom(
      null,
      null,
      { kind: "prefix", from: "", to: `/${"r".repeat(500)}` } as const,
      { kind: "regex", source: "^/(.*)$", to: "/x/$1/y" } as const,
    ),
  }),
});

test("any accepted request comes out strictly right, with the same meaning and nothing of this hop", () => {
  let accepted = 0;
  fc.assert(
    fc.property(request, setting, (received, how) => {
      const found = forward(received, how);
      if (found === null) return;
      accepted++;
      const { strict, kept } = found;
      const [before] = readStrictRequests(Buffer.from(received + "0\r\n\r\n".padEnd(5, "x"), "latin1"), {
        partial: true,
        onlyFirst: true,
      });
      expect(received.startsWith(`${strict.method} `)).toBeTrue();
      expect(strict.version).toBe("HTTP/1.1");
      const names = strict.headers.map(([each]) => each.toLowerCase());
      for (const each of ["keep-alive", "proxy-connection", "trailer", "http2-settings", "proxy-authorization"]) {
        expect(names).not.toContain(each);
      }
      const { set, add, remove } = how.route.requestHeaders;
      const edited = new Set([...set, ...add].map(([each]) => each.toLowerCase()));
      // Ours once each, unless the operator says otherwise.
      const removed: readonly string[] = remove;
      for (const each of [...ours, "x-request-id", "host"]) {
        // Via may be there before; without a Host there is none to tell.
        if (edited.has(each) || each === "via" || each === "x-forwarded-host") continue;
        expect(names.filter((one) => one === each)).toHaveLength(removed.includes(each) ? 0 : 1);
      }
      if (strict.headers.some(([each]) => each.toLowerCase() === "connection")) {
        expect(found.value("connection")).toMatch(/^(close|TE|upgrade)$/);
      }
      if (before === undefined) return;
      expect(strict.framing).toBe(before.framing);
      // Lines that nobody has a say in pass in order.
      const named = before.headers
        .filter(([each]) => each.toLowerCase() === "connection")
        .flatMap(([, list]) => list.toLowerCase().split(/[ \t]*,[ \t]*/));
      const plain = ([each]: readonly [string, string]): boolean => {
        const lower = each.toLowerCase();
        return (
          /^x-[a-z0-9.-]*$/.test(lower) &&
          !ours.includes(lower) &&
          !named.includes(lower) &&
          !edited.has(lower) &&
          !removed.includes(lower) &&
          lower !== "x-request-id"
        );
      };
      expect(kept.filter(plain)).toEqual(before.headers.filter(plain).map(([n, v]) => [n, v]));
    }),
    { numRuns: 2_000 },
  );
  expect(accepted).toBeGreaterThan(300);
});
