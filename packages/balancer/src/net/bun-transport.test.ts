import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createBunTransport } from "./bun-transport.ts";
import { closeFd, duplicate } from "./libc.ts";
import { openListeningSocket } from "./listening-socket.ts";
import type { CloseReason, Connection, ConnectionHandler, Listener } from "./transport.ts";

/** Writes down everything that it is told, and can wait for it. */
class Recorder implements ConnectionHandler {
  readonly events: string[] = [];
  bytes = 0;
  text = "";
  reason: CloseReason | undefined;
  cause = "";
  inside = false;
  nested = false;
  onBytes: ((bytes: Uint8Array) => void) | undefined;
  #waiters: { until: () => boolean; resolve: () => void }[] = [];

  onOpen(): void {
    this.#note("open");
  }
  onData(bytes: Uint8Array): void {
    this.bytes += bytes.byteLength;
    if (this.text.length < 4096) this.text += Buffer.from(bytes).toString("latin1");
    this.#enter(() => this.onBytes?.(bytes));
    this.#note("data");
  }
  onDrain(): void {
    this.#note("drain");
  }
  onEnd(): void {
    this.#note("end");
  }
  onClose(reason: CloseReason, cause: string): void {
    this.reason = reason;
    this.cause = cause;
    this.#note("close");
  }
  until(until: () => boolean): Promise<void> {
    if (until()) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ until, resolve }));
  }
  seen(event: string): Promise<void> {
    return this.until(() => this.events.includes(event));
  }
  #enter(call: () => void): void {
    this.inside = true;
    call();
    this.inside = false;
  }
  #note(event: string): void {
    if (this.inside) this.nested = true;
    if (event !== "data" || this.events.at(-1) !== "data") this.events.push(event);
    this.#waiters = this.#waiters.filter((waiter) => {
      if (waiter.until()) waiter.resolve();
      return !waiter.until();
    });
  }
}

const transport = createBunTransport();
const cleanups: (() => void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) cleanup();
  await passed(5);
});

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function listen(accept: (connection: Connection) => ConnectionHandler, via = transport): Listener {
  const listener = via.listen({ address: { kind: "tcp", host: "127.0.0.1", port: 0 } }, accept);
  cleanups.push(() => listener.close());
  return listener;
}

interface Side {
  readonly connection: Connection;
  readonly seen: Recorder;
}

async function pair(via = transport): Promise<{ near: Side; far: Side }> {
  const farSeen = new Recorder();
  let far: Connection | undefined;
  const listener = listen((connection) => ((far = connection), farSeen), via);
  const nearSeen = new Recorder();
  const near = via.connect({ kind: "tcp", host: "127.0.0.1", port: listener.port }, nearSeen);
  await nearSeen.seen("open");
  while (far === undefined) await passed(1);
  const accepted = far;
  cleanups.push(() => (near.reset(), accepted.reset()));
  return { near: { connection: near, seen: nearSeen }, far: { connection: accepted, seen: farSeen } };
}

