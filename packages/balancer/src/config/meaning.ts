// What the schema cannot see: whether the parts of a configuration fit together. One file for each kind of part, one
// line for each here.
import { checkAddresses } from "./meaning/addresses.ts";
import { checkPools } from "./meaning/pools.ts";
import { checkReferences } from "./meaning/references.ts";
import { checkRoutes } from "./meaning/routes.ts";
import { checkTies } from "./meaning/ties.ts";
import type { Plan } from "./plan.ts";
import type { Finding } from "./problem.ts";
import type { Config } from "./schema/config.ts";

/** What is looked at. */
export interface Meant {
  readonly config: Config;
  /** Made from `config`; listeners and routes in the same order. */
  readonly plan: Plan;
  /** Every pool that was written, also those which are too wrong to be in `config`. */
  readonly poolNames: readonly string[];
}

type Check = (meant: Meant) => Finding[];

const checks: readonly Check[] = [checkAddresses, checkPools, checkRoutes, checkReferences, checkTies];

export function checkMeaning(meant: Meant): Finding[] {
  return checks.flatMap((check) => check(meant));
}
