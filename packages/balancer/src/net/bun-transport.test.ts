import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  bytes,
  cleanUp,
  cleanups,
  descriptors,
  listen,
  pair,
  passed,
  Recorder,
  say,
  transport,
} from "./fixtures/connections.ts";
import { createBunTransport } from "./bun-transport.ts";
import { closeFd, duplicate } from "./libc.ts";
import { openListeningSocket } from "./listening-socket.ts";
import type { Connection } from "./transport.ts";
import { describeKinds } from "./fixtures/encrypted.ts";

afterEach(cleanUp);
const plain = createBunTransport();

describeKinds("connecting", () => {
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
        const connection = plain.connect({ kind: "tcp", host: "127.0.0.1", port: hole.port }, filler);
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

describeKinds("listening", () => {
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

  test("connections that wait in the queue when it is closed are accepted, and then no more", async () => {
    const accepted: Connection[] = [];
    const served = new Recorder();
    const listener = listen((connection) => (accepted.push(connection), served));
    const target = { kind: "tcp", host: "127.0.0.1", port: listener.port } as const;
    // The kernel completes these at once; we have not looked yet.
    const clients = Array.from({ length: 20 }, () => {
      const seen = new Recorder();
      const connection = transport.connect(target, seen);
      cleanups.push(() => connection.reset());
      return seen;
    });
    listener.close();
    expect(listener.open).toBe(true);
    while (accepted.length < 20) await passed(1);
    while (listener.open) await passed(1);
    for (const connection of accepted) say(connection, "welcome");
    await Promise.all(clients.map((seen) => seen.until(() => seen.text === "welcome")));
    expect(clients.filter((seen) => seen.events.includes("close"))).toEqual([]);
    const late = new Recorder();
    transport.connect(target, late);
    await late.seen("close");
    expect(late.reason).toBe("refused");
    for (const connection of accepted) connection.reset();
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
