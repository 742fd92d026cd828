// The outliers of one pool: looks at everybody's counts once a second, and says who is ejected, until when, and who comes
// back. Pure apart from what it remembers: counts and time are arguments, what follows from a decision is the caller's.
import type { OutlierPlan } from "../plan.ts";
import { enoughSlowness, judge, type Conduct, type Judgement } from "./judgement.ts";
import { enoughEvidence, evidence, type Latency, latencyOf, Peers, slowness, type Tried } from "./peers.ts";
import { bad, Count, tries, Window, type Counts } from "./window.ts";

/** An endpoint as it is at the moment of a review. */
export interface Member {
  readonly slot: number;
  readonly id: string;
  /** Whether it would get work if it were not ejected: ready, neither draining nor disabled, with a weight. */
  readonly willing: boolean;
  readonly backup: boolean;
  /** Wall-clock ms of its last change of state. */
  readonly since: number;
  /** All that was counted of it, ever, over all workers, by `Count`. Read during the review only. */
  readonly totals: Counts;
}

export type Decision =
  | { readonly kind: "eject"; readonly member: Member; readonly until: number; readonly reason: string }
  | { readonly kind: "admit"; readonly member: Member; readonly reason: string };

/** Why an endpoint is out. */
export interface Ejection {
  readonly from: number;
  /** Wall-clock ms. */
  readonly until: number;
  readonly reason: string;
  /** How many times in a row, as far as it is remembered. */
  readonly times: number;
}

interface Placed {
  readonly judgement: Judgement;
  readonly ejection: Ejection;
}

/** How an endpoint did lately. */
interface Look {
  readonly tried: Tried;
  readonly latency: Latency;
}

interface Entry extends Conduct {
  member: Member;
  /** Its totals at the last review, and what came since. */
  readonly last: Counts;
  readonly delta: Counts;
  /** Tries and failures of its whole tier when its run of failures began. */
  runFrom: Tried;
  othersMeanwhile: Tried;
  failedAt: number;
  refusedSince: number;
  watchedSince: number;
  willing: boolean;
  placed: Placed | null;
  /** How often it was ejected; forgotten one by one. */
  times: number;
  forgetAt: number;
  goodSince: number;
  /** How it did when a peer was last ejected: to see whether trouble moved here. */
  atEjection: Look;
}

const nothing: Tried = { tries: 0, bad: 0 };
/** Nats that tell who has got a returning endpoint's trouble: asked once for each ejection, and not every second of everybody. */
const enoughOnReturn = enoughEvidence / 2;
const unseen: Look = { tried: nothing, latency: { mean: 0, variance: 0, count: 0 } };
/** A run of failures that long ago (ms) says nothing of today. */
const staleRun = 300_000;

/** Most endpoints of a tier that may be out: the share, rounded down, but one of two or more, and never all. */
export function mostEjected(size: number, share: number): number {
  if (size < 2 || share <= 0) return 0;
  return Math.min(size - 1, Math.max(1, Math.floor(size * share)));
}

export class OutlierWatch {
  readonly #entries = new Map<number, Entry>();
  /** Tries and failures of each tier, primaries and backups, since the beginning. */
  readonly #tiers: [primaries: Tried, backups: Tried] = [nothing, nothing];
  /** Until then nobody is ejected for shares or latency: they turned out to belong to requests. */
  #holdUntil = 0;

  /** Why an endpoint is out now; null when it is not. */
  ejection(slot: number): Ejection | null {
    return this.#entries.get(slot)?.placed?.ejection ?? null;
  }

  /** An endpoint begins as ejected: whoever decided it is no longer there. */
  inherit(member: Member, ejection: Ejection, now: number): void {
    const { reason, times } = ejection;
    // What it was ejected for exactly is not known any more: it waits for the end of its time.
    const judgement: Judgement = { ground: "run", reason, weight: 0, unreachable: false };
    this.#entries.set(member.slot, { ...fresh(member, now), placed: { judgement, ejection }, times });
  }

