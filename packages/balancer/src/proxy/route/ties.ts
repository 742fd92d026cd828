// Routes that could tie: one request matches both, and the documented order puts neither first. The check refuses them,
// because then only the order in the file could decide, and that decides nothing here.
import type { RoutePlan } from "../plan.ts";
import { compileMatchers, conditionHolds, conditionKey, sourcesMeet, type Condition, type Matcher } from "./matcher.ts";
import { push } from "./path-table.ts";
import { compareRanks, hostText, pathText, rankKey } from "./rank.ts";

/** Two routes by their places in the list, and in words how they tie. */
export interface Tie {
  readonly a: number;
  readonly b: number;
  readonly why: string;
}

/** Nobody reads more. */
const mostTies = 1000;

/**
 * Pairs that could tie, `a` before `b` in the file; no more than a thousand besides plain duplicates. Expects a validated
 * plan.
 */
export function findTies(routes: readonly RoutePlan[]): readonly Tie[] {
  const matchers = compileMatchers(routes);
  const sameRank = new Map<string, Matcher[]>();
  const samePlace = new Map<string, Matcher[]>();
  for (const matcher of matchers) {
    push(sameRank, rankKey(matcher), matcher);
    push(samePlace, placeKey(matcher), matcher);
  }
  const ties: Tie[] = [];
  for (const group of sameRank.values()) {
    for (const [a, b] of pairsThatMayMeet(withoutDuplicates(group, ties))) {
      if (ties.length >= mostTies) break;
      if (!canMeet(a, b) || decidedByThird(a, b, samePlace.get(placeKey(a)) ?? [])) continue;
      ties.push({ a: a.index, b: b.index, why: inWords(a, b) });
    }
  }
  return ties.sort((x, y) => x.a - y.a || x.b - y.b);
}

/** The first of each sort; what is the same again is noted as a tie with the first, so n copies are n ties, not n squared. */
function withoutDuplicates(group: readonly Matcher[], ties: Tie[]): readonly Matcher[] {
  const firsts = new Map<string, Matcher>();
  for (const matcher of group) {
    const key = restKey(matcher);
    const first = firsts.get(key);
    if (first === undefined) firsts.set(key, matcher);
    else ties.push({ a: first.index, b: matcher.index, why: duplicateInWords(first, matcher) });
  }
  return [...firsts.values()];
}

function placeKey(matcher: Matcher): string {
  return JSON.stringify([hostText(matcher), pathText(matcher)]);
}

/**
 * All pairs of a group, except those that want different values of the same thing: ten thousand routes with a tenant each
 * are ten thousand groups of one, not fifty million pairs.
 */
function* pairsThatMayMeet(group: readonly Matcher[]): Generator<readonly [Matcher, Matcher]> {
  const shared = group.length > 2 ? sharedExact(group) : null;
  if (shared !== null) {
    const byValue = new Map<string, Matcher[]>();
    for (const matcher of group) push(byValue, exactValue(matcher, shared) ?? "", matcher);
    for (const part of byValue.values()) yield* allPairs(part);
    return;
  }
  yield* allPairs(group);
}

function* allPairs(group: readonly Matcher[]): Generator<readonly [Matcher, Matcher]> {
  for (let i = 0; i < group.length; i++) {
    for (let j = i + 1; j < group.length; j++) yield [group[i]!, group[j]!];
  }
}

/** What every route of the group wants an exact value of, or null. */
function sharedExact(group: readonly Matcher[]): string | null {
  for (const condition of group[0]!.conditions) {
    if (condition.match.kind !== "exact") continue;
    const key = conditionKey(condition);
    if (group.every((matcher) => exactValue(matcher, key) !== undefined)) return key;
  }
  return null;
}

function exactValue(matcher: Matcher, key: string): string | undefined {
  for (const condition of matcher.conditions) {
    if (condition.match.kind === "exact" && conditionKey(condition) === key) return condition.match.value;
  }
  return undefined;
}

/** Whether one request could match both; host and path are the same already. When in doubt, yes. */
function canMeet(a: Matcher, b: Matcher): boolean {
  if (a.methods !== null && b.methods !== null && a.methods.isDisjointFrom(b.methods)) return false;
  if (!sourcesMeet(a, b)) return false;
  return a.conditions.every((x) => b.conditions.every((y) => conditionKey(x) !== conditionKey(y) || compatible(x, y)));
}

function compatible(a: Condition, b: Condition): boolean {
  if (a.match.kind === "exact") return conditionHolds(b, a.match.value);
  if (b.match.kind === "exact") return conditionHolds(a, b.match.value);
  return true;
}

