// Draining as clients and endpoints see it: WebSockets are told goodbye between two frames, other tunnels end, exchanges
// finish, and what is left at the end of the window is cut.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { clientCloseFrame, FrameTracker, goingAway, serverCloseFrame } from "@plimsoll/wire/websocket";
import { EndpointState, StateCell } from "../observe/table.ts";
import type { PoolPlan } from "../pool/plan.ts";
import { stickyPlan } from "../pool/stick/fixtures.ts";
import type { Peer } from "./fixtures/network.ts";
import { listenerPlan, poolPlan } from "./fixtures/plans.ts";
import { answer, get, Stage } from "./fixtures/stage.ts";

const asks = (protocol: string) =>
  `GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`;
const grants = (protocol: string) =>
  `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`;

/** An unmasked text frame, as servers send it. */
const fromServer = (text: string) => `\x81${String.fromCharCode(text.length)}${text}`;
/** A text frame with a mask of zeros, as clients send it. */
const fromClient = (text: string) => `\x81${String.fromCharCode(0x80 | text.length)}\0\0\0\0${text}`;
const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");
const serverClose = latin1(serverCloseFrame(goingAway));
const clientClose = latin1(clientCloseFrame(goingAway, 0));

interface Ends {
  readonly stage: Stage;
  readonly client: Peer;
  readonly origin: Peer;
}

/** A tunnel, with the heads taken off. */
function opened(protocol = "WebSocket", stage = new Stage()): Ends {
  const client = stage.asking(asks(protocol));
  const origin = stage.origin();
  origin.send(grants(protocol));
  client.news();
  origin.news();
  return { stage, client, origin };
}

function drain(stage: Stage, window: number, slot = 0): void {
  const at = stage.table.state(slot);
  const wall = 1_767_225_600_000 + stage.time.now;
  stage.table.cells[at + StateCell.state] = EndpointState.draining;
  stage.table.cells[at + StateCell.drainFrom] = wall;
  stage.table.cells[at + StateCell.drainUntil] = wall + window;
}

function expectOver({ stage, client, origin }: Ends): void {
  expect([client.over, origin.over]).toEqual([true, true]);
  expect(stage.engine.open).toBe(0);
  expect(stage.endpointCell("tunnels")).toBe(0);
  expect(stage.endpointCell("inFlight")).toBe(0);
  expect(stage.wheel.size).toBe(0);
}

