// explain/: says which way a request would take, and why no other. It asks the engine's own parts, so that it cannot be of
// another opinion; it must not know how they decide.

// This file: who of a pool would get the request.
import type { PoolSource } from "@plimsoll/balancer/src/config/plan.ts";
import { EndpointState, SharedTable, StateCell } from "@plimsoll/balancer/src/observe/table.ts";
import { algorithms } from "@plimsoll/balancer/src/pool/balance/table.ts";
import { Endpoint } from "@plimsoll/balancer/src/pool/endpoint.ts";
import type { AlgorithmName, PoolPlan } from "@plimsoll/balancer/src/pool/plan.ts";
import { buildRotation } from "@plimsoll/balancer/src/pool/rotation.ts";
import { hashKey } from "@plimsoll/balancer/src/proxy/hash-key.ts";
import { explainSticky } from "./sticky.ts";
import type { RequestView } from "@plimsoll/balancer/src/proxy/route/view.ts";

/** What a running balancer says of an endpoint. */
export interface LiveEndpoint {
  readonly id: string;
  readonly state: string;
  readonly reason: string;
  readonly inFlight: number;
  /** Why it is ejected as an outlier. */
  readonly ejection?: { readonly reason: string } | null;
  /** Until when it is kept out because connecting to it failed; 0 while it is not. */
  readonly unreachableUntil?: number;
  /** Share of its weight that it has; less than 1 while it warms up. */
  readonly share?: number;
}

/** The pool's answer to a request. */
export interface PoolExplanation {
  readonly pool: string;
  readonly balance: AlgorithmName;
  /** How one of the rotation is chosen, in words. */
  readonly how: string;
  /** How clients are kept at their endpoint, and what that means for this one; null where they are not. */
  readonly sticky: { readonly how: string; readonly found: string } | null;
  /** The endpoint, where the request alone decides (a hash, where its client belongs, or only one candidate); else "". */
  readonly chosen: string;
  readonly rotation: readonly string[];
  /** Nobody is ready; these are asked all the same. */
  readonly failOpen: boolean;
  readonly passed: readonly { readonly endpoint: string; readonly why: string }[];
  /** Names that only a running balancer resolves. */
  readonly names: readonly string[];
}

/** Asks the pool's own rotation and algorithm. `live` null: states are unknown and all are taken for ready. */
export function explainPool(
  source: PoolSource,
  view: RequestView,
  live: readonly LiveEndpoint[] | null,
  now: number,
): PoolExplanation {
  const plan = withSlots(source.pool, live);
  const table = SharedTable.local({
    workers: 1,
    endpoints: Math.max(1, plan.endpoints.length),
    pools: 1,
    listeners: 1,
  });
  const clock = { now: () => 0, wall: () => 0 };
  const load = { own: 0, others: 0 };
  const endpoints = plan.endpoints.map((each) => new Endpoint(plan, each, { table, row: 0, clock }, load));
  for (const endpoint of endpoints) {
    const seen = live?.find(({ id }) => id === endpoint.id);
    const state = live === null ? "ready" : (seen?.state ?? "unknown");
    const at = table.state(endpoint.slot);
    table.cells[at + StateCell.state] = EndpointState[state as keyof typeof EndpointState] ?? EndpointState.unknown;
    if ((seen?.unreachableUntil ?? 0) > 0) table.cells[at + StateCell.passiveUntil] = Infinity;
    if ((seen?.ejection ?? null) !== null) table.cells[at + StateCell.ejectedUntil] = Infinity;
    // It is time 0 here: what has risen to this share began so long ago.
    const share = seen?.share ?? 1;
    if (share < 1) table.cells[at + StateCell.warmFrom] = -share * plan.slowStart;
  }
  const surroundings = { clock, load, hashBalance: 0 };
  const rotation = buildRotation(plan, endpoints, 0, () => 0, surroundings);
  const byKey = algorithms[plan.balance].needsKey;
  // Names that nobody has resolved yet may bring any number of others.
  const complete = live !== null || source.names.length === 0;
  const decided = complete && (byKey || rotation.usable.length === 1);
  const sticky =
    plan.sticky === null
      ? null
      : explainSticky(
          plan.sticky,
          view,
          { table, slot: 0, endpoints, weights: plan.endpoints.map(({ weight }) => weight) },
          new Set(rotation.usable),
          now,
        );
  const own = complete || plan.sticky?.by === "cookie" ? (sticky?.endpoint ?? null) : null;
  const chosen = own !== null ? own.id : decided ? (rotation.pick?.(hashKey(plan.hashKey, view)).id ?? "") : "";
  return {
    pool: plan.name,
    balance: plan.balance,
    how: algorithms[plan.balance].how,
    sticky: sticky === null ? null : { how: sticky.how, found: sticky.found },
    chosen,
    rotation: rotation.usable.map(({ id }) => id),
    failOpen: rotation.failOpen,
    passed: endpoints
      .filter((endpoint) => (chosen === "" ? !rotation.usable.includes(endpoint) : endpoint.id !== chosen))
      .map((endpoint) => ({ endpoint: endpoint.id, why: whyPassed(endpoint, rotation.usable, plan, live, own) })),
    names: source.names.map(({ id }) => id),
  };
}

function whyPassed(
  endpoint: Endpoint,
  usable: readonly Endpoint[],
  plan: PoolPlan,
  live: readonly LiveEndpoint[] | null,
  own: Endpoint | null,
): string {
  if (usable.includes(endpoint)) {
    return own === null
      ? "is in rotation, but the key belongs to another"
      : "is in rotation, but the client belongs to another";
  }
  if (endpoint.weight === 0) return "has weight 0";
  const seen = live?.find(({ id }) => id === endpoint.id);
  const usableState =
    seen === undefined || seen.state === "ready" || (seen.state === "unknown" && plan.readiness === null);
  if (live !== null && seen === undefined) return "is not known to the running balancer";
  if (seen !== undefined && !usableState) return `is ${seen.state}${seen.reason === "" ? "" : `: ${seen.reason}`}`;
  if ((seen?.unreachableUntil ?? 0) > 0) return "is out for a moment, because connecting to it failed";
  const ejection = seen?.ejection ?? null;
  if (ejection !== null) return `is ejected: ${ejection.reason}`;
  if (endpoint.backup) return "is a backup, and there are usable ones that are not";
  if (endpoint.zone !== plan.zone) return `is in zone "${endpoint.zone}", and zone "${plan.zone}" has usable ones`;
  return "is not in rotation";
}

/** Gives endpoints rows of a table of their own, those of a running pool instead of the configured ones if they differ. */
function withSlots(pool: PoolPlan, live: readonly LiveEndpoint[] | null): PoolPlan {
  const known = new Set(pool.endpoints.map(({ id }) => id));
  const resolved = (live ?? [])
    .filter(({ id }) => !known.has(id))
    .map(({ id }) => ({
      slot: 0,
      id,
      stableId: id,
      address: { kind: "unix", path: id } as const,
      weight: 1,
      zone: "",
      backup: false,
    }));
  return { ...pool, endpoints: [...pool.endpoints, ...resolved].map((endpoint, slot) => ({ ...endpoint, slot })) };
}
