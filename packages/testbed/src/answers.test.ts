import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { field, readAnswer, textOf } from "./answers.ts";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));

describe("reads", () => {
  test("each framing, and says where the next answer begins", () => {
    const next = "HTTP/1.1 200 OK\r\n";
    const cases: readonly (readonly [string, string, string])[] = [
      ["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "length", "abc"],
      ["HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "chunked", "abc"],
      ["HTTP/1.1 204 No Content\r\n\r\n", "none", ""],
      ["HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "none", ""],
    ];
    for (const [text, framing, body] of cases) {
      const read = readAnswer(bytes(text + next));
      expect(read?.end).toBe(text.length);
      expect(read?.answer.framing).toBe(framing as "none");
      expect(read && textOf(read.answer)).toBe(body);
    }
  });

  test("interim answers before the last, trailers after it, HEAD without body", () => {
    const text =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n";
    const read = readAnswer(bytes(text));
    expect(read?.answer.interim.map((one) => one.status)).toEqual([100, 103]);
    expect(read?.answer.trailers).toEqual([["A", "b"]]);
    const head = readAnswer(bytes("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), 0, { method: "HEAD" });
    expect(head?.answer.body.length).toBe(0);
  });

  test("a body without length ends with the connection, and not before", () => {
    const text = bytes("HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\n\r\nabc");
    expect(readAnswer(text)).toBeUndefined();
    const read = readAnswer(text, 0, { closed: true });
    expect(read && textOf(read.answer)).toBe("abc");
    expect(read && field(read.answer.headers, "A")).toBe("1, 2");
  });

  test("is incomplete at every cut, and whole at none", () => {
    const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { maxLength: 5 }), (chunks) => {
        const parts = chunks.map((chunk) =>
          Buffer.concat([bytes(`${chunk.length.toString(16)}\r\n`), chunk, bytes("\r\n")]),
        );
        const whole = Buffer.concat([bytes(head), ...parts, bytes("0\r\n\r\n")]);
        for (let cut = 0; cut < whole.length; cut++) expect(readAnswer(whole.subarray(0, cut))).toBeUndefined();
        expect(readAnswer(whole)?.answer.body).toEqual(new Uint8Array(Buffer.concat(chunks)));
      }),
      { numRuns: 50 },
    );
  });
});

test.each([
  ["HTTP/1.2 200 OK\r\n\r\n", "begins with"],
  ["GET / HTTP/1.1\r\n", "begins with"],
  ["HTTP/1.1 99 x\r\n\r\n", "status line"],
  ["HTTP/1.1 200\r\n\r\n", "status line"],
  ["HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "field name"],
  ["HTTP/1.1 200 OK\r\n folded\r\n\r\n", "field name"],
  ["HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n", "field value"],
  ["HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", "field value"],
  ["HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "with Transfer-Encoding"],
  ["HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "Content-Length"],
  ["HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", "Content-Length"],
  ["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "Transfer-Encoding"],
  ["HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0"],
  ["HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", "204"],
  ["HTTP/1.1 100 C\r\nContent-Length: 0\r\n\r\n", "100 announces"],
  ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n", "chunk size"],
  ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", "no CRLF"],
])("refuses %j", (text, why) => {
  expect(() => readAnswer(bytes(text))).toThrow(why);
});
