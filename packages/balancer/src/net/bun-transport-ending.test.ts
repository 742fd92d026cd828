import { afterEach, expect, test } from "bun:test";
import { createBunTransport } from "./bun-transport.ts";
import { cleanUp, descriptors, listen, pair, passed, Recorder, say } from "./fixtures/connections.ts";
import { asKind, describeKinds } from "./fixtures/encrypted.ts";

afterEach(cleanUp);

describeKinds("ending", (kind) => {
  test("half-close by the near side: the far side still answers", async () => {
    const { near, far } = await pair();
    say(near.connection, "question");
    near.connection.shutdown();
    await far.seen.seen("end");
    expect(far.seen.text).toBe("question");
    say(far.connection, "answer");
    far.connection.shutdown();
    await near.seen.seen("close");
    expect(near.seen.text).toBe("answer");
    expect(near.seen.events).toEqual(["open", "data", "end", "close"]);
    expect(near.seen.reason).toBe("closed");
    await far.seen.seen("close");
    expect(far.seen.events).toEqual(["data", "end", "close"]);
    expect(far.seen.reason).toBe("closed");
  });

  test("half-close by the far side first", async () => {
    const { near, far } = await pair();
    far.connection.shutdown();
    await near.seen.seen("end");
    say(near.connection, "late");
    await far.seen.until(() => far.seen.text === "late");
    near.connection.shutdown();
    await Promise.all([near.seen.seen("close"), far.seen.seen("close")]);
    expect(near.seen.events).toEqual(["open", "end", "close"]);
    expect(far.seen.events).toEqual(["data", "end", "close"]);
  });

  test("reset is seen as reset by the peer, also while it is paused", async () => {
    for (const paused of [false, true]) {
      const { near, far } = await pair();
      if (paused) far.connection.pause();
      say(near.connection, "cut sho");
      near.connection.reset();
      await Promise.all([near.seen.seen("close"), far.seen.seen("close")]);
      expect(near.seen.reason).toBe("closed");
      expect(far.seen.reason).toBe("reset");
      expect(far.seen.events.filter((event) => event !== "data")).toEqual(["close"]);
    }
  });

  test("a reset that a write finds first is still a reset, not an end", async () => {
    const { near, far } = await pair();
    say(near.connection, "half an answ");
    near.connection.reset();
    // Before the loop turns: the kernel already knows, the events are still to come.
    expect(say(far.connection, "one")).toBe(3);
    expect(say(far.connection, "two")).toBe(3);
    await far.seen.seen("close");
    expect(far.seen.text).toBe("half an answ");
    expect(far.seen.events).toEqual(["data", "close"]);
    expect(far.seen.reason).toBe("reset");
  });

  test("the same while paused", async () => {
    const { near, far } = await pair();
    far.connection.pause();
    say(near.connection, "half an answ");
    near.connection.reset();
    say(far.connection, "one");
    await far.seen.seen("close");
    expect(far.seen.events).toEqual(["close"]);
    expect(far.seen.reason).toBe("reset");
  });

  test("and when we end our side after it", async () => {
    const { near, far } = await pair();
    near.connection.reset();
    say(far.connection, "one");
    far.connection.shutdown();
    await far.seen.seen("close");
    expect(far.seen.events).toEqual(["close"]);
    expect(far.seen.reason).toBe("reset");
  });

  test("and when it is paused only after the write", async () => {
    const { near, far } = await pair();
    near.connection.reset();
    say(far.connection, "one");
    far.connection.pause();
    await far.seen.seen("close");
    expect(far.seen.events).toEqual(["close"]);
    expect(far.seen.reason).toBe("reset");
  });

  test("close is an orderly end for the peer, though it was still sending", async () => {
    const { near, far } = await pair();
    near.seen.onBytes = () => {
      say(near.connection, "413 enough");
      near.connection.close();
    };
    const chunk = new Uint8Array(256 * 1024);
    let sent = 0;
    const pump = () => {
      for (;;) {
        const accepted = far.connection.write(chunk, 0, chunk.length);
        sent += accepted;
        if (accepted < chunk.length || sent > 8_000_000) return;
      }
    };
    far.seen.onDrain = pump;
    pump();
    await far.seen.seen("end");
    expect(far.seen.text).toBe("413 enough");
    expect(near.seen.nested).toBe(false);
    expect(near.seen.reason).toBe("closed");
    far.connection.close();
    await far.seen.seen("close");
    expect(far.seen.reason).toBe("closed");
  });

  test("close while paused lets a peer that is still uploading finish and read the answer", async () => {
    const { near, far } = await pair();
    near.connection.pause();
    const upload = new Uint8Array(12_000_000);
    let sent = 0;
    const pump = () => {
      if (sent < upload.length) sent += far.connection.write(upload, sent, upload.length);
    };
    far.seen.onDrain = pump;
    pump();
    expect(sent).toBeLessThan(upload.length);
    await passed(10);
    say(near.connection, "answer");
    near.connection.close();
    while (sent < upload.length) await passed(1);
    await far.seen.seen("end");
    expect(far.seen.text).toBe("answer");
    expect(far.seen.events).toEqual(["data", "end"]);
    expect(near.seen.bytes).toBe(0);
  });

  test("close where nothing follows: the peer reads all and its end; a plain one waits for nothing", async () => {
    const { near, far } = await pair();
    const answer = "a".repeat(100_000);
    say(near.connection, answer);
    const before = descriptors();
    near.connection.close(true);
    expect(before - descriptors()).toBe(kind === "plain" ? 1 : 0);
    await far.seen.seen("end");
    expect(far.seen.bytes).toBe(answer.length);
    far.connection.close();
    await Promise.all([near.seen.seen("close"), far.seen.seen("close")]);
    expect([near.seen.reason, far.seen.reason]).toEqual(["closed", "closed"]);
  });

  test("close where something follows all the same: it is waited for, and nothing is cut", async () => {
    const { near, far } = await pair();
    near.connection.pause();
    say(far.connection, "\r\n");
    await passed(5);
    say(near.connection, "answer");
    near.connection.close(true);
    await far.seen.seen("end");
    expect(far.seen.text).toBe("answer");
    say(far.connection, "and more");
    await passed(5);
    far.connection.close();
    await far.seen.seen("close");
    expect([far.seen.events, far.seen.reason]).toEqual([["data", "end", "close"], "closed"]);
  });

  test("onClose comes exactly once and last, whatever is called in whatever order", async () => {
    const calls = ["close", "reset", "shutdown", "pause", "resume"] as const;
    for (const first of calls) {
      for (const second of calls) {
        const { near, far } = await pair();
        near.connection[first]();
        near.connection[second]();
        near.connection.reset();
        expect(near.seen.events).toEqual(["open"]);
        expect(say(near.connection, "dead")).toBe(4);
        await near.seen.seen("close");
        far.connection.reset();
        await passed(1);
        expect(near.seen.events).toEqual(["open", "close"]);
      }
    }
  });

  test("the handler may be exchanged between calls", async () => {
    const { near, far } = await pair();
    const tunnel = new Recorder();
    far.seen.onBytes = () => (far.connection.handler = tunnel);
    say(near.connection, "a");
    await far.seen.until(() => far.seen.text === "a");
    say(near.connection, "b");
    near.connection.shutdown();
    await tunnel.seen("end");
    expect(tunnel.text).toBe("b");
    expect(far.seen.text).toBe("a");
  });

  test("a handler that throws costs its own connection and is reported", async () => {
    const defects: unknown[] = [];
    const via = asKind(createBunTransport({ onDefect: (error) => defects.push(error) }));
    const { near, far } = await pair(via);
    far.seen.onBytes = () => {
      throw new Error("boom");
    };
    say(near.connection, "x");
    await near.seen.seen("close");
    expect(near.seen.reason).toBe("reset");
    expect(far.seen.reason).toBe("reset");
    expect(far.seen.cause).toContain("boom");
    expect(defects.map(String)).toEqual(["Error: boom"]);
  });

  test("an accept that throws, and an onClose that throws, are reported too", async () => {
    const defects: unknown[] = [];
    const via = asKind(createBunTransport({ onDefect: (error) => defects.push(error) }));
    const listener = listen(() => {
      throw new Error("no room");
    }, via);
    const seen = new Recorder();
    seen.onClose = () => {
      throw new Error("in close");
    };
    via.connect({ kind: "tcp", host: "127.0.0.1", port: listener.port }, seen);
    while (defects.length < 2) await passed(1);
    expect(defects.map(String).sort()).toEqual(["Error: in close", "Error: no room"]);
  });
});
