// Answers that an origin must not give, each with what has to become of it. Every one is sent whole and in pieces, so what
// is written here holds however the bytes arrive.
import type { FaultCode } from "../../../packages/balancer/src/base/fault.ts";

/** What the client gets: an answer of ours that names the fault, a connection that visibly broke, or the whole answer. */
export type Outcome = FaultCode | "cut" | "whole";

export interface HostileAnswer {
  readonly name: string;
  readonly bytes: string;
  readonly outcome: Outcome;
  /** Request method; GET unless told. */
  readonly method?: string;
  /** Further lines of the request, each ending in CRLF. */
  readonly asked?: string;
  /** What the origin does when it has sent it all; it keeps the connection unless told. */
  readonly then?: "fin" | "rst";
}

const malformed = "answer-malformed";
const upgradeAsked = "Connection: upgrade\r\nUpgrade: websocket\r\n";

/** A whole answer with these lines in its head. */
function head(lines: string, body = "hello", status = "200 OK"): string {
  return `HTTP/1.1 ${status}\r\n${lines}\r\n${body}`;
}

function chunked(body: string, lines = ""): string {
  return head(`Transfer-Encoding: chunked\r\n${lines}`, body);
}

type Row = readonly [name: string, bytes: string, more?: Partial<HostileAnswer>];

function all(outcome: Outcome, rows: readonly Row[]): readonly HostileAnswer[] {
  return rows.map(([name, bytes, more]) => ({ name, bytes, outcome, ...more }));
}

