// hierarchy/: whether every timeout outlasts the ones below it, on each way from a client to a pool. Numbers in, verdicts and
// the nearest values that would do out (docs/timeouts-hierarchy.md). It must not know the text of a configuration, nor
// a running balancer: both ask it the same questions.

// This file: all that there is to say of a plan's hierarchy at once, for `plimsoll check --explain`.
import type { Path } from "../problem.ts";
import { hierarchyOf, mendAll } from "./judge.ts";
import { ladderOf, type Ladder, type Locate } from "./ladder.ts";
import { writtenMends, type WrittenChange } from "./say.ts";
import { waysOf, type HierarchyPlan } from "./ways.ts";

export interface Explanation {
  readonly ladders: readonly Ladder[];
  /** Values under which nothing is broken, all together; empty if nothing is, null if none were found. */
  readonly together: readonly WrittenChange[] | null;
}

/** Violations beyond which nobody wants them mended all at once. */
const mostTogether = 100;

export function explainHierarchy(plan: HierarchyPlan, locate: Locate, original: (path: Path) => Path): Explanation {
  const ways = waysOf(plan);
  const hierarchy = hierarchyOf(ways);
  const all = hierarchy.violations.length > mostTogether ? null : mendAll(hierarchy);
  const placed = all?.map((change) => ({ ...change, path: original(change.path) })) ?? null;
  return {
    ladders: ways.map((way) => ladderOf(way, locate)),
    together: placed === null ? null : writtenMends([placed]).flat(),
  };
}
