// Handshakes that are under way on one listener. A client that connects and says nothing costs a descriptor and some 20 KiB of
// TLS state, so each has a time to be over by. All have the same time, so the oldest is always the first to end.
import { systemClock, systemTimers, type Timers } from "./clock.ts";
import type { Clock } from "../base/clock.ts";

/** Waits for handshakes; `late` is called once for each that was not over in time. */
export class Handshakes<Item> {
  /** With the clock's ms at which each ends; in the order in which they began. */
  readonly #ends = new Map<Item, number>();
  readonly #late: (item: Item) => void;
  readonly #timers: Timers;
  readonly #clock: Clock;
  #waiting = false;

  constructor(late: (item: Item) => void, timers: Timers = systemTimers, clock: Clock = systemClock) {
    this.#late = late;
    this.#timers = timers;
    this.#clock = clock;
  }

  get size(): number {
    return this.#ends.size;
  }

  add(item: Item, timeout: number): void {
    this.#ends.set(item, this.#clock.now() + timeout);
    if (!this.#waiting) this.#wait(timeout);
  }

  /** False if it was not, or no longer, waited for. */
  delete(item: Item): boolean {
    return this.#ends.delete(item);
  }

  #wait(ms: number): void {
    this.#waiting = true;
    this.#timers.after(ms, () => this.#look());
  }

  #look(): void {
    this.#waiting = false;
    const now = this.#clock.now();
    for (const [item, end] of this.#ends) {
      if (end > now) {
        // A reload may have made the time shorter for those behind; they end with the first that is due, and no later than it.
        this.#wait(end - now);
        return;
      }
      this.#ends.delete(item);
      this.#late(item);
    }
  }
}
