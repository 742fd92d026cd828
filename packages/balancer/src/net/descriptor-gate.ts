// Counts the descriptors of connections and shuts the listeners before the last one is gone. Bun does not: when accept
// fails with EMFILE it tries again at once and for ever, a whole core for nothing. While the doors are shut the kernel
// queues new clients; nobody is refused.

import { readdirSync } from "node:fs";
import { systemTimers, type Timers } from "./clock.ts";
import { readDescriptorLimit } from "./descriptor-limit.ts";

/** A listener as the gate sees it. */
export interface Door {
  /** Accept again. May throw. */
  open(): void;
  /** Stop accepting, keep the queue. */
  shut(): void;
}

// For what is not a connection: epoll, log files, configuration files while they are read, pipes to children.
const reserve = 64;

export class DescriptorGate {
  #open = 0;
  #max: number;
  #pauseAt = 0;
  #resumeAt = 0;
  #paused = false;
  #retry: (() => void) | undefined;
  readonly #timers: Timers;
  readonly #doors = new Set<Door>();

  /** `max` undefined: found out from the process's limit when first needed, so that the limit can be raised before. */
  constructor(max: number | undefined, timers: Timers = systemTimers) {
    this.#max = 0;
    this.#timers = timers;
    if (max !== undefined) this.#setMax(max);
  }

  /** No descriptor left for one more connection of any kind. */
  get isFull(): boolean {
    if (this.#max === 0) this.#measure();
    return this.#open >= this.#max;
  }

  /** Enough accepted: an eighth is kept for the connections that those will need to their endpoints. */
  get shouldPause(): boolean {
    if (this.#max === 0) this.#measure();
    return this.#open >= this.#pauseAt && !this.#paused;
  }

  taken(): void {
    this.#open++;
  }

  freed(): void {
    this.#open--;
    if (this.#paused && this.#open <= this.#resumeAt) this.#resume();
  }

  add(door: Door): void {
    this.#doors.add(door);
    if (this.#paused) door.shut();
  }

  delete(door: Door): void {
    this.#doors.delete(door);
  }

  pause(): void {
    this.#paused = true;
    for (const door of this.#doors) door.shut();
  }

  #resume(): void {
    this.#paused = false;
    this.#retry?.();
    this.#retry = undefined;
    try {
      for (const door of this.#doors) {
        door.shut();
        door.open();
      }
    } catch {
      // Somebody else in the process took the descriptors. Once a second is often enough and never spins.
      this.pause();
      this.#retry = this.#timers.every(1000, () => this.#resume());
    }
  }

  #measure(): void {
    let inUse = reserve;
    try {
      inUse = readdirSync("/proc/self/fd").length;
    } catch {
      // No /proc in this container: the reserve is the guess.
    }
    // Where there is no limit, a number far above what memory allows.
    const soft = Math.min(readDescriptorLimit().soft, 100_000_000);
    this.#setMax(Math.max(16, soft - inUse - reserve + this.#open));
  }

  #setMax(max: number): void {
    this.#max = max;
    this.#pauseAt = Math.max(1, max - Math.ceil(max / 8));
    this.#resumeAt = Math.max(0, this.#pauseAt - Math.ceil(max / 32));
  }
}
