// How many probes in a row change what is thought of an endpoint. Pure: a state and what was seen give the next state.
import type { ReadinessPlan } from "../plan.ts";
import type { Seen } from "./probe.ts";

/** "draining": it is well and asks for no new work. */
export type Verdict = "unknown" | "ready" | "unready" | "draining";

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

type Thresholds = Pick<ReadinessPlan, "rise" | "fall">;

/** An endpoint that has not been probed yet. */
export function unprobed(now: number): Standing {
  return { verdict: "unknown", since: now, passes: 0, fails: 0, last: null };
}

/**
 * Takes one more probe into account. A new endpoint is ready after its first pass: it has done nothing yet that it must
 * make up for, and a scale-out should help soon. After that `fall` failures in a row make it unready and `rise` passes in a
 * row ready: one slow answer must not eject an endpoint, one lucky answer must not bring a sick one back.
 *
 * A ready endpoint that asks to be drained is: at once by a status that its operator gave this meaning, after `fall`
 * failures by Retry-After, which overload guards send for a moment, too. It had done nothing wrong, so its next pass brings
 * it back. One that was not ready has nothing to be drained of: for it, asking is failing.
 */
export function observe(standing: Standing, seen: Seen, plan: Thresholds, now: number): Observed {
  const passes = seen.ok ? standing.passes + 1 : 0;
  const from = standing.verdict;
  // While it drains, asking for it again is not the beginning of a failure.
  const asksAgain = from === "draining" && seen.drain !== undefined;
  const fails = seen.ok || asksAgain ? 0 : standing.fails + 1;
  const to = judge(from, seen, passes, fails, plan);
  const changed = to !== from;
  const next: Standing = {
    verdict: to,
    since: changed ? now : standing.since,
    passes,
    fails: changed && to === "draining" ? 0 : fails,
    last: seen,
  };
  if (!changed) return { standing: next, change: null };
  return { standing: next, change: { from, to, reason: reasonOf(seen, passes, fails) } };
}

/** Whether one more probe like the last one brings a change nearer: then the next one is due sooner. */
export function isChanging({ verdict, passes, fails }: Standing): boolean {
  if (verdict === "unready") return passes > 0;
  return verdict === "unknown" || fails > 0;
}

function judge(verdict: Verdict, seen: Seen, passes: number, fails: number, plan: Thresholds): Verdict {
  if (seen.ok) return verdict !== "unready" || passes >= plan.rise ? "ready" : verdict;
  if (verdict === "ready" && seen.drain === "status") return "draining";
  if (fails < plan.fall) return verdict;
  return verdict === "ready" && seen.drain === "retry-after" ? "draining" : "unready";
}

function reasonOf(seen: Seen, passes: number, fails: number): string {
  const count = passes + fails;
  const how = seen.ok ? "passed" : seen.drain === "status" ? "asked to be drained" : "failed";
  return count === 1 || seen.drain === "status"
    ? `a probe ${how}: ${seen.detail}`
    : `${count} probes in a row ${how}, the last one: ${seen.detail}`;
}