describe("a WebSocket", () => {
  test("the client gets 1001 without a mask, its answer goes on, the endpoint ends it", () => {
    const ends = opened();
    const { stage, client, origin } = ends;
    drain(stage, 30_000);
    stage.advance(200);
    expect(client.news()).toBe(serverClose);
    expect(origin.text).toBe("");
    // What the client had on its way still arrives; what the endpoint says after our goodbye cannot.
    client.send(fromClient("last words"));
    origin.send(fromServer("too late"));
    client.send(clientClose);
    expect(origin.news()).toBe(fromClient("last words") + clientClose);
    expect(client.text).toBe("");
    origin.send(serverClose);
    expect(client.text).toBe("");
    expect([client.ended, origin.ended]).toEqual([true, true]);
    client.end();
    origin.end();
    expectOver(ends);
    expect(stage.endpointCell("tunnelsClosed")).toBe(1);
    expect(stage.endpointCell("cutTunnels")).toBe(0);
    expect(stage.faults).toEqual({});
    expect(stage.records).toMatchObject([{ status: 101, fault: "" }]);
  });

  test("in the middle of a frame the goodbye waits for its end", () => {
    const { stage, client, origin } = opened();
    const frame = fromServer("a message");
    origin.send(frame.slice(0, 5));
    drain(stage, 30_000);
    stage.advance(10_000);
    expect(client.text).toBe(frame.slice(0, 5));
    origin.send(frame.slice(5) + fromServer("the next"));
    expect(client.text).toBe(frame + serverClose);
  });

  test("a client that does not answer: the endpoint gets 1001 with a mask, after the client's frame", () => {
    const { stage, client, origin } = opened();
    const frame = fromClient("half");
    client.send(frame.slice(0, 7));
    drain(stage, 30_000);
    stage.advance(5_000);
    expect(client.news()).toBe(serverClose);
    expect(origin.text).toBe(frame.slice(0, 7));
    client.send(frame.slice(7) + fromClient("not passed"));
    expect(origin.news().slice(0, frame.length)).toBe(frame);
    stage.advance(2_100);
    expect([client.ended, origin.ended]).toEqual([true, true]);
    stage.advance(2_100);
    expectOver({ stage, client, origin });
  });

  test("the masked goodbye is one that a strict reader takes", () => {
    const { stage, client, origin } = opened();
    drain(stage, 30_000);
    stage.advance(3_000);
    expect(client.text).toBe(serverClose);
    const bytes = origin.received;
    expect(bytes.length).toBe(8);
    expect([bytes[0], bytes[1]]).toEqual([0x88, 0x82]);
    expect([bytes[6]! ^ bytes[2]!, bytes[7]! ^ bytes[3]!]).toEqual([0x03, 0xe9]);
  });

  test("a client that hangs up on the goodbye: the endpoint still gets to know why", () => {
    const { stage, client, origin } = opened();
    drain(stage, 30_000);
    stage.advance(200);
    client.end();
    expect(origin.received.length).toBe(8);
    expect(origin.ended).toBeTrue();
    origin.end();
    expectOver({ stage, client, origin });
  });

  test("one that is closing already is left to its peers", () => {
    const { stage, client, origin } = opened();
    origin.send(serverClose);
    drain(stage, 30_000);
    stage.advance(200);
    expect(client.news()).toBe(serverClose);
    client.send(clientClose);
    expect(origin.news()).toBe(clientClose);
    origin.end();
    client.end();
    expectOver({ stage, client, origin });
  });

  test("what is no frame ends as any other tunnel", () => {
    const { stage, client, origin } = opened();
    origin.send("hello");
    drain(stage, 30_000);
    stage.advance(200);
    expect(client.text).toBe("hello");
    expect([client.ended, origin.ended]).toEqual([true, true]);
    stage.advance(2_100);
    expectOver({ stage, client, origin });
  });

  test("a slow client: the goodbye comes after all that waits, and nothing is lost", () => {
    const { stage, client, origin } = opened();
    client.room = 3;
    origin.send(fromServer("slowly taken"));
    drain(stage, 30_000);
    stage.advance(1_000);
    expect(client.ended).toBeFalse();
    client.take(1_000);
    expect(client.text).toBe(fromServer("slowly taken") + serverClose);
  });

  test("cut anywhere, whatever is said meanwhile, both sides only ever see whole frames", () => {
    const message = fc.stringMatching(/^[a-z]{0,60}$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), message, fc.nat(80)), { maxLength: 12 }), fc.nat(12), (said, at) => {
        const { stage, client, origin } = opened();
        const halves: Record<"client" | "origin", string> = { client: "", origin: "" };
        for (const [index, [byClient, text, cut]] of said.entries()) {
          if (index === at) {
            drain(stage, 30_000);
            stage.advance(100);
          }
          // The rest of the frame before, and a part of the next.
          const name = byClient ? "client" : "origin";
          const frame = byClient ? fromClient(text) : fromServer(text);
          const piece = halves[name] + frame.slice(0, cut);
          halves[name] = frame.slice(cut);
          (byClient ? client : origin).send(piece);
        }
        client.send(halves.client);
        origin.send(halves.origin);
        if (at >= said.length) {
          drain(stage, 30_000);
          stage.advance(100);
        }
        const down = new FrameTracker(false);
        down.skip(client.received, 0, client.received.length);
        expect([down.atBoundary, down.closed]).toEqual([true, true]);
        expect(client.text.endsWith(serverClose)).toBeTrue();
        client.send(clientClose);
        origin.send(serverClose);
        const up = new FrameTracker(true);
        up.skip(origin.received, 0, origin.received.length);
        expect([up.atBoundary, up.closed]).toEqual([true, true]);
        const words = said.filter(([byClient]) => byClient).map(([, text]) => fromClient(text));
        expect(origin.text).toBe(words.join("") + clientClose);
      }),
      { numRuns: 60 },
    );
  });
});

