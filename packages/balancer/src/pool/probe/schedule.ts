// When to probe next. Probes of a fleet must not march in step: three hundred endpoints asked at the same moment are a spike
// for whatever they share, and balancers started together would ask together for ever.
import type { Random } from "../../base/random.ts";

/** How far a probe may be early or late, as a share of the interval. */
const jitter = 0.15;
/** First probes begin this far apart, ms, unless there are so many that the whole start would take longer than below. */
const startGap = 10;
/** All first probes have begun after this time, ms: until then new endpoints get no traffic. */
const longestStart = 500;
/** A probe that took longer than its interval is followed by a pause of at least this share of it. */
const shortestPause = 0.1;

/** Clock ms of the first probe of endpoint `index` of `count` that are new together: soon, one after another. */
export function firstProbeAt(now: number, index: number, count: number, interval: number, random: Random): number {
  const span = Math.min(interval, longestStart, startGap * count);
  return now + (span * (index + random())) / count;
}

/**
 * Clock ms of the next probe. `startedAt` is when the last one began, `now` when it ended, `done` how many there were with
 * it. The second one comes anywhere within an interval, which spreads endpoints that began together over all of it.
 */
export function nextProbeAt(startedAt: number, now: number, done: number, interval: number, random: Random): number {
  const share = done === 1 ? 1 - random() : 1 + jitter * (2 * random() - 1);
  return Math.max(startedAt + interval * share, now + interval * shortestPause);
}
