// What happened to an endpoint lately: counts of the last half minute, in six buckets that are forgotten one by one.

/** What is counted, over all workers. */
export const Count = {
  /** Answers below 500. */
  good: 0,
  errors: 1, // answers with 5xx
  resets: 2,
  timeouts: 3,
  connects: 4, // failed connects, other than refusals
  refusals: 5,
  /** Of good answers: how many were timed, sum of the logarithms of their ms, and of the squares. */
  timed: 6,
  logs: 7,
  logSquares: 8,
  size: 9,
} as const;

/** Counts by `Count`. */
export type Counts = Float64Array;

/** How many buckets make a window of half a minute. */
export const buckets = 6;
/** Ms of one bucket. Its bounds are the same for all windows, so that what happened at the same time can be compared. */
const length = 5_000;

export class Window {
  /** Everything in the window. */
  readonly sums: Counts = new Float64Array(Count.size);
  readonly #buckets = new Float64Array(buckets * Count.size);
  /** Number of the bucket being filled, counted from time 0. */
  #at = -1;

  /** Adds what was counted since the last call and forgets what is too old. */
  add(now: number, counts: Counts): void {
    this.#roll(Math.floor(now / length));
    const first = (this.#at % buckets) * Count.size;
    for (let i = 0; i < Count.size; i++) {
      const count = counts[i]!;
      if (count === 0) continue;
      this.#buckets[first + i]! += count;
      this.sums[i]! += count;
    }
  }

  /** One count of one bucket, 0 to `buckets`; the order of buckets says nothing. */
  in(bucket: number, kind: number): number {
    return this.#buckets[bucket * Count.size + kind]!;
  }

  clear(): void {
    this.sums.fill(0);
    this.#buckets.fill(0);
  }

  #roll(at: number): void {
    // A clock that was set back must not stop the forgetting.
    if (at === this.#at) return;
    const steps = at > this.#at && at - this.#at < buckets ? at - this.#at : buckets;
    for (let i = 0; i < steps; i++) {
      const bucket = (at - i) % buckets;
      this.#buckets.fill(0, bucket * Count.size, (bucket + 1) * Count.size);
    }
    this.#at = at;
    // Summed anew rather than subtracted: fractions would drift.
    this.sums.fill(0);
    for (let i = 0; i < this.#buckets.length; i++) this.sums[i % Count.size]! += this.#buckets[i]!;
  }
}

/** Failures that count against an endpoint. Refusals do not: they cost a request nothing, and workers put it out for them. */
export function bad(counts: Counts): number {
  return counts[Count.errors]! + counts[Count.resets]! + counts[Count.timeouts]! + counts[Count.connects]!;
}

export function tries(counts: Counts): number {
  return counts[Count.good]! + bad(counts);
}