describe("any tunnel", () => {
  test("other protocols end by FIN on both sides, after what waits", () => {
    const ends = opened("chat");
    const { stage, client, origin } = ends;
    client.room = 2;
    origin.send("still here");
    drain(stage, 30_000);
    stage.advance(200);
    expect([client.ended, origin.ended]).toEqual([false, true]);
    client.take(100);
    expect(client.text).toBe("still here");
    expect(client.ended).toBeTrue();
    client.end();
    origin.end();
    expectOver(ends);
  });

  test("at the end of the window what is left is reset, counted and in the log", () => {
    const ends = opened();
    const { stage, client, origin } = ends;
    origin.send(fromServer("never ending").slice(0, 4));
    drain(stage, 1_000);
    stage.advance(990);
    expect(client.over).toBeFalse();
    stage.advance(50);
    expect([client.wasReset, origin.wasReset]).toEqual([true, true]);
    expectOver(ends);
    expect(stage.endpointCell("cutTunnels")).toBe(1);
    expect(stage.faults).toEqual({ "drain-window-over": 1 });
    expect(stage.records).toMatchObject([{ fault: "drain-window-over" }]);
  });

  test("taken back in time, it stays", () => {
    const { stage, client, origin } = opened("WebSocket", new Stage({}, { seed: 7 }));
    drain(stage, 30_000);
    stage.engine.tick(stage.time.now);
    const at = stage.table.state(0);
    stage.table.cells.fill(0, at, at + StateCell.size);
    stage.advance(30_000);
    expect([client.text, origin.text]).toEqual(["", ""]);
    client.send(fromClient("still"));
    expect(origin.text).toBe(fromClient("still"));
  });

  test("many are told one after the other, not all at once", () => {
    const stage = new Stage();
    const clients = Array.from({ length: 40 }, () => opened("WebSocket", stage).client);
    drain(stage, 30_000);
    const told = () => clients.filter((client) => client.text !== "").length;
    stage.advance(500);
    expect(told()).toBeGreaterThan(5);
    expect(told()).toBeLessThan(15);
    stage.advance(1_600);
    expect(told()).toBe(40);
  });

  test("our own stop says goodbye in the same way", async () => {
    const ends = opened();
    const stopped = ends.stage.engine.stop(30_000);
    ends.stage.advance(200);
    expect(ends.client.text).toBe(serverClose);
    ends.client.send(clientClose);
    ends.origin.send(serverClose);
    ends.client.end();
    ends.origin.end();
    ends.stage.advance(50);
    await stopped;
    expectOver(ends);
  });

  test("our own stop cuts what is left at the end of the window", async () => {
    const ends = opened();
    const stopped = ends.stage.engine.stop(1_000);
    ends.stage.advance(1_100);
    expect([ends.client.wasReset, ends.origin.wasReset]).toEqual([true, true]);
    expect(ends.stage.faults).toEqual({ draining: 1 });
    await stopped;
    expectOver(ends);
  });
});

describe("exchanges", () => {
  test("in flight they finish, then their connection closes; nothing new comes; clients stay", () => {
    const stage = new Stage({ pools: [poolPlan(2)] });
    const first = stage.asking(get);
    const idle = stage.asking(get);
    stage.origin(1).send(answer("kept"));
    idle.news();
    const busy = stage.network.connects[0]!.peer;
    drain(stage, 30_000, 0);
    drain(stage, 30_000, 1);
    stage.table.cells[stage.table.state(1) + StateCell.state] = EndpointState.ready;
    stage.table.cells.fill(0, stage.table.state(1) + StateCell.drainFrom, stage.table.state(1) + StateCell.size);
    stage.advance(50);
    const before = stage.connects;
    for (let i = 0; i < 6; i++) {
      idle.send(get);
      stage.origin(1).send(answer(`${i}`));
    }
    expect(stage.connects).toBe(before);
    expect(busy.over).toBeFalse();
    busy.send(answer("slow"));
    expect(first.text).toEndWith("slow");
    expect(first.text).not.toContain("Connection: close");
    expect(busy.over).toBeTrue();
    expect([first.over, idle.over]).toEqual([false, false]);
    expect(stage.endpointCell("inFlight", 0)).toBe(0);
  });

  test("at the end of the window one without an answer gets ours, one within its answer is cut", () => {
    const stage = new Stage();
    const waiting = stage.asking(get);
    const reading = stage.asking(get);
    stage.origin(1).send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun");
    drain(stage, 1_000);
    stage.advance(1_050);
    expect(waiting.text).toStartWith("HTTP/1.1 503 ");
    expect(waiting.text).toContain('details="drain-window-over"');
    expect(reading.wasReset).toBeTrue();
    expect(stage.endpointCell("cutExchanges")).toBe(2);
    expect(stage.endpointCell("failures")).toBe(0);
    expect(stage.endpointCell("inFlight")).toBe(0);
    expect(stage.faults).toEqual({ "drain-window-over": 2 });
  });

  test("at an endpoint that left the configuration they are cut by the same clock", () => {
    const stage = new Stage({ pools: [poolPlan(2)] });
    const slow = stage.asking(get);
    const [kept] = poolPlan(2).endpoints.slice(1);
    stage.run({ pools: [poolPlan(1, { endpoints: [kept!] })] });
    stage.advance(5_000);
    expect(slow.text).toBe("");
    drain(stage, 1_000, 0);
    stage.advance(900);
    expect(slow.text).toBe("");
    stage.advance(150);
    expect(stage.endpointCell("inFlight", 0)).toBe(0);
    stage.origin(1).send(answer("from who is left"));
    expect(slow.text).toEndWith("from who is left");
  });

  test("with their pool gone from the configuration there is nowhere to go", () => {
    const stage = new Stage({ pools: [poolPlan(2)] });
    const slow = stage.asking(get);
    const other = poolPlan(1, { slot: 1, name: "other" });
    stage.run({ listeners: [listenerPlan({ routes: [] })], pools: [other] });
    drain(stage, 1_000, 0);
    stage.advance(1_050);
    expect(stage.connects).toBe(1);
    expect(slow.text).toContain('details="drain-window-over"');
  });
});

