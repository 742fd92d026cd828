// The key by which ringHash and maglev choose an endpoint.
import { hashString } from "../base/hash.ts";
import type { HashKeyPlan } from "../pool/plan.ts";
import type { RequestView } from "./route/view.ts";

/** A 32-bit hash of what the plan names. A request without it is spread by the client's address instead. */
export function hashKey(plan: HashKeyPlan | null, request: RequestView): number {
  return hashString(keyOf(plan, request) ?? request.source());
}

function keyOf(plan: HashKeyPlan | null, request: RequestView): string | undefined {
  switch (plan?.from) {
    case "header":
      return request.header(plan.name);
    case "cookie":
      return request.cookie(plan.name);
    case "query":
      return request.query(plan.name);
    case "path":
      return request.path();
    case "source":
    case undefined:
      return undefined;
  }
}
