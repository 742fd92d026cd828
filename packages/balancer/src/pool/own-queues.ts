// Requests of one worker that wait for the one endpoint their client belongs to, while others wait for any: behind a full
// endpoint with sessions in its memory, waiting is better than being a stranger elsewhere.
import type { Endpoint } from "./endpoint.ts";
import { WaitQueue, type Waiter } from "./queue.ts";

export class OwnQueues {
  readonly #queues = new Map<Endpoint, WaitQueue>();
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(endpoint: Endpoint, waiter: Waiter): void {
    let queue = this.#queues.get(endpoint);
    if (queue === undefined) this.#queues.set(endpoint, (queue = new WaitQueue()));
    queue.push(waiter);
    this.#length++;
  }

  /** Takes it out; false if it does not wait for an endpoint of its own. */
  remove(waiter: Waiter): boolean {
    const { queue } = waiter;
    if (queue === null) return false;
    for (const [endpoint, one] of this.#queues) {
      if (one !== queue) continue;
      this.#take(endpoint, queue, waiter);
      return true;
    }
    return false;
  }

  /** Whoever waits longest for this endpoint. */
  first(endpoint: Endpoint): Waiter | null {
    return this.#queues.get(endpoint)?.head ?? null;
  }

  /** Lets go of those, longest waiting first, for whom `place` has one; the others of their endpoint then wait on. */
  serve(
    place: (own: Endpoint, waiter: Waiter) => Endpoint | null,
    ready: (waiter: Waiter, at: Endpoint) => void,
  ): void {
    for (const [endpoint, queue] of this.#queues) {
      for (let waiter = queue.head; waiter !== null; waiter = queue.head) {
        const at = place(endpoint, waiter);
        if (at === null) break;
        this.#take(endpoint, queue, waiter);
        ready(waiter, at);
      }
    }
  }

  /** Lets go of those that were queued at `before` or earlier. */
  expire(before: number, over: (waiter: Waiter) => void): void {
    for (const [endpoint, queue] of this.#queues) {
      for (let waiter = queue.head; waiter !== null && waiter.queuedAt <= before; waiter = queue.head) {
        this.#take(endpoint, queue, waiter);
        over(waiter);
      }
    }
  }

  #take(endpoint: Endpoint, queue: WaitQueue, waiter: Waiter): void {
    if (!queue.remove(waiter)) return;
    this.#length--;
    if (queue.head === null) this.#queues.delete(endpoint);
  }
}