  /**
   * Takes in what was counted and decides. `probed`: the pool has a readiness probe. `keyed`: requests find their endpoint
   * by what they are rather than by chance, so that trouble can move with them. Decisions come in the order in which
   * they are to be carried out.
   */
  review(now: number, plan: OutlierPlan, members: readonly Member[], probed: boolean, keyed: boolean): Decision[] {
    const decisions: Decision[] = [];
    this.#take(now, members);
    for (const entry of this.#entries.values()) this.#readmit(entry, now, plan, keyed, decisions);
    for (const backup of [false, true]) {
      const tier = [...this.#entries.values()].filter((one) => one.willing && one.member.backup === backup);
      this.#keepToLimit(tier, plan, now, decisions);
      this.#judgeTier(tier, now, plan, probed, keyed, decisions);
    }
    for (const entry of this.#entries.values()) this.#forget(entry, now, plan);
    return decisions;
  }

  #take(now: number, members: readonly Member[]): void {
    const present = new Set(members.map(({ slot }) => slot));
    for (const slot of this.#entries.keys()) if (!present.has(slot)) this.#entries.delete(slot);
    for (const member of members) {
      let entry = this.#entries.get(member.slot);
      // Another endpoint may have got a slot that was given back.
      if (entry === undefined || entry.member.id !== member.id) {
        entry = fresh(member, now);
        this.#entries.set(member.slot, entry);
      }
      entry.member = member;
      if (member.willing && !entry.willing) begin(entry, now);
      entry.willing = member.willing;
      const { delta } = entry;
      for (let i = 0; i < Count.size; i++) {
        // Logarithms of what is faster than a millisecond are below zero; all else only grows, or began again.
        const change = member.totals[i]! - entry.last[i]!;
        delta[i] = change >= 0 || i === Count.logs ? change : 0;
        entry.last[i] = member.totals[i]!;
      }
    }
    const learning = [...this.#entries.values()].filter((entry) => entry.willing && entry.placed === null);
    for (const at of [0, 1] as const) {
      const tier = learning.filter(({ member }) => member.backup === (at === 1));
      const before = this.#tiers[at];
      const after = {
        tries: tier.reduce((sum, { delta }) => sum + tries(delta), before.tries),
        bad: tier.reduce((sum, { delta }) => sum + bad(delta), before.bad),
      };
      this.#tiers[at] = after;
      for (const entry of tier) learn(entry, before, after, now);
    }
  }

  #readmit(entry: Entry, now: number, plan: OutlierPlan, keyed: boolean, decisions: Decision[]): void {
    const { placed, member } = entry;
    if (placed === null) return;
    if (now >= placed.ejection.until) {
      const heir = keyed ? this.#heir(entry, placed) : null;
      if (heir === null) {
        this.#admit(entry, now, "its time out is over", decisions);
        return;
      }
      entry.times = Math.max(0, entry.times - 1);
      this.#holdUntil = now + plan.longest;
      this.#admit(entry, now, `its time out is over, and the same requests fared no better at ${heir.id}`, decisions);
    } else if (placed.judgement.unreachable && member.willing && member.since > placed.ejection.from) {
      this.#admit(entry, now, "its probe reaches it again", decisions);
    }
  }

  /**
   * Who has got the trouble of an endpoint that is about to come back: a peer that did significantly worse while it was out.
   * Of two, nobody can be compared meanwhile; and what was much of one endpoint's work may be little of its heir's.
   */
  #heir(entry: Entry, { judgement }: Placed): Member | null {
    if (judgement.unreachable) return null;
    for (const peer of this.#entries.values()) {
      const inside = peer.willing && peer.placed === null && peer.member.backup === entry.member.backup;
      if (inside && worsened(peer.atEjection, look(peer), judgement.ground === "slow")) return peer.member;
    }
    return null;
  }

  /** Others that left in the meantime must not leave the pool to a few: those who have been out the longest come back first. */
  #keepToLimit(tier: readonly Entry[], plan: OutlierPlan, now: number, decisions: Decision[]): void {
    const out = tier.filter((entry) => entry.placed !== null).sort((a, b) => from(a) - from(b));
    const excess = out.length - mostEjected(tier.length, plan.maxEjected);
    for (const entry of out.slice(0, Math.max(0, excess))) {
      this.#admit(entry, now, "too few of its peers are left", decisions);
    }
  }

  #judgeTier(
    tier: readonly Entry[],
    now: number,
    plan: OutlierPlan,
    probed: boolean,
    keyed: boolean,
    decisions: Decision[],
  ): void {
    const inside = tier.filter((entry) => entry.placed === null);
    const room = mostEjected(tier.length, plan.maxEjected) - (tier.length - inside.length);
    // Somebody must be left to take the work.
    let places = Math.min(room, inside.length - 1);
    // Where requests follow a key, the others are looked at all the same: what is out may have been put out for nothing.
    if (places <= 0 && (!keyed || inside.length === tier.length)) return;
    const peers = new Peers(inside.map((entry) => entry.recent));
    const suspects = inside
      .flatMap((entry) => {
        const judgement = judge(entry, peers, plan, probed, now);
        return judgement === null ? [] : { entry, judgement };
      })
      .sort((a, b) => b.judgement.weight - a.judgement.weight);
    for (const { entry, judgement } of suspects) {
      const mixed = judgement.ground === "share" || judgement.ground === "slow";
      if (mixed && now < this.#holdUntil) continue;
      if (mixed && keyed && this.#moved(tier, entry, judgement, now, plan, decisions)) return;
      if (places <= 0) continue;
      this.#eject(entry, judgement, now, plan, decisions);
      for (const peer of inside) peer.atEjection = look(peer);
      places--;
    }
  }

  /**
   * Whether the trouble came to `entry` after a peer had been ejected for the same: then it belongs to requests, which found
   * their next endpoint by the same key. The peer comes back, and for a while nobody is ejected on such grounds: else they
   * would go through half of the pool.
   */
  #moved(
    tier: readonly Entry[],
    entry: Entry,
    judgement: Judgement,
    now: number,
    plan: OutlierPlan,
    decisions: Decision[],
  ): boolean {
    const slow = judgement.ground === "slow";
    if (wasThere(entry.atEjection, look(entry), slow)) return false;
    const sources = tier.filter(({ placed }) => {
      if (placed === null || placed.judgement.unreachable) return false;
      const same = (placed.judgement.ground === "slow") === slow;
      return same && now - placed.ejection.from <= Math.max(plan.base, 60_000);
    });
    if (sources.length === 0) return false;
    for (const source of sources) {
      source.times = Math.max(0, source.times - 1);
      this.#admit(source, now, `the same requests fare no better at ${entry.member.id}`, decisions);
    }
    this.#holdUntil = now + plan.longest;
    return true;
  }

  #eject(entry: Entry, judgement: Judgement, now: number, plan: OutlierPlan, decisions: Decision[]): void {
    entry.times++;
    const until = now + Math.min(plan.base * entry.times, Math.max(plan.base, plan.longest));
    const { reason } = judgement;
    entry.placed = { judgement, ejection: { from: now, until, reason, times: entry.times } };
    decisions.push({ kind: "eject", member: entry.member, until, reason });
  }

