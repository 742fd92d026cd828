import { dlopen, ptr } from "bun:ffi";
import { afterEach, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { passed, rawPair, recordingHandlers, seen, until, untyped, type Seen } from "./raw-pair.ts";

const { symbols: libc } = dlopen("libc.so.6", {
  getsockopt: { args: ["i32", "i32", "i32", "buffer", "buffer"], returns: "i32" },
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  connect: { args: ["i32", "buffer", "u32"], returns: "i32" },
});
const tcp = 6;
const noDelay = 1;
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function pair(): Promise<{ near: Seen; far: Seen }> {
  const made = await rawPair();
  cleanups.push(made.close);
  return made;
}

function fdOf(side: Seen): number {
  return untyped<{ fd: number }>(side.socket).fd;
}

describe("writing (decision: write returns how much was accepted, the caller keeps the rest)", () => {
  test("what does not fit is not taken, Bun keeps no buffer of its own, and drain says when to go on", async () => {
    const { near, far } = await pair();
    far.socket.pause();
    const big = new Uint8Array(64_000_000);
    const rss = process.memoryUsage.rss();
    const accepted = near.socket.write(big);
    expect(accepted).toBeGreaterThan(0);
    expect(accepted).toBeLessThan(big.length);
    expect(near.socket.write(big)).toBe(0);
    expect(process.memoryUsage.rss() - rss).toBeLessThan(48_000_000);
    far.socket.resume();
    await until(() => near.events.includes("drain"));
    await until(() => far.bytes === accepted);
    expect(near.socket.write(big, 0, 100)).toBe(100);
  });

  test("offset and length choose a window, and 0 bytes are 0", async () => {
    const { near, far } = await pair();
    expect(near.socket.write(Buffer.from("xxhelloxx"), 2, 5)).toBe(5);
    expect(near.socket.write(Buffer.from("xx"), 1, 0)).toBe(0);
    await until(() => far.text === "hello");
  });

  test("a write that meets a reset returns -1, and after it the reset looks like an orderly end", async () => {
    // Why bun-connection.ts remembers `lost`: without it a truncated answer would be taken for a whole one.
    const { near, far } = await pair();
    near.socket.write("half");
    near.socket.terminate();
    expect(far.socket.write("x")).toBe(-1);
    await until(() => far.events.includes("close"));
    expect(far.text).toBe("half");
    expect(far.events).toEqual(["data", "end", "close"]);
    expect(far.error).toBeUndefined();
  });

  test("-1 also after our own shutdown and on a closed socket", async () => {
    const { near } = await pair();
    near.socket.shutdown();
    expect(near.socket.write("x")).toBe(-1);
    near.socket.terminate();
    expect(near.socket.write("x")).toBe(-1);
  });

  test("Nagle's algorithm is off on every socket from the start (decision: the transport need not switch it off)", async () => {
    // With it on, small writes wait up to 40 ms for an acknowledgement. Earlier versions left that to setNoDelay.
    const { near, far } = await pair();
    for (const side of [near, far]) {
      const value = new Int32Array(1);
      expect(libc.getsockopt(fdOf(side), tcp, noDelay, value, new Uint32Array([4]))).toBe(0);
      expect(value[0]).toBe(1);
    }
  });
});

describe("reading (decision: pause is back-pressure)", () => {
  test("a paused socket reads nothing, whatever comes, and memory stays flat", async () => {
    const { near, far } = await pair();
    far.socket.pause();
    const chunk = new Uint8Array(1_000_000);
    const rss = process.memoryUsage.rss();
    let sent = 0;
    for (let i = 0; i < 200; i++) {
      sent += Math.max(0, near.socket.write(chunk));
      if (i % 20 === 0) await passed(1);
    }
    expect(sent).toBeLessThan(20_000_000);
    expect(far.bytes).toBe(0);
    expect(process.memoryUsage.rss() - rss).toBeLessThan(48_000_000);
    far.socket.resume();
    await until(() => far.bytes === sent);
  });

  test("an end behind unread bytes waits for resume", async () => {
    const { near, far } = await pair();
    far.socket.pause();
    near.socket.write("abc");
    near.socket.shutdown();
    await passed(20);
    expect(far.events.filter((event) => event !== "drain")).toEqual([]);
    far.socket.resume();
    await until(() => far.events.includes("end"));
    expect(far.text).toBe("abc");
  });

  test("a reset does not: it comes at once, with the bytes that lay unread", async () => {
    // Why a connection of ours treats bytes while paused as a reset.
    const { near, far } = await pair();
    far.socket.pause();
    near.socket.write("abc");
    await passed(10);
    near.socket.terminate();
    await until(() => far.events.includes("close"));
    expect(far.text).toBe("abc");
    expect(far.error?.code).toBe("ECONNRESET");
  });

  test("bytes come in an array of their own, which costs a copy but never changes later", async () => {
    // The contract is weaker on purpose (borrowed until the handler returns), so that a transport may share one buffer.
    const { near, far } = await pair();
    const kept: Uint8Array[] = [];
    far.socket.reload({
      socket: { binaryType: "uint8array", data: (_: unknown, chunk: Uint8Array) => void kept.push(chunk) },
    } as never);
    near.socket.write("first");
    await until(() => kept.length === 1);
    near.socket.write("again");
    await until(() => kept.length === 2);
    expect(kept.map((each) => Buffer.from(each).toString())).toEqual(["first", "again"]);
    expect(kept[0]).toBeInstanceOf(Uint8Array);
    expect(kept[0]!.buffer.byteLength).toBe(5);
  });

  test("memory of an array that is emptied by hand is used again at once (decision: large pieces are freed, not collected)", async () => {
    const { near, far } = await pair();
    const kept: Uint8Array[] = [];
    const addresses: number[] = [];
    far.socket.reload({
      socket: {
        binaryType: "uint8array",
        data(_: unknown, chunk: Uint8Array): void {
          far.bytes += chunk.length;
          // All are held on to, so that the garbage collector frees none.
          kept.push(chunk);
          addresses.push(ptr(chunk));
          (chunk.buffer as ArrayBuffer).transfer(0);
        },
      },
    } as never);
    const chunk = new Uint8Array(64 * 1024);
    for (let i = 1; i <= 50; i++) {
      expect(near.socket.write(chunk)).toBe(chunk.length);
      await until(() => far.bytes === i * chunk.length);
    }
    expect(kept.every(({ length }) => length === 0)).toBe(true);
    expect(new Set(addresses).size).toBeLessThan(addresses.length / 2);
  });
});

describe("ending (decision: half-closed streams stay whole; close is FIN and reset is RST)", () => {
  test("after the peer's FIN we can go on writing, and the other way round", async () => {
    const { near, far } = await pair();
    near.socket.shutdown();
    await until(() => far.events.includes("end"));
    expect(far.socket.write("answer")).toBe(6);
    await until(() => near.text === "answer");
    expect(far.socket.readyState).toBe(1);
  });

  test("when both have ended Bun closes by itself; the one that ended first is told no end", async () => {
    const { near, far } = await pair();
    near.socket.shutdown();
    await until(() => far.events.includes("end"));
    far.socket.shutdown();
    await until(() => near.events.includes("close") && far.events.includes("close"));
    expect(near.events.filter((event) => event !== "drain")).toEqual(["close"]);
    expect(far.events.filter((event) => event !== "drain")).toEqual(["end", "close"]);
    expect([near.error, far.error]).toEqual([undefined, undefined]);
  });

  test("terminate sends RST, close sends FIN; both tell `close` before they return", async () => {
    for (const [how, peer] of [
      ["terminate", "ECONNRESET"],
      ["close", undefined],
    ] as const) {
      const { near, far } = await pair();
      near.socket[how]();
      expect(near.events).toEqual(["close"]);
      expect(fdOf(near)).toBe(-1);
      await until(() => far.events.includes(how === "close" ? "end" : "close"));
      expect(far.error?.code).toBe(peer as string);
    }
  });

  test("close with unread input is a reset for the peer (decision: closing lingers)", async () => {
    const { near, far } = await pair();
    near.socket.pause();
    far.socket.write("unread");
    await passed(10);
    near.socket.close();
    await until(() => far.events.includes("close"));
    expect(far.error?.code).toBe("ECONNRESET");
  });

  test("drain also comes when nothing was short (decision: a connection remembers whether it waits)", async () => {
    const { near, far } = await pair();
    near.socket.shutdown();
    await until(() => far.events.includes("drain"));
    expect(far.events).toContain("end");
  });
});

describe("handlers that throw (decision: a defect costs its own connection, never the process)", () => {
  test("what data, drain, end and close throw arrives in error, and the socket stays open", async () => {
    const { near, far } = await pair();
    const fail = (where: string) => () => {
      throw new Error(where);
    };
    const errors: string[] = [];
    far.socket.reload({
      socket: {
        data: fail("data"),
        end: fail("end"),
        close: fail("close"),
        error: (_, error) => void errors.push(error.message),
      },
    });
    near.socket.write("x");
    await until(() => errors.includes("data"));
    expect(far.socket.readyState).toBe(1);
    near.socket.shutdown();
    await until(() => errors.includes("end"));
    far.socket.terminate();
    await until(() => errors.includes("close"));
    expect(errors).toEqual(["data", "end", "close"]);
  });
});

describe("connecting by a descriptor (decision: libc begins the connect, so that it can be given up at once)", () => {
  const nonBlocking = 0o4000 | 0o2000000;
  const address = (port: number) => Uint8Array.of(2, 0, port >> 8, port & 255, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0);

  function connect(port: number): Seen {
    const fd = libc.socket(2, 1 | nonBlocking, 0);
    libc.connect(fd, address(port), 16);
    const side = seen();
    // The typings know `fd` for neither `connect` nor `listen`.
    void Bun.connect({ fd, allowHalfOpen: true, data: side, socket: recordingHandlers() } as never);
    return side;
  }

  test("open is called inside connect, before there is a connection; the first drain means connected", async () => {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    cleanups.push(() => listener.stop(true));
    const side = connect(listener.port);
    const value = new Int32Array(1);
    libc.getsockopt(fdOf(side), tcp, noDelay, value, new Uint32Array([4]));
    expect(value[0]).toBe(1);
    expect(side.events).toEqual([]);
    await until(() => side.events.length > 0);
    expect(side.events).toEqual(["drain"]);
    expect(side.socket.remoteAddress).toBe("127.0.0.1");
    side.socket.terminate();
  });

  test("a refusal is a close with the code, and no drain before it", async () => {
    const free = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { port } = free;
    free.stop(true);
    const side = connect(port);
    await until(() => side.events.length > 0);
    expect(side.events).toEqual(["close"]);
    expect(side.error?.code).toBe("ECONNREFUSED");
  });

  test("terminate while connecting frees the descriptor before it returns", () => {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    cleanups.push(() => listener.stop(true));
    const before = readdirSync("/proc/self/fd").length;
    const side = connect(listener.port);
    expect(readdirSync("/proc/self/fd").length).toBe(before + 1);
    side.socket.terminate();
    expect(readdirSync("/proc/self/fd").length).toBe(before);
    expect(side.events).toEqual(["close"]);
  });
});

test("3,000 connections opened and closed leave no descriptor (decision: sockets come and go for weeks)", async () => {
  const listener = Bun.listen<undefined>({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket) => void socket.end("bye") },
  });
  cleanups.push(() => listener.stop(true));
  const before = readdirSync("/proc/self/fd").length;
  let left = 3000;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      Bun.connect({
        hostname: "127.0.0.1",
        port: listener.port,
        socket: { open: (socket) => void socket.write("hi"), data() {}, close: () => resolve() },
      }).catch(reject);
    });
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      while (left-- > 0) await one();
    }),
  );
  await until(() => readdirSync("/proc/self/fd").length <= before);
});
