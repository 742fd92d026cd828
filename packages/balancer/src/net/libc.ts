// The few system calls that Bun does not offer, through bun:ffi. Linux only, glibc and musl, x64 and arm64: the numbers
// below are the same on all four. Called when sockets are made, and where one call saves a dearer one; not for each chunk.

import { dlopen, read, type Pointer } from "bun:ffi";
import { constants } from "node:os";

const symbols = {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  bind: { args: ["i32", "buffer", "u32"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  connect: { args: ["i32", "buffer", "u32"], returns: "i32" },
  accept4: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "buffer", "u32"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "buffer", "buffer"], returns: "i32" },
  getsockname: { args: ["i32", "buffer", "buffer"], returns: "i32" },
  socketpair: { args: ["i32", "i32", "i32", "buffer"], returns: "i32" },
  send: { args: ["i32", "buffer", "u64", "i32"], returns: "i32" },
  recv: { args: ["i32", "buffer", "u64", "i32"], returns: "i64" },
  dup2: { args: ["i32", "i32"], returns: "i32" },
  sendto: { args: ["i32", "buffer", "u64", "i32", "buffer", "u32"], returns: "i32" },
  clock_gettime: { args: ["i32", "buffer"], returns: "i32" },
  sendmsg: { args: ["i32", "buffer", "i32"], returns: "i64" },
  recvmsg: { args: ["i32", "buffer", "i32"], returns: "i64" },
  fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  ioctl: { args: ["i32", "u64", "buffer"], returns: "i32" },
  poll: { args: ["buffer", "u64", "i32"], returns: "i32" },
  getrlimit: { args: ["i32", "buffer"], returns: "i32" },
  setrlimit: { args: ["i32", "buffer"], returns: "i32" },
  inet_pton: { args: ["i32", "buffer", "buffer"], returns: "i32" },
  if_nametoindex: { args: ["buffer"], returns: "u32" },
  __errno_location: { args: [], returns: "ptr" },
} as const;

function open(): ReturnType<typeof dlopen<typeof symbols>>["symbols"] {
  const musl = process.arch === "arm64" ? "libc.musl-aarch64.so.1" : "libc.musl-x86_64.so.1";
  const tried: string[] = [];
  for (const name of ["libc.so.6", musl, `/lib/${musl}`, "libc.so"]) {
    try {
      return dlopen(name, symbols).symbols;
    } catch (error) {
      tried.push(`${name}: ${(error as Error).message}`);
    }
  }
  throw new Error(`No C library found; Plimsoll runs on Linux with glibc or musl. Tried ${tried.join("; ")}`);
}

/** libc's functions, as they are. All return -1 on failure; `errno()` then says why. */
export const libc = open();

/** The error number of the libc call just made on this thread. Ask at once: the runtime makes system calls too. */
export function errno(): number {
  const at = libc.__errno_location();
  return at === null ? 0 : read.i32(at as Pointer, 0);
}

const names = new Map<number, string>();
for (const [name, number] of Object.entries(constants.errno)) if (!names.has(number)) names.set(number, name);

/** "ECONNREFUSED" for 111, and so on; "errno 9999" for numbers without a name. */
export function errnoName(number: number): string {
  return names.get(number) ?? `errno ${number}`;
}

/** An Error with `code` and `errno` as Node's system errors have them. */
export interface SystemError extends Error {
  code: string;
  errno: number;
}

/** Makes the Error for a failed call. `message` is the whole sentence for a person. */
export function systemError(number: number, message: string): SystemError {
  const code = errnoName(number);
  return Object.assign(new Error(message), { code, errno: number });
}

/** Text as a C string. */
export function cString(text: string): Uint8Array {
  return Buffer.from(`${text}\0`, "utf8");
}