/** Whether a more specific route takes everything that both match, so that they never meet. */
function decidedByThird(a: Matcher, b: Matcher, place: readonly Matcher[]): boolean {
  return place.some((c) => compareRanks(c, a) < 0 && compareRanks(c, b) < 0 && takesAllOf(c, a, b));
}

function takesAllOf(c: Matcher, a: Matcher, b: Matcher): boolean {
  if (c.methods !== null) {
    const both = a.methods === null ? b.methods : b.methods === null ? a.methods : a.methods.intersection(b.methods);
    if (both === null || !both.isSubsetOf(c.methods)) return false;
  }
  if (c.alpn !== null && !(isWithin(a.alpn, c.alpn) || isWithin(b.alpn, c.alpn))) return false;
  if (c.sourceSet !== null && !sameSources(c, a) && !sameSources(c, b)) return false;
  return c.conditions.every((wanted) => [...a.conditions, ...b.conditions].some((given) => implies(given, wanted)));
}

/** Whether whoever offers one of these offers one of those, too. */
function isWithin(these: ReadonlySet<string> | null, those: ReadonlySet<string>): boolean {
  return these !== null && these.isSubsetOf(those);
}

function implies(given: Condition, wanted: Condition): boolean {
  if (conditionKey(given) !== conditionKey(wanted)) return false;
  if (given.match.kind === "exact") return conditionHolds(wanted, given.match.value);
  if (wanted.match.kind === "present") return true;
  return given.match.kind === "regex" && wanted.match.kind === "regex" && given.match.source === wanted.match.source;
}

function sameSources(a: Matcher, b: Matcher): boolean {
  return b.sourceSet !== null && rangesKey(a) === rangesKey(b);
}

function duplicateInWords(a: Matcher, b: Matcher): string {
  return `"${a.name}" and "${b.name}" match exactly the same: host ${hostText(a)}, path ${pathText(a)}${restText(a)}`;
}

function inWords(a: Matcher, b: Matcher): string {
  const place = `host ${hostText(a)} and path ${pathText(a)}`;
  if (a.alpn !== null && b.alpn !== null) {
    return (
      `"${a.name}" and "${b.name}" have ${hostText(a)}, a client may offer protocols of both (${protocolsText(a)} and ` +
      `${protocolsText(b)}), and neither is more specific; leave alpn out of one of them`
    );
  }
  return (
    `"${a.name}" and "${b.name}" have ${place}, one request can match both${meetingText(a, b)}, and neither is more ` +
    "specific; make them exclude each other, or add a route for requests that match both"
  );
}

/** Methods, conditions and sources. */
function restText(matcher: Matcher): string {
  const methods = matcher.methods === null ? "" : `, methods ${[...matcher.methods].sort().join(" ")}`;
  const protocols = matcher.alpn === null ? "" : `, alpn ${protocolsText(matcher)}`;
  const conditions = matcher.conditions.map((condition) => ", " + conditionText(condition)).join("");
  return (
    methods +
    protocols +
    conditions +
    (matcher.sourceSet === null ? "" : `, source ${matcher.sourceTexts.join(" or ")}`)
  );
}

/** The same for two matchers of one place exactly if they match the same requests in the same words. */
function restKey(matcher: Matcher): string {
  const methods = [...(matcher.methods ?? ["any"])].sort();
  return JSON.stringify([
    methods,
    matcher.alpn === null ? "any" : protocolsText(matcher),
    matcher.conditions.map(conditionText),
    matcher.sourceSet === null ? "" : rangesKey(matcher),
  ]);
}

function protocolsText(matcher: Matcher): string {
  return [...(matcher.alpn ?? [])].sort().join(" or ");
}

function rangesKey(matcher: Matcher): string {
  return (
    "in " +
    matcher.sources
      .map((cidr) => `${cidr.bytes.join(".")}/${cidr.bits}`)
      .sort()
      .join()
  );
}

function meetingText(a: Matcher, b: Matcher): string {
  const keys = new Map([...a.conditions, ...b.conditions].map((condition) => [conditionText(condition), true]));
  const methods = a.methods !== null && b.methods !== null ? [...a.methods.intersection(b.methods)] : [];
  const parts = [...(methods.length > 0 ? [methods.join(" or ")] : []), ...keys.keys()];
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`;
}

/** As an operator would say it: `header x-canary "1"`. */
export function conditionText(condition: Condition): string {
  const { from, name, match } = condition;
  if (match.kind === "present") return `${from} ${name}`;
  return `${from} ${name} ` + (match.kind === "exact" ? JSON.stringify(match.value) : `~${match.source}`);
}
