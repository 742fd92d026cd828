// Everything that is refused, by name: bytes that a client may send, the status and fault of the answer. Each is wrong in one
// way only. No request of these goes upstream, whole or in part.
import type { FaultCode } from "../../../packages/balancer/src/base/fault.ts";

/** One request that is refused. */
export interface Refusal {
  readonly name: string;
  readonly bytes: string;
  readonly status: number;
  readonly fault: FaultCode;
}

const wide = "a".repeat(8200);
const malformed = group(400, "request-malformed");
const ambiguous = group(400, "request-ambiguous");
const host = group(400, "request-host-invalid");
const coding = group(501, "request-coding-unsupported");
const target = group(414, "request-target-too-long");
const large = group(431, "request-head-too-large");
const version = group(505, "request-version-unsupported");
const method = group(501, "request-method-unsupported");
const expectation = group(417, "request-expectation-failed");

/** Refused by the head alone. */
export const refusals: readonly Refusal[] = [
  ...framing(),
  ...lengths(),
  ...codings(),
  ...lines(),
  ...requestLines(),
  ...hosts(),
  ...sizes(),
  expectation("an expectation that nobody knows", get("Expect: magic")),
  expectation("100-continue beside another expectation", post("Expect: 100-continue, magic", "Content-Length: 1")),
  expectation("Expect twice", post("Expect: 100-continue", "Expect: 100-continue", "Content-Length: 1")),
  method("CONNECT", "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"),
];

