import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeFd, libc, linux } from "./libc.ts";
import {
  listeningPort,
  openListeningSocket,
  removeSocketFile,
  type ListeningSocketOptions,
} from "./listening-socket.ts";
import type { Address } from "./transport.ts";

const opened: number[] = [];
afterEach(() => {
  for (const fd of opened.splice(0)) closeFd(fd);
});

function open(address: Address, options?: ListeningSocketOptions) {
  const socket = openListeningSocket(address, options);
  opened.push(socket.fd);
  return socket;
}

const tcp = (host: string, port = 0): Address => ({ kind: "tcp", host, port });

describe("listening sockets", () => {
  test("port 0 gets a port; the socket is closed on exec", () => {
    const socket = open(tcp("127.0.0.1"));
    expect(socket.port).toBeGreaterThan(1023);
    expect(listeningPort(socket.fd)).toBe(socket.port);
    expect(libc.fcntl(socket.fd, linux.F_GETFD, 0)).toBe(1);
  });

  test("the others of a group bind the port that the first one got, and the kernel spreads over all", () => {
    const first = open(tcp("127.0.0.1"), { reusePort: true });
    const second = open(tcp("127.0.0.1", first.port), { reusePort: true });
    expect(second.port).toBe(first.port);
    expect(() => openListeningSocket(tcp("127.0.0.1", first.port))).toThrow("in use");
  });

  test("connections queue though nobody accepts", async () => {
    const socket = open(tcp("127.0.0.1"));
    const client = await Bun.connect({ hostname: "127.0.0.1", port: socket.port, socket: { data() {} } });
    expect(client.readyState).toBe(1);
    client.terminate();
  });

  test("IPv6 alone or with IPv4", () => {
    const both = open(tcp("::"));
    expect(() => openListeningSocket(tcp("0.0.0.0", both.port))).toThrow("in use");
    const alone = open(tcp("::1"), { v6only: true });
    expect(open(tcp("127.0.0.1", alone.port)).port).toBe(alone.port);
  });

  test("errors have a code and a sentence with the address, the reason and the next step", () => {
    const taken = open(tcp("127.0.0.1"));
    expect(() => openListeningSocket(tcp("127.0.0.1", taken.port))).toThrow(
      expect.objectContaining({ code: "EADDRINUSE", errno: 98 }),
    );
    expect(() => openListeningSocket(tcp("192.0.2.1", 80))).toThrow(/192\.0\.2\.1:80.*no such address.*ip addr/);
    expect(() => openListeningSocket(tcp("localhost", 80))).toThrow('"localhost" is not an IP address');
    expect(() => openListeningSocket(tcp("::g", 80))).toThrow('[::g]:80: "::g" is not an IP address');
    expect(() => openListeningSocket(tcp("fe80::1%nosuch0", 80))).toThrow('no network interface "nosuch0"');
    expect(() => openListeningSocket(tcp("127.0.0.1", 65_536))).toThrow("65536 is not a port");
    expect(() => openListeningSocket({ kind: "unix", path: "x".repeat(108) })).toThrow("107 bytes");
    expect(() => openListeningSocket({ kind: "unix", path: "/nonexistent/s" })).toThrow("directory does not exist");
  });

  test("a failed call leaves no descriptor open", () => {
    const taken = open(tcp("127.0.0.1"));
    const next = () => {
      const fd = libc.fcntl(taken.fd, linux.F_DUPFD_CLOEXEC, 3);
      closeFd(fd);
      return fd;
    };
    const before = next();
    expect(() => openListeningSocket(tcp("127.0.0.1", taken.port))).toThrow();
    expect(next()).toBe(before);
  });
});

describe("Unix sockets", () => {
  test("a file left by a program that was killed is replaced; one that is listened on is not; another file never", () => {
    const directory = mkdtempSync(join(tmpdir(), "plimsoll-net-"));
    try {
      const path = join(directory, "s");
      const address: Address = { kind: "unix", path };
      closeFd(openListeningSocket(address).fd);
      expect(existsSync(path)).toBe(true);
      expect(open(address).port).toBe(0);
      expect(() => openListeningSocket(address)).toThrow(/another program listens there.*ss -lxp/);
      removeSocketFile(path);
      expect(existsSync(path)).toBe(false);
      writeFileSync(path, "precious");
      expect(() => openListeningSocket(address)).toThrow("EADDRINUSE");
      removeSocketFile(path);
      expect(existsSync(path)).toBe(true);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test("the abstract namespace leaves no file", () => {
    const address: Address = { kind: "unix", path: `@plimsoll-test-${process.pid}` };
    open(address);
    expect(() => openListeningSocket(address)).toThrow("EADDRINUSE");
    expect(existsSync(`@plimsoll-test-${process.pid}`)).toBe(false);
  });
});
