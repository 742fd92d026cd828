// Every rule of answer heads by name.
import { describe, expect, test } from "bun:test";
import { Framing } from "./framing.ts";
import { Method } from "./method.ts";
import { pairsOf, parseAnswer, textOf } from "./written.ts";

const crlf = "\r\n";

function withLines(...lines: string[]): string {
  return ["HTTP/1.1 200 OK", ...lines, "", ""].join(crlf);
}

function fault(text: string, method: number = Method.get): string {
  return String(parseAnswer(text, method).outcome).split(":")[0]!;
}

describe("refused", () => {
  const malformed: [string, string][] = [
    ["Content-Length with Transfer-Encoding", withLines("Content-Length: 5", "Transfer-Encoding: chunked")],
    ["two lengths that differ", withLines("Content-Length: 5", "Content-Length: 6")],
    ["two equal lengths", withLines("Content-Length: 5", "Content-Length: 5")],
    ["a list of lengths", withLines("Content-Length: 5, 5")],
    ["a negative length", withLines("Content-Length: -1")],
    ["a length of 16 digits", withLines("Content-Length: 1000000000000000")],
    ["an empty length", withLines("Content-Length: ")],
    ["two Transfer-Encodings", withLines("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")],
    ["Transfer-Encoding in HTTP/1.0", `HTTP/1.0 200 OK${crlf}Transfer-Encoding: chunked${crlf}${crlf}`],
    ["chunked twice", withLines("Transfer-Encoding: chunked, chunked")],
    ["obsolete folding", withLines("X: a", " b")],
    ["a bare LF", "HTTP/1.1 200 OK\nX: a\n\n"],
    ["a bare LF after a field", withLines("X: a\nY: b")],
    ["a bare CR", withLines("X: a\rY: b")],
    ["NUL in a value", withLines("X: \0")],
    ["a space before the colon", withLines("X : a")],
    ["no colon", withLines("Warning something")],
    ["HTTP/2.0", `HTTP/2.0 200 OK${crlf}${crlf}`],
    ["HTTP/0.9", `HTTP/0.9 200 OK${crlf}${crlf}`],
    ["lower-case http", `http/1.1 200 OK${crlf}${crlf}`],
    ["ICY", `ICY 200 OK${crlf}${crlf}`],
    ["no version at all", `<html>${crlf}`],
    ["an empty line first", `${crlf}HTTP/1.1 200 OK${crlf}${crlf}`],
    ["two spaces before the status", `HTTP/1.1  200 OK${crlf}${crlf}`],
    ["a tab before the status", `HTTP/1.1\t200 OK${crlf}${crlf}`],
    ["a status of two digits", `HTTP/1.1 20 OK${crlf}${crlf}`],
    ["a status of four digits", `HTTP/1.1 2000 OK${crlf}${crlf}`],
    ["a status with a letter", `HTTP/1.1 20x OK${crlf}${crlf}`],
    ["a signed status", `HTTP/1.1 +20 OK${crlf}${crlf}`],
    ["status 099", `HTTP/1.1 099 OK${crlf}${crlf}`],
    ["status 600", `HTTP/1.1 600 OK${crlf}${crlf}`],
    ["no status", `HTTP/1.1${crlf}${crlf}`],
    ["NUL in the reason", `HTTP/1.1 200 O\0K${crlf}${crlf}`],
    ["a bare CR in the reason", `HTTP/1.1 200 O\rK${crlf}${crlf}`],
    ["129 names in Connection", withLines("Connection: x".padEnd(13 + 2 * 128, ",y"))],
  ];
  test.each(malformed)("%s", (_rule, text) => {
    expect(fault(text)).toBe("answer-malformed");
  });

  test("also where there is no body", () => {
    const text = withLines("Content-Length: 5", "Transfer-Encoding: chunked");
    expect(fault(text, Method.head)).toBe("answer-malformed");
    expect(fault(text.replace("200", "304"))).toBe("answer-malformed");
    expect(fault(withLines("Content-Length: x"), Method.head)).toBe("answer-malformed");
  });

  test.each(["gzip", "gzip, chunked", "identity"])("coding %s", (coding) => {
    expect(fault(withLines(`Transfer-Encoding: ${coding}`))).toBe("answer-coding-unsupported");
  });

  test("too many bytes and too many fields", () => {
    const fields = (count: number): string => withLines(...Array.from({ length: count }, () => "X: y"));
    expect(parseAnswer(fields(128)).outcome).toBe(fields(128).length);
    expect(fault(fields(129))).toBe("answer-head-too-large");
    const large = (length: number): string => withLines(`X: ${"a".repeat(length - 17 - 3 - 4)}`);
    expect(large(32768).length).toBe(32768);
    expect(parseAnswer(large(32768)).outcome).toBe(32768);
    expect(fault(large(32769))).toBe("answer-head-too-large");
    expect(fault(`HTTP/1.1 200 ${"a".repeat(40000)}`)).toBe("answer-head-too-large");
  });
});

