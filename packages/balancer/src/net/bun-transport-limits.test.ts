import { afterEach, expect, test } from "bun:test";
import { worthFreeing } from "../base/bytes.ts";
import { createBunTransport } from "./bun-transport.ts";
import { cleanUp, cleanups, descriptors, listen, pair, passed, Recorder, transport } from "./fixtures/connections.ts";
import { libc } from "./libc.ts";
import type { Connection } from "./transport.ts";
import { asKind, describeKinds } from "./fixtures/encrypted.ts";

afterEach(cleanUp);

describeKinds("back-pressure", () => {
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
    // Down to nothing, once the FIN, which counts as a byte, is acknowledged too.
    while (near.connection.unsent() !== 0) await passed(1);
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
    // Garbage not yet collected is part of it; a relay that buffers would stand at 256 MB.
    expect(most - before).toBeLessThan(160_000_000);
  }, 60_000);
});

describeKinds("writing ahead", (kind) => {
  test("comes before what follows, all of it, also to a peer that does not read", async () => {
    const { near, far } = await pair();
    far.connection.pause();
    let sent = 0;
    const say = (length: number, how: "write" | "writeAhead"): number => {
      const bytes = Uint8Array.from({ length }, (_, i) => (sent + i) % 251);
      const accepted = near.connection[how](bytes, 0, length);
      sent += accepted;
      return accepted;
    };
    for (let full = false; !full;) full = say(1_000, "writeAhead") < 1_000 || say(200_000, "write") < 200_000;
    let at = 0;
    let wrong = -1;
    far.seen.onBytes = (chunk) => {
      for (let i = 0; i < chunk.length && wrong < 0; i++) if (chunk[i] !== (at + i) % 251) wrong = at + i;
      at += chunk.length;
    };
    far.connection.resume();
    await near.seen.seen("drain");
    for (let i = 0; i < 3; i++) {
      say(100, "writeAhead");
      say(100, "write");
    }
    near.connection.shutdown();
    await far.seen.seen("end");
    expect([at, wrong]).toEqual([sent, -1]);
  });

  test("waits in the kernel for what follows", async () => {
    const { near, far } = await pair();
    const { fd } = (near.connection as unknown as { socket: { fd: number } }).socket;
    // SIOCOUTQNSD: what is in the queue and was never sent.
    const notSent = (): number => {
      const value = new Int32Array(1);
      return libc.ioctl(fd, 0x894b, value) < 0 ? -1 : value[0]!;
    };
    const bytes = new Uint8Array(100);
    near.connection.writeAhead(bytes, 0, 100);
    if (kind === "plain") expect(notSent()).toBe(100);
    near.connection.write(bytes, 0, 100);
    expect(notSent()).toBe(0);
    await far.seen.until(() => far.seen.bytes === 200);
  });

  test("to a peer that is gone all counts as taken, and the reset is told", async () => {
    const { near, far } = await pair();
    far.connection.reset();
    const bytes = new Uint8Array(100);
    while (near.seen.reason === undefined) {
      expect(near.connection.writeAhead(bytes, 0, 100)).toBe(100);
      expect(near.connection.write(bytes, 0, 100)).toBe(100);
      await passed(1);
    }
    expect(near.seen.reason).toBe("reset");
  });
});

describeKinds("borrowed bytes", () => {
  test("a large piece is freed when its handler returns", async () => {
    const { near, far } = await pair();
    const kept: Uint8Array[] = [];
    const lengths: number[] = [];
    far.seen.onBytes = (chunk) => {
      kept.push(chunk);
      lengths.push(chunk.length);
    };
    const whole = Buffer.alloc(400_000, 7);
    near.connection.write(whole, 0, whole.length);
    await far.seen.until(() => far.seen.bytes > worthFreeing * 10);
    // The last handler of these has returned by the next turn.
    await passed(1);
    const large = lengths.findIndex((length) => length >= worthFreeing);
    expect(large).toBeGreaterThanOrEqual(0);
    expect(kept[large]!.length).toBe(0);
  });
});

describeKinds("descriptors", (kind) => {
  test("thousands of connections, ended in every way by either side, leave none behind", async () => {
    // Each costs two handshakes' work with TLS.
    const most = kind === "plain" ? 10_000 : 1_200;
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
    let left = most;
    let closed = 0;
    await new Promise<void>((resolve) => {
      const next = () => {
        if (left === 0) return;
        // Nine of ten by reset, which leaves no TIME-WAIT behind for the tests that come after.
        const way = left % 10 === 0 ? (left / 10) % 6 : (left % 2) * 3;
        left--;
        const connection: Connection = transport.connect(address, {
          ...quiet,
          onOpen() {
            connection.write(Uint8Array.of(way), 0, 1);
            if (way < 3) end(connection, way);
          },
          onEnd: () => connection.close(),
          onClose() {
            if (++closed === most) resolve();
            next();
          },
        });
      };
      for (let i = 0; i < 16; i++) next();
    });
    while (descriptors() > before) await passed(5);
    expect(descriptors()).toBe(before);
  }, 60_000);

  test("at the limit accepting stops without refusing, and goes on when there is room", async () => {
    const via = asKind(createBunTransport({ maxConnections: 16 }));
    const accepted: Connection[] = [];
    const listener = listen((connection) => (accepted.push(connection), new Recorder()), via);
    const clients: Recorder[] = [];
    for (let i = 0; i < 40; i++) {
      const seen = new Recorder();
      clients.push(seen);
      const connection = transport.connect({ kind: "tcp", host: "127.0.0.1", port: listener.port }, seen);
      cleanups.push(() => connection.reset());
    }
    // The kernel has them all; we have taken half of 16, whose other half is for connections to endpoints.
    // With TLS nobody is open before we have taken it.
    await Promise.all(clients.slice(0, kind === "plain" ? 40 : 8).map((seen) => seen.seen("open")));
    await passed(20);
    expect(accepted.length).toBe(8);
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
    const via = asKind(createBunTransport({ maxConnections: 1 }));
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
