// Properties over random, mutated and split messages: the codec and the strict reader agree, splits change nothing, and no
// input makes the codec throw, stand still, or look outside of its bytes.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { AnswerHead } from "./answer-head.ts";
import { ChunkedReader } from "./chunked-reader.ts";
import { Framing } from "./framing.ts";
import type { HeadLimits } from "./limits.ts";
import { answerLimits, requestLimits } from "./limits.ts";
import { Method } from "./method.ts";
import { mayComplete } from "./octets.ts";
import { parseAnswerHead } from "./parse-answer.ts";
import { parseRequestHead } from "./parse-request.ts";
import { RequestHead } from "./request-head.ts";
import type { StrictMessage } from "./strict-reader.ts";
import { readStrictAnswers, readStrictRequests, StrictError } from "./strict-reader.ts";
import { violations } from "./violations.ts";
import { latin1, pairsOf, textOf } from "./written.ts";

const runs = { numRuns: 3000 };

// Messages: mostly right, often wrong in one of the ways that have fooled servers.

const name = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom("Host", "host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "TE"),
  },
  { weight: 3, arbitrary: fc.constantFrom("X-A", "x-b", "Accept", "Cookie", "Keep-Alive", "X_C", "Trailer") },
  { weight: 1, arbitrary: fc.string({ unit: fc.constantFrom(..."aZ0-_ \t:\x00\x85".split("")), maxLength: 4 }) },
);
const value = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      "a",
      "a:80",
      "0",
      "3",
      "10",
      "chunked",
      "Chunked",
      "close",
      "keep-alive, x-a",
      "upgrade",
      "websocket",
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "",
      "3, 3",
      "+3",
      "0x3",
      "1e1",
      "3 ",
      "gzip, chunked",
      "chunked, chunked",
      "identity",
      "[::1]",
      "[::",
      "a b",
      "trailers",
    ),
  },
  {
    weight: 1,
    arbitrary: fc.string({ unit: fc.constantFrom(...'a1 \t,;="\x00\x0b\x7f\x80\xff\r\n'.split("")), maxLength: 6 }),
  },
);
const lineEnd = fc.oneof(
  { weight: 40, arbitrary: fc.constant("\r\n") },
  { weight: 1, arbitrary: fc.constantFrom("\n", "\r", "\r\r\n", "\n\r", "\r\n ", "") },
);
const colon = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(": ", ":", ":\t", ":  ") },
  { weight: 1, arbitrary: fc.constantFrom(" : ", "", "::", "\t:") },
);
const line = fc.tuple(name, colon, value, fc.constantFrom("", "", " ", "\t "), lineEnd).map((parts) => parts.join(""));
const target = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.constantFrom(
      "/",
      "/a?b=c",
      "/a%20b",
      "*",
      "http://a/",
      "http://a:80/b?c",
      "http://a",
      "http://a.b/",
      "HTTPS://A:443?x",
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "",
      "a",
      "a:80",
      "http://b/",
      "http://u@a/",
      "/#x",
      "/\xe4",
      "//a",
      "ftp://a/",
      "http:/a",
      "http://",
      "/ /",
    ),
  },
);
const requestLine = fc
  .tuple(
    fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom("GET", "POST", "OPTIONS", "HEAD", "FOO") },
      { weight: 1, arbitrary: fc.constantFrom("CONNECT", "", "G T", "get", "G\xe9T", "\x16") },
    ),
    target,
    fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom("HTTP/1.1", "HTTP/1.1", "HTTP/1.0") },
      { weight: 1, arbitrary: fc.constantFrom("HTTP/1.2", "HTTP/0.9", "HTTP/2.0", "http/1.1", "HTTP/1.10", "") },
    ),
    lineEnd,
  )
  .map(([method, path, version, end]) => `${method} ${path} ${version}${end}`);
