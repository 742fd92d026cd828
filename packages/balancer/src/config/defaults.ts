// Defaults that have no place in the schema, because what is left out there is taken from elsewhere first.
import type { RetryPlan } from "../pool/plan.ts";

/** Tries and budget of a pool that says nothing. More tries double orders and feed storms. */
export const defaultRetry: RetryPlan = {
  attempts: 2,
  budget: 0.2,
  on: ["connect", "reset"],
  idempotencyKey: false,
  hedge: 0,
};

/** Statuses that mean ready. */
export const defaultExpect: readonly (readonly [number, number])[] = [[200, 299]];

/** Ms between two probes while a change is near. */
export const defaultFastInterval = 1_000;
