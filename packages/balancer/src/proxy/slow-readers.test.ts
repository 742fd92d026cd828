// Clients that take their answers a few bytes at a time, so that they never fall silent, on time that is moved by hand.
import { describe, expect, test } from "bun:test";
import { listenerPlan } from "./fixtures/plans.ts";
import { get, Stage } from "./fixtures/stage.ts";

/** The wheel's step and the tick that drives it. */
const late = 75;
const second = 1000;
const own = listenerPlan();
/** The defaults: 30 s, 256 bytes a second. */
const window = own.timeouts.body;
const rate = own.limits.minReadRate;

function stageWith(minReadRate = rate): Stage {
  return new Stage({ listeners: [listenerPlan({ limits: { ...own.limits, minReadRate } })] });
}

describe("a slow reader", () => {
  /** A client in whose kernel queue an answer lies, and how that queue gets shorter. */
  function reading(minReadRate = rate) {
    const stage = stageWith(minReadRate);
    const client = stage.asking(get);
    client.room = 50;
    stage.origin().send(`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${"x".repeat(5_000)}`);
    const connection = stage.network.accepted[0];
    if (connection === undefined) throw new Error("nobody was accepted");
    connection.queued = 10_000_000;
    return { stage, client, take: (bytes: number) => (connection.queued -= bytes) };
  }

  test("32 bytes every five seconds: reset, and the endpoint is let go", () => {
    const { stage, client, take } = reading();
    let passed = 0;
    for (; passed < 300 * second && !client.over; passed += 5 * second) {
      take(32);
      stage.advance(5 * second);
    }
    // The first look finds what the kernel has, the second how much of it went.
    expect(passed).toBeLessThanOrEqual(2 * window + 5 * second);
    expect(stage.faults).toEqual({ "client-read-timeout": 1 });
    expect(client.wasReset).toBeTrue();
    expect([stage.endpointCell("inFlight"), stage.engine.busy, stage.wheel.size]).toEqual([0, 0, stage.engine.open]);
  });

  test("just above the rate: as long as it likes", () => {
    const { stage, client, take } = reading();
    for (let turn = 0; turn < 600; turn++) {
      take(rate + 1);
      stage.advance(second);
    }
    expect(stage.faults).toEqual({});
    expect(client.over).toBeFalse();
  });

  test("an answer that all went into the kernel's queue: an idle connection that does not take it is reset", () => {
    const stage = stageWith();
    const client = stage.asking(get);
    stage.origin().send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    const connection = stage.network.accepted[0];
    if (connection === undefined) throw new Error("nobody was accepted");
    connection.queued = 1_000_000;
    // One that takes it is left alone, however long it takes ...
    for (let passed = 0; passed < own.timeouts.idle + 10 * window; passed += second) {
      connection.queued -= rate + 1;
      stage.advance(second);
    }
    expect(client.over).toBeFalse();
    // ... and closed in order when it has all of it.
    connection.queued = 0;
    stage.advance(window + late);
    expect([client.closed, client.wasReset]).toEqual([true, false]);

    const slow = stage.asking(get);
    stage.origin(1).send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    const other = stage.network.accepted[1];
    if (other !== undefined) other.queued = 1_000_000;
    for (let passed = 0; passed < own.timeouts.idle + window + 5 * second; passed += 5 * second) {
      if (other !== undefined) other.queued -= 32;
      stage.advance(5 * second);
    }
    expect(slow.wasReset).toBeTrue();
    expect(stage.wheel.size).toBe(stage.engine.open);
  });

  describe("a large answer that all went into the kernel's queue", () => {
    function served(queued: number) {
      const stage = stageWith();
      const client = stage.asking(get);
      stage.origin().send(`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${"x".repeat(100_000)}`);
      const connection = stage.network.accepted[0];
      if (connection === undefined) throw new Error("nobody was accepted");
      connection.queued = queued;
      return { stage, client, connection };
    }

    test("is looked at as early as one of which a part is here: reset after twice timeouts.body", () => {
      const { stage, client, connection } = served(100_000);
      let passed = 0;
      for (; passed < own.timeouts.idle && !client.over; passed += 5 * second) {
        connection.queued -= 32;
        stage.advance(5 * second);
      }
      expect(passed).toBeLessThanOrEqual(2 * window + 5 * second);
      expect(client.wasReset).toBeTrue();
      expect(stage.wheel.size).toBe(stage.engine.open);
    });

    test("was taken by then: the connection stays idle for as long as others, and can be used", () => {
      const { stage, client } = served(0);
      stage.advance(own.timeouts.idle - second);
      expect(client.over).toBeFalse();
      stage.advance(second + 2 * late);
      expect([client.closed, client.wasReset]).toEqual([true, false]);

      const again = served(0);
      again.stage.advance(window + second);
      again.client.send(get);
      again.stage.origin().send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      again.stage.advance(own.timeouts.idle - second);
      expect(again.client.over).toBeFalse();
      again.stage.advance(second + 2 * late);
      expect(again.client.closed).toBeTrue();
      expect(again.stage.faults).toEqual({});
    });
  });

  test("minReadRate 0: a byte now and then is enough", () => {
    const { stage, client, take } = reading(0);
    for (let turn = 0; turn < 30; turn++) {
      take(1);
      stage.advance(20 * second);
    }
    expect(stage.faults).toEqual({});
    expect(client.over).toBeFalse();
  });

  test("a stream that has little to say is no slow reader", () => {
    const stage = stageWith();
    const client = stage.asking(get);
    stage.origin().send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (let turn = 0; turn < 40; turn++) {
      stage.origin().send("1\r\n.\r\n");
      stage.advance(20 * second);
    }
    expect(stage.faults).toEqual({});
    expect(client.over).toBeFalse();
  });
});
