// From plans to pools, and from one snapshot's pools to the next one's. Building changes nothing that lives, so a snapshot
// that is refused later leaves no trace; committing is one synchronous step.
import type { Address } from "../net/transport.ts";
import { Endpoint } from "./endpoint.ts";
import { endpointTls } from "./endpoint-tls.ts";
import type { PoolPlan } from "./plan.ts";
import { Pool, type PoolContext } from "./pool.ts";

export type { PoolContext } from "./pool.ts";

/**
 * Pools for a new snapshot, by name. A pool whose plan is word for word the same is the very same object; otherwise it is a
 * new one that shares queue, retry budget and, where id, address and slot are the same, the Endpoint objects with their
 * counters, idle connections and learned state. Nothing takes effect before `commitPools`.
 */
export function buildPools(
  plans: readonly PoolPlan[],
  previous: ReadonlyMap<string, Pool> | null,
  context: PoolContext,
): Map<string, Pool> {
  const pools = new Map<string, Pool>();
  for (const plan of plans) {
    const before = previous?.get(plan.name) ?? null;
    pools.set(plan.name, before !== null && samePlan(before.plan, plan) ? before : build(plan, before, context));
  }
  return pools;
}

/**
 * Puts built pools in place of the previous ones: settings of kept endpoints change, endpoints and pools that went away
 * retire their idle connections, exchanges in flight finish. Returns the pools that went away while requests wait in them
 * or something is under way there: tick them until they are no longer `unfinished`.
 */
export function commitPools(
  next: ReadonlyMap<string, Pool>,
  previous: ReadonlyMap<string, Pool> | null,
): readonly Pool[] {
  const removed: Pool[] = [];
  for (const [name, pool] of previous ?? []) {
    if (next.has(name)) continue;
    pool.retire();
    if (pool.unfinished) removed.push(pool);
  }
  for (const [name, pool] of next) if (previous?.get(name) !== pool) pool.commit();
  return removed;
}

function build(plan: PoolPlan, before: Pool | null, context: PoolContext): Pool {
  // A certificate that the runtime does not take is found out here, where nothing has changed yet.
  for (const endpoint of plan.endpoints.slice(0, 1)) endpointTls(plan, endpoint);
  const kept = new Map(before?.endpoints.map((endpoint) => [identity(endpoint), endpoint]));
  return new Pool(plan, before, context, (load) =>
    plan.endpoints.map((endpoint) => kept.get(identity(endpoint)) ?? new Endpoint(plan, endpoint, context, load)),
  );
}

/** All that gives an endpoint's counters and connections their meaning. A new slot is a new endpoint: its cells are others. */
function identity(of: { readonly id: string; readonly slot: number; readonly address: Address }): string {
  const { address } = of;
  const where = address.kind === "tcp" ? [address.host, address.port] : [address.path];
  return JSON.stringify([of.id, of.slot, ...where]);
}

function samePlan(a: PoolPlan, b: PoolPlan): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
