// How an endpoint's peers do, and whether it is far from them. A fixed threshold ejects everybody when one URL fails
// everywhere, and a share of a pool of three is nobody: so each is compared with the others, and must be worse by more than
// chance explains. Like is compared with like: what an endpoint did in five seconds with what the others did in the same
// five. Otherwise one that came back a moment ago would be blamed for an outage that it shares with all, only because it has no
// better past to dilute it with.
import { bad, buckets, Count, tries, type Counts, type Window } from "./window.ts";

/**
 * Nats of evidence that eject: chance alone exceeds them about once in ten million comparisons (the statistic is half a
 * chi-square of one degree). An endpoint is compared every second.
 */
export const enoughEvidence = 14;
/** How much worse than its peers a share of failures must be, as a factor and in points. */
const farFactor = 3;
const farPoints = 0.1;
/** Smallest variance of logarithms that is believed: answers that all take the same time still come in a millisecond's steps. */
const leastVariance = 0.01;

/** Some tries, and how many of them failed. */
export interface Tried {
  readonly tries: number;
  readonly bad: number;
}

/** Mean and variance of the logarithms of latencies. */
export interface Latency {
  readonly mean: number;
  readonly variance: number;
  readonly count: number;
}

/** Those that are compared with each other: of one pool and tier, in rotation. */
export class Peers {
  readonly size: number;
  readonly #sums = new Float64Array(Count.size);
  /** Sums of all, bucket by bucket. */
  readonly #buckets = new Float64Array(buckets * Count.size);

  constructor(windows: readonly Window[]) {
    this.size = windows.length;
    for (const window of windows) {
      for (let kind = 0; kind < Count.size; kind++) {
        this.#sums[kind]! += window.sums[kind]!;
        for (let at = 0; at < buckets; at++) this.#buckets[at * Count.size + kind]! += window.in(at, kind);
      }
    }
  }

  /** Tries and failures of all but one. */
  others({ sums }: Window): Tried {
    return { tries: tries(this.#sums) - tries(sums), bad: bad(this.#sums) - bad(sums) };
  }

  /**
   * The same, as if the others had been asked when `one` was: a share of theirs that can be laid beside its own. Their tries
   * are as many as that share is worth: if all of its own were made in one bucket, only theirs of that bucket count.
   */
  othersAlike(one: Window): Tried {
    const others = this.others(one);
    const own = tries(one.sums);
    if (others.tries <= 0 || own === 0) return others;
    let expected = 0;
    let spread = 0;
    let alone = 0;
    for (let at = 0; at < buckets; at++) {
      const [ownTries, ownBad] = triedIn((kind) => one.in(at, kind));
      if (ownTries === 0) continue;
      const [allTries, allBad] = triedIn((kind) => this.#buckets[at * Count.size + kind]!);
      const rest = allTries - ownTries;
      if (rest > 0) {
        expected += (ownTries * (allBad - ownBad)) / rest;
        spread += ownTries ** 2 / rest;
      } else alone += ownTries;
    }
    // Where nobody else was asked, what they do on the whole has to do.
    expected += (alone * others.bad) / others.tries;
    const worth = worthOf(own, spread, alone, others.tries);
    return { tries: worth, bad: (worth * expected) / own };
  }

  /** Latency of all but one, as if they had been asked when `one` was; null when nothing is known of it. */
  latencyAlike(one: Window): Latency | null {
    const own = one.sums[Count.timed]!;
    const rest = new Float64Array(Count.size);
    for (let kind = 0; kind < Count.size; kind++) rest[kind] = this.#sums[kind]! - one.sums[kind]!;
    const others = latencyOf(rest);
    if (own === 0 || others.count <= 0) return null;
    let expected = 0;
    let spread = 0;
    let alone = 0;
    for (let at = 0; at < buckets; at++) {
      const ownTimed = one.in(at, Count.timed);
      if (ownTimed === 0) continue;
      const timed = this.#buckets[at * Count.size + Count.timed]! - ownTimed;
      const logs = this.#buckets[at * Count.size + Count.logs]! - one.in(at, Count.logs);
      if (timed > 0) {
        expected += (ownTimed * logs) / timed;
        spread += ownTimed ** 2 / timed;
      } else alone += ownTimed;
    }
    expected += alone * others.mean;
    return { ...others, mean: expected / own, count: worthOf(own, spread, alone, others.count) };
  }
}

/** How many of the others' tries a mean is worth that goes by when one's own were made; never more than they made. */
function worthOf(own: number, spread: number, alone: number, others: number): number {
  return Math.min(others, own ** 2 / (spread + alone ** 2 / others));
}

function triedIn(count: (kind: number) => number): [tries: number, bad: number] {
  const failed = count(Count.errors) + count(Count.resets) + count(Count.timeouts) + count(Count.connects);
  return [failed + count(Count.good), failed];
}

/**
 * Evidence in nats that `own` fails more often than `others`: the logarithm of how much better two shares explain what was
 * seen than one does. It asks for both: of what others few are known, little can be held against anybody. Where nothing is
 * known of them, half of all is taken to fail, so that only a long run says anything.
 */
export function evidence(own: Tried, others: Tried): number {
  if (own.tries === 0) return 0;
  if (others.tries <= 0) return own.bad * 2 <= own.tries ? 0 : divergence(own, 0.5);
  if (own.bad * others.tries <= others.bad * own.tries) return 0;
  const common = (own.bad + others.bad) / (own.tries + others.tries);
  return divergence(own, common) + divergence(others, common);
}

/** Nats by which a share of one's own explains what was seen better than the share `usual`. */
function divergence({ tries: count, bad: failed }: Tried, usual: number): number {
  const share = failed / count;
  const hit = share > 0 ? share * Math.log(share / usual) : 0;
  const miss = share < 1 ? (1 - share) * Math.log((1 - share) / (1 - usual)) : 0;
  return count * (hit + miss);
}

/** Whether a share of failures is worse by an amount that matters, however certain a smaller one may be. */
export function isFar(own: Tried, others: Tried): boolean {
  const share = own.bad / own.tries;
  const usual = others.tries > 0 ? others.bad / others.tries : 0.5;
  return share >= Math.min(1, usual * farFactor) && share >= usual + farPoints;
}

export function latencyOf(counts: Counts): Latency {
  const count = counts[Count.timed]!;
  if (count <= 0) return { mean: 0, variance: 0, count: 0 };
  const mean = counts[Count.logs]! / count;
  return { mean, variance: Math.max(leastVariance, counts[Count.logSquares]! / count - mean * mean), count };
}

/**
 * How many standard errors lie between being twice as slow as usual and how slow it is. Below twice nothing counts: unequal
 * machines and unequal requests explain that much.
 */
export function slowness(own: Latency, usual: Latency): number {
  const error = Math.sqrt(own.variance / own.count + usual.variance / usual.count);
  return (own.mean - usual.mean - Math.LN2) / error;
}
