// Whether an endpoint may have a request of a client that belongs to it. One opinion for workers and for `explain`.
import { EndpointState } from "../../observe/table.ts";
import type { Endpoint } from "../endpoint.ts";
import type { StickyPlan } from "../plan.ts";

/**
 * "" when it may, else why not, completing "127.0.0.1:3001 ...". Weight 0 and backup are no reason: they say who gets new
 * clients, and moving a client back and forth with them would cost its session twice. `rotation` holds those that take new
 * ones now: who is in it may always have its own, also when nobody is ready and the pool fails open.
 */
export function whyNotKept(
  endpoint: Endpoint,
  plan: StickyPlan,
  rotation: ReadonlySet<Endpoint>,
  wallNow: number,
): string {
  const state = endpoint.state();
  if (state === EndpointState.disabled) return "is disabled";
  if (endpoint.ejected || endpoint.isEjected(wallNow)) {
    return rotation.has(endpoint) && !endpoint.ejected ? "" : "is kept out of rotation for what it did a moment ago";
  }
  if (state === EndpointState.draining) {
    if (!plan.whileDraining) return "is draining, and its clients move at once";
    return endpoint.drainWindowOpen(wallNow) ? "" : "is draining, and its window is over";
  }
  return endpoint.isReady() || rotation.has(endpoint) ? "" : "is not ready";
}
