// Unix sockets that keep message boundaries, under a path: two programs that are not parent and child, or have a launcher
// between them, find each other there and pass descriptors (descriptor-passing.ts). Who may connect is decided by the
// folder's permissions.

import { closeFd, errno, errnoName, libc, linux, systemError } from "./libc.ts";
import { encodeAddress } from "./socket-address.ts";

const kind = linux.SOCK_SEQPACKET | linux.SOCK_NONBLOCK | linux.SOCK_CLOEXEC;

/** Listens at `path`, which must not exist. Throws a SystemError that says what cannot be. */
export function listenForPackets(path: string): number {
  return open(path, (fd, bytes) => (libc.bind(fd, bytes, bytes.length) < 0 ? -1 : libc.listen(fd, 4)), "listen");
}

/** Connects to who listens at `path`. Throws a SystemError when nobody does. */
export function connectForPackets(path: string): number {
  return open(path, (fd, bytes) => libc.connect(fd, bytes, bytes.length), "connect");
}

/** The next connection, or -1 when none waits. */
export function acceptPackets(fd: number): number {
  return libc.accept4(fd, null, null, linux.SOCK_NONBLOCK | linux.SOCK_CLOEXEC);
}

function open(path: string, use: (fd: number, bytes: Uint8Array) => number, doing: "listen" | "connect"): number {
  const encoded = encodeAddress({ kind: "unix", path });
  if (typeof encoded === "string") throw systemError(linux.EINVAL, `Cannot ${doing}: ${encoded}.`);
  const fd = libc.socket(linux.AF_UNIX, kind, 0);
  if (fd < 0) throw failure(path, doing, errno());
  if (use(fd, encoded.bytes) < 0) {
    const number = errno();
    closeFd(fd);
    throw failure(path, doing, number);
  }
  return fd;
}

function failure(path: string, doing: "listen" | "connect", number: number): Error {
  return systemError(number, `Cannot ${doing} at ${path}: the system says ${errnoName(number)}.`);
}
