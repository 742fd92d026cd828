// pool/outlier/: who does worse than its peers, from their real traffic. Knows counts, times and thresholds as arguments; must
// not know sockets, HTTP messages or how counts are collected.

// This file: whether one endpoint is to be ejected, and why in a sentence, by what it did lately beside its peers.
import { formatDuration } from "../../base/units.ts";
import type { OutlierPlan } from "../plan.ts";
import { enoughEvidence, evidence, isFar, latencyOf, type Peers, slowness, type Tried } from "./peers.ts";
import { bad, Count, tries, type Counts, type Window } from "./window.ts";

/** Fewest tries and failures in the window that say something of a share. */
const leastTries = 20;
const leastBad = 5;
/** Fewest timed answers, and shortest time of watching (ms), that say something of latency: one pause must not look like a habit. */
const leastTimed = 20;
const leastWatched = 10_000;
/** Standard errors, see `slowness`. */
export const enoughSlowness = 5;
/** What is slower by less than this, ms, harms nobody. */
const leastSlower = 100;
/** Failures are judged only while there are any: so long, ms, after the last one. */
const currentTrouble = 10_000;
/** Time of nothing but refusals, ms, after which it is more than a restart. */
const longRefusal = 10_000;

/** What is known of one endpoint. */
export interface Conduct {
  readonly recent: Window;
  /** Failures since the last good answer, by kind. */
  readonly run: Counts;
  /** What its peers did meanwhile. */
  readonly othersMeanwhile: Tried;
  /** Wall-clock ms of the last failure; 0 = none. */
  readonly failedAt: number;
  /** Wall-clock ms of the first refusal since anything was answered; 0 = none. */
  readonly refusedSince: number;
  /** Wall-clock ms since when it has been watched without a gap. */
  readonly watchedSince: number;
}

/**
 * run: nothing but failures. refused: nobody listens. share: some fail. slow: late answers. The last two may be the
 * doing of the requests that it happens to get.
 */
export type Ground = "run" | "refused" | "share" | "slow";

export interface Judgement {
  readonly ground: Ground;
  /** A sentence without its subject: "7 tries in a row failed (7 resets), 0 of its peers' 120". */
  readonly reason: string;
  /** To see to the worst first. */
  readonly weight: number;
  /** Whether its failures were failed connects, which a passed probe disproves. */
  readonly unreachable: boolean;
}

/** Null when there is nothing against it. `probed`: a probe sees to what refuses connections. */
export function judge(
  conduct: Conduct,
  peers: Peers,
  plan: OutlierPlan,
  probed: boolean,
  now: number,
): Judgement | null {
  if (peers.size < 2) return null;
  return (
    // It may have got well while there was no place to put it out, or nobody may have asked it since.
    (now - conduct.failedAt > currentTrouble ? null : (judgeRun(conduct, plan) ?? judgeShare(conduct, peers))) ??
    (probed ? null : judgeRefusals(conduct, plan, now)) ??
    judgeLatency(conduct, peers, plan, now)
  );
}

function judgeRun({ run, othersMeanwhile }: Conduct, { consecutive }: OutlierPlan): Judgement | null {
  const length = bad(run);
  if (consecutive === 0 || length < consecutive) return null;
  const own = { tries: length, bad: length };
  const weight = evidence(own, othersMeanwhile);
  if (weight < enoughEvidence || !isFar(own, othersMeanwhile)) return null;
  const reason = `${length} tries in a row failed (${kinds(run)}), ${comparison(othersMeanwhile)}`;
  return { ground: "run", reason, weight: 1e6 + weight, unreachable: run[Count.connects]! * 2 > length };
}

function judgeRefusals(
  { run, othersMeanwhile, refusedSince }: Conduct,
  { consecutive }: OutlierPlan,
  now: number,
): Judgement | null {
  const refusals = run[Count.refusals]!;
  if (consecutive === 0 || refusals < consecutive || refusedSince === 0 || now - refusedSince < longRefusal)
    return null;
  if (othersMeanwhile.tries - othersMeanwhile.bad <= 0) return null;
  const reason = `it refused every connection for ${formatDuration(Math.round((now - refusedSince) / 1000) * 1000)}`;
  return { ground: "refused", reason, weight: 1e6, unreachable: true };
}

function judgeShare({ recent }: Conduct, peers: Peers): Judgement | null {
  const own = { tries: tries(recent.sums), bad: bad(recent.sums) };
  if (own.tries < leastTries || own.bad < leastBad) return null;
  const others = peers.othersAlike(recent);
  const weight = evidence(own, others);
  if (others.tries <= 0 || weight < enoughEvidence || !isFar(own, others)) return null;
  const reason = `${own.bad} of its last ${own.tries} tries failed (${kinds(recent.sums)}), ${comparison(peers.others(recent))}`;
  return { ground: "share", reason, weight, unreachable: recent.sums[Count.connects]! * 2 > own.bad };
}

function judgeLatency(
  { recent, watchedSince }: Conduct,
  peers: Peers,
  plan: OutlierPlan,
  now: number,
): Judgement | null {
  if (plan.latency === 0 || now - watchedSince < leastWatched) return null;
  const own = latencyOf(recent.sums);
  if (own.count < leastTimed) return null;
  const usual = peers.latencyAlike(recent);
  if (usual === null || usual.count < leastTimed) return null;
  const [ms, usualMs] = [Math.exp(own.mean), Math.exp(usual.mean)];
  if (ms < usualMs * plan.latency || ms < usualMs + leastSlower) return null;
  const weight = slowness(own, usual);
  if (weight < enoughSlowness) return null;
  const reason = `its answers typically begin after ${rounded(ms)}, its peers' after ${rounded(usualMs)}`;
  return { ground: "slow", reason, weight: Math.min(weight, 1), unreachable: false };
}

function comparison({ tries: count, bad: failed }: Tried): string {
  return count <= 0 ? "and its peers were not asked" : `${failed} of its peers' ${count}`;
}

function kinds(counts: Counts): string {
  const named = [
    [counts[Count.errors]!, "answers with 5xx"],
    [counts[Count.resets]!, "broken off"],
    [counts[Count.timeouts]!, "timeouts"],
    [counts[Count.connects]!, "failed connects"],
  ] as const;
  return named.flatMap(([count, name]) => (count > 0 ? `${count} ${name}` : [])).join(", ");
}

function rounded(ms: number): string {
  return ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}
