// The answer that a client gets, judged by a reader that shares nothing with the codec: for every version, method and framing
// it comes out in canonical form, says the same, and ends where it says.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Framing, Method } from "@plimsoll/wire/http1";
import { readStrictAnswers, type StrictAnswer } from "@plimsoll/wire/http1/strict-reader";
import { latin1 } from "../base/bytes.ts";
import { AnswerWriter } from "./answer-writer.ts";
import { MemoryConnection, MemoryNetwork } from "./fixtures/network.ts";
import { tryAnswer } from "./fixtures/requests.ts";
import { Outbox, settle } from "./outbox.ts";
import { compileHeaderEdits } from "./steps/header-edits.ts";

const silent = { onOpen() {}, onData() {}, onDrain() {}, onEnd() {}, onClose() {} };
const methods = { GET: Method.get, HEAD: Method.head, POST: Method.post, BREW: Method.other } as const;
type MethodName = keyof typeof methods;

interface Asked {
  readonly method?: MethodName;
  readonly minor?: 0 | 1;
  readonly trailers?: boolean;
  readonly close?: boolean;
  readonly edits?: Parameters<typeof compileHeaderEdits>[0];
}

interface Written {
  readonly text: string;
  readonly answers: readonly StrictAnswer[];
  readonly needsClose: boolean;
}

/** What a client gets of an answer head with this body; null where the codec refuses the head. */
function write(head: string, pieces: readonly string[], asked: Asked = {}, trailers = ""): Written | null {
  const { method = "GET", minor = 1, close = false } = asked;
  const found = tryAnswer(head, methods[method]);
  if (found === null) return null;
  const outbox = new Outbox(new Float64Array(1), 0);
  const connection = new MemoryConnection(new MemoryNetwork(), silent, "", true);
  outbox.connection = connection;
  const writer = new AnswerWriter(outbox);
  writer.begin(methods[method], minor, asked.trailers === true);
  if (found.head.status < 200) writer.informational(found.bytes, found.head);
  else {
    const needsClose = writer.needsClose(found.head);
    writer.head(found.bytes, found.head, close || needsClose, asked.edits ? compileHeaderEdits(asked.edits) : null);
    if (found.head.framing !== Framing.none) for (const piece of pieces) writer.data(latin1(piece), 0, piece.length);
    writer.end(latin1(trailers), trailers.length);
    settle();
    const { received, text } = connection.peer;
    return { text, needsClose, answers: readStrictAnswers(received, [method], { closed: close || needsClose }) };
  }
  settle();
  return {
    text: connection.peer.text,
    needsClose: false,
    answers: readStrictAnswers(connection.peer.received, [method]),
  };
}

function sure(head: string, pieces: readonly string[], asked?: Asked, trailers?: string): Written {
  const found = write(head, pieces, asked, trailers);
  if (found === null) throw new Error(`refused: ${JSON.stringify(head)}`);
  return found;
}

function valueOf(answer: StrictAnswer | undefined, name: string): string | undefined {
  return answer?.headers.find(([other]) => other.toLowerCase() === name)?.[1];
}

const bodies = ["ab", "", "cdé"] as const;
const whole = "abcdé";
const announced = {
  length: `HTTP/1.1 200 OK\r\nContent-Length: ${whole.length}\r\n\r\n`,
  chunked: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
  untilClose: "HTTP/1.1 200 OK\r\n\r\n",
};

