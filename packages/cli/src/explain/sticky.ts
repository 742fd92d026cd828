// Where the client of a request belongs, if its pool keeps clients together.
import type { Endpoint } from "@plimsoll/balancer/src/pool/endpoint.ts";
import type { StickyPlan } from "@plimsoll/balancer/src/pool/plan.ts";
import { whyNotKept } from "@plimsoll/balancer/src/pool/stick/keep.ts";
import { Carried, newVisit, type StickSurroundings } from "@plimsoll/balancer/src/pool/stick/stick.ts";
import { sticks } from "@plimsoll/balancer/src/pool/stick/table.ts";
import type { RequestView } from "@plimsoll/balancer/src/proxy/route/view.ts";

export interface StickyExplanation {
  /** What clients are known by: "by a signed cookie of the balancer's own". */
  readonly how: string;
  /** What the request carries and where that leads, in a sentence. */
  readonly found: string;
  /** Where it goes because of that; null when it does not decide. */
  readonly endpoint: Endpoint | null;
}

/** @param now Wall-clock ms, for cookies that hold for a time. */
export function explainSticky(
  plan: StickyPlan,
  view: RequestView,
  surroundings: Omit<StickSurroundings, "inRotation">,
  rotation: ReadonlySet<Endpoint>,
  now: number,
): StickyExplanation {
  const { how } = sticks[plan.by];
  const stick = sticks[plan.by].build(plan, { ...surroundings, inRotation: (endpoint) => rotation.has(endpoint) });
  const visit = newVisit();
  stick.read(view, now, visit);
  const what =
    plan.by === "header" ? `header "${plan.name}"` : plan.by === "source" ? "address" : `cookie "${plan.name}"`;
  const home = visit.endpoint;
  if (plan.by === "appCookie" && visit.carried !== Carried.nothing) {
    const hash = home === null ? "" : `; if nobody has learned it, its hash leads to ${home.id}`;
    return {
      how,
      found: `whoever set its ${what} has it, which only the running balancer knows${hash}`,
      endpoint: null,
    };
  }
  if (home === null) return { how, found: found(plan, visit.carried, what), endpoint: null };
  if (visit.carried === Carried.hashed) {
    return { how, found: `the hash of its ${what} belongs to ${home.id}`, endpoint: home };
  }
  const why = whyNotKept(home, plan, rotation, 0);
  if (why !== "") {
    return { how, found: `its ${what} names ${home.id}, which ${why}; the answer names another`, endpoint: null };
  }
  const renewed = visit.stale ? "; the answer renews it" : "";
  return { how, found: `its ${what} names ${home.id}${renewed}`, endpoint: home };
}

function found(plan: StickyPlan, carried: number, what: string): string {
  const then = plan.by === "cookie" ? "; the answer gives it one" : "";
  if (carried === Carried.expired) return `its ${what} has expired${then.replace("one", "another")}`;
  if (carried === Carried.unknown) {
    return `its ${what} is not believed: forged, of another secret, or of an endpoint that left${then.replace("one", "another")}`;
  }
  if (carried === Carried.hashed) return "nobody is in rotation";
  return `it has no ${what}, so it belongs nowhere yet${then}`;
}
