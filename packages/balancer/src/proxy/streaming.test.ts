import { expect, test } from "bun:test";
import { Stage, get } from "./fixtures/stage.ts";

/** The longest exchange in whole ms that the pool knows of after an answer of this head that took 400 ms to its end. */
function longest(lines: string, rest = "2\r\nok\r\n0\r\n\r\n"): number {
  const stage = new Stage();
  stage.asking(get);
  stage.advance(100);
  stage.origin().send(`HTTP/1.1 200 OK\r\n${lines}\r\n`);
  stage.advance(300);
  stage.origin().send(rest);
  return stage.poolCell("longest");
}

test("an answer with an end counts as long as it takes, in any framing", () => {
  expect(longest("Content-Length: 2\r\n", "ok")).toBe(400);
  expect(longest("Transfer-Encoding: chunked\r\n")).toBe(400);
  expect(longest("Transfer-Encoding: chunked\r\nContent-Type: text/html\r\n")).toBe(400);
  expect(longest("Transfer-Encoding: chunked\r\nContent-Type: text/event-streaming\r\n")).toBe(400);
  // An event stream that says how long it is ends there.
  expect(longest("Content-Length: 2\r\nContent-Type: text/event-stream\r\n", "ok")).toBe(400);
});

test("a stream does not count", () => {
  for (const type of ["text/event-stream", "Text/Event-Stream; charset=utf-8", "application/grpc+proto"])
    expect(longest(`Transfer-Encoding: chunked\r\nContent-Type: ${type}\r\n`)).toBe(0);
});

test("nor what failed, nor a tunnel: neither says how long the application works", () => {
  expect(longest("Content-Length: 5\r\n", "ok")).toBe(0);
  const stage = new Stage();
  stage.asking("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
  stage.origin().send("HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
  stage.advance(5_000);
  stage.origin().end();
  stage.network.accepted[0]!.peer.end();
  expect(stage.endpointCell("tunnels")).toBe(0);
  expect([stage.poolCell("longest"), stage.poolCell("latencySum")]).toEqual([0, 0]);
});
