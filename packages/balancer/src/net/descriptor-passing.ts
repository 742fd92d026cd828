// Open sockets handed from process to process (SCM_RIGHTS): a running worker is given the listener that a reload added,
// and a new version of the program takes over all of them while the kernel goes on queueing connections.

import { ptr } from "bun:ffi";
import { errno, errnoName, libc, linux, systemError } from "./libc.ts";

/** The kernel's own limit for one message (SCM_MAX_FD). */
export const maxDescriptorsPerMessage = 253;
/** The longest payload of one message. */
export const maxPayload = 64 * 1024;

/** What came in one message. */
export interface ReceivedDescriptors {
  /** Now ours to close; closed on exec. */
  readonly fds: number[];
  readonly payload: Uint8Array;
}

/**
 * A pair of connected Unix sockets that keep message boundaries; both closed on exec, so hand one on explicitly
 * (`Bun.spawn`'s `stdio` does). Throws a SystemError when no descriptor is left.
 */
export function socketPair(): [number, number] {
  const pair = new Int32Array(2);
  if (libc.socketpair(linux.AF_UNIX, linux.SOCK_SEQPACKET | linux.SOCK_CLOEXEC, 0, pair) < 0) {
    throw failure("make a socket pair");
  }
  return [pair[0]!, pair[1]!];
}

/**
 * Sends `fds` with `payload` (1 byte to `maxPayload`) as one message; the receiver gets descriptors of its own, ours stay
 * open. Never waits: throws a SystemError with EAGAIN when the receiver is far behind, EPIPE when it is gone.
 */
export function sendDescriptors(fd: number, fds: readonly number[], payload: Uint8Array): void {
  if (payload.length === 0 || payload.length > maxPayload) {
    throw systemError(
      linux.EINVAL,
      `A message with descriptors carries 1 to ${maxPayload} bytes, not ${payload.length}.`,
    );
  }
  if (fds.length > maxDescriptorsPerMessage) {
    throw systemError(
      linux.EINVAL,
      `One message carries at most ${maxDescriptorsPerMessage} descriptors, not ${fds.length}.`,
    );
  }
  const message = new Message(payload, fds.length);
  message.putDescriptors(fds);
  for (;;) {
    if (Number(libc.sendmsg(fd, message.header, linux.MSG_DONTWAIT | linux.MSG_NOSIGNAL)) >= 0) return;
    if (errno() !== linux.EINTR) throw failure("send descriptors");
  }
}

/**
 * Takes the next message. Null when there is none yet. When the sender is gone `fds` and `payload` are both empty (no
 * message has an empty payload). Throws a SystemError on anything else, EMFILE when there was no room for what came.
 */
export function receiveDescriptors(fd: number): ReceivedDescriptors | null {
  const buffer = new Uint8Array(maxPayload);
  const message = new Message(buffer, maxDescriptorsPerMessage);
  let length: number;
  do length = Number(libc.recvmsg(fd, message.header, linux.MSG_DONTWAIT | linux.MSG_CMSG_CLOEXEC));
  while (length < 0 && errno() === linux.EINTR);
  if (length < 0) {
    if (errno() === linux.EAGAIN) return null;
    throw failure("receive descriptors");
  }
  const fds = message.takeDescriptors();
  // The kernel drops those that do not fit under our limit and says so only here.
  if ((message.flags & linux.MSG_CTRUNC) !== 0) {
    for (const each of fds) libc.close(each);
    throw systemError(linux.EMFILE, "Cannot receive descriptors: no file descriptor left (EMFILE). Raise `ulimit -n`.");
  }
  return { fds, payload: buffer.slice(0, length) };
}

// struct msghdr, one struct iovec and one struct cmsghdr, as 64-bit little-endian Linux lays them out. glibc declares
// wider length fields than musl does; with the padding zeroed both mean the same.
const headerBytes = 56;
const controlHeaderBytes = 16;

class Message {
  readonly header = new Uint8Array(headerBytes);
  // Held here so that what the header points to is not collected while the call runs.
  readonly #vector = new BigUint64Array(2);
  // A view of a whole ArrayBuffer: small typed arrays without one move when `.buffer` is first asked for, and the
  // address given to the kernel would be the old one.
  readonly #control: DataView;
  /** Kept for its memory. */
  readonly payload: Uint8Array;
  readonly #view = new DataView(this.header.buffer);

  constructor(payload: Uint8Array, room: number) {
    this.payload = payload;
    this.#vector[0] = BigInt(ptr(payload));
    this.#vector[1] = BigInt(payload.length);
    // Never empty, because an empty array has no address; the length in the header is what counts.
    this.#control = new DataView(new ArrayBuffer(controlHeaderBytes + Math.ceil((room * 4) / 8) * 8));
    this.#view.setBigUint64(16, BigInt(ptr(this.#vector)), true);
    this.#view.setBigUint64(24, 1n, true);
    this.#view.setBigUint64(32, BigInt(ptr(this.#control)), true);
    this.#view.setBigUint64(40, room === 0 ? 0n : BigInt(this.#control.byteLength), true);
  }

  get flags(): number {
    return this.#view.getInt32(48, true);
  }

  putDescriptors(fds: readonly number[]): void {
    const view = this.#control;
    view.setBigUint64(0, BigInt(controlHeaderBytes + fds.length * 4), true);
    view.setInt32(8, linux.SOL_SOCKET, true);
    view.setInt32(12, linux.SCM_RIGHTS, true);
    for (const [i, fd] of fds.entries()) view.setInt32(controlHeaderBytes + i * 4, fd, true);
  }

  takeDescriptors(): number[] {
    const view = this.#control;
    const filled = Number(this.#view.getBigUint64(40, true));
    const fds: number[] = [];
    // There is one kind of ancillary data that nobody has to ask for, and it comes in one piece.
    if (filled < controlHeaderBytes || view.getInt32(8, true) !== linux.SOL_SOCKET) return fds;
    if (view.getInt32(12, true) !== linux.SCM_RIGHTS) return fds;
    const end = Math.min(Number(view.getBigUint64(0, true)), filled);
    for (let at = controlHeaderBytes; at + 4 <= end; at += 4) fds.push(view.getInt32(at, true));
    return fds;
  }
}

function failure(doing: string): Error {
  const number = errno();
  return systemError(number, `Cannot ${doing}: the system says ${errnoName(number)}.`);
}
