// Sees that accepting fails. Bun does not say so: when accept fails, for want of a place in the system's table of open files
// (ENFILE) as for want of anything else, it tries again at once and for ever, a whole core for nothing. What can be seen is a queue
// in which somebody waits although the loop went round several times.
import { systemTimers, type Timers } from "./clock.ts";

/** A listening socket as the watch sees it. */
export interface WatchedQueue {
  /** Whether somebody waits to be accepted; false while nobody is meant to accept. */
  waits(): boolean;
  /** How many were accepted so far. */
  readonly accepted: number;
}

interface Look {
  accepted: number;
  /** How many looks in a row somebody waited and nobody was accepted. */
  inVain: number;
}

/** How often it looks, ms. Between two looks the loop has gone round, so whoever waited has been accepted if anybody can be. */
const interval = 100;

/** More than one look, in case all of the loop's time between two was taken by something else. */
const mostInVain = 3;

export class AcceptWatch {
  readonly #queues = new Map<WatchedQueue, Look>();
  readonly #failing: () => void;
  readonly #timers: Timers;
  #stop: (() => void) | undefined;

  /** `failing` is told when nobody can be accepted, and again after some looks if that goes on. */
  constructor(failing: () => void, timers: Timers = systemTimers) {
    this.#failing = failing;
    this.#timers = timers;
  }

  add(queue: WatchedQueue): void {
    this.#queues.set(queue, { accepted: queue.accepted, inVain: 0 });
    this.#stop ??= this.#timers.every(interval, () => this.#look());
  }

  delete(queue: WatchedQueue): void {
    this.#queues.delete(queue);
    if (this.#queues.size > 0) return;
    this.#stop?.();
    this.#stop = undefined;
  }

  #look(): void {
    let failing = false;
    for (const [queue, look] of this.#queues) {
      const { accepted } = queue;
      look.inVain = accepted === look.accepted && queue.waits() ? look.inVain + 1 : 0;
      look.accepted = accepted;
      failing ||= look.inVain > mostInVain;
    }
    if (!failing) return;
    for (const look of this.#queues.values()) look.inVain = 0;
    this.#failing();
  }
}
