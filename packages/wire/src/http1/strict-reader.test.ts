// The oracle itself: whole streams of requests and answers, and that it refuses.
import { describe, expect, test } from "bun:test";
import type { StrictError } from "./strict-reader.ts";
import { readStrictAnswers, readStrictRequests } from "./strict-reader.ts";
import { latin1, textOf } from "./written.ts";

function errorOf(read: () => unknown): StrictError | undefined {
  try {
    read();
  } catch (error) {
    return error as StrictError;
  }
  return undefined;
}

describe("requests", () => {
  const first = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
  const second =
    "PUT /b HTTP/1.1\r\nHost:\ta \r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nde\r\n1\r\nf\r\n0\r\nT: u\r\n\r\n";
  const third = "GET / HTTP/1.0\r\n\r\n";

  test("a whole pipeline", () => {
    const read = readStrictRequests(latin1(first + second + third));
    expect(read.map(({ method, target, version, framing }) => [method, target, version, framing])).toEqual([
      ["POST", "/a", "HTTP/1.1", "length"],
      ["PUT", "/b", "HTTP/1.1", "chunked"],
      ["GET", "/", "HTTP/1.0", "none"],
    ]);
    expect(read.map(({ body }) => textOf(body))).toEqual(["abc", "def", ""]);
    expect(read[1]!.headers[0]).toEqual(["Host", "a"]);
    expect(read[1]!.trailers).toEqual([["T", "u"]]);
    expect(read.map(({ start }) => start)).toEqual([0, first.length, first.length + second.length]);
    expect(read[2]!.end).toBe((first + second + third).length);
  });

  test("an end in the middle is an error, or left out", () => {
    const text = first + second;
    for (let length = 1; length < text.length; length++) {
      if (length === first.length) continue;
      const bytes = latin1(text.slice(0, length));
      const error = errorOf(() => readStrictRequests(bytes));
      expect(error?.incomplete).toBe(true);
      expect(readStrictRequests(bytes, { partial: true })).toHaveLength(length < first.length ? 0 : 1);
    }
  });

  test("what is wrong is an error also where an end may be missing, with its position", () => {
    const error = errorOf(() =>
      readStrictRequests(latin1(`${first}GET / HTTP/1.1\r\nHost : a\r\n\r\n`), { partial: true }),
    );
    expect(error?.position).toBe(first.length + 16);
    expect(error?.incomplete).toBe(false);
    for (const lines of [
      "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
      "Content-Length: 1\r\nContent-Length: 1\r\n",
      "Transfer-Encoding: gzip\r\n",
      "Content-Length: +1\r\n",
      "X: a\nY: b\r\n",
      "X: a\r\n b\r\n",
      "Host: a\r\n",
      "X_Y\0: a\r\n",
    ]) {
      expect(() => readStrictRequests(latin1(`GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n`))).toThrow(/at byte/);
    }
  });

  test("empty lines only where allowed", () => {
    expect(() => readStrictRequests(latin1(`\r\n${third}`))).toThrow("a request line");
    expect(readStrictRequests(latin1(`\r\n${third}`), { emptyLines: 1 })).toHaveLength(1);
  });

  test("stops at an upgrade if told", () => {
    const text = "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: x\r\n\r\n";
    const read = readStrictRequests(latin1(`${text}\x81\x00`), { stopAtUpgrade: true });
    expect(read[0]!.end).toBe(text.length);
    expect(() => readStrictRequests(latin1(`${text}\x81\x00\n`))).toThrow();
  });
});

describe("answers", () => {
  test("by the methods they answer", () => {
    const text =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab" +
      "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nHTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 OK\r\n\r\nrest";
    const methods = ["POST", "HEAD", "DELETE", "GET"];
    const read = readStrictAnswers(latin1(text), methods, { closed: true });
    expect(read.map(({ status }) => status)).toEqual([100, 200, 200, 204, 200]);
    expect(read.map(({ body }) => textOf(body))).toEqual(["", "ab", "", "", "rest"]);
    expect(errorOf(() => readStrictAnswers(latin1(text), methods))?.incomplete).toBe(true);
    expect(() => readStrictAnswers(latin1("HTTP/1.1 204 No\r\n\r\nHTTP/1.1 204 No\r\n\r\n"), ["GET"])).toThrow(
      "no request",
    );
  });
});
