// One route's match, compiled: its parts in canonical form, its conditions as values that can be asked, its rank.
import { CidrSet, overlaps, parseCidr, type Cidr } from "../../base/cidr.ts";
import type { HostMatch, MatchPlan, RoutePlan, ValueMatch } from "../plan.ts";
import { canonicalPath, canonicalPrefix } from "./canonical.ts";
import { literalStart } from "./literal-start.ts";
import type { RequestView } from "./view.ts";

/** One condition on a header, a query parameter or a cookie. */
export interface Condition {
  readonly from: "header" | "query" | "cookie";
  readonly name: string;
  readonly match: ValueMatch;
  /** Of a regex condition, else null. */
  readonly regex: RegExp | null;
}

/** How a route matches paths. Prefix "/" is any: nobody who writes "/*" means something else. */
export type PathForm =
  | { readonly kind: "any" }
  | { readonly kind: "exact"; readonly path: string }
  | { readonly kind: "prefix"; readonly path: string; readonly segments: readonly string[] }
  | { readonly kind: "regex"; readonly source: string; readonly regex: RegExp; readonly segments: readonly string[] };

export interface Matcher {
  /** Place in the list of routes. */
  readonly index: number;
  readonly name: string;
  readonly host: HostMatch;
  readonly path: PathForm;
  /** null = every method. GET brings HEAD with it (RFC 9110 §9.3.2: they are one resource). */
  readonly methods: ReadonlySet<string> | null;
  /** One of them has to be offered; null = whatever is. */
  readonly alpn: ReadonlySet<string> | null;
  /** Sorted by kind and name; those with an exact value first, because they are cheapest to ask. */
  readonly conditions: readonly Condition[];
  readonly sources: readonly Cidr[];
  /** As written. */
  readonly sourceTexts: readonly string[];
  readonly sourceSet: CidrSet | null;
}

/** Compiles all matches. Expects a validated plan: a regex that does not compile throws SyntaxError. */
export function compileMatchers(routes: readonly RoutePlan[]): readonly Matcher[] {
  return routes.map((route, index) => compileMatcher(route, index));
}

function compileMatcher(route: RoutePlan, index: number): Matcher {
  const { match } = route;
  const sources = match.sources.map(parseCidr).filter((cidr) => cidr !== null);
  return {
    index,
    name: route.name,
    host: match.host,
    path: pathForm(match),
    methods: methodSet(match.methods),
    alpn: match.alpn.length === 0 ? null : new Set(match.alpn),
    conditions: conditionsOf(match),
    sources,
    sourceTexts: match.sources,
    // A list of which nothing could be read must match nobody, not everybody.
    sourceSet: match.sources.length === 0 ? null : new CidrSet(sources),
  };
}

function pathForm(match: MatchPlan): PathForm {
  const { path } = match;
  if (path.kind === "exact") return { kind: "exact", path: canonicalPath(path.path) };
  if (path.kind === "regex") {
    const segments = literalStart(path.source);
    return { kind: "regex", source: path.source, regex: new RegExp(path.source), segments };
  }
  if (path.kind === "any") return path;
  const prefix = canonicalPrefix(path.path);
  return prefix === "" ? { kind: "any" } : { kind: "prefix", path: prefix, segments: prefix.slice(1).split("/") };
}

function methodSet(methods: readonly string[]): ReadonlySet<string> | null {
  if (methods.length === 0) return null;
  const set = new Set(methods);
  if (set.has("GET")) set.add("HEAD");
  return set;
}

function conditionsOf(match: MatchPlan): readonly Condition[] {
  const all: Condition[] = [];
  const take = (from: Condition["from"], list: readonly (readonly [string, ValueMatch])[]): void => {
    for (const [name, value] of list) {
      all.push({ from, name, match: value, regex: value.kind === "regex" ? new RegExp(value.source) : null });
    }
  };
  take("header", match.headers);
  take("query", match.query);
  take("cookie", match.cookies);
  const cost = (c: Condition): number => (c.match.kind === "exact" ? 0 : c.match.kind === "present" ? 1 : 2);
  return all.sort((a, b) => cost(a) - cost(b) || byText(conditionKey(a), conditionKey(b)));
}

/** What a condition asks of the request: conditions with equal keys look at the same value. */
export function conditionKey(condition: Condition): string {
  return condition.from + " " + condition.name;
}

/** The value that a condition looks at, or undefined. */
export function conditionValue(condition: Condition, view: RequestView): string | undefined {
  switch (condition.from) {
    case "header":
      return view.header(condition.name);
    case "query":
      return view.query(condition.name);
    case "cookie":
      return view.cookie(condition.name);
  }
}

/** Whether a value (undefined: there is none) fulfils a condition. */
export function conditionHolds(condition: Condition, value: string | undefined): boolean {
  if (value === undefined) return false;
  if (condition.match.kind === "exact") return condition.match.value === value;
  return condition.regex === null || condition.regex.test(value);
}

/** Whether the request fulfils everything but host and path. */
export function restHolds(matcher: Matcher, view: RequestView): boolean {
  if (matcher.methods !== null && !matcher.methods.has(view.method())) return false;
  if (matcher.alpn !== null && !offers(matcher.alpn, view)) return false;
  const { conditions } = matcher;
  for (let i = 0; i < conditions.length; i++) {
    const condition = conditions[i]!;
    if (!conditionHolds(condition, conditionValue(condition, view))) return false;
  }
  return matcher.sourceSet === null || matcher.sourceSet.contains(view.source());
}

/** Whether the client offers one of these protocols. */
export function offers(wanted: ReadonlySet<string>, view: RequestView): boolean {
  for (const one of view.alpn?.() ?? []) if (wanted.has(one)) return true;
  return false;
}

/** Whether some address lies in the sources of both. */
export function sourcesMeet(a: Matcher, b: Matcher): boolean {
  if (a.sourceSet === null || b.sourceSet === null) return true;
  return a.sources.some((x) => b.sources.some((y) => overlaps(x, y)));
}

/** Order of texts by code units: the same everywhere, unlike localeCompare. */
export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
