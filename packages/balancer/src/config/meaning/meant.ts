// What the checks of meaning look at.
import type { Plan } from "../plan.ts";
import type { Path } from "../problem.ts";
import type { Config } from "../schema/config.ts";

/** What is looked at. */
export interface Meant {
  readonly config: Config;
  /** Made from `config`; listeners and routes in the same order. */
  readonly plan: Plan;
  /** Every pool that was written, also those which are too wrong to be in `config`. */
  readonly poolNames: readonly string[];
  /** Whether something stands at a path of `config` in what was written, rather than by default. */
  readonly isWritten: (path: Path) => boolean;
  /** Where something at a path of `config` stands in what was written. */
  readonly original: (path: Path) => Path;
}
