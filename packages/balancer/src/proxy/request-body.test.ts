import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type HeadLimits, requestLimits } from "@plimsoll/wire/http1";
import { readStrictRequests } from "@plimsoll/wire/http1/strict-reader";
import type { FaultCode } from "../base/fault.ts";
import { parsed } from "./fixtures/requests.ts";
import { RequestBody } from "./request-body.ts";

/** Takes a body as an exchange does. */
class Taker {
  bytesIn = 0;
  text = "";
  fault: FaultCode | "" = "";

  requestData(bytes: Uint8Array, from: number, to: number): void {
    this.text += Buffer.from(bytes.subarray(from, to)).toString("latin1");
  }

  refuse(code: FaultCode): void {
    this.fault = code;
  }
}

interface Read {
  readonly taker: Taker;
  readonly body: RequestBody;
  /** What lay behind the body. */
  readonly rest: string;
}

/** Reads a body, cut at these places; what is behind it stays. */
function read(
  lines: string,
  sent: string,
  places: readonly number[] = [],
  limit = 0,
  limits: HeadLimits = requestLimits,
): Read {
  const { head } = parsed(`POST / HTTP/1.1\r\nHost: a\r\n${lines}\r\n\r\n`);
  const body = new RequestBody();
  body.begin(head, limits);
  body.limit(limit);
  const taker = new Taker();
  let rest = "";
  let from = 0;
  for (const to of [...places, sent.length]) {
    const piece = Buffer.from(`<${sent.slice(from, to)}>`, "latin1");
    let at = 1;
    while (at < piece.length - 1 && !body.done && taker.fault === "")
      at = body.read(piece, at, piece.length - 1, taker);
    rest += piece.subarray(at, -1).toString("latin1");
    from = to;
  }
  return { taker, body, rest };
}

const chunked = "Transfer-Encoding: chunked";

describe("a body with a length", () => {
  test("passes as it is, cut anywhere, and not a byte more", () => {
    const sent = "0123456789next";
    for (let at = 0; at <= sent.length; at++) {
      const { taker, body, rest } = read("Content-Length: 10", sent, [at]);
      expect([taker.text, body.done, rest, taker.bytesIn]).toEqual(["0123456789", true, "next", 10]);
    }
  });

  test("of nothing is at its end at once", () => {
    expect(read("Content-Length: 0", "").body.done).toBeTrue();
    expect(read("X: y", "").body.done).toBeTrue();
    expect(read("Content-Length: 1", "").body.done).toBeFalse();
  });
});

describe("a chunked body", () => {
  test("comes out strictly chunked, cut anywhere, without extensions and trailers", () => {
    const sent = '5;ext="a b"\r\nhello\r\n0A\r\n0123456789\r\n000\r\nX-Trailer: y\r\n\r\nnext';
    for (let at = 0; at <= sent.length; at++) {
      const { taker, body, rest } = read(chunked, sent, [at]);
      const [strict] = readStrictRequests(Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\n${chunked}\r\n\r\n${taker.text}`));
      expect(Buffer.from(strict?.body ?? []).toString()).toBe("hello0123456789");
      expect(strict?.trailers).toEqual([]);
      expect(taker.text).not.toContain("ext");
      expect([body.done, rest, taker.bytesIn]).toEqual([true, "next", 15]);
    }
  });

  test("that is wrong is a fault, wherever it is cut", () => {
    for (const sent of [
      "g\r\n",
      "5\nhello",
      "3\r\nabcd\r\n",
      "-1\r\n",
      "3 3\r\n",
      "0\r\nX Y: z\r\n\r\n",
      "ffffffffffffff\r\n",
    ]) {
      for (let at = 0; at <= sent.length; at++) {
        const { taker, body } = read(chunked, sent, [at]);
        expect(taker.fault).toBe("request-body-malformed");
        expect(body.done).toBeFalse();
        expect(taker.text).not.toEndWith("0\r\n\r\n");
      }
    }
  });

  test("over the route's limit is refused before the byte too many goes out", () => {
    for (let at = 0; at <= 19; at++) {
      const { taker } = read(chunked, "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n", [at], 5);
      expect(taker.fault).toBe("request-body-too-large");
      expect(taker.text.replaceAll(/[0-9a-f]+\r\n|\r\n/g, "")).not.toContain("f");
    }
    expect(read(chunked, "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", [], 5).taker.fault).toBe("");
  });

  test("the trailers have the listener's limits, less what the head used", () => {
    const limits = { ...requestLimits, fields: 4 };
    const trailers = (count: number): string => `0\r\n${"X: y\r\n".repeat(count)}\r\n`;
    expect(read(chunked, trailers(2), [], 0, limits).taker.fault).toBe("");
    expect(read(chunked, trailers(3), [], 0, limits).taker.fault).toBe("request-head-too-large");
  });
});

test("any chunks cut anywhere: the same bytes", () => {
  const chunks = fc.array(fc.string({ minLength: 1, maxLength: 30, unit: "binary-ascii" }), { maxLength: 8 });
  fc.assert(
    fc.property(chunks, fc.array(fc.nat(300), { maxLength: 12 }), (parts, at) => {
      const sent = `${parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join("")}0\r\n\r\n`;
      const places = [...new Set(at.filter((place) => place < sent.length))].sort((a, b) => a - b);
      const { taker, body } = read(chunked, sent, places);
      const [strict] = readStrictRequests(
        Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\n${chunked}\r\n\r\n${taker.text}`, "latin1"),
      );
      expect(body.done).toBeTrue();
      expect(Buffer.from(strict?.body ?? []).toString("latin1")).toBe(parts.join(""));
      expect(taker.bytesIn).toBe(parts.join("").length);
    }),
  );
});