/** The numbers of Linux that this folder needs. */
export const linux = {
  AF_UNIX: 1,
  AF_INET: 2,
  AF_INET6: 10,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_SEQPACKET: 5,
  SOCK_NONBLOCK: 0o4000,
  SOCK_CLOEXEC: 0o2000000,
  SOL_SOCKET: 1,
  SO_REUSEADDR: 2,
  SO_KEEPALIVE: 9,
  SO_REUSEPORT: 15,
  SCM_RIGHTS: 1,
  SO_TYPE: 3,
  SO_ACCEPTCONN: 30,
  MSG_DONTWAIT: 0x40,
  MSG_NOSIGNAL: 0x4000,
  MSG_MORE: 0x8000,
  MSG_CTRUNC: 0x8,
  MSG_TRUNC: 0x20,
  MSG_CMSG_CLOEXEC: 0x40000000,
  IPPROTO_TCP: 6,
  TCP_KEEPIDLE: 4,
  TCP_KEEPINTVL: 5,
  TCP_KEEPCNT: 6,
  TCP_INFO: 11,
  TCP_NOTSENT_LOWAT: 25,
  IPPROTO_IPV6: 41,
  IPV6_V6ONLY: 26,
  F_GETFD: 1,
  F_SETFD: 2,
  F_GETFL: 3,
  F_SETFL: 4,
  F_DUPFD_CLOEXEC: 1030,
  RLIMIT_NOFILE: 7,
  SIOCOUTQ: 0x5411,
  FIONREAD: 0x541b,
  EINTR: 4,
  EAGAIN: 11,
  EACCES: 13,
  EINVAL: 22,
  ENOENT: 2,
  EMFILE: 24,
  ENFILE: 23,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ECONNREFUSED: 111,
  EINPROGRESS: 115,
} as const;

/** A second descriptor of the same open socket, closed on exec; -1 on failure. */
export function duplicate(fd: number): number {
  return libc.fcntl(fd, linux.F_DUPFD_CLOEXEC, 3);
}

/** Closes a descriptor that libc or a peer gave us. A descriptor that is not open is ignored. */
export function closeFd(fd: number): void {
  libc.close(fd);
}

const queued = new Int32Array(1);
const polled = new Int32Array(2);
const pollIn = 0x01;
/** POLLERR, POLLHUP and POLLRDHUP: reset, closed, or the peer sent FIN. The last is another bit on no machine we run on. */
const goneBits = 0x08 | 0x10 | 0x2000;

/** Whether the peer's FIN or RST has arrived, told by the runtime's events or not yet. */
export function peerGone(fd: number): boolean {
  polled[0] = fd;
  // struct pollfd: int fd, short events, short revents; little-endian.
  polled[1] = goneBits & 0xffff;
  return libc.poll(polled, 1, 0) > 0 && ((polled[1]! >>> 16) & goneBits) !== 0;
}

/** Whether connections wait in a listening socket's queue. */
export function connectionsWait(fd: number): boolean {
  polled[0] = fd;
  polled[1] = pollIn;
  return libc.poll(polled, 1, 0) > 0 && ((polled[1]! >>> 16) & pollIn) !== 0;
}

/** Bytes in a socket's send queue that the peer has not acknowledged; -1 when it cannot be known. */
export function sendQueue(fd: number): number {
  return libc.ioctl(fd, linux.SIOCOUTQ, queued) < 0 ? -1 : queued[0]!;
}

/** Bytes that came in and were not read; -1 when it cannot be known. */
export function receiveQueue(fd: number): number {
  return libc.ioctl(fd, linux.FIONREAD, queued) < 0 ? -1 : queued[0]!;
}

/** Sends a few bytes past the runtime, as far as they are taken at once: a last plain word on a socket that will be closed. */
export function sendOnce(fd: number, bytes: Uint8Array): void {
  libc.send(fd, bytes, bytes.length, linux.MSG_DONTWAIT | linux.MSG_NOSIGNAL);
}

const aheadFlags = linux.MSG_DONTWAIT | linux.MSG_NOSIGNAL | linux.MSG_MORE;

/**
 * Sends the first `length` bytes past the runtime, to leave with what is sent next: sent by themselves a few bytes cost a packet,
 * and wake the peer up. Returns how many were taken, -1 for none.
 */
export function sendMore(fd: number, bytes: Uint8Array, length: number): number {
  return libc.send(fd, bytes, length, aheadFlags);
}

/** Microseconds of the system's monotonic clock, which all its processes share (CLOCK_MONOTONIC). */
export function monotonicMicroseconds(): bigint {
  const time = new BigInt64Array(2);
  return libc.clock_gettime(1, time) < 0 ? 0n : time[0]! * 1_000_000n + time[1]! / 1000n;
}
