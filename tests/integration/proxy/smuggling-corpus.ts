// Request smuggling, by the classes that are known of it: bytes that one reader takes for one request and another for two.
// Each case names a path /evil that only somebody who was misled would see as a request of its own.

/** The host of every case, to be replaced by one of the same length that tells the case. */
export const caseHost = "case-000000.test";

/** One attack. */
export interface Attack {
  readonly name: string;
  readonly bytes: string;
  /** What may reach the origin as whole requests, in order; each is answered with 200. */
  readonly upstream: readonly (readonly [target: string, body: string])[];
  /** How it ends: with a refusal and the end of the connection, with its end alone, or not. */
  readonly ending: "refused" | "closed" | "open";
}

const hostLine = `Host: ${caseHost}`;
const evilWhole = `GET /evil HTTP/1.1\r\n${hostLine}\r\n\r\n`;
const evilBody = `0\r\n\r\n${evilWhole}`;
const inChunks = `${evilWhole.length.toString(16)}\r\n${evilWhole}\r\n`;

export const attacks: readonly Attack[] = [
  ...lengthAgainstCoding(),
  ...codingsInDisguise(),
  ...lengthsInDisguise(),
  ...chunks(),
  ...trailers(),
  ...ends(),
  ...lines(),
  ...targets(),
  ...connections(),
];

