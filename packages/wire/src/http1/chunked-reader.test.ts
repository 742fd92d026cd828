// Chunked bodies: every rule by name; properties.test.ts adds random bodies and splits.
import { describe, expect, test } from "bun:test";
import { ChunkedReader } from "./chunked-reader.ts";
import { requestLimits } from "./limits.ts";
import { violations } from "./violations.ts";
import { latin1, textOf } from "./written.ts";

interface Read {
  readonly data: string;
  /** "done", "open", or the violation. */
  readonly end: string;
  readonly trailers: string;
  /** Bytes left over after the body. */
  readonly rest: string;
}

function read(text: string, reader = new ChunkedReader()): Read {
  const bytes = latin1(text);
  let data = "";
  let p = 0;
  while (p < bytes.length && !reader.done && reader.violation === 0) {
    p = reader.step(bytes, p, bytes.length);
    data += textOf(bytes, reader.dataStart, reader.dataEnd);
  }
  const kind = violations[reader.violation]!;
  const end = reader.done ? "done" : reader.violation > 0 ? `${kind.fault}: ${kind.text}` : "open";
  return { data, end, trailers: textOf(reader.trailers, 0, reader.trailerLength), rest: textOf(bytes, p) };
}

describe("read", () => {
  test.each([
    ["no data", "0\r\n\r\n", ""],
    ["one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello"],
    ["two chunks", "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hello!"],
    ["hexadecimal in both cases", "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n", "01234567890123456789a"],
    ["leading zeros", "0000000000005\r\nhello\r\n000\r\n\r\n", "hello"],
    ["CRLF in data", "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"],
    ["an extension", "5;a\r\nhello\r\n0\r\n\r\n", "hello"],
    ["an extension with a value", "5;a=b;c=d\r\nhello\r\n0;e\r\n\r\n", "hello"],
    ["an extension with a quoted value", '5;a="b;\\"\xe4\t c"\r\nhello\r\n0\r\n\r\n', "hello"],
    ["white space around an extension", '5 \t; a = b ; c\t=\t"d" ;e\r\nhello\r\n0\r\n\r\n', "hello"],
    ["long extensions on many lines", `1;${"a".repeat(200)}\r\nx\r\n`.repeat(3) + "0\r\n\r\n", "xxx"],
    ["an extension of the longest line", `5;${"a".repeat(254)}\r\nhello\r\n0\r\n\r\n`, "hello"],
  ])("%s", (_rule, text, data) => {
    expect(read(`${text}next`)).toEqual({ data, end: "done", trailers: "", rest: "next" });
  });

  test("gives data as it comes, one run a step", () => {
    const reader = new ChunkedReader();
    const bytes = latin1("3\r\nabc\r\n2\r\nde");
    expect(reader.step(bytes, 0, bytes.length)).toBe(6);
    expect(textOf(bytes, reader.dataStart, reader.dataEnd)).toBe("abc");
    expect(reader.step(bytes, 6, bytes.length)).toBe(13);
    expect(textOf(bytes, reader.dataStart, reader.dataEnd)).toBe("de");
    expect(reader.done).toBe(false);
  });

  test("is used again after reset", () => {
    const reader = new ChunkedReader();
    read("1\r\na\r\n0\r\nX: y\r\n\r\n", reader);
    expect(reader.step(latin1("zzz"), 1, 3)).toBe(1);
    reader.reset();
    expect(read("1\r\nb\r\n0\r\n\r\n", reader)).toEqual({ data: "b", end: "done", trailers: "", rest: "" });
    read("x", reader);
    reader.reset();
    read("x", reader);
    expect(reader.violation).toBeGreaterThan(0);
    reader.reset();
    expect(read("0\r\n\r\n", reader).end).toBe("done");
  });
});

