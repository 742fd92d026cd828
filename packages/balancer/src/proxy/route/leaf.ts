// The routes of one host and one path, in their order. Methods and conditions are asked one route after another, but a
// run of routes that want different values of the same header, cookie or parameter (a tenant each) is one Map.
import { byText, conditionKey, conditionValue, restHolds, type Condition, type Matcher } from "./matcher.ts";
import { compareRanks } from "./rank.ts";
import type { RequestView } from "./view.ts";

/** A run at least this long becomes a Map: below, asking each is no slower. */
const runLength = 4;

type Group =
  | { readonly kind: "one"; readonly matcher: Matcher }
  | { readonly kind: "run"; readonly by: Condition; readonly values: ReadonlyMap<string, readonly Matcher[]> };

export interface Leaf {
  readonly groups: readonly Group[];
}

/** A leaf of routes that share host and path. */
export function buildLeaf(matchers: readonly Matcher[]): Leaf {
  const sorted = [...matchers].sort(
    (a, b) => compareRanks(a, b) || byText(leadKey(a), leadKey(b)) || a.index - b.index,
  );
  const groups: Group[] = [];
  for (let from = 0; from < sorted.length;) {
    const first = sorted[from]!;
    const key = leadKey(first);
    let to = from + 1;
    while (key !== "" && to < sorted.length && leadKey(sorted[to]!) === key) to++;
    if (to - from >= runLength) groups.push(runOf(sorted.slice(from, to)));
    else for (const matcher of sorted.slice(from, to)) groups.push({ kind: "one", matcher });
    from = to;
  }
  return { groups };
}

/** Index of the first route that takes the request, or -1. */
export function firstOf(leaf: Leaf, view: RequestView): number {
  const { groups } = leaf;
  for (let i = 0; i < groups.length; i++) {
    const group = groups[i]!;
    if (group.kind === "one") {
      if (restHolds(group.matcher, view)) return group.matcher.index;
      continue;
    }
    const value = conditionValue(group.by, view);
    const candidates = value === undefined ? undefined : group.values.get(value);
    if (candidates === undefined) continue;
    for (let j = 0; j < candidates.length; j++) {
      const matcher = candidates[j]!;
      if (restHolds(matcher, view)) return matcher.index;
    }
  }
  return -1;
}

function runOf(matchers: readonly Matcher[]): Group {
  const values = new Map<string, Matcher[]>();
  for (const matcher of matchers) {
    const { match } = matcher.conditions[0]!;
    if (match.kind !== "exact") continue;
    const list = values.get(match.value);
    if (list === undefined) values.set(match.value, [matcher]);
    else list.push(matcher);
  }
  return { kind: "run", by: matchers[0]!.conditions[0]!, values };
}

/** Key of the first condition if that asks for an exact value (those are sorted first), else "". */
function leadKey(matcher: Matcher): string {
  const first = matcher.conditions[0];
  return first?.match.kind === "exact" ? conditionKey(first) : "";
}