const statusLines = all(malformed, [
  ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"],
  ["a body without a head (HTTP/0.9)", "<html><body>hello</body></html>\r\n\r\n"],
  ["a TLS alert", "\x15\x03\x01\x00\x02\x02\x28\r\n\r\n"],
  ["a byte order mark", `\xef\xbb\xbf${head("Content-Length: 5\r\n")}`],
  ["an empty line first", `\r\n${head("Content-Length: 5\r\n")}`],
  ["a space first", ` ${head("Content-Length: 5\r\n")}`],
  ["ICY 200 OK", "ICY 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
  ["a lower-case protocol", "http/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
  ["HTTP/2", "HTTP/2 200\r\nContent-Length: 5\r\n\r\nhello"],
  ["HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
  ["HTTP/0.9", "HTTP/0.9 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
  ["HTTP/1.10", "HTTP/1.10 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
  ["HTTP/01.1", "HTTP/01.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
  ["HTTP/1,1", "HTTP/1,1 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
  ["no status", "HTTP/1.1 OK\r\nContent-Length: 5\r\n\r\nhello"],
  ["no status and no reason", "HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"],
  ["a status of two digits", head("Content-Length: 5\r\n", "hello", "20 OK")],
  ["a status of four digits", head("Content-Length: 5\r\n", "hello", "2000 OK")],
  ["a status with a letter", head("Content-Length: 5\r\n", "hello", "2x0 OK")],
  ["a status with a sign", head("Content-Length: 5\r\n", "hello", "+20 OK")],
  ["status 000", head("Content-Length: 5\r\n", "hello", "000 Zero")],
  ["status 099", head("Content-Length: 5\r\n", "hello", "099 Low")],
  ["status 600", head("Content-Length: 5\r\n", "hello", "600 High")],
  ["status 999", head("Content-Length: 5\r\n", "hello", "999 High")],
  ["two spaces before the status", head("Content-Length: 5\r\n", "hello", " 200 OK")],
  ["a tab before the status", "HTTP/1.1\t200 OK\r\nContent-Length: 5\r\n\r\nhello"],
  ["a tab after the status", head("Content-Length: 5\r\n", "hello", "200\tOK")],
  ["NUL in the reason", head("Content-Length: 5\r\n", "hello", "200 O\0K")],
  ["an escape in the reason", head("Content-Length: 5\r\n", "hello", "200 \x1b[31mOK")],
  ["a CR in the reason", head("Content-Length: 5\r\n", "hello", "200 O\rK")],
  ["LF after the status line", "HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello"],
  ["LF only, everywhere", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"],
  ["two CRs before LF", "HTTP/1.1 200 OK\r\r\nContent-Length: 5\r\n\r\nhello"],
]);

const fieldLines = all(malformed, [
  ["LF after a field", "HTTP/1.1 200 OK\r\nContent-Length: 5\nX-A: b\r\n\r\nhello"],
  ["LF as the empty line", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello"],
  ["CR alone as a line end", "HTTP/1.1 200 OK\r\nContent-Length: 5\rX-A: b\r\n\r\nhello"],
  ["CR alone as the empty line", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\rhello\r\n"],
  ["a space before the colon", head("Content-Length : 5\r\n")],
  ["a tab before the colon", head("Content-Length\t: 5\r\n")],
  ["a folded line", head("X-A: b\r\n c\r\nContent-Length: 5\r\n")],
  ["a line folded by a tab", head("X-A: b\r\n\tc\r\nContent-Length: 5\r\n")],
  ["a fold before any field", head(" X-A: b\r\nContent-Length: 5\r\n")],
  ["a folded Content-Length", head("Content-Length:\r\n 5\r\n")],
  ["no colon", head("X-A\r\nContent-Length: 5\r\n")],
  ["no name", head(": b\r\nContent-Length: 5\r\n")],
  ["a space in a name", head("X A: b\r\nContent-Length: 5\r\n")],
  ["a quote in a name", head('X"A: b\r\nContent-Length: 5\r\n')],
  ["NUL in a name", head("X\0A: b\r\nContent-Length: 5\r\n")],
  ["a byte 0x85 at the end of a name", head("Content-Length\x85: 5\r\n")],
  ["NUL in a value", head("X-A: b\0c\r\nContent-Length: 5\r\n")],
  ["a control byte in a value", head("X-A: b\x01c\r\nContent-Length: 5\r\n")],
  ["DEL in a value", head("X-A: b\x7fc\r\nContent-Length: 5\r\n")],
  ["a vertical tab in a value", head("X-A: b\x0bc\r\nContent-Length: 5\r\n")],
  ["CR in a value", head("X-A: b\rc\r\nContent-Length: 5\r\n")],
]);

const lengths = all(malformed, [
  ["two lengths that agree", head("Content-Length: 5\r\nContent-Length: 5\r\n")],
  ["two lengths that differ", head("Content-Length: 5\r\nContent-Length: 6\r\n")],
  ["two lengths, far apart", head("Content-Length: 5\r\nX-A: b\r\ncontent-length: 0\r\n")],
  ["a list of lengths", head("Content-Length: 5, 5\r\n")],
  ["a length with a plus", head("Content-Length: +5\r\n")],
  ["a negative length", head("Content-Length: -5\r\n")],
  ["a hexadecimal length", head("Content-Length: 0x5\r\n")],
  ["a length with an exponent", head("Content-Length: 1e1\r\n")],
  ["a length with a point", head("Content-Length: 5.0\r\n")],
  ["a length and a word", head("Content-Length: 5x\r\n")],
  ["two numbers in a length", head("Content-Length: 5 5\r\n")],
  ["an empty length", head("Content-Length: \r\n")],
  ["a length of 2^53", head("Content-Length: 9007199254740992\r\n")],
  ["a length of 2^64", head("Content-Length: 18446744073709551616\r\n")],
  ["a length of 2^64 and 5", head("Content-Length: 18446744073709551621\r\n")],
  ["a length of a thousand digits", head(`Content-Length: ${"0".repeat(999)}5\r\n`)],
  ["a malformed length where there is no body", head("Content-Length: x\r\n", "", "204 No Content")],
  ["two lengths to HEAD", head("Content-Length: 5\r\nContent-Length: 6\r\n", ""), { method: "HEAD" }],
]);

const codings = [
  ...all(malformed, [
    ["length and coding", head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")],
    ["coding and length", head("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n")],
    ["chunked in two fields", head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")],
    ["chunked after another coding, in two fields", head("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n")],
    ["chunked twice", head("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n")],
    ["chunked before another coding", head("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n")],
    ["a comma before chunked", head("Transfer-Encoding: ,chunked\r\n", "0\r\n\r\n")],
    ["a comma after chunked", head("Transfer-Encoding: chunked,\r\n", "0\r\n\r\n")],
    ["no coding", head("Transfer-Encoding: \r\n", "0\r\n\r\n")],
    ["a quoted coding", head('Transfer-Encoding: "chunked"\r\n', "0\r\n\r\n")],
    ["a coding with a parameter", head("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n")],
    ["a coding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["length and coding on 304", head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "", "304 Not Modified")],
  ]),
  ...all("answer-coding-unsupported", [
    ["gzip", head("Transfer-Encoding: gzip\r\n")],
    ["identity", head("Transfer-Encoding: identity\r\n")],
    ["gzip and chunked", head("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")],
    ["a coding that ends in chunked", head("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")],
    ["gzip on 204", head("Transfer-Encoding: gzip\r\n", "", "204 No Content")],
  ]),
];

const sizes = all("answer-head-too-large", [
  ["a field of 40,000 bytes", head(`X-A: ${"a".repeat(40_000)}\r\nContent-Length: 5\r\n`)],
  ["a reason of 40,000 bytes", head("Content-Length: 5\r\n", "hello", `200 ${"a".repeat(40_000)}`)],
  ["a name of 40,000 bytes", head(`${"a".repeat(40_000)}: b\r\nContent-Length: 5\r\n`)],
  ["a head of 400 lines of 100 bytes", head(`${`X-A: ${"a".repeat(93)}\r\n`.repeat(400)}Content-Length: 5\r\n`)],
  ["129 fields", head("X-A: b\r\n".repeat(129))],
]);

const informational = [
  ...all("answer-upgrade-unasked", [
    ["101 that nobody asked for", head("Connection: upgrade\r\nUpgrade: websocket\r\n", "", "101 Switching Protocols")],
    ["101 after 100", `${head("", "", "100 Continue")}${head(upgradeAsked, "", "101 Switching Protocols")}`],
    ["101 without Upgrade", head("Connection: upgrade\r\n", "", "101 Switching Protocols"), { asked: upgradeAsked }],
    ["101 without Connection", head("Upgrade: websocket\r\n", "", "101 Switching Protocols"), { asked: upgradeAsked }],
  ] satisfies readonly Row[]),
  ...all(malformed, [
    ["informational answers without an end", head("", "", "103 Early Hints").repeat(60)],
    ["an informational answer with a body", head("Content-Length: 5\r\n", "hello", "100 Continue")],
    ["a malformed answer after an informational one", `${head("", "", "103 Early Hints")}HTTP/1.1 200\tOK\r\n\r\n`],
  ]),
];

/** Behind a good head: the client has been told of a success by then, and must see that it was none. */
const chunks = all("cut", [
  ["no chunk size", chunked("\r\nhello\r\n0\r\n\r\n")],
  ["a chunk size that is none", chunked("g\r\nhello\r\n0\r\n\r\n")],
  ["a chunk size with a plus", chunked("+5\r\nhello\r\n0\r\n\r\n")],
  ["a negative chunk size", chunked("-5\r\nhello\r\n0\r\n\r\n")],
  ["a chunk size with 0x", chunked("0x5\r\nhello\r\n0\r\n\r\n")],
  ["a space before the chunk size", chunked(" 5\r\nhello\r\n0\r\n\r\n")],
  ["an underscore in the chunk size", chunked("0_5\r\nhello\r\n0\r\n\r\n")],
  ["NUL in the chunk size", chunked("5\0\r\nhello\r\n0\r\n\r\n")],
  ["a chunk size of 2^64", chunked("10000000000000000\r\nhello\r\n0\r\n\r\n")],
  ["a chunk size of 2^64 - 1", chunked("FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n")],
  ["a chunk size of 2^64 and 5", chunked("10000000000000005\r\nhello\r\n0\r\n\r\n")],
  ["a chunk size of 2^32 and 5 that does not come", chunked("100000005\r\nhello\r\n0\r\n\r\n"), { then: "fin" }],
  ["a chunk size of fourteen digits", chunked("00000000000005\r\nhello\r\n0\r\n\r\n")],
  ["LF after the chunk size", chunked("5\nhello\r\n0\r\n\r\n")],
  ["CR after the chunk size", chunked("5\rhello\r\n0\r\n\r\n")],
  ["LF after the chunk", chunked("5\r\nhello\n0\r\n\r\n")],
  ["nothing after the chunk", chunked("5\r\nhello0\r\n\r\n")],
  ["a chunk longer than its size", chunked("4\r\nhello\r\n0\r\n\r\n")],
  ["a chunk shorter than its size", chunked("6\r\nhello\r\n0\r\n\r\n")],
  ["LF after the last chunk", chunked("5\r\nhello\r\n0\n\r\n")],
  ["LF at the end", chunked("5\r\nhello\r\n0\r\n\n")],
  ["an extension with a control byte", chunked("5;a\x01=b\r\nhello\r\n0\r\n\r\n")],
  ["an extension with LF", chunked("5;a\nb\r\nhello\r\n0\r\n\r\n")],
  ["an extension of 300 bytes", chunked(`5;${"a".repeat(300)}\r\nhello\r\n0\r\n\r\n`)],
  ["extensions of 5,000 bytes", chunked(`${`1;${"a".repeat(98)}\r\nx\r\n`.repeat(50)}0\r\n\r\n`)],
  ["a trailer without a colon", chunked("5\r\nhello\r\n0\r\nX-A\r\n\r\n")],
  ["a trailer with a space before the colon", chunked("5\r\nhello\r\n0\r\nX-A : b\r\n\r\n")],
  ["a folded trailer", chunked("5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n")],
  ["a trailer that ends in LF", chunked("5\r\nhello\r\n0\r\nX-A: b\n\r\n")],
  ["NUL in a trailer", chunked("5\r\nhello\r\n0\r\nX-A: b\0\r\n\r\n")],
  ["200 trailers", chunked(`5\r\nhello\r\n0\r\n${"X-A: b\r\n".repeat(200)}\r\n`)],
  ["trailers of 40,000 bytes", chunked(`5\r\nhello\r\n0\r\n${`X-A: ${"a".repeat(8000)}\r\n`.repeat(5)}\r\n`)],
  ["an answer in the place of a chunk", chunked(head("Content-Length: 5\r\n"))],
  ["no last chunk", chunked("5\r\nhello\r\n"), { then: "fin" }],
  ["half a last chunk", chunked("5\r\nhello\r\n0\r\n"), { then: "fin" }],
  ["no last chunk, then RST", chunked("5\r\nhello\r\n"), { then: "rst" }],
  ["a length that is not reached", head("Content-Length: 6\r\n"), { then: "fin" }],
  ["a length that is not reached, then RST", head("Content-Length: 6\r\n"), { then: "rst" }],
  ["an announced end of 10^14 bytes that does not come", head("Content-Length: 100000000000000\r\n"), { then: "fin" }],
  ["a body until RST", head(""), { then: "rst" }],
]);

/** The answer is whole, and what comes behind it must never meet another exchange. */
const stray = all("whole", [
  ["bytes after the length", head("Content-Length: 5\r\n", "hello, and more")],
  ["one byte after the length", head("Content-Length: 5\r\n", "hello\n")],
  ["a second answer", `${head("Content-Length: 5\r\n")}${head("Content-Length: 7\r\n", "smuggle")}`],
  ["a second answer after chunks", `${chunked("5\r\nhello\r\n0\r\n\r\n")}${head("Content-Length: 7\r\n", "smuggle")}`],
  ["an informational answer after the final one", `${head("Content-Length: 5\r\n")}${head("", "", "100 Continue")}`],
  [
    "101 after the final answer",
    `${head("Content-Length: 5\r\n")}${head(upgradeAsked, "", "101 Switching Protocols")}`,
  ],
  ["a body after length 0", head("Content-Length: 0\r\n")],
  ["a body after 204", head("", "hello", "204 No Content")],
  ["a body after 304", head("Content-Length: 5\r\n", "hello", "304 Not Modified")],
  ["a body after HEAD", head("Content-Length: 5\r\n"), { method: "HEAD" }],
  ["chunks after HEAD", chunked("5\r\nhello\r\n0\r\n\r\n"), { method: "HEAD" }],
  ["an empty line after the answer", head("Content-Length: 5\r\n", "hello\r\n")],
  ["chunks after chunks", chunked("5\r\nhello\r\n0\r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
]);

/** The whole corpus; names are unique. */
export const hostileAnswers: readonly HostileAnswer[] = [
  ...statusLines,
  ...fieldLines,
  ...lengths,
  ...codings,
  ...sizes,
  ...informational,
  ...chunks,
  ...stray,
];
