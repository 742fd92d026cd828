// How an endpoint's peers do, and whether it is far from them. A fixed threshold ejects everybody when one URL fails
// everywhere, and a share of a pool of three is nobody: so each is compared with the others, and must be worse by more than
// chance explains.
import { bad, Count, tries, type Counts } from "./window.ts";

/**
 * Nats of evidence that eject: chance alone would produce as much about once in a million comparisons. An endpoint
 * is compared every second, and half of a pool may be ejected at a time.
 */
export const enoughEvidence = 14;
/** How much worse than its peers a share of failures must be, as a factor and in points. */
const farFactor = 3;
const farPoints = 0.1;
/** Fewer timed answers than this say nothing of a peer's latency. */
const leastTimed = 10;
/** Smallest variance of logarithms that is believed: answers that all take the same time still come in a millisecond's steps. */
const leastVariance = 0.01;

/** Mean and variance of the logarithms of latencies. */
export interface Latency {
  readonly mean: number;
  readonly variance: number;
  readonly count: number;
}

/** Those that are compared with each other: of one pool and tier, in rotation. */
export class Peers {
  readonly #windows: readonly Counts[];
  /** Shares of failures of those that were asked, ascending. */
  readonly #shares: Float64Array;
  /** Those with enough timed answers, by mean. */
  readonly #latencies: readonly Latency[];
  #tries = 0;
  #bad = 0;

  constructor(windows: readonly Counts[]) {
    this.#windows = windows;
    const shares: number[] = [];
    const latencies: Latency[] = [];
    for (const window of windows) {
      const count = tries(window);
      if (count === 0) continue;
      this.#tries += count;
      this.#bad += bad(window);
      shares.push(bad(window) / count);
      const latency = latencyOf(window);
      if (latency.count >= leastTimed) latencies.push(latency);
    }
    this.#shares = Float64Array.from(shares).sort();
    this.#latencies = latencies.sort((a, b) => a.mean - b.mean);
  }

  get size(): number {
    return this.#windows.length;
  }

  /** Tries and failures of all but one. */
  others(one: Counts): { readonly tries: number; readonly bad: number } {
    return { tries: this.#tries - tries(one), bad: this.#bad - bad(one) };
  }

  /**
   * The share of failures that is usual where `one` is not: the middle one of its peers' (of two middle ones the better, so
   * that in a pool of three one sick peer does not excuse another), but no less than half of all of theirs together and
   * no less than one failure more than were seen. With no peer asked it is a half: only a long run says anything then.
   */
  usualShare(one: Counts): number {
    const others = this.others(one);
    if (others.tries <= 0) return 0.5;
    const own = tries(one);
    const middle = own === 0 ? lowerMiddle(this.#shares, -1) : lowerMiddle(this.#shares, bad(one) / own);
    return Math.min(1, Math.max(middle, others.bad / others.tries / 2, 1 / (others.tries + 2)));
  }

  /** The peer in the middle by latency, of two the slower one; null when there is none with enough answers. */
  usualLatency(one: Counts): Latency | null {
    const latencies = this.#latencies;
    const own = latencyOf(one);
    const at = own.count >= leastTimed ? latencies.findIndex((each) => each.mean === own.mean) : -1;
    const size = latencies.length - (at >= 0 ? 1 : 0);
    if (size === 0) return null;
    const middle = size >> 1;
    return latencies[at >= 0 && at <= middle ? middle + 1 : middle]!;
  }
}

/** The middle of ascending values without one that equals `without`; of two middle ones the lower. */
function lowerMiddle(ascending: Float64Array, without: number): number {
  const at = ascending.indexOf(without);
  const size = ascending.length - (at >= 0 ? 1 : 0);
  const middle = (size - 1) >> 1;
  return ascending[at >= 0 && at <= middle ? middle + 1 : middle]!;
}

/**
 * Evidence in nats that `bad` of `count` comes from more than chance at the share `usual`: Chernoff's bound, which never
 * overstates it, and holds for five tries as for five million.
 */
export function evidence(bad: number, count: number, usual: number): number {
  if (count === 0 || usual >= 1) return 0;
  const share = bad / count;
  if (share <= usual) return 0;
  const hit = share * Math.log(share / usual);
  const miss = share < 1 ? (1 - share) * Math.log((1 - share) / (1 - usual)) : 0;
  return count * (hit + miss);
}

/** Whether a share of failures is worse by an amount that matters, however certain a smaller one may be. */
export function isFar(share: number, usual: number): boolean {
  return share >= Math.min(1, usual * farFactor) && share >= usual + farPoints;
}

export function latencyOf(window: Counts): Latency {
  const count = window[Count.timed]!;
  if (count === 0) return { mean: 0, variance: 0, count };
  const mean = window[Count.logs]! / count;
  return { mean, variance: Math.max(leastVariance, window[Count.logSquares]! / count - mean * mean), count };
}

/**
 * How many standard errors lie between being twice as slow as usual and how slow it is. Below twice nothing counts: unequal
 * machines and unequal requests explain that much.
 */
export function slowness(own: Latency, usual: Latency): number {
  const error = Math.sqrt(own.variance / own.count + usual.variance / usual.count);
  return (own.mean - usual.mean - Math.LN2) / error;
}