describe("refused", () => {
  test.each([
    ["no size", "\r\n"],
    ["no size but an extension", ";a\r\n"],
    ["a space before the size", " 5\r\nhello\r\n"],
    ["a plus", "+5\r\nhello\r\n"],
    ["a minus", "-5\r\nhello\r\n"],
    ["0x", "0x5\r\nhello\r\n"],
    ["a letter that is no digit", "g\r\n"],
    ["a letter after the size", "5g\r\nhello\r\n"],
    ["a comma", "5,5\r\nhello\r\n"],
    ["an underscore", "1_0\r\n"],
    ["a space after the size", "5 \r\nhello\r\n"],
    ["a tab after the size", "5\t\r\nhello\r\n"],
    ["two sizes", "5 5\r\nhello\r\n"],
    ["14 digits", "00000000000005\r\nhello\r\n"],
    ["2^64", "10000000000000000\r\n"],
    ["2^32 + 5 in too many digits", "00000100000005\r\n"],
    ["an empty extension", "5;\r\nhello\r\n"],
    ["an empty extension with a value", "5;=a\r\nhello\r\n"],
    ["an extension without its value", "5;a=\r\nhello\r\n"],
    ["a space after an extension", "5;a \r\nhello\r\n"],
    ["a space in an extension", "5;a b\r\nhello\r\n"],
    ["an open quote", '5;a="b\r\nhello\r\n'],
    ["text after a quote", '5;a="b"c\r\nhello\r\n'],
    ["NUL in a quote", '5;a="\0"\r\nhello\r\n'],
    ["a bare LF in an extension", "5;a\nhello\r\n"],
    ["a bare LF in a quote", '5;a="\n"\r\nhello\r\n'],
    ["a bare CR in an extension", "5;a\rb\r\nhello\r\n"],
    ["a bare LF after the size", "5\nhello\r\n"],
    ["a bare CR after the size", "5\rhello\r\n"],
    ["CR CR LF after the size", "5\r\r\nhello\r\n"],
    ["a bare LF after data", "5\r\nhello\n0\r\n\r\n"],
    ["a bare CR after data", "5\r\nhello\r0\r\n\r\n"],
    ["nothing after data", "5\r\nhello0\r\n\r\n"],
    ["more data than announced", "5\r\nhello!\r\n0\r\n\r\n"],
    ["less data than announced", "6\r\nhello\r\n0\r\n\r\n"],
    ["a bare LF after the last chunk", "0\n\n"],
    ["a bare LF as empty line", "0\r\n\n"],
    ["a bare CR as empty line", "0\r\n\rX"],
    ["a line of 257 bytes", `5;${"a".repeat(255)}\r\nhello\r\n`],
    ["4097 bytes of extensions", `1;${"a".repeat(240)}\r\nx\r\n`.repeat(17)],
    ["a trailer without colon", "0\r\nX\r\n\r\n"],
    ["a trailer without name", "0\r\n: a\r\n\r\n"],
    ["a space before a trailer's colon", "0\r\nX : a\r\n\r\n"],
    ["a folded trailer", "0\r\nX: a\r\n b\r\n\r\n"],
    ["a control byte in a trailer", "0\r\nX: a\0\r\n\r\n"],
    ["a bare LF in a trailer", "0\r\nX: a\n\r\n"],
    ["a bare CR in a trailer", "0\r\nX: a\rb\r\n\r\n"],
  ])("%s", (_rule, text) => {
    expect(read(text).end).toStartWith("request-body-malformed");
    expect(read(text, new ChunkedReader("answer")).end).toStartWith("answer-malformed");
  });

  test("stops at the byte that is wrong, and stays there", () => {
    const reader = new ChunkedReader();
    const bytes = latin1("5\r\nhelloX\r\n");
    expect(reader.step(bytes, 0, bytes.length)).toBe(8);
    expect(reader.step(bytes, 8, bytes.length)).toBe(8);
    expect(reader.violation).toBeGreaterThan(0);
    expect(reader.dataEnd - reader.dataStart).toBe(0);
    expect(reader.step(bytes, 9, bytes.length)).toBe(9);
  });
});

describe("trailers", () => {
  test("pass in canonical form", () => {
    expect(read("0\r\nDigest:\t a b \t\r\nX-Sum:1\r\nEmpty:\r\nBlank: \t \r\nHigh: \xe4\r\n\r\nnext")).toEqual({
      data: "",
      end: "done",
      trailers: "Digest: a b\r\nX-Sum: 1\r\nEmpty: \r\nBlank: \r\nHigh: \xe4\r\n",
      rest: "next",
    });
  });

  test.each([
    "Content-Length",
    "transfer-encoding",
    "TRAILER",
    "Host",
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "TE",
    "Upgrade",
    "Authorization",
    "Proxy-Authorization",
    "Proxy-Authenticate",
    "WWW-Authenticate",
    "Cookie",
    "Set-Cookie",
    "Content-Type",
    "Content-Encoding",
    "Content-Range",
    "Cache-Control",
    "Expect",
    "Range",
    "If-Match",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "Forwarded",
    "X-Real-IP",
    "Via",
    "X-Request-Id",
    "Location",
    "Max-Forwards",
    "X_Sum",
    "Content_Length",
  ])("%s does not pass", (name) => {
    expect(read(`0\r\nA: 1\r\n${name}: 5\r\nB: 2\r\n\r\n`)).toMatchObject({
      end: "done",
      trailers: "A: 1\r\nB: 2\r\n",
    });
  });

  test("are counted together with the head's fields and bytes, those not passed as well", () => {
    const limits = { ...requestLimits, fields: 10, headBytes: 1000 };
    const trailers = (count: number): string => `0\r\n${"Host: a\r\n".repeat(count)}\r\n`;
    const reader = new ChunkedReader("request", limits);
    expect(read(trailers(10), reader).end).toBe("done");
    reader.reset();
    expect(read(trailers(11), reader).end).toStartWith("request-head-too-large");
    reader.reset(8);
    expect(read(trailers(3), reader).end).toStartWith("request-head-too-large");
    reader.reset(8, 973);
    expect(read(trailers(2), reader).end).toBe("done");
    reader.reset(0, 973);
    expect(read(`0\r\nX: ${"a".repeat(26)}\r\n\r\n`, reader).end).toStartWith("request-head-too-large");
  });

  test("without end are refused, not kept", () => {
    const reader = new ChunkedReader();
    expect(read(`0\r\nX: ${"a".repeat(20000)}`, reader).end).toStartWith("request-head-too-large");
    expect(reader.trailers.length).toBeLessThanOrEqual(32768);
  });
});
