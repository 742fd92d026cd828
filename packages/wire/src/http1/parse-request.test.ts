// Every rule of request heads by name: what is refused, with which fault, and what is accepted, with which meaning.
import { describe, expect, test } from "bun:test";
import { Framing } from "./framing.ts";
import { requestLimits } from "./limits.ts";
import { Method } from "./method.ts";
import { mayComplete } from "./octets.ts";
import { parseRequestHead } from "./parse-request.ts";
import { RequestHead } from "./request-head.ts";
import { TargetForm } from "./target.ts";
import { latin1, outcome, pairsOf, parseRequest, textOf } from "./written.ts";

/** A request with these lines after a good request line and Host. */
function withLines(...lines: string[]): string {
  return ["GET / HTTP/1.1", "Host: a", ...lines, "", ""].join("\r\n");
}

/** The fault alone. */
function fault(text: string): string {
  return String(parseRequest(text).outcome).split(":")[0]!;
}

const crlf = "\r\n";

describe("refused", () => {
  const cases: [rule: string, text: string, expected: string][] = [
    // Framing.
    [
      "Content-Length with Transfer-Encoding",
      withLines("Content-Length: 5", "Transfer-Encoding: chunked"),
      "request-ambiguous",
    ],
    [
      "Transfer-Encoding with Content-Length",
      withLines("Transfer-Encoding: chunked", "Content-Length: 5"),
      "request-ambiguous",
    ],
    [
      "Content-Length: 0 with Transfer-Encoding",
      withLines("Content-Length: 0", "Transfer-Encoding: chunked"),
      "request-ambiguous",
    ],
    ["two lengths that differ", withLines("Content-Length: 5", "Content-Length: 6"), "request-ambiguous"],
    ["two equal lengths", withLines("Content-Length: 5", "Content-Length: 5"), "request-ambiguous"],
    ["a list of equal lengths", withLines("Content-Length: 5, 5"), "request-malformed"],
    ["a signed length", withLines("Content-Length: +5"), "request-malformed"],
    ["a negative length", withLines("Content-Length: -5"), "request-malformed"],
    ["a hexadecimal length", withLines("Content-Length: 0x5"), "request-malformed"],
    ["a length with an exponent", withLines("Content-Length: 1e1"), "request-malformed"],
    ["a length with a fraction", withLines("Content-Length: 5.0"), "request-malformed"],
    ["a length with a space inside", withLines("Content-Length: 5 5"), "request-malformed"],
    ["a length with a letter after it", withLines("Content-Length: 5x"), "request-malformed"],
    ["an empty length", withLines("Content-Length:"), "request-malformed"],
    ["a length of 16 digits", withLines("Content-Length: 1000000000000000"), "request-malformed"],
    ["2^64 as length", withLines("Content-Length: 18446744073709551616"), "request-malformed"],
    ["sixteen zeros as length", withLines("Content-Length: 0000000000000000"), "request-malformed"],
    ["a superscript digit as length", withLines("Content-Length: \xb2"), "request-malformed"],
    ["gzip", withLines("Transfer-Encoding: gzip"), "request-coding-unsupported"],
    ["gzip, chunked", withLines("Transfer-Encoding: gzip, chunked"), "request-coding-unsupported"],
    ["identity", withLines("Transfer-Encoding: identity"), "request-coding-unsupported"],
    ["identity, chunked", withLines("Transfer-Encoding: identity, chunked"), "request-coding-unsupported"],
    ["xchunked", withLines("Transfer-Encoding: xchunked"), "request-coding-unsupported"],
    ["chunked, gzip", withLines("Transfer-Encoding: chunked, gzip"), "request-malformed"],
    ["chunked, chunked", withLines("Transfer-Encoding: chunked, chunked"), "request-malformed"],
    [",chunked", withLines("Transfer-Encoding: ,chunked"), "request-malformed"],
    ["chunked,", withLines("Transfer-Encoding: chunked,"), "request-malformed"],
    ["chunked with a parameter", withLines("Transfer-Encoding: chunked;x=1"), "request-malformed"],
    ["quoted chunked", withLines('Transfer-Encoding: "chunked"'), "request-malformed"],
    ["chunked with 0xa0 before", withLines("Transfer-Encoding: \xa0chunked"), "request-malformed"],
    ["chunked with a vertical tab before", withLines("Transfer-Encoding: \x0bchunked"), "request-malformed"],
    ["an empty Transfer-Encoding", withLines("Transfer-Encoding:"), "request-malformed"],
    [
      "two Transfer-Encodings",
      withLines("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
      "request-ambiguous",
    ],
    [
      "two Transfer-Encodings, one identity",
      withLines("Transfer-Encoding: chunked", "transfer-encoding: identity"),
      "request-ambiguous",
    ],
    [
      "Transfer-Encoding in HTTP/1.0",
      `POST / HTTP/1.0${crlf}Host: a${crlf}Transfer-Encoding: chunked${crlf}${crlf}`,
      "request-ambiguous",
    ],
    // Lines.
    ["a bare LF after the request line", `GET / HTTP/1.1\nHost: a${crlf}${crlf}`, "request-malformed"],
    ["a bare LF after a field", `GET / HTTP/1.1${crlf}Host: a\n${crlf}`, "request-malformed"],
    ["a bare LF as empty line", `GET / HTTP/1.1${crlf}Host: a${crlf}\n`, "request-malformed"],
    ["a bare CR after the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n", "request-malformed"],
    ["a bare CR in a value", withLines("X: a\rb"), "request-malformed"],
    ["a bare CR in a name", withLines("X\rY: a"), "request-malformed"],
    ["CR CR LF", withLines("X: a\r"), "request-malformed"],
    ["CR before the empty line's CRLF", `GET / HTTP/1.1${crlf}Host: a${crlf}\r\r\n`, "request-malformed"],
    ["NUL in a value", withLines("X: a\0b"), "request-malformed"],
    ["NUL in a name", withLines("X\0: a"), "request-malformed"],
    ["a vertical tab in a value", withLines("X: a\x0bb"), "request-malformed"],
    ["a form feed in a value", withLines("X: a\x0cb"), "request-malformed"],
    ["an escape byte in a value", withLines("X: \x1b[2J"), "request-malformed"],
    ["DEL in a value", withLines("X: a\x7f"), "request-malformed"],
    ["obsolete folding with a space", withLines("X: a", " b"), "request-malformed"],
    ["obsolete folding with a tab", withLines("X: a", "\tb"), "request-malformed"],
    ["white space before the first field", `GET / HTTP/1.1${crlf} Host: a${crlf}${crlf}`, "request-malformed"],
    ["a space before the colon", withLines("X : a"), "request-malformed"],
    ["a tab before the colon", withLines("Content-Length\t: 5"), "request-malformed"],
    ["no name", withLines(": a"), "request-malformed"],
    ["no colon", withLines("X"), "request-malformed"],
    ["8-bit byte in a name", withLines("Content-Length\x85: 5"), "request-malformed"],
    ["a slash in a name", withLines("X/Y: 5"), "request-malformed"],
    ["parentheses in a name", withLines("X(Y): 5"), "request-malformed"],
    ["a quote in a name", withLines('"X": 5'), "request-malformed"],
    // Host.
    ["no Host", `GET / HTTP/1.1${crlf}${crlf}`, "request-host-invalid"],
    ["no Host but an absolute target", `GET http://a/ HTTP/1.1${crlf}${crlf}`, "request-host-invalid"],
    ["two Hosts", withLines("Host: b"), "request-host-invalid"],
    ["two equal Hosts", withLines("host: a"), "request-host-invalid"],
    ["two Hosts in HTTP/1.0", `GET / HTTP/1.0${crlf}Host: a${crlf}Host: a${crlf}${crlf}`, "request-host-invalid"],
    ...[
      "",
      " ",
      ":80",
      "a b",
      "a,\tb",
      "a/b",
      "a?b",
      "a#b",
      "a\\b",
      "user@a",
      "user:pw@a",
      "http://a",
      "a:b",
      "a:80:80",
      "a:-1",
      "a:+1",
      "a:65536",
      "a:000080",
      "[::1",
      "::1",
      "[::1]x",
      "[]",
      "[1]",
      "[1::2::3]",
      "[::g]",
      "[:::]",
      "[1:2:3:4:5:6:7]",
      "[1:2:3:4:5:6:7:8:9]",
      "[::1.2.3]",
      "[::256.1.1.1]",
      "[::01.1.1.1]",
      "[fe80::1%25eth0]",
      "[1:2:3:4:5:6::1.2.3.4]",
      "[1:2:3:4:5:6:7::8]",
      "[1:2:3:4:5:6:7:8::]",
      "[1:2:3:4:5:6:7:1.2.3.4]",
      "[::1.2.3.4.5]",
      "[::1.2.3.4:5]",
      "[v1.x]",
      "%",
      "%4",
      "%zz",
      "a%2",
      "\xe4",
      'a"b',
      "a<b",
      "{a}",
      "a|b",
      "a^b",
      "a`b",
    ].map((host): [string, string, string] => [
      `Host ${JSON.stringify(host)}`,
      `GET / HTTP/1.1${crlf}Host: ${host}${crlf}${crlf}`,
      "request-host-invalid",
    ]),
    ["a malformed Host in HTTP/1.0", `GET / HTTP/1.0${crlf}Host: a b${crlf}${crlf}`, "request-host-invalid"],
    [
      "an absolute target that contradicts Host",
      `GET http://b/ HTTP/1.1${crlf}Host: a${crlf}${crlf}`,
      "request-host-invalid",
    ],
    [
      "another port in the absolute target",
      `GET http://a:81/ HTTP/1.1${crlf}Host: a${crlf}${crlf}`,
      "request-host-invalid",
    ],
    ["https's port is not http's", `GET http://a:443/ HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-host-invalid"],
    [
      "a Host that the absolute target only begins with",
      `GET http://a.b/ HTTP/1.1${crlf}Host: a${crlf}${crlf}`,
      "request-host-invalid",
    ],
    ["a Host that is longer", `GET http://a/ HTTP/1.1${crlf}Host: a.b${crlf}${crlf}`, "request-host-invalid"],
    [
      "bytes that only a careless lower-casing takes as equal",
      `GET http://a(/ HTTP/1.1${crlf}Host: a)${crlf}${crlf}`,
      "request-host-invalid",
    ],
    [
      "userinfo in the absolute target",
      `GET http://u:p@a/ HTTP/1.1${crlf}Host: a${crlf}${crlf}`,
      "request-host-invalid",
    ],
    [
      "an empty host in the absolute target",
      `GET http:/// HTTP/1.1${crlf}Host: a${crlf}${crlf}`,
      "request-host-invalid",
    ],
    // Target.
    ["a path without slash", `GET index.html HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["a query alone", `GET ?x=http://a HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["an authority for GET", `GET a:80 HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["an asterisk for GET", `GET * HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["an asterisk with a query", `OPTIONS *?x HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["another scheme", `GET ftp://a/ HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["a scheme without authority", `GET http:/a HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["a path for CONNECT", `CONNECT / HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["CONNECT without a port", `CONNECT a HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["CONNECT with an empty port", `CONNECT a: HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["CONNECT that contradicts Host", `CONNECT a:81 HTTP/1.1${crlf}Host: b:81${crlf}${crlf}`, "request-host-invalid"],
    ["a fragment", `GET /#a HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["a fragment in the query", `GET /?a#b HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["8-bit bytes in the target", `GET /\xe4 HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["8-bit bytes in the query", `GET /?\xe4 HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["NUL in the target", `GET /\0 HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["a tab in the target", `GET /a\tb HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["DEL in the target", `GET /\x7f HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["two spaces before the target", `GET  / HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["two spaces after the target", `GET /  HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["a tab after the method", `GET\t/ HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["a tab after the target", `GET /\tHTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["a space after the version", `GET / HTTP/1.1 ${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["a space in the target", `GET /a b HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    // Version.
    ["HTTP/0.9 without version", `GET /${crlf}`, "request-malformed"],
    ["HTTP/0.9 in words", `GET / HTTP/0.9${crlf}Host: a${crlf}${crlf}`, "request-version-unsupported"],
    ["HTTP/3.1", `GET / HTTP/3.1${crlf}Host: a${crlf}${crlf}`, "request-version-unsupported"],
    ["HTTP/2.0", `GET / HTTP/2.0${crlf}Host: a${crlf}${crlf}`, "request-version-unsupported"],
    ["the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "request-version-unsupported"],
    ["lower-case http", `GET / http/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["HTTP/1.10", `GET / HTTP/1.10${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["HTTP/01.1", `GET / HTTP/01.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["HTTP/1", `GET / HTTP/1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["HTTP/1,1", `GET / HTTP/1,1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["HTTPS/1.1", `GET / HTTPS/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    // Method and what comes before it.
    ["no method", ` / HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["a colon in the method", `G:T / HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["brackets around the method", `[GET] / HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["8-bit bytes in the method", `G\xc9T / HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["a method alone", `GET${crlf}`, "request-malformed"],
    ["a bare LF before the request", `\nGET / HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    ["a bare CR before the request", `\rGET / HTTP/1.1${crlf}Host: a${crlf}${crlf}`, "request-malformed"],
    [
      "five empty lines before the request",
      `${crlf.repeat(5)}GET / HTTP/1.1${crlf}Host: a${crlf}${crlf}`,
      "request-malformed",
    ],
    ["a TLS ClientHello at its first byte", "\x16", "request-malformed"],
    // Expect.
    ["another expectation", withLines("Expect: 200-maybe"), "request-expectation-failed"],
    ["100-continue with more", withLines("Expect: 100-continue, x"), "request-expectation-failed"],
    ["an empty expectation", withLines("Expect:"), "request-expectation-failed"],
    ["two expectations", withLines("Expect: 100-continue", "Expect: 100-continue"), "request-expectation-failed"],
    // Floods.
    ["101 names in Connection", withLines("Connection: x".padEnd(13 + 2 * 100, ",y")), "request-malformed"],
    [
      "101 names over many Connections",
      withLines(...Array.from({ length: 51 }, () => "Connection: x, y")),
      "request-malformed",
    ],
  ];

  test.each(cases)("%s", (_rule, text, expected) => {
    expect(fault(text)).toBe(expected);
  });

  test("texts tell what was found", () => {
    expect(parseRequest("\x16\x03\x01").outcome).toBe("request-malformed: a TLS handshake on a listener without TLS");
    expect(parseRequest(withLines("X : a")).outcome).toContain("white space between");
    expect(parseRequest(`GET  / HTTP/1.1${crlf}`).outcome).toContain("two spaces");
    expect(parseRequest(`GET http://u@a/ HTTP/1.1${crlf}Host: a${crlf}${crlf}`).outcome).toContain("user name");
    expect(parseRequest(`GET / HTTP/1.1${crlf}Host: u@a${crlf}${crlf}`).outcome).toContain("user name");
  });
});

describe("limits", () => {
  const line = `GET / HTTP/1.1${crlf}Host: a${crlf}`;

  test("a target of the limit passes, one byte more is 414", () => {
    const target = (length: number): string => `GET /${"a".repeat(length - 1)} HTTP/1.1${crlf}Host: a${crlf}${crlf}`;
    expect(parseRequest(target(8192)).outcome).toBe(target(8192).length);
    expect(fault(target(8193))).toBe("request-target-too-long");
    expect(fault(`GET /?${"a".repeat(8191)} HTTP/1.1${crlf}`)).toBe("request-target-too-long");
    expect(fault(`GET /${"a".repeat(8192)}`)).toBe("request-target-too-long");
  });

  test("a field line of the limit passes, one byte more is 431", () => {
    const field = (length: number): string => `${line}X: ${"a".repeat(length - 3)}${crlf}${crlf}`;
    expect(parseRequest(field(8192)).outcome).toBe(field(8192).length);
    expect(fault(field(8193))).toBe("request-head-too-large");
    expect(fault(`${line}${"a".repeat(9000)}: b${crlf}${crlf}`)).toBe("request-head-too-large");
    expect(fault(`${line}X:${" ".repeat(9000)}b${crlf}${crlf}`)).toBe("request-head-too-large");
  });

  test("a head of the limit passes, one byte more is 431", () => {
    const rest = 16384 - line.length - 2 * 8005 - 5 - 2;
    const head = (more: number): string =>
      `${line}${`X: ${"a".repeat(8000)}${crlf}`.repeat(2)}X: ${"a".repeat(rest + more)}${crlf}${crlf}`;
    expect(head(0).length).toBe(16384);
    expect(parseRequest(head(0)).outcome).toBe(16384);
    // With the last byte that may be there and no end, nothing can make it good.
    expect(parseRequest(head(1).slice(0, 16383)).outcome).toBe("incomplete");
    expect(fault(head(1).slice(0, 16384))).toBe("request-head-too-large");
    expect(fault(head(1))).toBe("request-head-too-large");
    expect(fault(head(0).slice(0, -2) + "aaaa")).toBe("request-head-too-large");
  });

  test("a hundred fields pass, one more is 431", () => {
    const fields = (count: number): string => `${line}${`X: a${crlf}`.repeat(count - 1)}${crlf}`;
    expect(parseRequest(fields(100)).outcome).toBe(fields(100).length);
    expect(parseRequest(fields(100)).head.fields.count).toBe(100);
    expect(fault(fields(101))).toBe("request-head-too-large");
  });

  test("the table of fields grows to a larger limit", () => {
    const text = `${line}${Array.from({ length: 200 }, (_, i) => `X${i}: ${i}${crlf}`).join("")}${crlf}`;
    const { outcome: length, head, bytes } = parseRequest(text, { ...requestLimits, fields: 300 });
    expect(length).toBe(text.length);
    expect(pairsOf(head.fields, bytes)[200]).toEqual(["X199", "199"]);
  });
});

describe("accepted", () => {
  test("a plain GET, with every position", () => {
    const {
      head,
      bytes,
      outcome: length,
    } = parseRequest(`GET /a/b?c=d?e HTTP/1.1${crlf}Host: Example.com:8080${crlf}Accept: */*${crlf}${crlf}`);
    expect(length).toBe(bytes.length);
    expect(head.end).toBe(bytes.length);
    expect(textOf(bytes, head.start, head.methodEnd)).toBe("GET");
    expect(head.method).toBe(Method.get);
    expect(textOf(bytes, head.targetStart, head.targetEnd)).toBe("/a/b?c=d?e");
    expect(textOf(bytes, head.pathStart, head.pathEnd)).toBe("/a/b");
    expect(textOf(bytes, head.pathEnd, head.queryEnd)).toBe("?c=d?e");
    expect(textOf(bytes, head.hostStart, head.hostEnd)).toBe("Example.com:8080");
    expect(head).toMatchObject({
      form: TargetForm.origin,
      minor: 1,
      hostIndex: 0,
      framing: Framing.none,
      contentLength: -1,
      keepAlive: true,
      upgrade: false,
      expectContinue: false,
      acceptsTrailers: false,
    });
  });

  test("positions are those in the caller's bytes", () => {
    const text = `GET / HTTP/1.1${crlf}Host: a${crlf}${crlf}`;
    const bytes = latin1(`zzz${text}next`);
    const head = new RequestHead();
    expect(parseRequestHead(bytes, 3, bytes.length, requestLimits, head)).toBe(3 + text.length);
    expect(textOf(bytes, head.start, head.methodEnd)).toBe("GET");
    expect(pairsOf(head.fields, bytes)).toEqual([["Host", "a"]]);
  });

  test.each([
    ["GET", Method.get],
    ["HEAD", Method.head],
    ["POST", Method.post],
    ["PUT", Method.put],
    ["DELETE", Method.delete],
    ["OPTIONS", Method.options],
    ["PATCH", Method.patch],
    ["TRACE", Method.trace],
    ["get", Method.other],
    ["GEX", Method.other],
    ["PROPFIND", Method.other],
    ["!#$%&'*+-.^_`|~09az", Method.other],
    ["G", Method.other],
  ] as [string, number][])("method %s", (name, id) => {
    const { head, outcome: length } = parseRequest(`${name} / HTTP/1.1${crlf}Host: a${crlf}${crlf}`);
    expect(length).toBeGreaterThan(0);
    expect(head.method).toBe(id);
  });

  test.each([
    "a",
    "a.example",
    "A.EXAMPLE",
    "a.",
    "127.0.0.1",
    "127.0.0.1:80",
    "a:0",
    "a:65535",
    "a:",
    "xn--bcher-kva.example",
    "a_b",
    "a%41",
    "a~b!$&'()*+,;=",
    "[::1]",
    "[::1]:8080",
    "[::]",
    "[1:2:3:4:5:6:7:8]",
    "[1::8]",
    "[::ffff:1.2.3.4]",
    "[1:2:3:4:5:6:1.2.3.4]",
    "[fe80::]",
    "[1:2:3:4:5::1.2.3.4]",
    "[1:2:3:4:5:6:7::]",
    "[2001:DB8::1]",
  ])("Host %s", (host) => {
    const { head, bytes, outcome: length } = parseRequest(`GET / HTTP/1.1${crlf}Host: ${host}${crlf}${crlf}`);
    expect(length).toBe(bytes.length);
    expect(textOf(bytes, head.hostStart, head.hostEnd)).toBe(host);
  });

  test.each([
    ["http://a/b?c", "a", "/b", "?c"],
    ["HTTP://A/b", "a", "/b", ""],
    ["http://a", "A", "", ""],
    ["http://a?x=/y", "a", "", "?x=/y"],
    ["http://a:80/", "a", "/", ""],
    ["http://a/", "a:80", "/", ""],
    ["http://a:/", "a:80", "/", ""],
    ["http://a:081/", "a:81", "/", ""],
    ["https://a:443/", "a", "/", ""],
    ["http://[::1]/", "[::1]", "/", ""],
    ["http://a/x@y", "a", "/x@y", ""],
  ])("absolute target %s with Host %s", (target, host, path, query) => {
    const { head, bytes, outcome: length } = parseRequest(`GET ${target} HTTP/1.1${crlf}Host: ${host}${crlf}${crlf}`);
    expect(length).toBe(bytes.length);
    expect(head.form).toBe(TargetForm.absolute);
    expect(textOf(bytes, head.pathStart, head.pathEnd)).toBe(path);
    expect(textOf(bytes, head.pathEnd, head.queryEnd)).toBe(query);
    expect(textOf(bytes, head.hostStart, head.hostEnd)).toBe(host);
  });

  test("OPTIONS * and CONNECT host:port have their own forms", () => {
    expect(parseRequest(`OPTIONS * HTTP/1.1${crlf}Host: a${crlf}${crlf}`).head.form).toBe(TargetForm.asterisk);
    const { head, outcome: length } = parseRequest(`CONNECT a:443 HTTP/1.1${crlf}Host: a:443${crlf}${crlf}`);
    expect(length).toBeGreaterThan(0);
    expect(head).toMatchObject({ form: TargetForm.authority, method: Method.connect });
    expect(head.pathEnd - head.pathStart).toBe(0);
  });

  test("bytes that browsers do not encode stand in a target", () => {
    expect(parseRequest(`GET /a|b^{"<>}[]\\?\`'% HTTP/1.1${crlf}Host: a${crlf}${crlf}`).outcome).toBeGreaterThan(0);
  });

  test("HTTP/1.0 needs no Host, and closes unless asked", () => {
    const { head } = parseRequest(`GET / HTTP/1.0${crlf}${crlf}`);
    expect(head).toMatchObject({ minor: 0, hostIndex: -1, hostStart: 0, hostEnd: 0, keepAlive: false });
    expect(parseRequest(`GET / HTTP/1.0${crlf}Connection: Keep-Alive${crlf}${crlf}`).head.keepAlive).toBe(true);
    const both = parseRequest(`GET / HTTP/1.0${crlf}Connection: keep-alive, close${crlf}${crlf}`);
    expect(both.head.keepAlive).toBe(false);
  });

  test("HTTP/1.0 with an absolute target and no Host takes its authority", () => {
    const { head, bytes } = parseRequest(`GET http://a:8/ HTTP/1.0${crlf}${crlf}`);
    expect(textOf(bytes, head.hostStart, head.hostEnd)).toBe("a:8");
    expect(head.hostIndex).toBe(-1);
  });

  test("HTTP/1.2 is read as 1.1", () => {
    expect(parseRequest(`GET / HTTP/1.2${crlf}Host: a${crlf}${crlf}`).head).toMatchObject({
      minor: 1,
      keepAlive: true,
    });
  });

  test("up to four empty lines before a request", () => {
    const { head, outcome: length } = parseRequest(`${crlf.repeat(4)}GET / HTTP/1.1${crlf}Host: a${crlf}${crlf}`);
    expect(length).toBe(35);
    expect(head.start).toBe(8);
  });

  test.each([
    ["Content-Length: 0", Framing.length, 0],
    ["Content-Length: 5", Framing.length, 5],
    ["content-length:5", Framing.length, 5],
    ["Content-Length: \t 5 \t", Framing.length, 5],
    ["Content-Length: 000000000000005", Framing.length, 5],
    ["Content-Length: 999999999999999", Framing.length, 999999999999999],
    ["Transfer-Encoding: chunked", Framing.chunked, -1],
    ["TRANSFER-ENCODING: CHUNKED", Framing.chunked, -1],
    ["Transfer-Encoding:\tChunked \t", Framing.chunked, -1],
    ["Transfer_Encoding: chunked", Framing.none, -1],
    ["X: y", Framing.none, -1],
  ] as [string, number, number][])("%s", (line, framing, contentLength) => {
    const { head, outcome: length } = parseRequest(withLines(line));
    expect(length).toBeGreaterThan(0);
    expect(head).toMatchObject({ framing, contentLength });
  });

  test("obs-text, tabs and empty values", () => {
    const { head, bytes } = parseRequest(withLines("A: caf\xc3\xa9\xff", "B:\t x\ty  z \t", "C:", "D: ", "E:F:G"));
    expect(pairsOf(head.fields, bytes).slice(1)).toEqual([
      ["A", "caf\xc3\xa9\xff"],
      ["B", "x\ty  z"],
      ["C", ""],
      ["D", ""],
      ["E", "F:G"],
    ]);
  });

  test("Expect: 100-continue, with a body and without", () => {
    expect(parseRequest(withLines("Expect: 100-Continue", "Content-Length: 3")).head.expectContinue).toBe(true);
    expect(parseRequest(withLines("Expect: 100-continue", "Transfer-Encoding: chunked")).head.expectContinue).toBe(
      true,
    );
    expect(parseRequest(withLines("Expect: 100-continue")).head.expectContinue).toBe(false);
    expect(parseRequest(withLines("Expect: 100-continue", "Content-Length: 0")).head.expectContinue).toBe(false);
  });

  test("one head is reused: nothing of the request before stays", () => {
    const head = new RequestHead();
    const rich = latin1(
      `POST http://a/ HTTP/1.1${crlf}Host: a${crlf}Content-Length: 4${crlf}Connection: close, upgrade${crlf}Upgrade: x${crlf}` +
        `TE: trailers${crlf}Expect: 100-continue${crlf}${crlf}`,
    );
    const poor = latin1(`GET / HTTP/1.1${crlf}Host: b${crlf}${crlf}`);
    expect(parseRequestHead(rich, 0, rich.length, requestLimits, head)).toBe(rich.length);
    expect(head).toMatchObject({
      upgrade: true,
      acceptsTrailers: true,
      expectContinue: true,
      keepAlive: false,
      contentLength: 4,
    });
    expect(parseRequestHead(poor, 0, poor.length, requestLimits, head)).toBe(poor.length);
    expect(head).toMatchObject({
      form: TargetForm.origin,
      framing: Framing.none,
      contentLength: -1,
      upgrade: false,
      acceptsTrailers: false,
      expectContinue: false,
      keepAlive: true,
    });
    expect(head.fields.count).toBe(1);
  });
});

describe("mayComplete", () => {
  test("asks for a parse at line ends and at bytes that are always wrong", () => {
    const ask = (text: string): boolean => mayComplete(latin1(`..${text}`), 2, 2 + text.length);
    expect(ask("")).toBe(false);
    expect(ask("GET / HTTP/1.1\r")).toBe(false);
    expect(ask("a\tb \xff")).toBe(false);
    expect(ask("\n")).toBe(true);
    for (let byte = 0; byte < 256; byte++) {
      const wrong = (byte < 32 && byte !== 9 && byte !== 13) || byte === 127;
      expect(ask(String.fromCharCode(byte))).toBe(wrong);
    }
  });

  test("looks at the new bytes only", () => {
    expect(mayComplete(latin1("\nab\n"), 1, 3)).toBe(false);
  });

  test("every byte it takes as always wrong is refused wherever it stands", () => {
    const good = `GET /a?b HTTP/1.1${crlf}Host: a${crlf}X: y${crlf}${crlf}`;
    for (let byte = 0; byte < 128; byte++) {
      const character = String.fromCharCode(byte);
      if (!mayComplete(latin1(character), 0, 1) || character === "\n") continue;
      for (let i = 0; i < good.length; i++) {
        const bytes = latin1(good.slice(0, i) + character + good.slice(i + 1));
        const result = parseRequestHead(bytes, 0, bytes.length, requestLimits, new RequestHead());
        expect(outcome(result)).toStartWith("request-");
      }
    }
  });
});
