// Tunnels: bytes both ways as they come, each half closed by itself, back-pressure, and ends that lose nothing.
import { describe, expect, test } from "bun:test";
import type { Peer } from "./fixtures/network.ts";
import { answer, get, Stage } from "./fixtures/stage.ts";

const upgrade =
  "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";
const switching =
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s\r\n\r\n";

interface Ends {
  readonly stage: Stage;
  readonly client: Peer;
  readonly origin: Peer;
}

/** A tunnel through which nothing has passed yet. */
function open(ahead = "", first = ""): Ends {
  const stage = new Stage();
  const client = stage.asking(upgrade + ahead);
  const origin = stage.origin();
  origin.send(switching + first);
  return { stage, client, origin };
}

/** The same, with what was sent so far taken off. */
function opened(): Ends {
  const ends = open();
  ends.client.news();
  ends.origin.news();
  return ends;
}

function expectOver({ stage, client, origin }: Ends): void {
  expect(client.over).toBeTrue();
  expect(origin.over).toBeTrue();
  expect(stage.engine.open).toBe(0);
  expect(stage.endpointCell("tunnels")).toBe(0);
  expect(stage.endpointCell("inFlight")).toBe(0);
  expect(stage.wheel.size).toBe(0);
}

describe("opening", () => {
  test("the request asks for it, the answer grants it, in canonical form", () => {
    const { client, origin, stage } = open();
    expect(origin.text).toContain("Connection: upgrade\r\nUpgrade: websocket\r\n");
    expect(client.text).toBe(
      "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    expect(stage.endpointCell("tunnels")).toBe(1);
    expect(stage.endpointCell("inFlight")).toBe(1);
  });

  test("bytes that either side sent ahead belong to the new protocol", () => {
    const { client, origin } = open("early", "first");
    expect(client.text).toEndWith("\r\n\r\nfirst");
    expect(origin.text).toEndWith("\r\n\r\nearly");
  });

  test("a refused upgrade is an answer like any other, and what was sent ahead is read as a request", () => {
    const stage = new Stage();
    const client = stage.asking(upgrade + get);
    stage.origin().send(answer("no", "", 426));
    expect(client.news()).toStartWith("HTTP/1.1 426 X\r\n");
    stage.origin().send(answer("yes"));
    expect(client.news()).toEndWith("yes");
  });

  test("a 101 that nobody asked for is a fault", () => {
    const stage = new Stage();
    const client = stage.asking(get);
    stage.origin().send(switching);
    expect(client.text).toStartWith("HTTP/1.1 502 ");
    expect(stage.faults).toEqual({ "answer-upgrade-unasked": 1 });
    expect(stage.origin().wasReset).toBeTrue();
  });

  test("an upgrade with a body is not passed on", () => {
    const stage = new Stage();
    stage.asking("POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\na");
    expect(stage.origin().text).not.toMatch(/upgrade/i);
  });
});

describe("passing", () => {
  test("both ways, at once", () => {
    const { client, origin } = opened();
    client.send("ping");
    expect(origin.news()).toBe("ping");
    origin.send("pong");
    expect(client.news()).toBe("pong");
    client.send("\x00\xff");
    expect(origin.news()).toBe("\x00\xff");
  });

  test("whoever does not take bytes has the other paused", () => {
    for (const slow of ["client", "origin"] as const) {
      const ends = opened();
      const [from, to] = slow === "client" ? [ends.origin, ends.client] : [ends.client, ends.origin];
      to.room = 10;
      from.send("x".repeat(100));
      expect(from.flowing).toBeFalse();
      from.send("y".repeat(100));
      expect(from.unread).toBe(100);
      to.take(1_000);
      expect(from.flowing).toBeTrue();
      expect(to.text).toBe("x".repeat(100) + "y".repeat(100));
    }
  });
});

describe("ending", () => {
  test("each half closes by itself", () => {
    const ends = opened();
    const { client, origin } = ends;
    client.send("last");
    client.end();
    expect(origin.text).toBe("last");
    expect(origin.ended).toBeTrue();
    expect(origin.over).toBeFalse();
    origin.send("still");
    expect(client.text).toBe("still");
    origin.end();
    expect(client.ended).toBeTrue();
    expectOver(ends);
  });

  test("the other half first", () => {
    const ends = opened();
    ends.origin.end();
    expect(ends.client.ended).toBeTrue();
    ends.client.send("still");
    expect(ends.origin.text).toBe("still");
    ends.client.end();
    expectOver(ends);
  });

  test("what waits is delivered before an end is passed on", () => {
    const { client, origin } = opened();
    client.room = 4;
    origin.send("slowly taken");
    origin.end();
    expect(client.ended).toBeFalse();
    client.take(100);
    expect(client.text).toBe("slowly taken");
    expect(client.ended).toBeTrue();
  });

  test("what waits is delivered also when both have ended", () => {
    for (const order of ["client first", "origin first"]) {
      const ends = opened();
      const { client, origin } = ends;
      client.room = 4;
      if (order === "client first") client.end();
      origin.send("slowly taken");
      origin.end();
      if (order !== "client first") client.end();
      expect(client.over).toBeFalse();
      client.take(100);
      expect(client.text).toBe("slowly taken");
      expectOver(ends);
    }
  });

  test("what waits is delivered both ways when both have ended", () => {
    const ends = opened();
    const { client, origin } = ends;
    client.room = origin.room = 4;
    client.send("upwards");
    origin.send("downwards");
    client.end();
    origin.end();
    // Both are paused, so neither end was read.
    client.take(100);
    origin.take(100);
    expect(client.text).toBe("downwards");
    expect(origin.text).toBe("upwards");
    expectOver(ends);
  });

  test("a reset on one side is a reset on the other", () => {
    for (const side of ["client", "origin"] as const) {
      const ends = opened();
      ends[side].reset();
      expect(ends[side === "client" ? "origin" : "client"].wasReset).toBeTrue();
      expectOver(ends);
    }
  });

  test("its bytes are in the log once it is over", () => {
    const ends = opened();
    ends.client.send("four");
    ends.origin.send("sixsix");
    expect(ends.stage.records).toEqual([]);
    ends.client.end();
    ends.origin.end();
    expect(ends.stage.records).toMatchObject([{ status: 101, bytesIn: 4, bytesOut: 6, fault: "" }]);
  });
});