const host = fc.constantFrom("Host: a\r\n", "Host: a\r\n", "Host: a\r\n", "Host: a.b\r\n", "");
const requestText = fc
  .tuple(fc.constantFrom("", "", "", "\r\n", "\r\n\r\n"), requestLine, host, fc.array(line, { maxLength: 5 }), lineEnd)
  .map(([empty, first, hostLine, lines, end]) => empty + first + hostLine + lines.join("") + end);
const statusLine = fc
  .tuple(
    fc.constantFrom("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.7", "HTTP/2.0", "HTTP1.1"),
    fc.constantFrom(" ", " ", " ", " ", "  ", "\t"),
    fc.constantFrom("200", "204", "304", "100", "101", "404", "599", "600", "099", "20", "2000", "2x0"),
    fc.constantFrom("", " ", " OK", " OK", " a\tb", " \xe4", " \x01", "OK"),
    lineEnd,
  )
  .map((parts) => parts.join(""));
const answerText = fc
  .tuple(statusLine, fc.array(line, { maxLength: 5 }), lineEnd)
  .map(([first, lines, end]) => first + lines.join("") + end);

/** The same text with a byte or two replaced, removed, inserted or doubled. */
function mutated(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const edit = fc.tuple(
    fc.nat(10_000),
    fc.constantFrom("replace", "remove", "insert", "double"),
    fc.constantFrom(...'\r\n\t :;,/?#@[]0\x00\x7f\x80\xffaF_"%'.split("")),
  );
  return fc.tuple(text, fc.array(edit, { maxLength: 2 })).map(([original, edits]) => {
    let result = original;
    for (const [seed, kind, character] of edits) {
      const at = result.length === 0 ? 0 : seed % result.length;
      const rest = result.slice(kind === "insert" || kind === "double" ? at : at + 1);
      const middle = kind === "remove" ? "" : kind === "double" ? (result[at] ?? "") : character;
      result = result.slice(0, at) + middle + rest;
    }
    return result;
  });
}

const requests = fc.oneof(requestText, mutated(requestText));
const answers = fc.oneof(answerText, mutated(answerText));
const splits = fc.array(fc.nat(120), { maxLength: 8 });

