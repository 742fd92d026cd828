// discovery/: where endpoints come from when they are not written down. A source answers with addresses and says when
// they change; it must not know pools, workers or how a change is applied.
//
// This file: names. Each is looked up again when its answer's TTL is over. The last good answer stays until there is
// another: a name server that is down, or empty for a moment while something is deployed, takes no endpoint away.
import type { NamePlan } from "../../config/plan.ts";
import type { Random } from "../../base/random.ts";
import { systemClock, systemRandom, systemTimers, type Timers } from "../../net/clock.ts";
import { createResolver, type Resolver } from "../../net/resolver.ts";
import type { Log } from "../../observe/log.ts";
import type { Answers, ResolvedAddress } from "../compose.ts";
import { lookUp } from "./lookup.ts";

export interface DiscoveryOptions {
  readonly log: Log;
  /** Called when the addresses of a watched name are others than before. */
  readonly onChange: () => void;
  /** Answers to begin with: of the program that this one takes over from. */
  readonly answers?: Answers;
  /** For tests; by default the system's. */
  readonly resolver?: Resolver;
  readonly timers?: Timers;
  readonly random?: Random;
}

/** Names being watched. */
export interface Discovery {
  /** Last good answers by `NamePlan.id`; a name without one is not in it. */
  readonly answers: Answers;
  /**
   * Watches these names from now on and forgets all others. Resolves when each has an answer or has failed once, after
   * `patience` ms at the latest; what comes later is told by `onChange`.
   */
  watch(names: readonly NamePlan[], patience: number): Promise<void>;
  close(): void;
}

/** Bounds of the time between two look-ups, in seconds: a TTL of 0 is no licence to flood, one of a day not to sleep. */
const soonest = 1;
const latest = 300;
/** Seconds until a failed look-up is tried again: doubled each time. */
const longestRetry = 30;

interface Watch {
  readonly name: NamePlan;
  failures: number;
  /** Whether somebody waits in `watch`, and sees the first answer without being told. */
  awaited: boolean;
  cancel: () => void;
  /** The first look-up, whatever came of it. */
  first: Promise<void>;
}

export function createDiscovery(options: DiscoveryOptions): Discovery {
  const { log, onChange, timers = systemTimers, random = systemRandom } = options;
  let made: Resolver | undefined;
  const resolver = () => (made ??= options.resolver ?? createResolver({ clock: systemClock }));
  const answers = new Map<string, readonly ResolvedAddress[]>(options.answers);
  const watches = new Map<string, Watch>();
  let closed = false;

  function begin(name: NamePlan): Watch {
    const watch: Watch = { name, failures: 0, awaited: true, cancel: () => {}, first: Promise.resolve() };
    watches.set(name.id, watch);
    watch.first = look(watch);
    return watch;
  }

  async function look(watch: Watch): Promise<void> {
    const { name } = watch;
    const found = await lookUp(resolver(), name, answers.get(name.id) ?? []);
    if (closed || watches.get(name.id) !== watch) return;
    if ("failure" in found) failed(watch, found.failure);
    else succeeded(watch, found.addresses);
    const seconds =
      "failure" in found
        ? Math.min(longestRetry, 2 ** (watch.failures - 1))
        : Math.min(latest, Math.max(soonest, found.ttl));
    // A tenth earlier or later: a fleet must not ask in step.
    watch.cancel = timers.after(seconds * 1000 * (0.9 + random() * 0.2), () => void look(watch));
  }

  function succeeded(watch: Watch, addresses: readonly ResolvedAddress[]): void {
    const { name } = watch;
    const before = answers.get(name.id);
    if (watch.failures > 0)
      log.event("info", "discovery.recovered", `${name.id} can be resolved again`, { name: name.id });
    watch.failures = 0;
    if (before !== undefined && JSON.stringify(before) === JSON.stringify(addresses)) return;
    answers.set(name.id, addresses);
    const shown = addresses.map((each) => `${each.host}:${each.port}`).join(", ");
    log.event("info", "discovery.changed", `${name.id} is ${shown}`, { name: name.id });
    if (!watch.awaited) onChange();
  }

  function failed(watch: Watch, failure: string): void {
    const { name } = watch;
    if (watch.failures++ > 0) return;
    const kept = answers.has(name.id) ? "its last addresses stay in use" : "it has no endpoint yet";
    log.event("warn", "discovery.failed", `${name.id} cannot be resolved (${failure}); ${kept}`, { name: name.id });
  }

  return {
    answers,
    async watch(names, patience) {
      const wanted = new Map(names.map((name) => [name.id, name]));
      for (const [id, watch] of watches) {
        if (sameName(wanted.get(id), watch.name)) continue;
        watch.cancel();
        watches.delete(id);
        if (!wanted.has(id)) answers.delete(id);
      }
      const fresh = names.flatMap((name) => (watches.has(name.id) ? [] : [begin(name)]));
      if (fresh.length > 0 && patience > 0) {
        let cancel: () => void = () => {};
        const over = new Promise<void>((resolve) => (cancel = timers.after(patience, resolve)));
        await Promise.race([Promise.all(fresh.map((watch) => watch.first)), over]);
        cancel();
      }
      for (const watch of fresh) watch.awaited = false;
    },
    close() {
      closed = true;
      for (const watch of watches.values()) watch.cancel();
      watches.clear();
      made?.close();
    },
  };
}

/** Weight, zone and tier are no part of the question: they are read from the plan when endpoints are made. */
function sameName(a: NamePlan | undefined, b: NamePlan): boolean {
  return a !== undefined && a.kind === b.kind && a.name === b.name && a.port === b.port;
}
