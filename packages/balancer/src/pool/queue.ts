// The requests of one worker that wait for room in a pool: first come, first served, leaving in O(1).
import type { Endpoint } from "./endpoint.ts";

/** A request that waits. `next`, `prev` and `queue` belong to the queue: start them as null and leave them alone. */
export interface Waiter {
  /** Clock ms; set when it is queued. */
  queuedAt: number;
  /** Key for algorithms that need one. */
  readonly key?: number;
  next: Waiter | null;
  prev: Waiter | null;
  queue: WaitQueue | null;
  /** Room: it has left the queue and must call `endpoint.begin()` before it returns, or let the place go. */
  ready(endpoint: Endpoint): void;
  /** It waited for too long; it has left the queue. */
  timedOut(): void;
}

export class WaitQueue {
  head: Waiter | null = null;
  #tail: Waiter | null = null;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(waiter: Waiter): void {
    waiter.queue = this;
    waiter.next = null;
    waiter.prev = this.#tail;
    if (this.#tail === null) this.head = waiter;
    else this.#tail.next = waiter;
    this.#tail = waiter;
    this.#length++;
  }

  /** Takes it out from wherever it stands; false if it is not here. */
  remove(waiter: Waiter): boolean {
    if (waiter.queue !== this) return false;
    if (waiter.prev === null) this.head = waiter.next;
    else waiter.prev.next = waiter.next;
    if (waiter.next === null) this.#tail = waiter.prev;
    else waiter.next.prev = waiter.prev;
    waiter.queue = null;
    waiter.next = null;
    waiter.prev = null;
    this.#length--;
    return true;
  }
}