/** The pieces that `text` is cut into. */
function cut(text: string, cuts: readonly number[]): string[] {
  const places = [...new Set(cuts.map((place) => place % (text.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, i) => text.slice(from, places[i]));
}

type Parse = (bytes: Uint8Array, from: number, to: number) => number;

/** Parses like a session that gathers pieces: again when `mayComplete` says so, or at the head's limit. */
function parsePieces(pieces: readonly string[], limits: HeadLimits, parse: Parse): number {
  let text = "";
  for (const piece of pieces) {
    const before = text.length;
    text += piece;
    const bytes = latin1(text);
    if (!mayComplete(bytes, before, bytes.length) && bytes.length < limits.headBytes) continue;
    const result = parse(bytes, 0, bytes.length);
    if (result !== 0) return result;
  }
  const bytes = latin1(text);
  return parse(bytes, 0, bytes.length);
}

/** The parse of `text` alone and within other bytes must be the same: nothing outside [from, to) is looked at. */
function parseWithin(text: string, surround: number, parse: Parse): number {
  const bytes = new Uint8Array(text.length + 20).fill(surround);
  bytes.set(latin1(text), 7);
  const result = parse(bytes, 7, 7 + text.length);
  return result > 0 ? result - 7 : result;
}

function request(limits: HeadLimits = requestLimits, head = new RequestHead()): Parse {
  return (bytes, from, to) => parseRequestHead(bytes, from, to, limits, head, "pass");
}

function answer(limits: HeadLimits = answerLimits, method: number = Method.get, head = new AnswerHead()): Parse {
  return (bytes, from, to) => parseAnswerHead(bytes, from, to, limits, head, method);
}

// Small enough that random messages meet every limit.
const tight: HeadLimits = { headBytes: 80, targetBytes: 9, fieldBytes: 20, fields: 3 };

describe("splits", () => {
  const limits = fc.constantFrom(requestLimits, tight);

  test("do not change what becomes of a request", () => {
    fc.assert(
      fc.property(requests, splits, limits, (text, cuts, limit) => {
        const bytes = latin1(text);
        const whole = request(limit)(bytes, 0, bytes.length);
        expect(parsePieces(cut(text, cuts), limit, request(limit))).toBe(whole);
      }),
      runs,
    );
  });

  test("every beginning of a request is incomplete or already what the whole is", () => {
    fc.assert(
      fc.property(requests, limits, (text, limit) => {
        const bytes = latin1(text);
        const parse = request(limit);
        const whole = parse(bytes, 0, bytes.length);
        let last = 0;
        for (let to = 0; to <= bytes.length; to++) {
          const result = parse(bytes, 0, to);
          if (last !== 0) expect(result).toBe(last);
          last = result;
        }
        expect(last).toBe(whole);
      }),
      { numRuns: 600 },
    );
  });

  test("every beginning of an answer is incomplete or already what the whole is", () => {
    fc.assert(
      fc.property(answers, limits, (text, limit) => {
        const bytes = latin1(text);
        const parse = answer(limit);
        let last = 0;
        for (let to = 0; to <= bytes.length; to++) {
          const result = parse(bytes, 0, to);
          if (last !== 0) expect(result).toBe(last);
          last = result;
        }
      }),
      { numRuns: 600 },
    );
  });
});

describe("bytes around a message", () => {
  test("are not looked at", () => {
    fc.assert(
      fc.property(requests, answers, fc.constantFrom(0x00, 0x0a, 0x0d, 0x20, 0x61), (one, other, surround) => {
        const oneBytes = latin1(one);
        const otherBytes = latin1(other);
        expect(parseWithin(one, surround, request())).toBe(request()(oneBytes, 0, oneBytes.length));
        expect(parseWithin(other, surround, answer())).toBe(answer()(otherBytes, 0, otherBytes.length));
      }),
      runs,
    );
  });
});

describe("any bytes at all", () => {
  test("are answered with a position, incomplete or a violation", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .tuple(requests, fc.uint8Array({ maxLength: 30 }))
        .map(([text, tail]) => new Uint8Array([...latin1(text), ...tail])),
    );
    fc.assert(
      fc.property(bytes, (input) => {
        for (const parse of [request(), request(tight), answer(), answer(tight)]) {
          const result = parse(input, 0, input.length);
          expect(Number.isInteger(result)).toBe(true);
          expect(result).toBeLessThanOrEqual(input.length);
          if (result < 0) expect(violations[-result]).toBeDefined();
        }
      }),
      runs,
    );
  });
});

function strictly<Message>(read: () => Message[]): Message | "incomplete" | "refused" {
  try {
    return read()[0] ?? "incomplete";
  } catch (error) {
    if (!(error instanceof StrictError)) throw error;
    return error.incomplete ? "incomplete" : "refused";
  }
}

/** What a head must have been understood as, beside its fields. */
function framingOf(message: StrictMessage): number {
  return Framing[message.framing];
}

