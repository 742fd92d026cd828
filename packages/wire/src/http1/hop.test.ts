// Which fields stay on this hop, what a Connection can have removed, and what Upgrade and TE ask for.
import { describe, expect, test } from "bun:test";
import { FieldFlag, hashName } from "./fields.ts";
import { forwardedOf, latin1, namesWith, parseAnswer, parseRequest } from "./written.ts";

const crlf = "\r\n";

function request(...lines: string[]): ReturnType<typeof parseRequest> {
  return parseRequest(["GET / HTTP/1.1", "Host: a", ...lines, "", ""].join(crlf));
}

function forwarded(...lines: string[]): string[] {
  const { head, bytes } = request(...lines);
  return forwardedOf(head.fields, bytes).slice(1);
}

describe("forwarded", () => {
  test("hop-by-hop fields are not", () => {
    const lines = [
      "Connection",
      "Keep-Alive",
      "Proxy-Connection",
      "TE",
      "Trailer",
      "Upgrade",
      "HTTP2-Settings",
      "Proxy-Authenticate",
      "proxy-authorization",
    ].map((name) => `${name}: z`);
    expect(forwarded(...lines, "X: y")).toEqual(["X"]);
  });

  test("framing fields are not, and say so", () => {
    const { head, bytes } = request("Content-Length: 5");
    expect(namesWith(head.fields, bytes, FieldFlag.framing)).toEqual(["Content-Length"]);
    const chunked = request("Transfer-Encoding: chunked");
    expect(namesWith(chunked.head.fields, chunked.bytes, FieldFlag.framing)).toEqual(["Transfer-Encoding"]);
  });

  test("fields named by Connection are not, before and after it, in any case, in every Connection", () => {
    expect(
      forwarded("X-A: 1", "Connection: x-a,\tX-B , ,X-c", "x-b: 2", "Connection: x-d", "X-C: 3", "X-D: 4", "X-E: 5"),
    ).toEqual(["X-E"]);
  });

  test("fields that only begin like a named one are", () => {
    expect(forwarded("Connection: x-a", "X-AB: 1", "X: 1")).toEqual(["X-AB", "X"]);
  });

  test("elements of Connection that are no tokens name nothing", () => {
    expect(forwarded('Connection: x-a b, "x-c", x-d;y, =, close', "X-A: 1", "X-C: 1", "X-D: 1")).toEqual([
      "X-A",
      "X-C",
      "X-D",
    ]);
    expect(request('Connection: x-a b, "x-c", close').head.keepAlive).toBe(false);
  });

  test("no Connection removes what applications decide by", () => {
    const names = [
      "X-Forwarded-For",
      "X-Forwarded-Proto",
      "X-Forwarded-Host",
      "X-Forwarded-Port",
      "Forwarded",
      "X-Real-IP",
      "Via",
      "X-Request-Id",
      "traceparent",
      "Cookie",
      "Authorization",
      "Content-Type",
      "Cache-Control",
      "Idempotency-Key",
    ];
    expect(forwarded(`Connection: close, Host, ${names.join(", ")}`, ...names.map((name) => `${name}: x`))).toEqual(
      names,
    );
  });

  test("a Connection that names Host or Content-Length changes nothing", () => {
    const { head, outcome } = request("Connection: host, content-length, transfer-encoding", "Content-Length: 3");
    expect(outcome).toBeGreaterThan(0);
    expect(head.contentLength).toBe(3);
    expect(head.fields.flags[0]! & FieldFlag.hop).toBe(0);
  });

  test("answers follow the same rules", () => {
    const { head, bytes } = parseAnswer(
      `HTTP/1.1 200 OK${crlf}Connection: x-inner, set-cookie${crlf}X-Inner: 1${crlf}Set-Cookie: a=b${crlf}Keep-Alive: timeout=5${crlf}` +
        `Content-Length: 0${crlf}Server: s${crlf}${crlf}`,
    );
    expect(forwardedOf(head.fields, bytes)).toEqual(["Set-Cookie", "Server"]);
  });

  test("names with _ are dropped, refused or passed", () => {
    const text = `GET / HTTP/1.1${crlf}Host: a${crlf}X_A: 1${crlf}Transfer_Encoding: chunked${crlf}${crlf}`;
    const drop = parseRequest(text);
    expect(forwardedOf(drop.head.fields, drop.bytes)).toEqual(["Host"]);
    expect(namesWith(drop.head.fields, drop.bytes, FieldFlag.underscore)).toEqual(["X_A", "Transfer_Encoding"]);
    const pass = parseRequest(text, undefined, "pass");
    expect(forwardedOf(pass.head.fields, pass.bytes)).toEqual(["Host", "X_A", "Transfer_Encoding"]);
    expect(namesWith(pass.head.fields, pass.bytes, FieldFlag.underscore)).toEqual(["X_A", "Transfer_Encoding"]);
    expect(parseRequest(text, undefined, "reject").outcome).toStartWith("request-malformed");
    const answer = parseAnswer(`HTTP/1.1 200 OK${crlf}X_A: 1${crlf}${crlf}`);
    expect(forwardedOf(answer.head.fields, answer.bytes)).toEqual(["X_A"]);
  });

  test("in HTTP/1.0 Expect stays here and is ignored", () => {
    const { head, bytes } = parseRequest(
      `POST / HTTP/1.0${crlf}Content-Length: 3${crlf}Expect: 100-continue${crlf}${crlf}`,
    );
    expect(head.expectContinue).toBe(false);
    expect(forwardedOf(head.fields, bytes)).toEqual([]);
  });
});

