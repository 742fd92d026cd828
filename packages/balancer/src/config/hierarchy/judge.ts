// The rules against the ways, and the nearest values under which they hold.
import { formatPath, type Path } from "../problem.ts";
import { rules, type Compared, type Rule } from "./rules.ts";
import {
  settingNames,
  settingPlace,
  valuesOf,
  type Changes,
  type SettingName,
  type SettingPlace,
  type Values,
  type Way,
} from "./settings.ts";

/** A rule that one way breaks. */
export interface Violation {
  readonly way: Way;
  readonly rule: Rule;
  readonly severity: "error" | "warning";
  readonly compared: Compared;
  readonly values: Values;
}

/** One value to write. */
export interface Change {
  readonly path: Path;
  readonly key: string;
  /** Ms, or a count for `attempts`. */
  readonly value: number;
  readonly setting: SettingName;
}

/** Changes that, made together, mend a violation and break nothing else. */
export type Mend = readonly Change[];

export const noChanges: Changes = new Map();

/** Every violation, way by way in the order of the rules. */
export function judge(ways: readonly Way[], changes: Changes = noChanges): Violation[] {
  return ways.flatMap((way) => {
    const values = valuesOf(way, changes);
    return rules.flatMap((rule): Violation[] => {
      const compared = rule.compare(values);
      const severity = compared === null ? "fine" : verdict(rule, compared);
      return compared === null || severity === "fine" ? [] : [{ way, rule, severity, compared, values }];
    });
  });
}

export function verdict({ shorter, equal }: Rule, { upper, lower }: Compared): "error" | "warning" | "fine" {
  if (upper > lower) return "fine";
  return upper === lower ? equal : shorter;
}

/**
 * The same with one for all ways that share the upper value (a pool's drain window, say): the worst of them, because what
 * mends it mends the others.
 */
export function worstOf(violations: readonly Violation[]): Violation[] {
  const worst = new Map<string, Violation>();
  for (const violation of violations) {
    const known = worst.get(sharedKey(violation));
    if (known === undefined || deficit(violation) > deficit(known)) worst.set(sharedKey(violation), violation);
  }
  return violations.filter((violation) => worst.get(sharedKey(violation)) === violation);
}

function sharedKey({ way, rule }: Violation): string {
  return `${rule.id} ${placeOf(way, rule.lift).key}`;
}

function deficit({ compared }: Violation): number {
  return compared.lower - compared.upper;
}

/** Mends that are offered at most. */
const mostMends = 3;

/** A hierarchy to find mends in: the ways, and what each key takes part in. */
export interface Hierarchy {
  readonly ways: readonly Way[];
  readonly byKey: ReadonlyMap<string, readonly Way[]>;
  /** What is changed already. */
  readonly base: Changes;
  /** What is broken after that. */
  readonly violations: readonly Violation[];
  /** By how much, by `keyOf`. */
  readonly deficits: ReadonlyMap<string, number>;
}

export function hierarchyOf(ways: readonly Way[]): Hierarchy {
  const byKey = new Map<string, Way[]>();
  for (const way of ways) {
    for (const name of settingNames) {
      for (const { key } of way.settings[name]) {
        const known = byKey.get(key);
        if (known === undefined) byKey.set(key, [way]);
        else known.push(way);
      }
    }
  }
  return withBase({ ways, byKey }, noChanges);
}

function withBase({ ways, byKey }: Pick<Hierarchy, "ways" | "byKey">, base: Changes): Hierarchy {
  const violations = judge(ways, base);
  return { ways, byKey, base, violations, deficits: new Map(violations.map((each) => [keyOf(each), deficit(each)])) };
}

/**
 * What would mend a violation, best first: one value, as near as can be to what it is now, and whatever must rise with it so
 * that no other rule breaks for it or is broken further. What only this program's settings can do comes first, because the
 * rest is set elsewhere. At least one, unless a number would grow beyond all bounds.
 */
export function mendsOf(violation: Violation, hierarchy: Hierarchy): Mend[] {
  const { rule, values } = violation;
  const raised = search(violation, hierarchy, rule.lift, "raise");
  const lowered = rule.lowers(values).map((setting) => search(violation, hierarchy, setting, "lower"));
  // What waits too shortly is made to wait longer, unless that is for somebody else to do.
  const found = declaredSettings.has(rule.lift) ? [...lowered, raised] : [raised, ...lowered];
  const mends = found
    .filter((mend) => mend !== null)
    .filter((mend) => judgeAfter(mend, hierarchy).every((each) => sharedKey(each) !== sharedKey(violation)));
  return mends.sort((a, b) => outside(a) - outside(b)).slice(0, mostMends);
}

/** How many values somebody else would have to change; half a one more where that is where it begins. */
function outside(mend: Mend): number {
  const first = mend[0] !== undefined && declaredSettings.has(mend[0].setting) ? 0.5 : 0;
  return first + mend.filter(({ setting }) => declaredSettings.has(setting)).length;
}

