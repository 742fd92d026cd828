import { dlopen } from "bun:ffi";
import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { passed, until, untyped } from "./raw-pair.ts";

const { symbols: libc } = dlopen("libc.so.6", {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "buffer", "u32"], returns: "i32" },
  bind: { args: ["i32", "buffer", "u32"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  getsockname: { args: ["i32", "buffer", "buffer"], returns: "i32" },
  dup: { args: ["i32"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
});
const cleanups: (() => void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
  await passed(5);
});

/** A listening socket of libc's: it listens, and nobody accepts. */
function listeningSocket(port = 0): { fd: number; port: number } {
  const fd = libc.socket(2, 1 | 0o4000 | 0o2000000, 0);
  const bytes = Uint8Array.of(2, 0, port >> 8, port & 255, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  libc.setsockopt(fd, 1, 2, new Int32Array([1]), 4);
  libc.setsockopt(fd, 1, 15, new Int32Array([1]), 4);
  expect(libc.bind(fd, bytes, 16)).toBe(0);
  expect(libc.listen(fd, 1024)).toBe(0);
  libc.getsockname(fd, bytes, new Uint32Array([16]));
  cleanups.push(() => libc.close(fd));
  return { fd, port: bytes[2]! * 256 + bytes[3]! };
}

/** Starts a child that accepts from the listening socket at its descriptor 3 and greets with its process id. */
async function greeter(fd: number, environment: Record<string, string> = {}): Promise<Subprocess> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "greeter.ts")], {
    stdio: ["ignore", "pipe", "inherit", fd],
    env: { ...process.env, ...environment },
  });
  cleanups.push(() => child.kill("SIGKILL"));
  await (child.stdout as ReadableStream<Uint8Array>).getReader().read();
  return child;
}

/** What a listener says to a new connection; rejects when it is refused or reset. */
function greeting(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_, chunk) => void (text += chunk.toString()),
        close: (_, error) => (text === "" ? reject(error ?? new Error("closed without a word")) : resolve(text)),
        connectError: (_, error) => reject(error),
      },
    }).catch(() => {});
  });
}

const quiet = { data() {} };

describe("Bun.listen", () => {
  test("takes reusePort: two listeners on one port", () => {
    const options = { hostname: "127.0.0.1", port: 0, reusePort: true, socket: quiet };
    const first = Bun.listen(options);
    cleanups.push(() => first.stop(true));
    const second = Bun.listen({ ...options, port: first.port });
    cleanups.push(() => second.stop(true));
    expect(second.port).toBe(first.port);
    const alone = { ...options, port: first.port, reusePort: false };
    expect(() => Bun.listen(alone)).toThrow();
  });

  test("takes pauseOnConnect: nothing is read before resume", async () => {
    let text = "";
    let accepted: { resume(): void } | undefined;
    const options = {
      hostname: "127.0.0.1",
      port: 0,
      pauseOnConnect: true,
      socket: {
        open: (socket: { resume(): void }) => void (accepted = socket),
        data: (_: unknown, chunk: Buffer) => void (text += chunk.toString()),
      },
    };
    const listener = Bun.listen(options);
    cleanups.push(() => listener.stop(true));
    const client = await Bun.connect({ hostname: "127.0.0.1", port: listener.port, socket: quiet });
    cleanups.push(() => client.terminate());
    client.write("early");
    await until(() => accepted !== undefined);
    await passed(20);
    expect(text).toBe("");
    accepted!.resume();
    await until(() => text === "early");
  });

  test("takes a listening descriptor, has no port then, and closes the descriptor when it stops", async () => {
    const socket = listeningSocket();
    // Decision: the transport hands Bun a duplicate, so that accepting can stop while the kernel goes on queueing.
    const second = libc.dup(socket.fd);
    const accepting = () =>
      Bun.listen({
        fd: second,
        socket: { open: (one: { end(text: string): void }) => one.end("hello"), data() {} },
      } as never);
    const listener = accepting();
    expect(untyped<{ fd: number; port?: number }>(listener).fd).toBe(second);
    expect(untyped<{ port?: number }>(listener).port).toBeUndefined();
    expect(await greeting(socket.port)).toBe("hello");
    listener.stop();
    // The lowest free one is given out: the same number again.
    expect(libc.dup(socket.fd)).toBe(second);
    const queued = greeting(socket.port);
    await passed(20);
    const again = accepting();
    cleanups.push(() => again.stop(true));
    expect(await queued).toBe("hello");
  });

  test("may be stopped inside open, and leaves the rest of the queue for later", async () => {
    const socket = listeningSocket();
    let accepted = 0;
    const accept = () => {
      const listener = Bun.listen({
        fd: libc.dup(socket.fd),
        socket: {
          open(one: { end(text: string): void }) {
            if (++accepted % 3 === 0) listener.stop();
            one.end("x");
          },
          data() {},
        },
      } as never) as { stop(): void };
      return listener;
    };
    const greetings = Promise.all(Array.from({ length: 7 }, () => greeting(socket.port)));
    await passed(20);
    accept();
    await passed(20);
    expect(accepted).toBe(3);
    accept();
    await passed(20);
    expect(accepted).toBe(6);
    const last = accept();
    cleanups.push(() => last.stop());
    expect(await greetings).toHaveLength(7);
  });

  test("stop lets accepted connections go on", async () => {
    let accepted: { write(text: string): number } | undefined;
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { open: (one) => void (accepted = one), data() {} },
    });
    let text = "";
    const client = await Bun.connect({
      hostname: "127.0.0.1",
      port: listener.port,
      socket: { data: (_, chunk) => void (text += chunk.toString()) },
    });
    cleanups.push(() => client.terminate());
    await until(() => accepted !== undefined);
    listener.stop();
    accepted!.write("still here");
    await until(() => text === "still here");
  });
});