describe("framing", () => {
  const pieces = bodies.filter((piece) => piece !== "");
  const table: readonly (readonly [keyof typeof announced, 0 | 1, string, boolean])[] = [
    ["length", 1, "length", false],
    ["length", 0, "length", false],
    ["chunked", 1, "chunked", false],
    ["chunked", 0, "untilClose", true],
    ["untilClose", 1, "chunked", false],
    ["untilClose", 0, "untilClose", true],
  ];
  test.each(table)("%s to HTTP/1.%d is %s", (from, minor, to, needsClose) => {
    const found = sure(announced[from], pieces, { minor });
    const [answer] = found.answers;
    expect(found.needsClose).toBe(needsClose);
    expect(answer?.framing as string).toBe(to);
    expect(Buffer.from(answer?.body ?? []).toString("latin1")).toBe(whole);
    expect(valueOf(answer, "connection")).toBe(needsClose ? "close" : minor === 0 ? "keep-alive" : undefined);
  });

  test("HEAD, 204 and 304 have no body, and a length only where one is meant", () => {
    const cases: readonly (readonly [string, MethodName, string | undefined])[] = [
      [announced.length, "HEAD", "5"],
      [announced.chunked, "HEAD", undefined],
      [announced.untilClose, "HEAD", undefined],
      ["HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET", "5"],
      ["HTTP/1.1 304 Not Modified\r\n\r\n", "GET", undefined],
      ["HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "GET", undefined],
      ["HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", "POST", undefined],
    ];
    for (const [head, method, length] of cases) {
      for (const minor of [0, 1] as const) {
        const { answers, needsClose } = sure(head, [], { method, minor });
        expect(answers).toHaveLength(1);
        expect(answers[0]?.body.length).toBe(0);
        expect(valueOf(answers[0], "content-length")).toBe(length);
        expect(valueOf(answers[0], "transfer-encoding")).toBeUndefined();
        expect(needsClose).toBeFalse();
      }
    }
  });

  test("trailers go only to who takes them", () => {
    const lines = "X-Sum: 1\r\nX-Two: 2\r\n";
    expect(sure(announced.chunked, ["a"], { trailers: true }, lines).answers[0]?.trailers).toEqual([
      ["X-Sum", "1"],
      ["X-Two", "2"],
    ]);
    for (const asked of [{ trailers: false }, { trailers: true, minor: 0 }] as const) {
      expect(sure(announced.chunked, ["a"], asked, lines).text).not.toContain("X-Sum");
    }
  });

  test("an end without trailers is whole all the same", () => {
    expect(sure(announced.chunked, [], { trailers: true }).answers[0]?.trailers).toEqual([]);
  });
});

describe("lines", () => {
  test("those of this hop are dropped, the rest passes in order", () => {
    const head =
      "HTTP/1.1 200 All right\r\nA: 1\r\nConnection: x-b\r\nX-B: 2\r\nKeep-Alive: timeout=5\r\nC:3\r\nContent-Length: 0\r\n" +
      "Set-Cookie: a\r\nSet-Cookie: b\r\nUpgrade: h2\r\nTrailer: z\r\nProxy-Authenticate: basic\r\n\r\n";
    const [answer] = sure(head, []).answers;
    expect(answer?.reason).toBe("All right");
    expect(answer?.headers.filter(([name]) => name !== "Date")).toEqual([
      ["A", "1"],
      ["C", "3"],
      ["Set-Cookie", "a"],
      ["Set-Cookie", "b"],
      ["Content-Length", "0"],
    ]);
  });

  test("an answer without Date gets one, and keeps its own", () => {
    expect(valueOf(sure(announced.length, [whole]).answers[0], "date")).toMatch(/ GMT$/);
    const { text } = sure("HTTP/1.1 200 OK\r\nDate: theirs\r\nContent-Length: 0\r\n\r\n", []);
    expect(text.match(/^Date: .*$/gm)).toEqual(["Date: theirs"]);
  });

  test("edits apply to final answers, not to informational ones", () => {
    const edits = { set: [["Server", "us"]], add: [["X-New", "1"]], remove: ["date", "x-old"] } as const;
    const { text } = sure("HTTP/1.1 200 OK\r\nServer: them\r\nX-Old: 1\r\nDate: d\r\nContent-Length: 0\r\n\r\n", [], {
      edits,
    });
    expect(text).toContain("Server: us\r\nX-New: 1\r\n");
    expect(text).not.toMatch(/them|X-Old|Date: d/);
    expect(sure("HTTP/1.1 103 Early\r\nX-Old: 1\r\n\r\n", [], { edits }).text).toBe(
      "HTTP/1.1 103 Early\r\nX-Old: 1\r\n\r\n",
    );
  });

  test("HTTP/1.0 clients get no informational answers", () => {
    expect(sure("HTTP/1.1 103 Early\r\nA: 1\r\n\r\n", [], { minor: 0 }).text).toBe("");
  });

  test("a version that the endpoint does not share is not passed on, nor is a reason that is not there", () => {
    expect(sure("HTTP/1.0 200\r\nContent-Length: 0\r\n\r\n", []).text).toStartWith("HTTP/1.1 200 \r\n");
  });
});

describe("our own answers", () => {
  function own(status: number, body: string, asked: Asked = {}): StrictAnswer | undefined {
    const { method = "GET", minor = 1, close = false } = asked;
    const outbox = new Outbox(new Float64Array(1), 0);
    const connection = new MemoryConnection(new MemoryNetwork(), silent, "", true);
    outbox.connection = connection;
    const writer = new AnswerWriter(outbox);
    writer.begin(methods[method], minor, false);
    writer.own({ status, lines: latin1("X-Ours: 1\r\n"), body: latin1(body) }, close);
    settle();
    return readStrictAnswers(connection.peer.received, [method])[0];
  }

  test("are right for every status, method and version", () => {
    for (const status of [200, 204, 205, 301, 304, 404, 418, 503, 599]) {
      for (const method of ["GET", "HEAD"] as const) {
        for (const minor of [0, 1] as const) {
          for (const close of [true, false]) {
            const answer = own(status, status === 204 || status === 304 || status === 205 ? "" : "body", {
              method,
              minor,
              close,
            });
            const bodiless = [204, 205, 304].includes(status);
            expect(answer?.status).toBe(status);
            expect(answer?.body.length).toBe(bodiless || method === "HEAD" ? 0 : 4);
            const length = status === 204 || status === 304 ? undefined : status === 205 ? "0" : "4";
            expect(valueOf(answer, "content-length")).toBe(length);
            expect(valueOf(answer, "connection")).toBe(close ? "close" : minor === 0 ? "keep-alive" : undefined);
            expect(valueOf(answer, "x-ours")).toBe("1");
            expect(valueOf(answer, "date")).toBeDefined();
          }
        }
      }
    }
  });
});

test("any accepted answer comes out strictly right, with the same meaning", () => {
  const name = fc.constantFrom(
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "Keep-Alive",
    "Upgrade",
    "X-A",
    "x-b",
    "Date",
    "Trailer",
    "Set-Cookie",
  );
  const value = fc.constantFrom(
    "",
    "0",
    "5",
    "chunked",
    "close",
    "x-a, keep-alive",
    "timeout=5",
    "a b",
    "\x80\xff",
    "v".repeat(300),
  );
  const line = fc
    .tuple(name, fc.constantFrom(": ", ":", ":\t"), value, fc.constantFrom("", " "))
    .map((parts) => parts.join(""));
  const status = fc.oneof(fc.constantFrom(200, 200, 204, 304, 404, 100, 103), fc.integer({ min: 100, max: 599 }));
  const asked = fc.record({
    method: fc.constantFrom<MethodName>("GET", "GET", "HEAD", "POST"),
    minor: fc.constantFrom(0 as const, 1 as const),
    trailers: fc.boolean(),
    close: fc.boolean(),
    edits: fc.constantFrom(
      { set: [], add: [], remove: [] },
      { set: [["X-A", "set"] as const], add: [["X-C", "{requestId}".repeat(5)] as const], remove: ["set-cookie"] },
    ),
  });
  const pieces = fc.array(
    fc.oneof(fc.string({ minLength: 1, maxLength: 40, unit: "binary-ascii" }), fc.constant("L".repeat(40_000))),
    { maxLength: 4 },
  );
  let accepted = 0;
  fc.assert(
    fc.property(status, fc.array(line, { maxLength: 12 }), asked, pieces, (code, all, how, parts) => {
      if (code === 101) return;
      const body = parts.join("");
      const fields = all.map((one) => (one.startsWith("Content-Length: 5") ? `Content-Length: ${body.length}` : one));
      const head = `HTTP/1.1 ${code} why\r\n${fields.map((one) => `${one}\r\n`).join("")}\r\n`;
      const length = /^content-length:\s*(\d+)/im.exec(head)?.[1];
      if (length !== undefined && Number(length) !== body.length) return;
      const found = write(head, parts, how);
      if (found === null) return;
      accepted++;
      const [answer] = found.answers;
      if (code < 200) {
        expect(found.answers.length).toBe(how.minor);
        return;
      }
      expect(answer?.status).toBe(code);
      expect(answer?.reason).toBe("why");
      const bodiless = how.method === "HEAD" || code === 204 || code === 304;
      expect(Buffer.from(answer?.body ?? []).toString("latin1") === (bodiless ? "" : body)).toBeTrue();
      const names = answer?.headers.map(([each]) => each.toLowerCase()) ?? [];
      for (const each of ["keep-alive", "upgrade", "trailer"]) expect(names).not.toContain(each);
      expect(names.filter((each) => each === "date").length).toBeGreaterThan(0);
      expect(valueOf(answer, "connection") ?? "").toBe(
        how.close || found.needsClose ? "close" : how.minor === 0 ? "keep-alive" : "",
      );
    }),
    { numRuns: 1_500 },
  );
  expect(accepted).toBeGreaterThan(200);
});
