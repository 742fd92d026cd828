// Connections that we closed but whose peer may still be sending. Closing a socket with unread input makes the kernel
// send RST, which can destroy the answer that the peer has not read yet (RFC 9112 §9.6); so our FIN goes out, what still
// comes is read and dropped, and the descriptor goes when the peer is done or after 2 to 4 seconds.

import type { BunConnection } from "./bun-connection.ts";
import { systemTimers, type Timers } from "./clock.ts";

const sweepMs = 2000;

/** Holds connections for one to two sweeps. */
export class Lingering {
  #young = new Set<BunConnection>();
  #old = new Set<BunConnection>();
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
    if (!this.#young.delete(connection)) this.#old.delete(connection);
  }

  /** Lets go of all of them at once: descriptors are short. */
  clear(): void {
    for (const set of [this.#old, this.#young]) for (const connection of set) connection.socket!.close();
  }

  #sweep(): void {
    for (const connection of this.#old) connection.socket!.close();
    const emptied = this.#old;
    this.#old = this.#young;
    this.#young = emptied;
    if (this.size > 0) return;
    this.#stop?.();
    this.#stop = undefined;
  }
}