describe("listening sockets inherited by children (decision: the supervisor owns them, workers accept)", () => {
  test("a listener's own descriptor goes to a child through stdio", async () => {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: quiet });
    const { fd } = untyped<{ fd: number }>(listener);
    const child = await greeter(fd);
    const { port } = listener;
    // Now only the child accepts.
    listener.stop();
    expect(await greeting(port)).toBe(`hello from ${child.pid}`);
  });

  test("a socket made by libc is accepted from in a child, and outlives it: who comes meanwhile waits", async () => {
    const socket = listeningSocket();
    const first = await greeter(socket.fd);
    expect(await greeting(socket.port)).toBe(`hello from ${first.pid}`);
    first.kill("SIGKILL");
    await first.exited;
    const waiting = Promise.all(Array.from({ length: 20 }, () => greeting(socket.port)));
    await passed(20);
    const second = await greeter(socket.fd);
    expect(new Set(await waiting)).toEqual(new Set([`hello from ${second.pid}`]));
  });

  test("one socket per worker on one port: both get connections, and none is lost when one is killed", async () => {
    const first = listeningSocket();
    const second = listeningSocket(first.port);
    const [a, b] = await Promise.all([greeter(first.fd), greeter(second.fd)]);
    const seen = new Map<string, number>();
    const ask = async () => {
      const text = await greeting(first.port);
      seen.set(text, (seen.get(text) ?? 0) + 1);
    };
    for (let i = 0; i < 100; i++) await ask();
    expect([...seen.keys()].sort()).toEqual([`hello from ${a.pid}`, `hello from ${b.pid}`].sort());
    a.kill("SIGKILL");
    await a.exited;
    const many = Promise.all(Array.from({ length: 60 }, ask));
    const again = await greeter(first.fd);
    await many;
    expect(seen.get(`hello from ${again.pid}`)).toBeGreaterThan(0);
  });

  test("descriptors that are closed on exec are not inherited unless handed on", async () => {
    const socket = listeningSocket();
    const child = Bun.spawn(["/bin/ls", "/proc/self/fd"], { stdio: ["ignore", "pipe", "inherit"] });
    const open = (await child.stdout.text()).split("\n");
    // 0, 1, 2 and the directory that ls reads.
    expect(open.filter((fd) => fd !== "" && Number(fd) > 3)).toEqual([]);
    expect(socket.fd).toBeGreaterThan(2);
  });
});

test("with no descriptor left Bun tries to accept for ever, a whole core (decision: the descriptor gate)", async () => {
  const socket = listeningSocket();
  const child = await greeter(socket.fd, { GREETER_DESCRIPTORS: "24", GREETER_HOLD: "1" });
  const clients = await Promise.all(
    Array.from({ length: 40 }, () => Bun.connect({ hostname: "127.0.0.1", port: socket.port, socket: quiet })),
  );
  cleanups.push(() => clients.forEach((client) => client.terminate()));
  const ticks = async () => {
    const fields = (await Bun.file(`/proc/${child.pid}/stat`).text()).split(") ")[1]!.split(" ");
    return Number(fields[11]) + Number(fields[12]);
  };
  await passed(100);
  const before = await ticks();
  // Ten ticks are 100 ms of CPU: an idle process never gets there, this one does.
  while ((await ticks()) - before < 10) await passed(20);
});
