// Times of a load program of ours, sorted into steps, so that millions of them need no memory of their own; and how it tells
// what it saw.
import type { Seen } from "./wrk.ts";

/** Width of a step, ms, and how many there are: 10 us, up to 200 ms; what took longer counts as that. */
const width = 0.01;
const count = 20_000;

export interface Times {
  /** Milliseconds. */
  add(ms: number): void;
  /** The time that `share` (0 to 1) of them did not exceed, in microseconds; 0 when there are none. */
  quantile(share: number): number;
}

export function countTimes(): Times {
  const steps = new Uint32Array(count);
  let all = 0;
  return {
    add(ms) {
      const at = Math.min(count - 1, Math.floor(ms / width));
      steps[at] = (steps[at] ?? 0) + 1;
      all++;
    },
    quantile(share) {
      if (all === 0) return 0;
      let left = all * share;
      for (let at = 0; at < count; at++) {
        left -= steps[at] ?? 0;
        if (left <= 0) return Math.round((at + 1) * width * 1000);
      }
      return count * width * 1000;
    },
  };
}

/** Prints what was seen since `began` (ms of performance.now) as JSON, and ends the process with all its connections. */
export function tell(times: Times, began: number, counts: Omit<Seen, "seconds" | "p50us" | "p99us">): never {
  const seconds = (performance.now() - began) / 1000;
  const seen: Seen = { ...counts, seconds, p50us: times.quantile(0.5), p99us: times.quantile(0.99) };
  process.stdout.write(JSON.stringify(seen));
  process.exit(0);
}