describe("accepted", () => {
  test("a plain answer, with every position", () => {
    const { head, bytes, outcome } = parseAnswer(
      `HTTP/1.1 404 Not Found${crlf}Content-Length: 9${crlf}A: b${crlf}${crlf}body`,
    );
    expect(outcome).toBe(bytes.length - 4);
    expect(textOf(bytes, head.reasonStart, head.reasonEnd)).toBe("Not Found");
    expect(pairsOf(head.fields, bytes)).toEqual([
      ["Content-Length", "9"],
      ["A", "b"],
    ]);
    expect(head).toMatchObject({
      minor: 1,
      status: 404,
      framing: Framing.length,
      contentLength: 9,
      keepAlive: true,
      keepAliveTimeout: -1,
    });
  });

  test.each(["HTTP/1.1 200 \r\n\r\n", "HTTP/1.1 200\r\n\r\n"])("no reason: %j", (text) => {
    const { head, outcome } = parseAnswer(text);
    expect(outcome).toBe(text.length);
    expect(head.reasonEnd).toBe(head.reasonStart);
  });

  test("8-bit bytes and tabs in the reason", () => {
    expect(parseAnswer("HTTP/1.1 200 caf\xe9\tau lait \r\n\r\n").outcome).toBeGreaterThan(0);
  });

  test.each([
    ["a length", withLines("Content-Length: 3"), Method.get, Framing.length, 3, true],
    ["no length", withLines("X: y"), Method.get, Framing.untilClose, -1, false],
    ["chunked", withLines("Transfer-Encoding: chunked"), Method.get, Framing.chunked, -1, true],
    ["HEAD with a length", withLines("Content-Length: 3"), Method.head, Framing.none, 3, true],
    ["HEAD with chunked", withLines("Transfer-Encoding: chunked"), Method.head, Framing.none, -1, true],
    ["HEAD with nothing", withLines(), Method.head, Framing.none, -1, true],
    ["204", `HTTP/1.1 204 No Content${crlf}${crlf}`, Method.get, Framing.none, -1, true],
    [
      "204 with a length",
      `HTTP/1.1 204 No Content${crlf}Content-Length: 5${crlf}${crlf}`,
      Method.get,
      Framing.none,
      5,
      true,
    ],
    [
      "304 with a length",
      `HTTP/1.1 304 Not Modified${crlf}Content-Length: 5${crlf}${crlf}`,
      Method.get,
      Framing.none,
      5,
      true,
    ],
    [
      "205 has a body like any other",
      `HTTP/1.1 205 Reset Content${crlf}${crlf}`,
      Method.get,
      Framing.untilClose,
      -1,
      false,
    ],
    ["100", `HTTP/1.1 100 Continue${crlf}${crlf}`, Method.post, Framing.none, -1, true],
    ["103", `HTTP/1.1 103 Early Hints${crlf}Link: </a>${crlf}${crlf}`, Method.get, Framing.none, -1, true],
    ["2xx to CONNECT", withLines("Content-Length: 5"), Method.connect, Framing.none, 5, true],
    [
      "4xx to CONNECT",
      `HTTP/1.1 407 No${crlf}Content-Length: 5${crlf}${crlf}`,
      Method.connect,
      Framing.length,
      5,
      true,
    ],
    [
      "1.0 with a length",
      `HTTP/1.0 200 OK${crlf}Content-Length: 5${crlf}${crlf}`,
      Method.get,
      Framing.length,
      5,
      false,
    ],
    [
      "1.0 kept alive",
      `HTTP/1.0 200 OK${crlf}Content-Length: 5${crlf}Connection: Keep-Alive${crlf}${crlf}`,
      Method.get,
      Framing.length,
      5,
      true,
    ],
    [
      "1.0 kept alive but unframed",
      `HTTP/1.0 200 OK${crlf}Connection: keep-alive${crlf}${crlf}`,
      Method.get,
      Framing.untilClose,
      -1,
      false,
    ],
    ["close", withLines("Content-Length: 5", "Connection: close"), Method.get, Framing.length, 5, false],
  ] as [string, string, number, number, number, boolean][])(
    "framing: %s",
    (_case, text, method, framing, contentLength, keepAlive) => {
      const { head, outcome } = parseAnswer(text, method);
      expect(outcome).toBe(text.length);
      expect(head).toMatchObject({ framing, contentLength, keepAlive });
    },
  );

  test.each([
    ["timeout=5", 5],
    ["timeout=5, max=100", 5],
    ["max=100,Timeout=60", 60],
    ["timeout=0", 0],
    ["timeout", -1],
    ["timeout=", -1],
    ["timeout=x", -1],
    ["timeout=5s", -1],
    ["timeout=9999999999", -1],
    ["xtimeout=5", -1],
    ["", -1],
    ["timeout=-1", -1],
    ['timeout="5"', -1],
    ["max=1", -1],
  ] as [string, number][])("Keep-Alive: %s", (value, seconds) => {
    expect(parseAnswer(withLines("Content-Length: 0", `Keep-Alive: ${value}`)).head.keepAliveTimeout).toBe(seconds);
  });

  test("a 101 says whether it switches", () => {
    const line = `HTTP/1.1 101 Switching Protocols${crlf}`;
    const switched = parseAnswer(`${line}Connection: Upgrade${crlf}Upgrade: websocket${crlf}${crlf}`);
    expect(switched.head).toMatchObject({ upgrade: true, framing: Framing.none });
    expect(textOf(switched.bytes, switched.head.upgradeStart, switched.head.upgradeEnd)).toBe("websocket");
    expect(parseAnswer(`${line}Upgrade: websocket${crlf}${crlf}`).head.upgrade).toBe(false);
    expect(parseAnswer(`${line}Connection: Upgrade${crlf}${crlf}`).head.upgrade).toBe(false);
    expect(parseAnswer(withLines("Connection: upgrade", "Upgrade: h2c")).head.upgrade).toBe(false);
  });
});
