import { expect, test } from "bun:test";
import { startConnect } from "./connecting-socket.ts";
import { closeFd, libc, linux } from "./libc.ts";
import { encodeAddress, isOwnAddress, type KernelAddress, portOf } from "./socket-address.ts";

/** A socket that is bound to a port of its own on `host`, connected to itself or to `peer`, and the address of its own side. */
function connectedTo(kind: number, host: string, peer?: KernelAddress): { fd: number; own: KernelAddress } {
  const any = encodeAddress({ kind: "tcp", host, port: 0 }) as KernelAddress;
  const fd = libc.socket(any.family, kind | linux.SOCK_NONBLOCK | linux.SOCK_CLOEXEC, 0);
  libc.bind(fd, any.bytes, any.bytes.length);
  const own = Buffer.alloc(any.bytes.length);
  libc.getsockname(fd, own, new Uint32Array([own.length]));
  const to = peer?.bytes ?? own;
  libc.connect(fd, to, to.length);
  return { fd, own: { family: any.family, bytes: own } };
}

for (const host of ["127.0.0.1", "::1"]) {
  for (const [name, kind] of [
    ["TCP", linux.SOCK_STREAM],
    ["UDP", linux.SOCK_DGRAM],
  ] as const) {
    test(`${name} to oneself is told from ${name} to another, on ${host}`, () => {
      const self = connectedTo(kind, host);
      const other = connectedTo(kind, host, self.own);
      expect(isOwnAddress(self.fd, self.own)).toBe(true);
      expect(isOwnAddress(other.fd, self.own)).toBe(false);
      closeFd(self.fd);
      closeFd(other.fd);
    });
  }
}

test("a dead port of this machine never turns out to be ourselves, however often it is tried", () => {
  // A port that the kernel gives to connections: one that a connection has had.
  const { fd, own } = connectedTo(linux.SOCK_STREAM, "127.0.0.1");
  const free = portOf(own.bytes);
  closeFd(fd);
  // It prefers those that differ by an even number from its lowest one.
  for (const port of [free, free ^ 1]) {
    const address = { kind: "tcp", host: "127.0.0.1", port } as const;
    const target = encodeAddress(address) as KernelAddress;
    const said = new Set<string>();
    for (let tries = 0; tries < 40_000; tries++) {
      const started = startConnect(address);
      if (typeof started !== "number") {
        expect(started.refused).toBe(true);
        said.add(started.cause);
        continue;
      }
      if (isOwnAddress(started, target)) said.add("connected to itself");
      closeFd(started);
    }
    expect(said).not.toContain("connected to itself");
  }
});