function bytes(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

function say(connection: Connection, text: string): number {
  const chunk = bytes(text);
  return connection.write(chunk, 0, chunk.length);
}

describe("connecting", () => {
  test("open is told later, never before connect returns; accepted connections are not told", async () => {
    const { near, far } = await pair();
    expect(near.seen.events).toEqual(["open"]);
    expect(far.seen.events).toEqual([]);
    expect(near.connection.remoteAddress).toBe("127.0.0.1");
    expect(far.connection.remoteAddress).toBe("127.0.0.1");
    expect(near.connection.remotePort).toBe(far.connection.localPort);
    expect(far.connection.remotePort).toBe(near.connection.localPort);
    expect(far.connection.localAddress).toBe("127.0.0.1");
  });

  test("bytes go both ways, and a window of a larger array is sent alone", async () => {
    const { near, far } = await pair();
    expect(near.connection.write(bytes("xxhelloxx"), 2, 7)).toBe(5);
    await far.seen.until(() => far.seen.text === "hello");
    say(far.connection, "back");
    await near.seen.until(() => near.seen.text === "back");
  });

  test("nobody there: refused, once", async () => {
    const gone = openListeningSocket({ kind: "tcp", host: "127.0.0.1", port: 0 });
    closeFd(gone.fd);
    const seen = new Recorder();
    transport.connect({ kind: "tcp", host: "127.0.0.1", port: gone.port }, seen);
    expect(seen.events).toEqual([]);
    await seen.seen("close");
    await passed(10);
    expect(seen.events).toEqual(["close"]);
    expect(seen.reason).toBe("refused");
    expect(seen.cause).toBe("ECONNREFUSED");
  });

  test("no Unix socket there: refused", async () => {
    const seen = new Recorder();
    transport.connect({ kind: "unix", path: "/nonexistent/plimsoll.sock" }, seen);
    expect(seen.events).toEqual([]);
    await seen.seen("close");
    expect([seen.reason, seen.cause]).toEqual(["refused", "ENOENT"]);
  });

  test("a name instead of an address: unreachable, with a sentence", async () => {
    const seen = new Recorder();
    transport.connect({ kind: "tcp", host: "localhost", port: 1 }, seen);
    await seen.seen("close");
    expect(seen.reason).toBe("unreachable");
    expect(seen.cause).toContain("localhost");
  });

  for (const how of ["reset", "close"] as const) {
    test(`${how} while connecting: closed once, and the descriptor is gone at once`, async () => {
      // A queue of one that is full: Linux leaves further SYNs unanswered, as a black hole does.
      const hole = openListeningSocket({ kind: "tcp", host: "127.0.0.1", port: 0 }, { backlog: 0 });
      cleanups.push(() => closeFd(hole.fd));
      const fillers = [new Recorder(), new Recorder(), new Recorder()];
      for (const filler of fillers) {
        const connection = transport.connect({ kind: "tcp", host: "127.0.0.1", port: hole.port }, filler);
        cleanups.push(() => connection.reset());
      }
      await fillers[0]!.seen("open");
      const before = descriptors();
      const seen = new Recorder();
      const connection = transport.connect({ kind: "tcp", host: "127.0.0.1", port: hole.port }, seen);
      await passed(20);
      expect(seen.events).toEqual([]);
      expect(connection.write(bytes("early"), 0, 5)).toBe(0);
      connection[how]();
      expect(seen.events).toEqual([]);
      expect(descriptors()).toBe(before);
      connection.close();
      connection.reset();
      await passed(10);
      expect(seen.events).toEqual(["close"]);
      expect(seen.reason).toBe("closed");
    });
  }

  test("paused before it is open stays paused", async () => {
    const seen = new Recorder();
    const far: Connection[] = [];
    const listener = listen((connection) => (far.push(connection), say(connection, "hello"), new Recorder()));
    const near = transport.connect({ kind: "tcp", host: "127.0.0.1", port: listener.port }, seen);
    near.pause();
    await seen.seen("open");
    await passed(20);
    expect(seen.events).toEqual(["open"]);
    near.resume();
    await seen.until(() => seen.text === "hello");
    near.reset();
  });
});

describe("listening", () => {
  test("Unix sockets, and the file is gone afterwards", async () => {
    const directory = mkdtempSync(join(tmpdir(), "plimsoll-net-"));
    try {
      const address = { kind: "unix", path: join(directory, "s") } as const;
      const far = new Recorder();
      let accepted: Connection | undefined;
      const listener = transport.listen({ address }, (connection) => ((accepted = connection), far));
      const near = new Recorder();
      const connection = transport.connect(address, near);
      await near.seen("open");
      say(connection, "over the file");
      await far.until(() => far.text === "over the file");
      expect(accepted!.remoteAddress).toBe("");
      expect(connection.remoteAddress).toBe("");
      connection.reset();
      accepted!.reset();
      listener.close();
      expect(readdirSync(directory)).toEqual([]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test("IPv6, and IPv4 clients of [::] are shown as IPv4", async () => {
    const accepted: Connection[] = [];
    const listener = transport.listen({ address: { kind: "tcp", host: "::", port: 0 } }, (connection) => {
      accepted.push(connection);
      return new Recorder();
    });
    cleanups.push(() => listener.close());
    for (const host of ["127.0.0.1", "::1"]) {
      const seen = new Recorder();
      const connection = transport.connect({ kind: "tcp", host, port: listener.port }, seen);
      await seen.seen("open");
      cleanups.push(() => connection.reset());
    }
    while (accepted.length < 2) await passed(1);
    expect(accepted.map((each) => each.remoteAddress).sort()).toEqual(["127.0.0.1", "::1"]);
    expect(accepted.map((each) => each.localAddress).sort()).toEqual(["127.0.0.1", "::1"]);
    for (const each of accepted) each.reset();
  });

  test("an inherited descriptor belongs to the listener, which closes it", async () => {
    const socket = openListeningSocket({ kind: "tcp", host: "127.0.0.1", port: 0 });
    const witness = duplicate(socket.fd);
    const address = { kind: "tcp", host: "127.0.0.1", port: socket.port } as const;
    const before = descriptors();
    const listener = transport.listen({ address, fd: socket.fd }, () => new Recorder());
    expect(listener.port).toBe(socket.port);
    listener.close();
    listener.close();
    expect(descriptors()).toBe(before - 1);
    closeFd(witness);
  });

  test("an address in use is refused with a code and a sentence that helps", () => {
    const first = listen(() => new Recorder());
    const second = () =>
      transport.listen({ address: { kind: "tcp", host: "127.0.0.1", port: first.port } }, () => new Recorder());
    expect(second).toThrow(expect.objectContaining({ code: "EADDRINUSE" }));
    expect(second).toThrow(new RegExp(`127\\.0\\.0\\.1:${first.port}.*in use.*ss -ltnp`));
  });

  test("after close no new connection, but the accepted go on", async () => {
    const { near, far } = await pair();
    cleanups.shift()!();
    const seen = new Recorder();
    transport.connect({ kind: "tcp", host: "127.0.0.1", port: near.connection.remotePort }, seen);
    await seen.seen("close");
    expect(seen.reason).toBe("refused");
    say(near.connection, "still");
    await far.seen.until(() => far.seen.text === "still");
  });
});

describe("ending", () => {
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
    const via = createBunTransport({ onDefect: (error) => defects.push(error) });
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
    const via = createBunTransport({ onDefect: (error) => defects.push(error) });
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

describe("back-pressure", () => {
  test("a peer that does not read: short writes, then drain, and every byte arrives once", async () => {
    const { near, far } = await pair();
    far.connection.pause();
    const total = 24_000_000;
    const source = new Uint8Array(total);
    for (let i = 0; i < total; i++) source[i] = (i * 31) >> 3;
    let sent = 0;
    const pump = () => {
      if (sent < total) sent += near.connection.write(source, sent, Math.min(total, sent + 1_000_000));
      if (sent === total) near.connection.shutdown();
    };
    let accepted = 1;
    while (accepted > 0) sent += accepted = near.connection.write(source, sent, Math.min(total, sent + 1_000_000));
    expect(sent).toBeLessThan(total);
    expect(near.connection.unsent()).toBeGreaterThan(100_000);
    const drains = near.seen.events.length;
    await passed(30);
    expect(near.seen.events.length).toBe(drains);
    near.seen.onDrain = () => {
      let before: number;
      do {
        before = sent;
        pump();
      } while (sent > before && sent < total);
    };
    let wrong = -1;
    let at = 0;
    far.seen.onBytes = (chunk) => {
      for (let i = 0; i < chunk.length; i += 997) if (chunk[i] !== source[at + i]) wrong = at + i;
      at += chunk.length;
    };
    far.connection.resume();
    await far.seen.seen("end");
    expect(near.connection.unsent()).toBe(0);
    expect(at).toBe(total);
    expect(wrong).toBe(-1);
  });

  test("relaying 256 MB to a reader that stops and starts keeps memory flat", async () => {
    const { near: source, far: inlet } = await pair();
    const { near: outlet, far: sink } = await pair();
    // The relay: what the proxy does, with one kept chunk.
    let kept: Uint8Array | undefined;
    let mostKept = 0;
    inlet.seen.onBytes = (chunk) => {
      const accepted = outlet.connection.write(chunk, 0, chunk.length);
      if (accepted === chunk.length) return;
      kept = chunk.slice(accepted);
      mostKept = Math.max(mostKept, kept.length);
      inlet.connection.pause();
    };
    outlet.seen.onDrain = () => {
      if (kept === undefined) return;
      const accepted = outlet.connection.write(kept, 0, kept.length);
      if (accepted < kept.length) {
        kept = kept.slice(accepted);
        return;
      }
      kept = undefined;
      inlet.connection.resume();
    };
    inlet.seen.onEnd = () => outlet.connection.shutdown();
    const total = 256_000_000;
    const chunk = new Uint8Array(1_000_000);
    let sent = 0;
    const pump = () => {
      while (sent < total) {
        const from = sent % chunk.length;
        const accepted = source.connection.write(chunk, from, chunk.length);
        sent += accepted;
        if (accepted < chunk.length - from) return;
      }
      source.connection.shutdown();
    };
    source.seen.onDrain = pump;
    let most = 0;
    let unread = 0;
    sink.seen.onBytes = (bytes) => {
      unread += bytes.length;
      if (unread < 16_000_000) return;
      unread = 0;
      sink.connection.pause();
      most = Math.max(most, process.memoryUsage.rss());
      setTimeout(() => sink.connection.resume(), 2);
    };
    const before = process.memoryUsage.rss();
    pump();
    await sink.seen.seen("end");
    expect(sink.seen.bytes).toBe(total);
    expect(mostKept).toBeGreaterThan(0);
    expect(most - before).toBeLessThan(96_000_000);
  });
});

describe("descriptors", () => {
  test("10,000 connections, ended in every way by either side, leave none behind", async () => {
    const quiet = { onOpen() {}, onData() {}, onDrain() {}, onEnd() {}, onClose() {} };
    const end = (connection: Connection, way: number) => {
      if (way === 0) connection.reset();
      else if (way === 1) connection.shutdown();
      else connection.close();
    };
    // The client says in one byte who ends it and how.
    const listener = listen((connection) => ({
      ...quiet,
      onData: (chunk) => chunk[0]! >= 3 && end(connection, chunk[0]! - 3),
      onEnd: () => connection.close(),
    }));
    const address = { kind: "tcp", host: "127.0.0.1", port: listener.port } as const;
    const before = descriptors();
    let left = 10_000;
    let closed = 0;
    await new Promise<void>((resolve) => {
      const next = () => {
        if (left === 0) return;
        const way = left-- % 6;
        const connection: Connection = transport.connect(address, {
          ...quiet,
          onOpen() {
            connection.write(Uint8Array.of(way), 0, 1);
            if (way < 3) end(connection, way);
          },
          onEnd: () => connection.close(),
          onClose() {
            if (++closed === 10_000) resolve();
            next();
          },
        });
      };
      for (let i = 0; i < 16; i++) next();
    });
    while (descriptors() > before) await passed(5);
    expect(descriptors()).toBe(before);
  }, 30_000);

  test("at the limit accepting stops without refusing, and goes on when there is room", async () => {
    const via = createBunTransport({ maxConnections: 16 });
    const accepted: Connection[] = [];
    const listener = listen((connection) => (accepted.push(connection), new Recorder()), via);
    const clients: Recorder[] = [];
    for (let i = 0; i < 40; i++) {
      const seen = new Recorder();
      clients.push(seen);
      const connection = transport.connect({ kind: "tcp", host: "127.0.0.1", port: listener.port }, seen);
      cleanups.push(() => connection.reset());
    }
    // The kernel has them all; we have taken 14 and kept two for upstream connections.
    await Promise.all(clients.map((seen) => seen.seen("open")));
    await passed(20);
    expect(accepted.length).toBe(14);
    const before = process.cpuUsage();
    await passed(200);
    const used = process.cpuUsage(before);
    expect(used.user + used.system).toBeLessThan(100_000);
    const taken = new Set<Connection>();
    while (taken.size < 40) {
      for (const connection of accepted) {
        if (!taken.has(connection)) connection.reset();
        taken.add(connection);
      }
      await passed(1);
    }
    expect(clients.every((seen) => seen.reason !== "refused")).toBe(true);
  });

  test("with none left a connect is unreachable and says what to do", async () => {
    const via = createBunTransport({ maxConnections: 1 });
    const listener = listen(() => new Recorder());
    const address = { kind: "tcp", host: "127.0.0.1", port: listener.port } as const;
    const first = new Recorder();
    const held = via.connect(address, first);
    await first.seen("open");
    const second = new Recorder();
    via.connect(address, second);
    await second.seen("close");
    expect(second.reason).toBe("unreachable");
    expect(second.cause).toContain("ulimit");
    held.reset();
    await first.seen("close");
    const third = new Recorder();
    const again = via.connect(address, third);
    await third.seen("open");
    again.reset();
  });
});

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}
