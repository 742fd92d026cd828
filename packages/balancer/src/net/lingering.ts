// Connections that we closed but whose peer may still be sending. Closing a socket with unread input makes the kernel
// send RST, which can destroy the answer that the peer has not read yet (RFC 9112 §9.6); so our FIN goes out, what still
// comes is read and dropped, and the descriptor goes when the peer is done or after 2 to 4 seconds. In TLS our end is said by an
// alert, which has no room while the kernel is full of what a slow peer has not taken: closed before it is out, a whole answer
// would look cut (RFC 8446 §6.1). Such connections stay for up to half a minute.

import type { BunConnection } from "./bun-connection.ts";
import { systemTimers, type Timers } from "./clock.ts";

const sweepMs = 2000;
/** How often a connection is looked at whose last word may not be out. */
const mostLooks = 15;

/** Holds connections for one to two sweeps. */
export class Lingering {
  #young = new Set<BunConnection>();
  #old = new Set<BunConnection>();
  /** Looks at those that stay for their last word. */
  readonly #looks = new Map<BunConnection, number>();
  #stop: (() => void) | undefined;
  readonly #timers: Timers;

  constructor(timers: Timers = systemTimers) {
    this.#timers = timers;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  add(connection: BunConnection): void {
    this.#young.add(connection);
    this.#stop ??= this.#timers.every(sweepMs, () => this.#sweep());
  }

  delete(connection: BunConnection): void {
    this.#looks.delete(connection);
    if (!this.#young.delete(connection)) this.#old.delete(connection);
  }

  /** Lets go of all of them at once: descriptors are short. */
  clear(): void {
    for (const set of [this.#old, this.#young]) for (const connection of set) connection.socket!.close();
  }

  #sweep(): void {
    const old = this.#old;
    this.#old = this.#young;
    this.#young = new Set();
    for (const connection of old) {
      const looks = this.#looks.get(connection) ?? 1;
      if (looks < mostLooks && connection.owesLastWord) {
        this.#looks.set(connection, looks + 1);
        this.#old.add(connection);
      } else {
        this.#looks.delete(connection);
        connection.socket!.close();
      }
    }
    if (this.size > 0) return;
    this.#stop?.();
    this.#stop = undefined;
  }
}