  #admit(entry: Entry, now: number, reason: string, decisions: Decision[]): void {
    entry.placed = null;
    begin(entry, now);
    decisions.push({ kind: "admit", member: entry.member, reason });
  }

  /** Good conduct for twice the base time makes the next ejection one step shorter; silence is no good conduct. */
  #forget(entry: Entry, now: number, plan: OutlierPlan): void {
    if (entry.times === 0 || entry.placed !== null) return;
    if (entry.forgetAt === 0) {
      entry.forgetAt = now + 2 * plan.base;
      entry.goodSince = entry.last[Count.good]!;
    } else if (now >= entry.forgetAt && entry.last[Count.good]! > entry.goodSince) {
      entry.times--;
      entry.forgetAt = 0;
    }
  }
}

function fresh(member: Member, now: number): Entry {
  return {
    member,
    last: Float64Array.from(member.totals),
    delta: new Float64Array(Count.size),
    recent: new Window(),
    run: new Float64Array(Count.size),
    runFrom: nothing,
    othersMeanwhile: nothing,
    failedAt: 0,
    refusedSince: 0,
    watchedSince: now,
    willing: false,
    placed: null,
    times: 0,
    forgetAt: 0,
    goodSince: 0,
    atEjection: unseen,
  };
}

/** It is in rotation from now on: what it did before says nothing. */
function begin(entry: Entry, now: number): void {
  entry.recent.clear();
  entry.run.fill(0);
  entry.refusedSince = 0;
  entry.watchedSince = now;
  entry.forgetAt = 0;
}

/** `before` and `after` are the tier's counts at the last review and at this one. */
function learn(entry: Entry, before: Tried, after: Tried, now: number): void {
  const { run, delta } = entry;
  entry.recent.add(now, delta);
  const failed = bad(delta) + delta[Count.refusals]!;
  // In a second in which anything went well the order of things is not known: no run is counted from it.
  const interrupted = delta[Count.good]! > 0;
  if (interrupted || (failed > 0 && now - entry.failedAt > staleRun)) {
    run.fill(0);
    entry.refusedSince = 0;
  }
  if (failed > 0) entry.failedAt = now;
  if (interrupted) return;
  if (bad(run) + run[Count.refusals]! === 0) entry.runFrom = before;
  for (let i = 0; i < Count.size; i++) run[i]! += delta[i]!;
  const own = bad(run);
  const { tries: fromTries, bad: fromBad } = entry.runFrom;
  entry.othersMeanwhile = { tries: after.tries - fromTries - own, bad: after.bad - fromBad - own };
  if (failed === 0) return;
  if (bad(delta) > 0) {
    // It listens.
    run[Count.refusals] = 0;
    entry.refusedSince = 0;
  } else if (entry.refusedSince === 0) entry.refusedSince = now;
}

function look({ recent: { sums } }: Entry): Look {
  return { tried: { tries: tries(sums), bad: bad(sums) }, latency: latencyOf(sums) };
}

/** Whether it was then already at least half as bad as it is now. */
function wasThere(then: Look, current: Look, slow: boolean): boolean {
  if (slow) return current.latency.mean - then.latency.mean < Math.LN2;
  return share(then.tried) * 2 >= share(current.tried);
}

/** Whether it does worse by more than chance explains. */
function worsened(then: Look, current: Look, slow: boolean): boolean {
  if (!slow) return evidence(current.tried, then.tried) >= enoughOnReturn;
  return (
    current.latency.count > 0 && then.latency.count > 0 && slowness(current.latency, then.latency) >= enoughSlowness
  );
}

function share({ tries: count, bad: failed }: Tried): number {
  return count === 0 ? 0 : failed / count;
}

function from(entry: Entry): number {
  return entry.placed?.ejection.from ?? 0;
}
