// How many probes in a row change what is thought of an endpoint. Pure: a state and what was seen give the next state.
import type { ReadinessPlan } from "../plan.ts";
import type { Seen } from "./probe.ts";

export type Verdict = "unknown" | "ready" | "unready";

/** What is thought of one endpoint, and why. */
export interface Standing {
  readonly verdict: Verdict;
  /** Clock ms since when. */
  readonly since: number;
  /** Probes in a row, up to the last one, that went well or did not; one of both is 0. */
  readonly passes: number;
  readonly fails: number;
  readonly last: Seen | null;
}

/** What a probe changed, for the log and the shared table. */
export interface Change {
  readonly from: Verdict;
  readonly to: Verdict;
  /** "3 probes in a row failed, the last one: status 503, expected 200-299". */
  readonly reason: string;
}

export interface Observed {
  readonly standing: Standing;
  /** Null when the verdict is what it was. */
  readonly change: Change | null;
}

/** An endpoint that has not been probed yet. */
export function unprobed(now: number): Standing {
  return { verdict: "unknown", since: now, passes: 0, fails: 0, last: null };
}

/**
 * Takes one more probe into account. A new endpoint is ready after its first pass: it has done nothing yet that it must
 * make up for, and a scale-out should help soon. After that `fall` failures in a row make it unready and `rise` passes in a
 * row ready: one slow answer must not eject an endpoint, one lucky answer must not bring a sick one back.
 */
export function observe(
  standing: Standing,
  seen: Seen,
  plan: Pick<ReadinessPlan, "rise" | "fall">,
  now: number,
): Observed {
  const passes = seen.ok ? standing.passes + 1 : 0;
  const fails = seen.ok ? 0 : standing.fails + 1;
  const from = standing.verdict;
  const to = judge(from, passes, fails, plan);
  const next = { verdict: to, since: to === from ? standing.since : now, passes, fails, last: seen };
  if (to === from) return { standing: next, change: null };
  return { standing: next, change: { from, to, reason: reasonOf(seen, passes, fails) } };
}

function judge(verdict: Verdict, passes: number, fails: number, plan: Pick<ReadinessPlan, "rise" | "fall">): Verdict {
  if (passes > 0) return verdict === "unknown" || passes >= plan.rise ? "ready" : verdict;
  return fails >= plan.fall ? "unready" : verdict;
}

function reasonOf(seen: Seen, passes: number, fails: number): string {
  const count = passes + fails;
  const how = seen.ok ? "passed" : "failed";
  return count === 1
    ? `a probe ${how}: ${seen.detail}`
    : `${count} probes in a row ${how}, the last one: ${seen.detail}`;
}
