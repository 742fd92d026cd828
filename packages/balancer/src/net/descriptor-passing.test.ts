import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { maxDescriptorsPerMessage, receiveDescriptors, sendDescriptors, socketPair } from "./descriptor-passing.ts";
import { closeFd, libc, linux } from "./libc.ts";
import { listeningPort, openListeningSocket } from "./listening-socket.ts";

const text = (value: string) => new TextEncoder().encode(value);
const openDescriptors = () => readdirSync("/proc/self/fd").length;

function withPair(run: (near: number, far: number) => void): void {
  const before = openDescriptors();
  const [near, far] = socketPair();
  try {
    run(near, far);
  } finally {
    closeFd(near);
    closeFd(far);
  }
  expect(openDescriptors()).toBe(before);
}

describe("descriptors over a socket pair", () => {
  test("a listening socket arrives as a descriptor of its own, closed on exec, with its payload", () => {
    withPair((near, far) => {
      expect(receiveDescriptors(far)).toBeNull();
      const socket = openListeningSocket({ kind: "tcp", host: "127.0.0.1", port: 0 });
      sendDescriptors(near, [socket.fd], text("web"));
      closeFd(socket.fd);
      const received = receiveDescriptors(far)!;
      expect(new TextDecoder().decode(received.payload)).toBe("web");
      expect(received.fds).toHaveLength(1);
      expect(listeningPort(received.fds[0]!)).toBe(socket.port);
      expect(libc.fcntl(received.fds[0]!, linux.F_GETFD, 0)).toBe(1);
      closeFd(received.fds[0]!);
      expect(receiveDescriptors(far)).toBeNull();
    });
  });

  test("messages keep their boundaries and their order, and may carry no descriptor at all", () => {
    withPair((near, far) => {
      sendDescriptors(near, [], text("one"));
      sendDescriptors(near, [near, near], text("two"));
      expect(receiveDescriptors(far)).toEqual({ fds: [], payload: text("one") });
      const second = receiveDescriptors(far)!;
      expect(second.payload).toEqual(text("two"));
      expect(second.fds).toHaveLength(2);
      for (const fd of second.fds) closeFd(fd);
    });
  });

  test("as many as the kernel takes in one message", () => {
    withPair((near, far) => {
      sendDescriptors(near, Array<number>(maxDescriptorsPerMessage).fill(near), new Uint8Array(60_000).fill(7));
      const received = receiveDescriptors(far)!;
      expect(received.payload.length).toBe(60_000);
      expect(new Set(received.fds).size).toBe(maxDescriptorsPerMessage);
      for (const fd of received.fds) closeFd(fd);
      expect(() => sendDescriptors(near, Array<number>(254).fill(near), text("x"))).toThrow("at most 253");
      expect(() => sendDescriptors(near, [near], new Uint8Array(0))).toThrow("1 to 65536 bytes");
    });
  });

  test("a receiver that is gone is EPIPE for the sender; a sender that is gone is an empty message", () => {
    withPair((near, far) => {
      closeFd(far);
      expect(() => sendDescriptors(near, [near], text("x"))).toThrow(expect.objectContaining({ code: "EPIPE" }));
    });
    withPair((near, far) => {
      closeFd(near);
      expect(receiveDescriptors(far)).toEqual({ fds: [], payload: new Uint8Array(0) });
    });
  });

  test("a receiver that never reads makes the sender fail, not wait", () => {
    withPair((near) => {
      const send = () => {
        for (let i = 0; i < 10_000; i++) sendDescriptors(near, [], new Uint8Array(1000));
      };
      expect(send).toThrow(expect.objectContaining({ code: "EAGAIN" }));
    });
  });

  test("a descriptor that is not open is EBADF", () => {
    withPair((near) => {
      expect(() => sendDescriptors(near, [99_999], text("x"))).toThrow(expect.objectContaining({ code: "EBADF" }));
    });
  });

  test("between two processes: a running child is given a socket and accepts from it", async () => {
    const [near, far] = socketPair();
    const child = Bun.spawn(
      [process.execPath, fileURLToPath(new URL("./fixtures/socket-receiver.ts", import.meta.url))],
      {
        stdio: ["ignore", "pipe", "inherit", far],
      },
    );
    closeFd(far);
    const lines = child.stdout.getReader();
    expect(new TextDecoder().decode((await lines.read()).value)).toBe("ready\n");
    const socket = openListeningSocket({ kind: "tcp", host: "127.0.0.1", port: 0 });
    sendDescriptors(near, [socket.fd], text("greet"));
    closeFd(socket.fd);
    expect(new TextDecoder().decode((await lines.read()).value)).toBe(`greet ${socket.port}\n`);
    const answer = await new Promise<string>((resolve, reject) => {
      Bun.connect({
        hostname: "127.0.0.1",
        port: socket.port,
        socket: { data: (_, chunk) => resolve(chunk.toString()), close: () => reject(new Error("closed")) },
      }).catch(reject);
    });
    expect(answer).toBe(`hello from ${child.pid}`);
    // The child ends when our side of the pair does.
    closeFd(near);
    expect(await child.exited).toBe(0);
  });
});