/** Set by somebody else than this balancer. */
export const declaredSettings: ReadonlySet<SettingName> = new Set<SettingName>([
  "client",
  "app",
  "downstream",
  "keepAlive",
  "stopGrace",
  "ownGrace",
]);

/**
 * Changes after which nothing is broken: mend by mend, the best of each. Empty if nothing is broken; null if there are
 * none.
 */
export function mendAll(whole: Hierarchy): Mend | null {
  const all = new Map<string, Change>();
  let hierarchy = whole;
  // Each round takes at least one violation away and adds none.
  for (let rounds = whole.violations.length; ; rounds--) {
    const [first] = worstOf(hierarchy.violations);
    if (first === undefined) return [...all.values()];
    const [mend] = mendsOf(first, hierarchy);
    if (mend === undefined || rounds <= 0) return null;
    for (const change of mend) all.set(change.key, change);
    hierarchy = withBase(whole, changesOf([...all.values()]));
  }
}

/** What is broken, on the ways that a mend touches, when it is made. */
function judgeAfter(mend: Mend, { byKey, base }: Hierarchy): Violation[] {
  const touched = new Set(mend.flatMap(({ key }) => byKey.get(key) ?? []));
  return judge([...touched], withMend(base, mend));
}

function search(violation: Violation, hierarchy: Hierarchy, setting: SettingName, direction: Direction): Mend | null {
  const { base, deficits, ways } = hierarchy;
  const first = nearest(violation, setting, direction, base);
  if (first === null) return null;
  const mend = [first];
  // Raising goes up the ladder only, so this ends; the bound is for the day on which a rule does not.
  for (let round = 0; round < 16 * ways.length; round++) {
    const broken = judgeAfter(mend, hierarchy).find((each) => deficit(each) > (deficits.get(keyOf(each)) ?? -1));
    if (broken === undefined) return mend;
    // A smaller value that drags others up with it is no smaller a change than raising in the first place.
    if (direction === "lower") return null;
    const next = nearest(broken, broken.rule.lift, "raise", withMend(base, mend));
    if (next === null) return null;
    const same = mend.findIndex(({ key }) => key === next.key);
    if (same < 0) mend.push(next);
    else mend[same] = next;
  }
  return null;
}

function keyOf({ way, rule }: Violation): string {
  return `${formatPath(way.path)} ${way.pool} ${rule.id}`;
}

export function changesOf(mend: Mend): Map<string, number> {
  return new Map(mend.map(({ key, value }) => [key, value]));
}

function withMend(base: Changes, mend: Mend): Map<string, number> {
  return new Map([...base, ...changesOf(mend)]);
}

/** Longest duration that a configuration can hold, ms. */
const longest = 3650 * 86_400_000;

type Direction = "lower" | "raise";

/** The value of one setting, nearest to what it is, under which the rule is kept in full; null if there is none. */
function nearest(
  { way, rule }: Violation,
  setting: SettingName,
  direction: Direction,
  changes: Changes,
): Change | null {
  const { path, key } = placeOf(way, setting);
  const now = valuesOf(way, changes)[setting];
  const holds = (value: number): boolean => {
    const compared = rule.compare(valuesOf(way, new Map([...changes, [key, value]])));
    return compared !== null && verdict(rule, compared) === "fine";
  };
  const found = direction === "raise" ? least(holds, now, setting) : most(holds, now === 0 ? longest : now);
  if (found === null) return null;
  const value = round(found, setting, direction);
  return value > 0 && value <= longest && value !== now && holds(value) ? { path, key, value, setting } : null;
}

/** The key to write: the way's own, so that a route's mend is the route's alone. */
function placeOf(way: Way, setting: SettingName): SettingPlace {
  return way.settings[setting][0] ?? settingPlace([], null);
}

/** The smallest value above `now` that holds. */
function least(holds: (value: number) => boolean, now: number, setting: SettingName): number | null {
  if (setting === "attempts") return null;
  let high = Math.max(1, now);
  while (!holds(high)) {
    if (high > longest) return null;
    high *= 2;
  }
  let low = now;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** The largest value below `now` that holds. */
function most(holds: (value: number) => boolean, now: number): number | null {
  if (!holds(1)) return null;
  let low = 1;
  let high = now;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** People write 57s, not 56499ms: down to a hundredth or so of the value, never beyond the bound. */
function round(value: number, setting: SettingName, direction: Direction): number {
  if (setting === "attempts") return value;
  const step = stepOf(value);
  return (direction === "raise" ? Math.ceil(value / step) : Math.floor(value / step)) * step;
}

/** The step in which values of this size are suggested, ms. */
export function stepOf(value: number): number {
  if (value >= 2_000) return 1_000;
  if (value >= 200) return 100;
  return value >= 20 ? 10 : 1;
}