describe("the codec and the strict reader", () => {
  test("agree on requests", () => {
    const seen = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(requests, (text) => {
        const bytes = latin1(text);
        const head = new RequestHead();
        const end = parseRequestHead(bytes, 0, bytes.length, requestLimits, head, "pass");
        // Only the head is compared: a body that always suffices follows it.
        const body =
          end > 0 && head.framing === Framing.chunked
            ? "0\r\n\r\n"
            : "x".repeat(Math.min(20, Math.max(0, head.contentLength)));
        const strict = strictly(() =>
          readStrictRequests(latin1(text.slice(0, end > 0 ? end : undefined) + (end > 0 ? body : "")), {
            emptyLines: 4,
          }),
        );
        if (end > 0) {
          seen.accepted++;
          expect(strict).toBeObject();
          if (typeof strict === "string") return;
          expect(strict.method).toBe(textOf(bytes, head.start, head.methodEnd));
          expect(strict.target).toBe(textOf(bytes, head.targetStart, head.targetEnd));
          expect(pairsOf(head.fields, bytes)).toEqual(strict.headers.map(([field, content]) => [field, content]));
          expect(framingOf(strict)).toBe(head.framing);
          expect(strict.version === "HTTP/1.0" ? 0 : 1).toBe(head.minor as 0 | 1);
        } else {
          // A refused head is never one that the reader takes; only an expectation is refused although well written.
          const fault = end < 0 ? violations[-end]!.fault : "";
          if (fault === "request-expectation-failed") return;
          seen.refused++;
          expect(typeof strict === "string" ? strict : "accepted").not.toBe("accepted");
        }
      }),
      { numRuns: 10_000 },
    );
    // Were the messages all wrong, or all right, the property would say nothing.
    expect(seen.accepted).toBeGreaterThan(500);
    expect(seen.refused).toBeGreaterThan(500);
  });

  test("agree on answers", () => {
    const methods = [
      ["GET", Method.get],
      ["HEAD", Method.head],
      ["CONNECT", Method.connect],
    ] as const;
    const seen = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(answers, fc.constantFrom(...methods), (text, [method, id]) => {
        const bytes = latin1(text);
        const head = new AnswerHead();
        const end = parseAnswerHead(bytes, 0, bytes.length, answerLimits, head, id);
        const length = head.framing === Framing.length ? Math.min(20, head.contentLength) : 0;
        const body = head.framing === Framing.chunked ? "0\r\n\r\n" : "x".repeat(length);
        const strict = strictly(() =>
          readStrictAnswers(latin1(end > 0 ? text.slice(0, end) + body : text), [method], { closed: true }),
        );
        if (end > 0) {
          seen.accepted++;
          expect(strict).toBeObject();
          if (typeof strict === "string") return;
          expect(strict.status).toBe(head.status);
          expect(strict.reason).toBe(textOf(bytes, head.reasonStart, head.reasonEnd));
          expect(pairsOf(head.fields, bytes)).toEqual(strict.headers.map(([field, content]) => [field, content]));
          expect(framingOf(strict)).toBe(head.framing);
        } else {
          seen.refused++;
          expect(typeof strict === "string" ? strict : "accepted").not.toBe("accepted");
        }
      }),
      { numRuns: 10_000 },
    );
    expect(seen.accepted).toBeGreaterThan(500);
    expect(seen.refused).toBeGreaterThan(500);
  });

  test("agree on hosts", () => {
    const part = fc.constantFrom(
      "a",
      "1",
      "0",
      "255",
      "256",
      ":",
      ":",
      "::",
      ".",
      "[",
      "]",
      "%41",
      "%4",
      "@",
      "ffff",
      "00001",
      "-",
      "_",
      ",",
      " ",
      "80",
      "65536",
    );
    const piece = fc.array(part, { maxLength: 9 }).map((parts) => parts.join(""));
    const hosts = fc.oneof(
      piece,
      piece.map((inside) => `[${inside}]`),
      fc.ipV6().map((address) => `[${address}]`),
      fc.tuple(fc.ipV6(), part).map(([address, more]) => `[${address}${more}]:80`),
      fc.ipV4(),
    );
    const seen = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(hosts, (text) => {
        const message = `GET / HTTP/1.1\r\nHost: ${text}\r\n\r\n`;
        const bytes = latin1(message);
        const end = request()(bytes, 0, bytes.length);
        const strict = strictly(() => readStrictRequests(bytes));
        expect(end > 0).toBe(typeof strict !== "string");
        seen[end > 0 ? "accepted" : "refused"]++;
      }),
      { numRuns: 5000 },
    );
    expect(seen.accepted).toBeGreaterThan(500);
    expect(seen.refused).toBeGreaterThan(500);
  });
});

