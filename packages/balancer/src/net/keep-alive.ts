// Has the kernel ask a peer that has long said nothing whether it is still there. One that vanished, with its machine or with the
// network in between, sends no end: without being asked it would hold its place for as long as silence is allowed.
import { libc, linux } from "./libc.ts";

/** Seconds of silence before it asks: less than what NATs and load balancers remember of a quiet connection (some 4 to 6 minutes). */
const idle = new Uint32Array([60]);
/** Seconds between two questions, and how many go unanswered before the connection is lost: 90 s, so that a short break of the way is survived. */
const interval = new Uint32Array([15]);
const count = new Uint32Array([6]);
const on = new Uint32Array([1]);

/** Nothing happens on a Unix socket, whose peer cannot vanish. */
export function keepAlive(fd: number): void {
  libc.setsockopt(fd, linux.IPPROTO_TCP, linux.TCP_KEEPIDLE, idle, 4);
  libc.setsockopt(fd, linux.IPPROTO_TCP, linux.TCP_KEEPINTVL, interval, 4);
  libc.setsockopt(fd, linux.IPPROTO_TCP, linux.TCP_KEEPCNT, count, 4);
  libc.setsockopt(fd, linux.SOL_SOCKET, linux.SO_KEEPALIVE, on, 4);
}
