// Endpoints that are set while the program runs: what `up` knows of an instance, as a plan has it.
import type { EndpointPlan } from "../pool/plan.ts";

/** An endpoint set at run time. */
export interface RuntimeEndpoint {
  readonly id: string;
  /** What sticky clients belong to; `id` if left out. */
  readonly stableId?: string;
  readonly host: string;
  readonly port: number;
  readonly weight?: number;
  readonly zone?: string;
  readonly backup?: boolean;
}

/** As a plan has it, without a slot. */
export function runtimeEndpointPlan(endpoint: RuntimeEndpoint): EndpointPlan {
  const { id, stableId = id, host, port, weight = 1, zone = "", backup = false } = endpoint;
  return { slot: -1, id, stableId, address: { kind: "tcp", host, port }, weight, zone, backup };
}