describe("at the end of the window, what has no answer goes elsewhere", () => {
  const stageOf = (endpoints = 2, over: Partial<PoolPlan> = {}) => new Stage({ pools: [poolPlan(endpoints, over)] });
  const post = (body: string) => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

  test("a GET that waits for its answer", () => {
    const stage = stageOf();
    const client = stage.asking(get);
    drain(stage, 1_000);
    stage.advance(1_050);
    expect(stage.origin(0).wasReset).toBeTrue();
    expect(client.text).toBe("");
    expect(stage.origin(1).text).toContain("X-Plimsoll-Attempt: 2\r\n");
    stage.origin(1).send(answer("other"));
    expect(client.text).toEndWith("other");
    expect(stage.faults).toEqual({});
    expect(stage.records[0]).toMatchObject({ fault: "", status: 200, endpoint: "127.0.0.1:3001" });
    expect(stage.records[0]!.tries.map(({ fault }) => fault)).toEqual(["drain-window-over", ""]);
    expect(stage.endpointCell("cutExchanges")).toBe(1);
    expect([0, 1].map((slot) => stage.endpointCell("failures", slot))).toEqual([0, 0]);
    expect([0, 1].map((slot) => stage.endpointCell("inFlight", slot))).toEqual([0, 0]);
  });

  test("with what was kept of its body, and the rest after that", () => {
    const stage = stageOf();
    const put = stage.asking("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
    drain(stage, 1_000);
    stage.advance(1_050);
    put.send("def");
    expect(stage.origin(1).text).toEndWith("\r\n\r\nabcdef");
  });

  test("no POST that was sent, for it may have been worked on; one that was not, because nobody has seen it", () => {
    const sent = stageOf();
    const client = sent.asking(post("order"));
    drain(sent, 1_000);
    sent.advance(1_050);
    expect(client.text).toContain('details="drain-window-over"');
    expect(sent.connects).toBe(1);

    const unsent = stageOf();
    unsent.network.welcome = () => (unsent.connects === 1 ? "silent" : "open");
    const other = unsent.asking(post("order"));
    drain(unsent, 1_000);
    unsent.advance(1_050);
    expect(unsent.origin(1).text).toEndWith("\r\n\r\norder");
    unsent.origin(1).send(answer("done"));
    expect(other.text).toEndWith("done");
    // A connection that was given up says nothing of whoever did not take it in time.
    expect(unsent.endpointCell("connectFailures")).toBe(0);
  });

  test("not where retries are off, or nobody is left, and then the answer says why", () => {
    const retry = { ...poolPlan().retry, attempts: 1 };
    for (const stage of [stageOf(1), stageOf(2, { retry })]) {
      const client = stage.asking(get);
      drain(stage, 1_000);
      stage.advance(1_050);
      expect(client.text).toContain('details="drain-window-over"');
      expect([stage.connects, stage.poolCell("retries"), stage.poolCell("unusable")]).toEqual([1, 0, 0]);
    }
  });

  test("to a hedge, if one is under way, which is then no try more", () => {
    const stage = stageOf(2, { retry: { ...poolPlan().retry, hedge: 200 } });
    const client = stage.asking(get);
    stage.advance(250);
    drain(stage, 1_000);
    stage.advance(1_050);
    expect([stage.origin(0).wasReset, stage.connects]).toEqual([true, 2]);
    stage.origin(1).send(answer("hedge"));
    expect(client.text).toEndWith("hedge");
  });

  test("a client that belongs there belongs to another from then on", () => {
    const sticky = stickyPlan("cookie");
    const stage = stageOf(2, { sticky });
    const first = stage.asking(get);
    stage.origin(0).send(answer());
    const cookie = /Set-Cookie: ([^;]+)/i.exec(first.text)![1]!;
    first.send(`GET / HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\n\r\n`);
    first.news();
    drain(stage, 1_000);
    stage.advance(1_050);
    stage.origin(1).send(answer("moved"));
    expect(first.text).toEndWith("moved");
    expect(/Set-Cookie: ([^;]+)/i.exec(first.text)![1]).not.toBe(cookie);
  });

  test("all endpoints in their last moment: once elsewhere, then ours", () => {
    const stage = stageOf();
    const client = stage.asking(get);
    drain(stage, 1_000, 0);
    drain(stage, 2_000, 1);
    stage.table.cells[stage.table.state(1) + StateCell.state] = EndpointState.ready;
    stage.advance(1_050);
    expect(stage.connects).toBe(2);
    stage.advance(1_000);
    expect(client.text).toContain('details="drain-window-over"');
    expect(stage.connects).toBe(2);
  });
});
