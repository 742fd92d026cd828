// Slow start: what joins or comes back rises linearly to its full weight, beside peers that have theirs. Its caches are cold,
// its code is not compiled, its connections to databases are not open, and an algorithm that counts what is in flight would
// send it everything, because nothing is (istio#21228). Pure: times are arguments.
import { EndpointState } from "../observe/table.ts";

/** Share of its full weight that an endpoint has at once: with less it would meet no traffic that could warm it. */
export const leastShare = 0.1;
/** Shortest time between two steps of the weights, ms: each step builds the rotation anew. */
const shortestStep = 250;
/** Steps from the least to the full share, where they are not shorter than that. */
const steps = 40;

/** Share of its full weight at `wallNow`, from `leastShare` to 1. `warmFrom` is the shared cell: 0 = it has its full share. */
export function shareAt(warmFrom: number, slowStart: number, wallNow: number): number {
  if (warmFrom === 0 || slowStart === 0) return 1;
  const share = (wallNow - warmFrom) / slowStart;
  if (share >= 1) return 1;
  return share > leastShare ? share : leastShare;
}

/**
 * From when on somebody had a full share: who began to warm up (`warmFrom` cells of all in rotation) before that found nobody
 * warmer than itself. -Infinity where one was here from the start.
 */
export function warmSince(warmFroms: readonly number[], slowStart: number): number {
  return warmFroms.includes(0) ? -Infinity : Math.min(...warmFroms) + slowStart;
}

/** Ms between two steps of the weights while somebody warms up. */
export function stepLength(slowStart: number): number {
  return Math.max(shortestStep, slowStart / steps);
}

/** Whether an endpoint comes into rotation by this change of its `EndpointState`. */
export function comesIn(before: number, next: number, probed: boolean): boolean {
  return !works(before, probed) && works(next, probed);
}

/** Without a probe, one that nobody has judged gets work. */
function works(state: number, probed: boolean): boolean {
  return state === EndpointState.ready || (state === EndpointState.unknown && !probed);
}
