// Listening sockets that begin to listen without beginning to accept: the supervisor makes one per worker and hands it
// over as a descriptor. (Bun.listen would start to accept in the wrong process.)

import { lstatSync, unlinkSync } from "node:fs";
import type { Address } from "./transport.ts";
import { closeFd, errno, errnoName, libc, linux, systemError, type SystemError } from "./libc.ts";
import { addressText, encodeAddress, hostOf, portOf } from "./socket-address.ts";

export { closeFd } from "./libc.ts";

/** How to listen. */
export interface ListeningSocketOptions {
  /** Connections that may wait to be accepted; the kernel caps it at net.core.somaxconn. Default 4096. */
  readonly backlog?: number;
  /** Lets several sockets share the address, the kernel spreading new connections over them. */
  readonly reusePort?: boolean;
  /** Binds and does not listen: to learn whether the address is free without a client ever reaching this socket. */
  readonly bindOnly?: boolean;
  /** Datagrams: bound is all there is to be. */
  readonly datagram?: boolean;
  /** For IPv6: leave IPv4 alone. Default false, so that [::] takes both. */
  readonly v6only?: boolean;
}

/** A socket that listens; nothing accepts from it yet. */
export interface ListeningSocket {
  /** Closed on exec: hand it on explicitly. */
  readonly fd: number;
  /** The port it got, also when 0 was asked for; 0 for Unix sockets. */
  readonly port: number;
}

/**
 * Opens a listening socket. For several workers on port 0, open the first, then the others on the port that it got.
 * Throws a SystemError whose message names the address, the reason and what to do next.
 */
export function openListeningSocket(address: Address, options: ListeningSocketOptions = {}): ListeningSocket {
  const encoded = encodeAddress(address);
  if (typeof encoded === "string") {
    throw systemError(linux.EINVAL, `Cannot listen on ${addressText(address)}: ${encoded}.`);
  }
  const type = options.datagram === true ? linux.SOCK_DGRAM : linux.SOCK_STREAM;
  const fd = libc.socket(encoded.family, type | linux.SOCK_NONBLOCK | linux.SOCK_CLOEXEC, 0);
  if (fd < 0) throw listenError(address, errno(), options.datagram === true);
  if (encoded.family !== linux.AF_UNIX) {
    // For datagrams it would let a second program take the address over.
    if (options.datagram !== true) setFlag(fd, linux.SOL_SOCKET, linux.SO_REUSEADDR, true);
    if (options.reusePort === true) setFlag(fd, linux.SOL_SOCKET, linux.SO_REUSEPORT, true);
  }
  if (encoded.family === linux.AF_INET6) {
    setFlag(fd, linux.IPPROTO_IPV6, linux.IPV6_V6ONLY, options.v6only === true);
  }
  let failure = libc.bind(fd, encoded.bytes, encoded.bytes.length) < 0 ? errno() : 0;
  if (failure === linux.EADDRINUSE && address.kind === "unix" && removeStale(address.path, encoded.bytes)) {
    failure = libc.bind(fd, encoded.bytes, encoded.bytes.length) < 0 ? errno() : 0;
  }
  const bound = options.bindOnly === true || options.datagram === true;
  if (failure === 0 && !bound && libc.listen(fd, options.backlog ?? 4096) < 0) failure = errno();
  if (failure !== 0) {
    closeFd(fd);
    throw listenError(address, failure, options.datagram === true);
  }
  return { fd, port: listeningPort(fd) };
}

/** A socket that datagrams can be sent to; nobody reads them yet. Throws as `openListeningSocket` does. */
export function openDatagramSocket(address: Address, reusePort = false): ListeningSocket {
  return openListeningSocket(address, { datagram: true, reusePort });
}

/** Whether a descriptor is a socket for datagrams. */
export function isDatagramSocket(fd: number): boolean {
  const type = new Uint32Array(1);
  const got = libc.getsockopt(fd, linux.SOL_SOCKET, linux.SO_TYPE, type, new Uint32Array([4]));
  return got === 0 && type[0] === linux.SOCK_DGRAM;
}

/** The port that a listening descriptor is bound to; 0 for Unix sockets and for what is not a socket. */
export function listeningPort(fd: number): number {
  const bytes = new Uint8Array(128);
  const length = new Uint32Array([bytes.length]);
  return libc.getsockname(fd, bytes, length) < 0 ? 0 : portOf(bytes);
}

