// Probing, once for the whole program and never per worker: eight workers asking every second are an attack on an
// application that is starting. This file only keeps the watches; what a probe is, when it is due and what it proves is in
// pool/probe/.
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Timers } from "../net/clock.ts";
import type { EndpointPlan, PoolPlan, ProbeName, ReadinessPlan } from "../pool/plan.ts";
import { endpointTls } from "../pool/endpoint-tls.ts";
import type { Probe, ProbeSubject } from "../pool/probe/probe.ts";
import { firstProbeAt, nextProbeAt } from "../pool/probe/schedule.ts";
import { isChanging, observe, unprobed, type Standing } from "../pool/probe/threshold.ts";
import { probeWords } from "../pool/probe/words.ts";
import type { EnginePlan } from "../proxy/assemble.ts";
import type { EndpointStates } from "./endpoint-states.ts";
import { endpointKey } from "./slots.ts";

export interface ProbesNeeds {
  readonly probes: Readonly<Record<ProbeName, Probe>>;
  readonly states: Pick<EndpointStates, "judge" | "of">;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}

/** What the last probe of an endpoint saw, for status. */
export interface ProbeFacts {
  /** "GET /readyz". */
  readonly what: string;
  /** Wall-clock ms. */
  readonly at: number;
  readonly ok: boolean;
  /** "status 503, expected 200-299". */
  readonly detail: string;
  /** Ms. */
  readonly took: number;
  /** How many in a row, with this one, went that way. */
  readonly inRow: number;
}

interface Watch {
  readonly pool: string;
  readonly endpoint: EndpointPlan;
  /** The endpoint as probes reach it. */
  readonly subject: ProbeSubject;
  /** How it speaks TLS, as text: another is another watch. */
  readonly tlsKey: string;
  readonly readiness: ReadinessPlan;
  readonly abort: AbortController;
  standing: Standing;
  /** Wall-clock ms of the last probe's end; 0 before that. */
  at: number;
  done: number;
  cancel: () => void;
  /** Settled when the first probe is over. */
  readonly first: PromiseWithResolvers<void>;
}

/** The watches over all endpoints of the running plan. */
export class Probes {
  readonly #needs: ProbesNeeds;
  #watches = new Map<string, Watch>();

  constructor(needs: ProbesNeeds) {
    this.#needs = needs;
  }

  /** Takes on a new plan. An endpoint that stays, probed in the same way, keeps its standing and its rhythm. */
  apply(plan: EnginePlan): void {
    const old = this.#watches;
    const next = new Map<string, Watch>();
    const fresh: Watch[] = [];
    for (const pool of plan.pools) {
      if (pool.readiness === null) continue;
      for (const endpoint of pool.endpoints) {
        const key = endpointKey(pool.name, endpoint);
        const known = old.get(key);
        if (
          known !== undefined &&
          known.tlsKey === tlsKey(pool) &&
          JSON.stringify(known.readiness) === JSON.stringify(pool.readiness)
        ) {
          next.set(key, known);
          old.delete(key);
          continue;
        }
        const watch = this.#begin(pool, pool.readiness, endpoint);
        next.set(key, watch);
        fresh.push(watch);
      }
    }
    for (const watch of old.values()) end(watch);
    this.#watches = next;
    const { clock, random } = this.#needs;
    const now = clock.now();
    fresh.forEach((watch, index) => {
      this.#schedule(watch, firstProbeAt(now, index, fresh.length, watch.readiness.interval, random));
    });
  }

  /** The last probe of an endpoint; null before the first, and where nothing is probed. */
  last(pool: string, endpoint: EndpointPlan): ProbeFacts | null {
    const watch = this.#watches.get(endpointKey(pool, endpoint));
    const seen = watch?.standing.last;
    if (watch === undefined || seen === null || seen === undefined) return null;
    const { passes, fails } = watch.standing;
    const { ok, detail, took } = seen;
    return {
      what: probeWords(watch.readiness),
      at: watch.at,
      ok,
      detail,
      took: Math.round(took),
      inRow: Math.max(1, passes + fails),
    };
  }

  /** Resolves when every endpoint has been probed once, or after `patience` ms. */
  async firstRound(patience: number): Promise<void> {
    const firsts = [...this.#watches.values()].map((watch) => watch.first.promise);
    if (firsts.length === 0) return;
    const late = Promise.withResolvers<void>();
    const cancel = this.#needs.timers.after(patience, () => late.resolve());
    await Promise.race([Promise.all(firsts), late.promise]);
    cancel();
  }

  stop(): void {
    for (const watch of this.#watches.values()) end(watch);
    this.#watches.clear();
  }

  #begin(pool: PoolPlan, readiness: ReadinessPlan, endpoint: EndpointPlan): Watch {
    // What is thought of it stays until the new probes say otherwise; how often in a row says nothing about them.
    const verdict = this.#needs.states.of(pool.name, endpoint)?.verdict ?? "unknown";
    return {
      pool: pool.name,
      endpoint,
      subject: { ...endpoint, tls: endpointTls(pool, endpoint) },
      tlsKey: tlsKey(pool),
      readiness,
      abort: new AbortController(),
      standing: { ...unprobed(this.#needs.clock.now()), verdict },
      at: 0,
      done: 0,
      cancel: () => {},
      first: Promise.withResolvers<void>(),
    };
  }

  #schedule(watch: Watch, at: number): void {
    const { timers, clock } = this.#needs;
    watch.cancel = timers.after(Math.max(0, at - clock.now()), () => void this.#probe(watch));
  }

  async #probe(watch: Watch): Promise<void> {
    const { probes, clock, states, random } = this.#needs;
    const { readiness, endpoint, pool, abort } = watch;
    const startedAt = clock.now();
    const seen = await probes[readiness.probe].run(watch.subject, readiness, abort.signal);
    if (abort.signal.aborted) return;
    const now = clock.now();
    const { standing, change } = observe(watch.standing, seen, readiness, now);
    watch.standing = standing;
    watch.done++;
    watch.at = clock.wall();
    const which = `(${probeWords(readiness)})`;
    if (change !== null) states.judge(pool, endpoint, change.to, `${change.reason} ${which}`);
    else if (standing.verdict === "unknown")
      states.judge(pool, endpoint, "unknown", `no probe has passed yet: ${seen.detail} ${which}`);
    watch.first.resolve();
    const interval = isChanging(standing) ? readiness.fastInterval : readiness.interval;
    this.#schedule(watch, nextProbeAt(startedAt, now, watch.done, interval, random));
  }
}

function end(watch: Watch): void {
  watch.cancel();
  watch.abort.abort();
  watch.first.resolve();
}

function tlsKey(pool: PoolPlan): string {
  return pool.tls === null ? "" : JSON.stringify(pool.tls);
}
