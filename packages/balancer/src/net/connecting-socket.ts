// Begins a TCP or Unix connect without waiting for it.

import type { Address } from "./transport.ts";
import { closeFd, errno, errnoName, libc, linux } from "./libc.ts";
import { encodeAddress, isOwnAddress, type KernelAddress } from "./socket-address.ts";

/** Why a connect failed at once. */
export interface ConnectFailure {
  /** Somebody said no, rather than that there is no way. */
  readonly refused: boolean;
  readonly cause: string;
}

/** Encoding one anew for each connection was 2.6 of the 59 us that a connection of a TCP listener cost. An endpoint keeps its object. */
const encodedBefore = new WeakMap<Address, KernelAddress>();

function encode(address: Address): KernelAddress | string {
  const known = encodedBefore.get(address);
  if (known !== undefined) return known;
  const encoded = encodeAddress(address);
  // An interface that goes and comes back has another number under the same name.
  const lasts = address.kind === "unix" || !address.host.includes("%");
  if (lasts && typeof encoded !== "string") encodedBefore.set(address, encoded);
  return encoded;
}

/** Why the system would give no socket now, such as ENFILE; "" if it would. */
export function whyNoSocket(): string {
  const fd = libc.socket(linux.AF_UNIX, linux.SOCK_STREAM | linux.SOCK_CLOEXEC, 0);
  if (fd < 0) return errnoName(errno());
  closeFd(fd);
  return "";
}

/** Returns the descriptor of a non-blocking socket that connects (or is connected already), or why it cannot. */
export function startConnect(address: Address): number | ConnectFailure {
  const encoded = encode(address);
  if (typeof encoded === "string") return { refused: false, cause: encoded };
  const fd = libc.socket(encoded.family, linux.SOCK_STREAM | linux.SOCK_NONBLOCK | linux.SOCK_CLOEXEC, 0);
  if (fd < 0) return { refused: false, cause: errnoName(errno()) };
  const number = libc.connect(fd, encoded.bytes, encoded.bytes.length) === 0 ? 0 : errno();
  // 0 also when something between the two calls overwrote it; the socket's own events will tell.
  if (number === linux.EINPROGRESS || number === linux.EINTR || number === 0) {
    if (encoded.family === linux.AF_UNIX || !isOwnAddress(fd, encoded)) return fd;
    closeFd(fd);
    return { refused: true, cause: "ECONNREFUSED: nobody listens there, and the kernel connected us to ourselves" };
  }
  closeFd(fd);
  // ENOENT: no such Unix socket. EAGAIN: its queue is full, which for a Unix socket is a refusal.
  const refused = number === linux.ECONNREFUSED || number === linux.ENOENT || number === linux.EAGAIN;
  return { refused, cause: errnoName(number) };
}
