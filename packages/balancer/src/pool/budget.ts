// How many retries a pool may make: a share of its recent requests over all workers, with a floor. A share, because when
// everything fails, retries multiply the load by exactly what the budget allows and by no more.

/** Length of the window that "recent" means, s. */
const windowSeconds = 10;
/** Retries a second that are always allowed: at low traffic a share of nothing would forbid the one retry that helps. */
const floorPerSecond = 3;

/** Totals of requests and retries at the end of each of the last seconds. */
export class RetryBudget {
  readonly #requests = new Float64Array(windowSeconds);
  readonly #retries = new Float64Array(windowSeconds);
  #at = 0;
  #next = -1;

  /** Called often with the totals over all workers; takes one note a second. */
  tick(now: number, requests: number, retries: number): void {
    if (this.#next < 0) {
      this.#requests.fill(requests);
      this.#retries.fill(retries);
      this.#next = now + 1000;
    }
    // After a long stall (a suspended machine) the whole window is old: no need to walk through every second of it.
    if (now - this.#next > windowSeconds * 1000) this.#next = now - windowSeconds * 1000;
    while (now >= this.#next) {
      this.#requests[this.#at] = requests;
      this.#retries[this.#at] = retries;
      this.#at = (this.#at + 1) % windowSeconds;
      this.#next += 1000;
    }
  }

  /** Whether one more retry fits, given the totals now. Totals shrink when a worker's row is cleared; that counts as none. */
  allows(share: number, requests: number, retries: number): boolean {
    const seen = Math.max(0, requests - this.#requests[this.#at]!);
    const made = Math.max(0, retries - this.#retries[this.#at]!);
    return made + 1 <= Math.max(floorPerSecond * windowSeconds, share * seen);
  }
}