/** Removes a Unix socket's file, as whoever bound it must when it stops listening for good. */
export function removeSocketFile(path: string): void {
  if (path.startsWith("@")) return;
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch {
    // Gone already, or not ours to remove: nothing that stopping should fail for.
  }
}

// A program that was killed leaves its socket file behind. Refused means that nobody listens there any more.
function removeStale(path: string, encoded: Uint8Array): boolean {
  const probe = libc.socket(linux.AF_UNIX, linux.SOCK_STREAM | linux.SOCK_NONBLOCK | linux.SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const refused = libc.connect(probe, encoded, encoded.length) < 0 && errno() === linux.ECONNREFUSED;
  closeFd(probe);
  if (refused) removeSocketFile(path);
  return refused;
}

function setFlag(fd: number, level: number, option: number, on: boolean): void {
  libc.setsockopt(fd, level, option, new Uint32Array([on ? 1 : 0]), 4);
}

function listenError(address: Address, number: number, datagram: boolean): SystemError {
  const code = errnoName(number);
  return systemError(number, `Cannot listen on ${addressText(address)}: ${reasonAndNextStep(address, code, datagram)}`);
}

function reasonAndNextStep(address: Address, code: string, datagram: boolean): string {
  const tcp = address.kind === "tcp";
  switch (code) {
    case "EADDRINUSE":
      return tcp
        ? `the address is in use (${code}). Another program, or an earlier run of this one, holds it; ` +
            `\`ss ${datagram ? "-lunp" : "-ltnp"} sport = :${address.port}\` shows which. Stop that one or choose another port.`
        : `another program listens there (${code}). \`ss -lxp\` shows which. Stop it or choose another path.`;
    case "EACCES":
    case "EPERM":
      return tcp
        ? `no permission (${code}). Ports below 1024 need the capability CAP_NET_BIND_SERVICE, or the sysctl ` +
            `net.ipv4.ip_unprivileged_port_start=${address.port}; or choose a port from 1024 up.`
        : `no permission (${code}). The directory must be writable for the user that runs Plimsoll.`;
    case "EADDRNOTAVAIL":
      return `this machine has no such address (${code}). \`ip addr\` lists those it has; 0.0.0.0 and [::] mean all.`;
    case "EAFNOSUPPORT":
      return `this machine has no such address family (${code}). Is IPv6 switched off? Use an IPv4 address then.`;
    case "ENOENT":
    case "ENOTDIR":
      return `the directory does not exist (${code}). Create it first.`;
    case "EMFILE":
    case "ENFILE":
      return `no file descriptor left (${code}). Raise \`ulimit -n\` (LimitNOFILE in a systemd unit).`;
    default:
      return `the system says ${code}.`;
  }
}

/** What a descriptor is that somebody else opened. */
export interface GivenSocket {
  readonly host: string;
  readonly port: number;
  /** Whether others may listen on the same address beside it (SO_REUSEPORT). */
  readonly shared: boolean;
}

/** Looks at a descriptor that somebody else opened; a sentence when it is no TCP socket that listens. */
export function inspectListening(fd: number): GivenSocket | string {
  const bytes = new Uint8Array(128);
  if (libc.getsockname(fd, bytes, new Uint32Array([bytes.length])) < 0) return `is ${errnoName(errno())}`;
  const host = hostOf(bytes);
  if (host === "") return "is no TCP socket";
  if (flag(fd, linux.SO_TYPE) !== linux.SOCK_STREAM) return "is no stream socket (ListenStream in systemd's words)";
  if (flag(fd, linux.SO_ACCEPTCONN) !== 1) return "does not listen";
  return { host, port: portOf(bytes), shared: flag(fd, linux.SO_REUSEPORT) === 1 };
}

/** Makes an inherited descriptor one that no program started later gets, and that never waits. */
export function takeOver(fd: number): void {
  libc.fcntl(fd, linux.F_SETFD, 1);
  libc.fcntl(fd, linux.F_SETFL, libc.fcntl(fd, linux.F_GETFL, 0) | linux.SOCK_NONBLOCK);
}

function flag(fd: number, option: number): number {
  const value = new Uint32Array(1);
  return libc.getsockopt(fd, linux.SOL_SOCKET, option, value, new Uint32Array([4])) < 0 ? -1 : value[0]!;
}