/** Feeds pieces to a reader the way a session does; counts steps so that standing still is seen. */
function readPieces(pieces: readonly Uint8Array[], reader: ChunkedReader): { data: Uint8Array; used: number } {
  const parts: Uint8Array[] = [];
  let used = 0;
  for (const piece of pieces) {
    let p = 0;
    while (p < piece.length && !reader.done && reader.violation === 0) {
      const next = reader.step(piece, p, piece.length);
      expect(next > p || reader.violation !== 0).toBe(true);
      expect(next).toBeLessThanOrEqual(piece.length);
      parts.push(piece.slice(reader.dataStart, reader.dataEnd));
      used += next - p;
      p = next;
    }
  }
  return { data: new Uint8Array(Buffer.concat(parts)), used };
}

const extension = fc.constantFrom("", "", "", ";a", ";a=b", ' ; a = "b;\\"c"', ";a;b=c");
const trailer = fc.constantFrom("X-Sum: 1\r\n", "X-Sum:\t a b \r\n", "Host: b\r\n", "X_Y: 1\r\n", "Empty:\r\n");
const chunkedBody = fc
  .tuple(
    fc.array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), extension, fc.constantFrom("", "0", "00")), {
      maxLength: 5,
    }),
    extension,
    fc.array(trailer, { maxLength: 3 }),
  )
  .map(([chunks, last, trailers]) => ({
    data: new Uint8Array(Buffer.concat(chunks.map(([data]) => data))),
    text:
      chunks
        .map(([data, more, zeros]) => `${zeros}${data.length.toString(16)}${more}\r\n${textOf(data)}\r\n`)
        .join("") + `0${last}\r\n${trailers.join("")}\r\n`,
  }));

describe("chunked bodies", () => {
  test("come through every single split", () => {
    fc.assert(
      fc.property(chunkedBody, ({ data, text }) => {
        const whole = new ChunkedReader();
        readPieces([latin1(text)], whole);
        const trailers = textOf(whole.trailers, 0, whole.trailerLength);
        for (let at = 0; at <= text.length; at++) {
          const reader = new ChunkedReader();
          const read = readPieces([latin1(text.slice(0, at)), latin1(`${text.slice(at)}next`)], reader);
          expect(reader.done).toBe(true);
          expect(read.used).toBe(text.length);
          expect(Buffer.compare(read.data, data)).toBe(0);
          expect(textOf(reader.trailers, 0, reader.trailerLength)).toBe(trailers);
        }
      }),
      { numRuns: 150 },
    );
  });

  test("come through byte by byte", () => {
    fc.assert(
      fc.property(chunkedBody, ({ data, text }) => {
        const reader = new ChunkedReader();
        const read = readPieces(text.split("").map(latin1), reader);
        expect(reader.done).toBe(true);
        expect(Buffer.compare(read.data, data)).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test("that were changed are read as the strict reader reads them, or not at all", () => {
    const start = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    const seen = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(mutated(chunkedBody.map(({ text }) => text)), splits, (text, cuts) => {
        const reader = new ChunkedReader();
        const read = readPieces(cut(text, cuts).map(latin1), reader);
        const strict = strictly(() =>
          readStrictRequests(latin1(start + text.slice(0, reader.done ? read.used : undefined))),
        );
        if (reader.done) {
          seen.accepted++;
          expect(strict).toBeObject();
          if (typeof strict !== "string") expect(Buffer.compare(read.data, strict.body)).toBe(0);
        } else {
          seen.refused++;
          expect(typeof strict).toBe("string");
          // What is only not complete yet must not be what the strict reader refuses.
          if (reader.violation === 0) expect(strict).toBe("incomplete");
        }
      }),
      { numRuns: 5000 },
    );
    expect(seen.accepted).toBeGreaterThan(200);
    expect(seen.refused).toBeGreaterThan(200);
  });

  test("of any bytes at all end in a state, not in a loop", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const reader = new ChunkedReader();
        readPieces([bytes], reader);
        expect(reader.done && reader.violation !== 0).toBe(false);
      }),
      runs,
    );
  });
});
