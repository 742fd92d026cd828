// app/: runs an application as several instances for `plimsoll up`: starts, watches, replaces and stops them.
// It must not know sockets, clocks, processes or the supervisor: the machine is a Host, traffic an EndpointsSink, both handed in.

// This file: how long a fallen instance waits before it is started again.
import type { Random } from "../../base/random.ts";

/** A run that was ready for this long clears the record: what ends it then is news, not the same failure again. In ms. */
export const stableAfter = 10_000;

const first = 250;
const longest = 30_000;

/** Failures in a row after a run that was ready for `readyFor` ms (0: never) ended. */
export function countFailures(before: number, readyFor: number): number {
  return readyFor >= stableAfter ? 1 : before + 1;
}

/**
 * Milliseconds to wait before the next start after `failures` in a row (from 1): 0.25 s doubling to 30 s, of which the
 * second half is by chance, so that instances that fell together (a database went away) do not come back together.
 */
export function backoffDelay(failures: number, random: Random): number {
  const full = Math.min(longest, first * 2 ** Math.min(30, Math.max(0, failures - 1)));
  return Math.round(full / 2 + (full / 2) * random());
}