/** CL.TE, TE.CL and their kin. */
function lengthAgainstCoding(): readonly Attack[] {
  return [
    refused("CL.TE", post(["Content-Length: {length}", "Transfer-Encoding: chunked"], evilBody)),
    refused("TE.CL", post(["Transfer-Encoding: chunked", "Content-Length: 4"], inChunks)),
    refused("CL.TE with a length of 0", post(["Content-Length: 0", "Transfer-Encoding: chunked"], inChunks)),
    refused("CL.TE in HTTP/1.0", post(["Content-Length: 5", "Transfer-Encoding: chunked"], evilBody, "POST", "1.0")),
    refused("TE in HTTP/1.0", post(["Transfer-Encoding: chunked"], evilBody, "POST", "1.0")),
    refused(
      "TE in HTTP/1.0 with keep-alive",
      post(["Connection: keep-alive", "Transfer-Encoding: chunked"], evilBody, "POST", "1.0"),
    ),
    refused("CL.CL", post(["Content-Length: 0", "Content-Length: {length}"], evilWhole)),
    refused("CL.CL the other way", post(["Content-Length: {length}", "Content-Length: 0"], evilWhole)),
    refused("CL.CL in one field", post(["Content-Length: 0, {length}"], evilWhole)),
    refused(
      "TE.TE, chunked and identity",
      post(["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], evilBody),
    ),
    refused(
      "TE.TE, identity and chunked",
      post(["Transfer-Encoding: identity", "Transfer-Encoding: chunked"], evilBody),
    ),
    refused("TE.TE, chunked twice", post(["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], evilBody)),
    through("CL.0: a body that looks like a request", post(["Content-Length: {length}"], evilWhole), [
      ["/a", evilWhole],
    ]),
    through("a GET with a body", post(["Content-Length: {length}"], evilWhole, "GET"), [["/a", evilWhole]]),
    through("0.CL: no length at all", `POST /a HTTP/1.1\r\n${hostLine}\r\n\r\nGET /b HTTP/1.1\r\n${hostLine}\r\n\r\n`, [
      ["/a", ""],
      ["/b", ""],
    ]),
    through("TE.0: chunks that look like a request", post(["Transfer-Encoding: chunked"], `${inChunks}0\r\n\r\n`), [
      ["/a", evilWhole],
    ]),
    through("a HEAD with a body", post(["Content-Length: {length}"], evilWhole, "HEAD"), [["/a", evilWhole]]),
    through("an OPTIONS with a body", post(["Content-Length: {length}"], evilWhole, "OPTIONS"), [["/a", evilWhole]]),
  ];
}

/** TE.TE: a coding that one of two readers does not recognise, with a length for the other. */
function codingsInDisguise(): readonly Attack[] {
  const lines: readonly string[] = [
    "Transfer-Encoding : chunked",
    "Transfer-Encoding\t: chunked",
    "Transfer-Encoding\v: chunked",
    "Transfer-Encoding\0: chunked",
    "Transfer-Encoding\x85: chunked",
    "Transfer-Encoding\xa0: chunked",
    " Transfer-Encoding: chunked",
    "\tTransfer-Encoding: chunked",
    "\vTransfer-Encoding: chunked",
    "\0Transfer-Encoding: chunked",
    "X: y\r\n Transfer-Encoding: chunked",
    "X: y\nTransfer-Encoding: chunked",
    "X: y\rTransfer-Encoding: chunked",
    "X: y\n\rTransfer-Encoding: chunked",
    "X: y\r\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding:\r\n\tchunked",
    "Transfer-Encoding:\n chunked",
    "Transfer-Encoding:\rchunked",
    "Transfer-Encoding: \vchunked",
    "Transfer-Encoding: \fchunked",
    "Transfer-Encoding: \0chunked",
    "Transfer-Encoding: chunked\0",
    "Transfer-Encoding: chunked\x01",
    "Transfer-Encoding: chunked\x7f",
    "Transfer-Encoding: chunked\x85",
    "Transfer-Encoding: \xa0chunked",
    "Transfer-Encoding: \xefchunked",
    "Transfer-Encoding: chunk\xe9d",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunkedx",
    "Transfer-Encoding: x chunked",
    "Transfer-Encoding: chunked x",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, gzip",
    "Transfer-Encoding: cow, chunked",
    "Transfer-Encoding: ,chunked",
    "Transfer-Encoding: chunked,",
    "Transfer-Encoding: , chunked ,",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: chunked;foo",
    "Transfer-Encoding: chunked;q=1.0",
    'Transfer-Encoding: "chunked"',
    "Transfer-Encoding: 'chunked'",
    "Transfer-Encoding: [chunked]",
    "Transfer-Encoding: =chunked",
    "Transfer-Encoding: \\chunked",
    "Transfer-Encoding: %63hunked",
    "Transfer-Encoding: 0x6368756e6b6564",
    "Transfer-Encoding:",
    "Transfer-Encoding: \r\nTransfer-Encoding: chunked",
    "Transfer-Encoding;: chunked",
    "Transfer-Encoding=: chunked",
    "Transfer-Encoding, x: chunked",
    "Transfer-\r\nEncoding: chunked",
    "Transfer-\r\n Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    "transfer-encoding: CHUNKED\r\nTRANSFER-ENCODING: identity",
    "Transfer-Encoding",
    "Transfer-Encoding chunked",
    "Transfer-Encoding\r\n: chunked",
    ": chunked",
    "\x00\r\nTransfer-Encoding: chunked",
    "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
    "Connection: Content-Length\r\nTransfer-Encoding: chunked",
  ];
  // A name that is another field altogether: read by its length, and dropped or passed as what it is.
  const others: readonly string[] = [
    "Transfer_Encoding: chunked",
    "Transfer.Encoding: chunked",
    "TransferEncoding: chunked",
    "X-Transfer-Encoding: chunked",
    "Transfer-Encodin: chunked",
    "Transfer-Encodingg: chunked",
    "Content-Encoding: chunked",
    "Tra\x6esfer~Encoding: chunked",
    "TE: chunked",
  ];
  return [
    ...lines.map((line) =>
      refused(`TE.TE ${JSON.stringify(line)}`, post(["Content-Length: {length}", line], evilBody)),
    ),
    ...lines.map((line) =>
      refused(`TE.TE first ${JSON.stringify(line)}`, post([line, "Content-Length: {length}"], evilBody)),
    ),
    ...others.map((line) =>
      through(`another field ${JSON.stringify(line)}`, post(["Content-Length: {length}", line], evilBody), [
        ["/a", evilBody],
      ]),
    ),
  ];
}

/** Lengths that wrap, round, or are read by a lenient parser. */
function lengthsInDisguise(): readonly Attack[] {
  const values = [
    "+{length}",
    "-1",
    "-0",
    "0x10",
    "0b1",
    "0o7",
    "1e1",
    "5.0",
    "5 0",
    "0 5",
    "{length}\v",
    "\v{length}",
    "{length}\0",
    "{length}\x85",
    "\xa0{length}",
    "{length};",
    "{length},",
    ",{length}",
    "{length}, {length}",
    "{length}a",
    "a{length}",
    '"{length}"',
    "18446744073709551616",
    "18446744073709551617",
    "9223372036854775808",
    "9007199254740992",
    "9007199254740993",
    "99999999999999999999999999",
    "0000000000000000",
    "",
  ];
  const names = [
    "Content-Length : 0",
    "Content-Length\t: 0",
    "Content-Length\0: 0",
    "Content-Length\x85: 0",
    " Content-Length: 0",
    "X: y\r\n Content-Length: 0",
    "X: y\nContent-Length: 0",
    "X: y\rContent-Length: 0",
    "Content-Length:\r\n 0",
    "Content\x00-Length: 0",
  ];
  return [
    ...values.map((value) =>
      refused(`a length of ${JSON.stringify(value)}`, post([`Content-Length: ${value}`], evilWhole)),
    ),
    ...names.map((line) =>
      refused(`CL.CL ${JSON.stringify(line)}`, post(["Content-Length: {length}", line], evilWhole)),
    ),
    through("another field, Content_Length", post(["Content-Length: {length}", "Content_Length: 0"], evilWhole), [
      ["/a", evilWhole],
    ]),
    through(
      "a length that Connection names",
      post(["Connection: content-length", "Content-Length: {length}"], evilWhole),
      [["/a", evilWhole]],
    ),
    through(
      "a coding that Connection names",
      post(["Connection: transfer-encoding", "Transfer-Encoding: chunked"], `${inChunks}0\r\n\r\n`),
      [["/a", evilWhole]],
    ),
    through(
      "a length with zeros before it",
      `POST /a HTTP/1.1\r\n${hostLine}\r\nContent-Length: 000000000000003\r\n\r\nabc`,
      [["/a", "abc"]],
    ),
  ];
}

/** Chunked bodies that two readers cut at different places. */
function chunks(): readonly Attack[] {
  const bad: Readonly<Record<string, string>> = {
    "a bare LF after the size": "1\na\r\n0\r\n\r\n",
    "a bare CR after the size": "1\ra\r\n0\r\n\r\n",
    "CR CR LF after the size": "1\r\r\na\r\n0\r\n\r\n",
    "a bare LF after the data": "1\r\na\n0\r\n\r\n",
    "a bare CR after the data": "1\r\na\r0\r\n\r\n",
    "CR CR after the data": "1\r\na\r\r0\r\n\r\n",
    "LF LF after the data": "1\r\na\n\n0\r\n\r\n",
    "LF CR after the data": "1\r\na\n\r0\r\n\r\n",
    "nothing after the data": "1\r\na0\r\n\r\n",
    "more data than the size": "1\r\nab\r\n0\r\n\r\n",
    "a bare LF after the last size": "0\n\r\n",
    "a bare LF as the last line": "0\r\n\n",
    "a bare CR as the last line": "0\r\n\rX",
    "a bare LF within an extension": `1;a\nb\r\na\r\n0\r\n\r\n`,
    "a bare CR within an extension": "1;a\rb\r\na\r\n0\r\n\r\n",
    "a bare LF in a quoted extension": '1;a="\n"\r\na\r\n0\r\n\r\n',
    "a NUL in an extension": "1;a\0\r\na\r\n0\r\n\r\n",
    "an extension without a name": "1;\r\na\r\n0\r\n\r\n",
    "an extension without a value": "1;a=\r\na\r\n0\r\n\r\n",
    "an extension that is not closed": '1;a="b\r\na\r\n0\r\n\r\n',
    "a size with a plus": "+1\r\na\r\n0\r\n\r\n",
    "a size with a minus": "-1\r\na\r\n0\r\n\r\n",
    "a size with 0x": "0x1\r\na\r\n0\r\n\r\n",
    "a size with a space before": " 1\r\na\r\n0\r\n\r\n",
    "a size with a space behind": "1 \r\na\r\n0\r\n\r\n",
    "a size with a tab behind": "1\t\r\na\r\n0\r\n\r\n",
    "a size with an underscore": "1_0\r\na\r\n0\r\n\r\n",
    "a size that is no number": "g\r\na\r\n0\r\n\r\n",
    "a size of nothing": "\r\na\r\n0\r\n\r\n",
    "a size of 2^64": "10000000000000000\r\na\r\n0\r\n\r\n",
    "a size of 2^64 and 1": "10000000000000001\r\na\r\n0\r\n\r\n",
    "a size of 2^63": "8000000000000000\r\na\r\n0\r\n\r\n",
    "a size of 2^56": "100000000000000\r\na\r\n0\r\n\r\n",
    "a size of 2^32 in 17 digits": "00000000100000001\r\na\r\n0\r\n\r\n",
    "a size of f and its negative": "ffffffffffffffff\r\na\r\n0\r\n\r\n",
    "a last chunk of 14 zeros": "00000000000000\r\n\r\n",
    "a size with a NUL": "1\0\r\na\r\n0\r\n\r\n",
    "a size with a high byte": "1\xb2\r\na\r\n0\r\n\r\n",
    "a size with a comma": "1,2\r\na\r\n0\r\n\r\n",
    "an endless extension": `1;${"a".repeat(300)}\r\na\r\n0\r\n\r\n`,
    "many extensions": `${`1;${"a".repeat(240)}\r\na\r\n`.repeat(20)}0\r\n\r\n`,
  };
  const head = `POST /a HTTP/1.1\r\n${hostLine}\r\nTransfer-Encoding: chunked\r\n\r\n`;
  return [
    ...Object.entries(bad).map(([name, body]) => refused(`chunks: ${name}`, `${head}${body}${evilWhole}`)),
    through("chunks: extensions are dropped", `${head}3;a;b=c;d="e\\"f" ; g = h\r\nabc\r\n0;x\r\n\r\n`, [
      ["/a", "abc"],
    ]),
    through("chunks: a line end in a quoted pair's place stays text", `${head}3;a="\t b"\r\nabc\r\n0\r\n\r\n`, [
      ["/a", "abc"],
    ]),
    through("chunks: sizes with zeros before them", `${head}0000000000003\r\nabc\r\n0000000000000\r\n\r\n`, [
      ["/a", "abc"],
    ]),
    through("chunks: sizes in both cases", `${head}A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n`, [
      ["/a", "01234567890123456789"],
    ]),
    through("chunks: data that looks like an end", `${head}7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n`, [["/a", "\r\n0\r\n\r\n"]]),
  ];
}

/** Trailers that would change what was read before them. */
function trailers(): readonly Attack[] {
  const head = `POST /a HTTP/1.1\r\n${hostLine}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n`;
  const dropped = [
    "Content-Length: 100",
    "Transfer-Encoding: identity",
    "Host: evil",
    "Cookie: admin=1",
    "Authorization: Basic eA==",
    "X-Forwarded-For: 127.0.0.1",
    "Connection: close",
    "Upgrade: websocket",
    "Expect: 100-continue",
    "X-Anything: at-all",
    "X_Under: score",
  ];
  const bad = ["A : b", " A: b", "A", "A: b\n", "A: b\rC: d", "A: \0", ": b", "A\r\n : b", "A: b\r\n c", "\x7f: b"];
  return [
    ...dropped.map((line) =>
      through(`a trailer ${line}`, `${head}${line}\r\n\r\nGET /b HTTP/1.1\r\n${hostLine}\r\n\r\n`, [
        ["/a", "abc"],
        ["/b", ""],
      ]),
    ),
    ...bad.map((line) => refused(`a trailer ${JSON.stringify(line)}`, `${head}${line}\r\n\r\n${evilWhole}`)),
    refused(
      "too many trailers",
      `${head}${Array.from({ length: 101 }, (_, i) => `T${i}: a\r\n`).join("")}\r\n${evilWhole}`,
    ),
  ];
}

/** Where a request ends, and what stands behind it. */
function ends(): readonly Attack[] {
  return [
    through(
      "pipelined behind a chunked body",
      `POST /a HTTP/1.1\r\n${hostLine}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /b HTTP/1.1\r\n${hostLine}\r\n\r\n`,
      [
        ["/a", ""],
        ["/b", ""],
      ],
    ),
    through(
      "an empty line between two requests",
      `POST /a HTTP/1.1\r\n${hostLine}\r\nContent-Length: 1\r\n\r\na\r\nGET /b HTTP/1.1\r\n${hostLine}\r\n\r\n`,
      [
        ["/a", "a"],
        ["/b", ""],
      ],
    ),
    {
      name: "a prefix that poisons the next request",
      bytes: `POST /a HTTP/1.1\r\n${hostLine}\r\nContent-Length: 1\r\n\r\naG${evilWhole}`.replace("GGET", "G@ET"),
      ending: "refused",
      upstream: [["/a", "a"]],
    },
    {
      name: "a request behind Connection: close",
      bytes: `GET /a HTTP/1.1\r\n${hostLine}\r\nConnection: close\r\n\r\n${evilWhole}`,
      ending: "closed",
      upstream: [["/a", ""]],
    },
    {
      name: "a request behind one of HTTP/1.0",
      bytes: `GET /a HTTP/1.0\r\n${hostLine}\r\n\r\n${evilWhole}`,
      ending: "closed",
      upstream: [["/a", ""]],
    },
    {
      name: "a request behind an Upgrade that was not taken",
      bytes: `GET /a HTTP/1.1\r\n${hostLine}\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nGET /b HTTP/1.1\r\n${hostLine}\r\n\r\n`,
      ending: "open",
      upstream: [
        ["/a", ""],
        ["/b", ""],
      ],
    },
  ];
}

/** Line ends, folds and control bytes that hide a line from one of two readers. */
function lines(): readonly Attack[] {
  const inserted = ["\n", "\r", "\n\r", "\r\r\n", "\0\r\n", "\x85", "\v\r\n", "\r\n ", "\r\n\t", "\r\n\0", "\f\n"];
  return [
    ...inserted
      .filter((end) => end !== "\x85")
      .map((end) =>
        refused(
          `a hidden line behind ${JSON.stringify(end)}`,
          `GET /a HTTP/1.1\r\n${hostLine}\r\nA: b${end}X-Hidden: y\r\n\r\n${evilWhole}`,
        ),
      ),
    refused("a request in the reason's place", `GET /a HTTP/1.1\r\n${hostLine}\r\n\r\r\n\r\n${evilWhole}`),
    refused("an end by two bare LFs", `GET /a HTTP/1.1\r\n${hostLine}\n\n${evilWhole}`),
    refused("an end by LF CR LF", `GET /a HTTP/1.1\r\n${hostLine}\n\r\n${evilWhole}`),
    refused("a request line with a request in it", `GET /a HTTP/1.1\rGET /evil HTTP/1.1\r\n${hostLine}\r\n\r\n`),
    refused("a target with a version in it", `GET /a HTTP/1.1 /evil HTTP/1.1\r\n${hostLine}\r\n\r\n`),
    refused("a value with a request behind a bare CR", `GET /a HTTP/1.1\r\n${hostLine}\r\nA: b\r\r${evilWhole}`),
  ];
}

/** Two names for where a request goes. */
function targets(): readonly Attack[] {
  return [
    refused("absolute-form against Host", `GET http://evil/a HTTP/1.1\r\n${hostLine}\r\n\r\n`),
    refused("absolute-form with userinfo", `GET http://${caseHost}@evil/a HTTP/1.1\r\n${hostLine}\r\n\r\n`),
    refused("absolute-form with a backslash", `GET http://${caseHost}\\@evil/a HTTP/1.1\r\n${hostLine}\r\n\r\n`),
    refused("two Hosts", `GET /a HTTP/1.1\r\n${hostLine}\r\nHost: evil\r\n\r\n`),
    refused("Host in two lines by a fold", `GET /a HTTP/1.1\r\n${hostLine}\r\n evil\r\n\r\n`),
    refused("Host with a space before its colon", `GET /a HTTP/1.1\r\n${hostLine}\r\nHost : evil\r\n\r\n`),
    // A comma is legal in a name (RFC 3986 §3.2.2): one Host, whatever a careless joiner would make of it.
    through("Host with a comma", `GET /a HTTP/1.1\r\n${hostLine},evil\r\n\r\n`, [["/a", ""]]),
    through("absolute-form that agrees", `GET http://${caseHost}/a HTTP/1.1\r\n${hostLine}\r\n\r\n`, [["/a", ""]]),
    through("Host that Connection names", `GET /a HTTP/1.1\r\n${hostLine}\r\nConnection: host\r\n\r\n`, [["/a", ""]]),
  ];
}

/** Requests that would leave the upstream connection in a state that the next one finds. */
function connections(): readonly Attack[] {
  return [
    {
      name: "a chunked body that ends badly",
      bytes: `POST /a HTTP/1.1\r\n${hostLine}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nZ\r\n${evilWhole}`,
      ending: "refused",
      upstream: [],
    },
    refused(
      "an expectation with a body behind it",
      `POST /a HTTP/1.1\r\n${hostLine}\r\nExpect: x\r\nContent-Length: 3\r\n\r\nabc${evilWhole}`,
    ),
    refused("CONNECT to a path's host", `CONNECT ${caseHost}:80 HTTP/1.1\r\n${hostLine}:80\r\n\r\n${evilWhole}`),
    refused("the HTTP/2 preface", `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${evilWhole}`),
    refused("HTTP/0.9", `GET /a\r\n${evilWhole}`),
  ];
}

function refused(name: string, bytes: string): Attack {
  return { name, bytes, upstream: [], ending: "refused" };
}

function through(name: string, bytes: string, upstream: Attack["upstream"]): Attack {
  return { name, bytes, upstream, ending: "open" };
}

/** A request with fields and a body, whose length stands for "{length}" in the fields. */
function post(fields: readonly string[], body: string, method = "POST", version = "1.1"): string {
  const head = [`${method} /a HTTP/${version}`, hostLine, ...fields, "", ""].join("\r\n");
  return head.replaceAll("{length}", String(body.length)) + body;
}