function framing(): readonly Refusal[] {
  return [
    ambiguous("Content-Length before Transfer-Encoding", post("Content-Length: 3", "Transfer-Encoding: chunked")),
    ambiguous("Transfer-Encoding before Content-Length", post("Transfer-Encoding: chunked", "Content-Length: 3")),
    ambiguous("Content-Length 0 with Transfer-Encoding", post("Content-Length: 0", "Transfer-Encoding: chunked")),
    ambiguous("Transfer-Encoding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ambiguous(
      "Transfer-Encoding in HTTP/1.0 with keep-alive",
      "POST / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    ambiguous("two Content-Lengths that differ", post("Content-Length: 3", "Content-Length: 4")),
    ambiguous("two Content-Lengths that agree", post("Content-Length: 3", "Content-Length: 3")),
    ambiguous("two Content-Lengths in other cases", post("content-length: 3", "CONTENT-LENGTH: 3")),
    ambiguous("two Transfer-Encodings", post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")),
    ambiguous("two Transfer-Encodings that differ", post("Transfer-Encoding: chunked", "Transfer-Encoding: identity")),
    ambiguous("an empty Transfer-Encoding beside chunked", post("Transfer-Encoding:", "Transfer-Encoding: chunked")),
  ];
}

function lengths(): readonly Refusal[] {
  const values = {
    "with a plus": "+5",
    "with a minus": "-5",
    "as a list of equals": "5, 5",
    "as a list that differs": "5, 6",
    empty: "",
    "with an exponent": "1e1",
    "in hexadecimal": "0x5",
    "with a trailing letter": "5x",
    "with a decimal point": "5.0",
    "with digits apart": "5 5",
    "with an underscore": "1_0",
    "of 2^64": "18446744073709551616",
    "of 2^64 and 5": "18446744073709551621",
    "of 2^63": "9223372036854775808",
    "of 2^53": "9007199254740992",
    "of 2^53 and 1": "9007199254740993",
    "of 2^32 in 16 digits": "0000004294967296",
    "of 300 digits": "9".repeat(300),
    infinite: "Infinity",
    "that is not a number": "NaN",
    "with a comma before": ",5",
    "with a comma behind": "5,",
    quoted: '"5"',
    "in full-width digits": "\xef\xbc\x95",
    "with a no-break space": "\xa05",
    "with a NEL behind": "5\x85",
    "with a semicolon": "5;q=1",
  };
  return Object.entries(values).map(([name, value]) =>
    malformed(`a Content-Length ${name}`, post(`Content-Length: ${value}`)),
  );
}

function codings(): readonly Refusal[] {
  const unsupported = ["gzip, chunked", "identity, chunked", "identity", "gzip", "chunked-ish", "xchunked", "chunkedd"];
  const broken = [
    ",chunked",
    "chunked,",
    "chunked, chunked",
    "chunked, identity",
    "chunked;q=1",
    "chunked, gzip",
    '"chunked"',
    "chunked chunked",
    "",
    "\x85chunked",
    "chunked\xa0",
    "chun ked",
    "chunked/1",
    "=chunked",
    "(chunked)",
    "[chunked]",
  ];
  return [
    ...unsupported.map((value) => coding(`the coding ${value}`, post(`Transfer-Encoding: ${value}`))),
    ...broken.map((value) => malformed(`the coding ${JSON.stringify(value)}`, post(`Transfer-Encoding: ${value}`))),
  ];
}

function lines(): readonly Refusal[] {
  return [
    malformed("a bare LF after the request line", "GET / HTTP/1.1\nHost: x\r\n\r\n"),
    malformed("a bare LF after a field", "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"),
    malformed("a bare LF as the empty line", "GET / HTTP/1.1\r\nHost: x\r\n\n"),
    malformed("a bare CR in the request line", "GET / HTTP/1.1\rHost: x\r\n\r\n"),
    malformed("a bare CR in a value", get("A: b\rC: d")),
    malformed("a bare CR in a name", get("A\rB: c")),
    malformed("a bare CR before the empty line", "GET / HTTP/1.1\r\nHost: x\r\n\r\r\n\r\n"),
    malformed("CR CR LF", "GET / HTTP/1.1\r\nHost: x\r\r\n\r\n"),
    malformed("a NUL in a value", get("A: b\0c")),
    malformed("a NUL in a name", get("A\0b: c")),
    malformed("a NUL in the target", "GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("a NUL in the method", "G\0T / HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("a NUL before the request", "\0GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("a bell in a value", get("A: b\x07")),
    malformed("a DEL in a value", get("A: b\x7f")),
    malformed("a vertical tab in a value", get("A: b\vc")),
    malformed("a form feed in a value", get("A: b\fc")),
    malformed("a vertical tab before a coding", post("Transfer-Encoding: \vchunked")),
    malformed("a folded value", get("A: b\r\n c")),
    malformed("a value folded with a tab", get("A: b\r\n\tc")),
    malformed("a fold before the first field", "GET / HTTP/1.1\r\n A: b\r\nHost: x\r\n\r\n"),
    malformed("a folded Transfer-Encoding", post("Transfer-Encoding:\r\n chunked")),
    malformed("a folded empty line", get("A: b\r\n ")),
    malformed("a space before the colon", get("A : b")),
    malformed("a tab before the colon", get("A\t: b")),
    malformed("a space before a coding's colon", post("Transfer-Encoding : chunked")),
    malformed("a space before a length's colon", post("Content-Length : 3")),
    malformed("a field without a name", get(": b")),
    malformed("a field without a colon", get("nothing")),
    malformed("a space within a name", get("A B: c")),
    malformed("a high byte in a name", get("\xc4: b")),
    malformed("a slash in a name", get("A/b: c")),
    malformed("brackets in a name", get("A[]: c")),
    malformed("quotes around a name", get('"A": c')),
    malformed("a NEL behind a name", post("Content-Length\x85: 3")),
    malformed("five empty lines before the request", `${"\r\n".repeat(5)}${get()}`),
    malformed("a bare LF before the request", `\n${get()}`),
  ];
}

function requestLines(): readonly Refusal[] {
  return [
    malformed("HTTP/0.9", "GET /\r\n\r\n"),
    malformed("HTTP/0.9 with a space", "GET / \r\n\r\n"),
    malformed("two spaces before the target", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("two spaces before the version", "GET /  HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("a tab before the target", "GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("a tab before the version", "GET /\tHTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("a space before the method", " GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("a space after the version", "GET / HTTP/1.1 \r\nHost: x\r\n\r\n"),
    malformed("a space in the target", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("a control byte in the target", "GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("a DEL in the target", "GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("an 8-bit byte in the target", "GET /\xe4 HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("a fragment in the target", "GET /#a HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("a target without a slash", "GET a HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("no target", "GET HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("an asterisk for GET", "GET * HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("another scheme", "GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("authority-form for GET", "GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("a lower-case version", "GET / http/1.1\r\nHost: x\r\n\r\n"),
    malformed("a version without a minor", "GET / HTTP/1\r\nHost: x\r\n\r\n"),
    malformed("a version of three digits", "GET / HTTP/1.10\r\nHost: x\r\n\r\n"),
    malformed("a version with a comma", "GET / HTTP/1,1\r\nHost: x\r\n\r\n"),
    malformed("another protocol", "GET / SIP/2.0\r\nHost: x\r\n\r\n"),
    version("HTTP/3.1", "GET / HTTP/3.1\r\nHost: x\r\n\r\n"),
    version("HTTP/2.0", "GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
    version("HTTP/0.9 written out", "GET / HTTP/0.9\r\nHost: x\r\n\r\n"),
    version("the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
    malformed("a method with a slash", "G/T / HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("a method with a colon", "GET: / HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("a method with a quote", 'G"T / HTTP/1.1\r\nHost: x\r\n\r\n'),
    malformed("a method with a high byte", "G\xcbT / HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("a TLS handshake", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"),
    malformed("an answer instead of a request", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
  ];
}

function hosts(): readonly Refusal[] {
  const one = (value: string): string => `GET / HTTP/1.1\r\nHost: ${value}\r\n\r\n`;
  return [
    host("no Host", "GET / HTTP/1.1\r\n\r\n"),
    host("no Host beside an absolute target", "GET http://x/ HTTP/1.1\r\n\r\n"),
    host("two Hosts that differ", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
    host("two Hosts that agree", "GET / HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n"),
    host("two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n"),
    host("an empty Host", one("")),
    host("a Host with userinfo", one("me@x")),
    host("a Host with a path", one("x/y")),
    host("a Host with a space", one("x y")),
    host("a list of Hosts", one("x, y")),
    host("a Host with a port that is no number", one("x:y")),
    host("a Host with a port out of range", one("x:65536")),
    host("a Host with two ports", one("x:80:80")),
    host("a Host that is only a port", one(":80")),
    host("a Host with an open bracket", one("[::1")),
    host("a Host with a bad IPv6 address", one("[::g]")),
    host("a Host with a zone", one("[fe80::1%25eth0]")),
    host("a Host with a high byte", one("\xe4")),
    host("a Host with a backslash", one("x\\y")),
    host("a Host with a bad escape", one("%zz")),
    host("a Host with a question mark", one("x?y")),
    host("a Host with a fragment", one("x#y")),
    host("an absolute target that contradicts Host", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"),
    host("an absolute target of another port than Host", "GET http://a:81/ HTTP/1.1\r\nHost: a:82\r\n\r\n"),
    host("userinfo in an absolute target", "GET http://me@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    host("userinfo that looks like Host", "GET http://a@b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    host("an absolute target without a host", "GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n"),
  ];
}

function sizes(): readonly Refusal[] {
  const many = Array.from({ length: 101 }, (_, i) => `X-${i}: a`);
  const heads = Array.from({ length: 4 }, (_, i) => `X-${i}: ${"a".repeat(5000)}`);
  return [
    target("a target of more than 8 KiB", `GET /${wide} HTTP/1.1\r\nHost: x\r\n\r\n`),
    large("a field of more than 8 KiB", get(`A: ${wide}`)),
    large("a name of more than 8 KiB", get(`${wide}: a`)),
    large("more than 100 fields", get(...many)),
    large("a head of more than 16 KiB", get(...heads)),
    // Read to its end or not, it is refused before it is kept.
    large("a field that never ends", `GET / HTTP/1.1\r\nHost: x\r\nA: ${wide}${wide}`),
    target("a target that never ends", `GET /${wide}${wide}`),
  ];
}

function group(status: number, fault: FaultCode): (name: string, bytes: string) => Refusal {
  return (name, bytes) => ({ name, bytes, status, fault });
}

function get(...fields: readonly string[]): string {
  return ["GET / HTTP/1.1", "Host: x", ...fields, "", ""].join("\r\n");
}

function post(...fields: readonly string[]): string {
  return ["POST / HTTP/1.1", "Host: x", ...fields, "", ""].join("\r\n");
}
