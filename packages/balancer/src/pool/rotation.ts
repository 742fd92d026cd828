// Who gets new work: tiers, zones and failing open, folded into one immutable value whenever a state changes.
import type { Random } from "../base/random.ts";
import type { Picker, Surroundings } from "./balance/algorithm.ts";
import { algorithms } from "./balance/table.ts";
import type { Endpoint } from "./endpoint.ts";
import type { PoolPlan } from "./plan.ts";
import { warmSince } from "./slow-start.ts";

/** One state of affairs; replaced as a whole. */
export interface Rotation {
  /** Those the algorithm chooses from; empty = the pool is unusable. */
  readonly usable: readonly Endpoint[];
  /** Usable ones of other zones, for when all of `usable` are full. */
  readonly spill: readonly Endpoint[];
  /** Null when nobody is usable. */
  readonly pick: Picker | null;
  /** Nobody is known to be ready; these are asked all the same. */
  readonly failOpen: boolean;
  /** Somebody has less than its full share yet. */
  readonly warming: boolean;
}

/** Who is in, before the algorithm is built. */
export interface Selection {
  readonly usable: readonly Endpoint[];
  readonly spill: readonly Endpoint[];
  readonly failOpen: boolean;
}

/** The rotation of a pool that nobody can serve. */
export const emptyRotation: Rotation = { usable: [], spill: [], pick: null, failOpen: false, warming: false };

/**
 * Chooses who is in. In this order, the first that is not empty:
 * 1. primaries that are ready and not ejected;
 * 2. backups that are ready and not ejected;
 * 3. ready ones that are ejected, primaries first: ejection is a guess, a worker's short one or one by comparison, and all
 *    guesses together must not empty a pool;
 * 4. with `failOpen`, everything unready or unknown that is not ejected, primaries first. Draining and disabled endpoints stay
 *    out even then: they were taken out by somebody's decision, and fail-open is there to mistrust probes, not operators, and
 *    not refused connections either;
 * 5. with `failOpen`, the ejected among those.
 * Weight 0 means no share of the traffic, so such an endpoint is in none of them.
 */
export function select(plan: PoolPlan, endpoints: readonly Endpoint[], wallNow: number): Selection {
  const willing = endpoints.filter((endpoint) => endpoint.fullWeight > 0 && !endpoint.withdrawn());
  const ready = willing.filter((endpoint) => endpoint.isReady());
  const allowed = ready.filter((endpoint) => !endpoint.isEjected(wallNow));
  for (const [candidates, failOpen] of [
    [allowed, false],
    [ready, false],
    [plan.failOpen ? willing.filter((endpoint) => !endpoint.isEjected(wallNow)) : [], true],
    [plan.failOpen ? willing : [], true],
  ] as const) {
    if (candidates.length === 0) continue;
    const primaries = candidates.filter((endpoint) => !endpoint.backup);
    const tier = primaries.length > 0 ? primaries : candidates;
    return { ...preferZone(plan.zone, tier, endpoints), failOpen };
  }
  return { usable: [], spill: [], failOpen: false };
}

/**
 * Keeps to the balancer's own zone while at least half of that zone's weight is there; the others then only take what
 * finds the own zone full. With less than half left, the survivors would get more than twice their usual load, so all zones
 * of the tier share the traffic by weight until the zone is back.
 */
function preferZone(
  zone: string,
  tier: readonly Endpoint[],
  endpoints: readonly Endpoint[],
): { usable: readonly Endpoint[]; spill: readonly Endpoint[] } {
  if (zone === "") return { usable: tier, spill: [] };
  const near = tier.filter((endpoint) => endpoint.zone === zone);
  const backup = tier[0]!.backup;
  const all = endpoints.filter((endpoint) => endpoint.zone === zone && endpoint.backup === backup);
  if (near.length === 0 || weightOf(near) * 2 < weightOf(all)) return { usable: tier, spill: [] };
  return { usable: near, spill: tier.filter((endpoint) => endpoint.zone !== zone) };
}

function weightOf(endpoints: readonly Endpoint[]): number {
  let total = 0;
  for (const endpoint of endpoints) total += endpoint.fullWeight;
  return total;
}

/** Selects and builds. */
export function buildRotation(
  plan: PoolPlan,
  endpoints: readonly Endpoint[],
  wallNow: number,
  random: Random,
  surroundings: Surroundings,
): Rotation {
  const { usable, spill, failOpen } = select(plan, endpoints, wallNow);
  if (usable.length === 0) return emptyRotation;
  const warming = warmUp(plan, usable, failOpen, wallNow);
  return { usable, spill, failOpen, warming, pick: algorithms[plan.balance].build(usable, random, surroundings) };
}

/**
 * Sets everybody's weight as of now. Where nobody is known to be ready, nobody is known to be cold. Where keys belong to
 * endpoints, each step of a weight moves keys away from where they are at home, which only pays if somebody warm takes them.
 */
function warmUp(plan: PoolPlan, usable: readonly Endpoint[], failOpen: boolean, wallNow: number): boolean {
  const slowStart = failOpen ? 0 : plan.slowStart;
  const since = algorithms[plan.balance].needsKey
    ? warmSince(
        usable.map((one) => one.warmFrom()),
        slowStart,
      )
    : -Infinity;
  let warming = false;
  for (const endpoint of usable) {
    endpoint.warm(endpoint.warmFrom() >= since ? slowStart : 0, wallNow);
    if (endpoint.share < 1) warming = true;
  }
  return warming;
}