describe("plain lines", () => {
  test("are those that are canonical byte for byte", () => {
    const { head, bytes } = request("A: b", "B:c", "C:  d", "D: e ", "E:\tf", "F: ", "G:", "H: \xe4");
    expect(namesWith(head.fields, bytes, FieldFlag.plain)).toEqual(["Host", "A", "F", "H"]);
  });

  test("in a run they lie end to end", () => {
    const { head } = request("A: b", "F: ", "H: x y", "I: z");
    const { at, count } = head.fields;
    for (let i = 1; i < count; i++) expect(at[i * 4]).toBe(at[i * 4 - 1]! + 2);
  });
});

describe("Connection", () => {
  test.each([
    ["close", false],
    ["Close", false],
    ["keep-alive, close", false],
    ["x,close", false],
    [",close,", false],
    ["keep-alive", true],
    ["closed", true],
    ["clos", true],
    ["close x", true],
    ["", true],
  ] as [string, boolean][])("%s in HTTP/1.1", (value, keepAlive) => {
    expect(request(`Connection: ${value}`).head.keepAlive).toBe(keepAlive);
  });

  test("Proxy-Connection says nothing", () => {
    expect(request("Proxy-Connection: close").head.keepAlive).toBe(true);
  });
});

describe("Upgrade", () => {
  test.each([
    ["websocket", ["Connection: Upgrade", "Upgrade: websocket"], true],
    ["beside keep-alive", ["Connection: keep-alive, upgrade", "Upgrade: websocket"], true],
    ["any protocol", ["Upgrade: SPDY/3.1", "Connection: upgrade"], true],
    ["not named by Connection", ["Upgrade: websocket"], false],
    ["no Upgrade field", ["Connection: upgrade"], false],
    ["an empty Upgrade field", ["Connection: upgrade", "Upgrade:"], false],
    ["two Upgrade fields", ["Connection: upgrade", "Upgrade: a", "Upgrade: b"], false],
    ["h2c", ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"], false],
    ["h2c in a list", ["Connection: Upgrade", "Upgrade: websocket, H2C"], false],
    ["HTTP/2.0", ["Connection: Upgrade", "Upgrade: HTTP/2.0"], false],
    ["a name that begins like h2c", ["Connection: Upgrade", "Upgrade: h2cx"], true],
  ] as [string, string[], boolean][])("%s", (_case, lines, upgrade) => {
    const { head, outcome } = request(...lines);
    expect(outcome).toBeGreaterThan(0);
    expect(head.upgrade).toBe(upgrade);
  });

  test("never in HTTP/1.0", () => {
    expect(parseRequest(`GET / HTTP/1.0${crlf}Connection: upgrade${crlf}Upgrade: x${crlf}${crlf}`).head.upgrade).toBe(
      false,
    );
  });
});

describe("TE", () => {
  test.each([
    ["trailers", true],
    ["Trailers", true],
    ["gzip, trailers", true],
    ["trailers;q=1", false],
    ["deflate;q=0.5 ,\ttrailers ", true],
    ["xtrailers", false],
    ["", false],
  ] as [string, boolean][])("%s", (value, accepts) => {
    expect(request(`TE: ${value}`).head.acceptsTrailers).toBe(accepts);
  });
});

describe("find", () => {
  test("finds by name in any case, from an index on", () => {
    const { head, bytes } = request("X-Tenant: 1", "Other: 2", "x-tenant: 3");
    const name = latin1("x-tenant");
    const hash = hashName("x-tenant");
    expect(head.fields.find(bytes, name, hash)).toBe(1);
    expect(head.fields.find(bytes, name, hash, 2)).toBe(3);
    expect(head.fields.find(bytes, name, hash, 4)).toBe(-1);
    expect(head.fields.find(bytes, latin1("absent"), hashName("absent"))).toBe(-1);
    // An equal hash with another name is no match.
    expect(head.fields.find(bytes, latin1("x-tenanu"), hash)).toBe(-1);
  });
});
