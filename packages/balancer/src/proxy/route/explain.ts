// Why a request takes the route it takes, in words: the same matchers and the same order as the table, asked one by one.
import type { RoutePlan } from "../plan.ts";
import { canonicalPath } from "./canonical.ts";
import { compileMatchers, conditionHolds, conditionValue, offers, type Condition, type Matcher } from "./matcher.ts";
import { compareRanks, hostText, pathText, whyAhead } from "./rank.ts";
import { withoutRootDot } from "./table.ts";
import type { RequestView } from "./view.ts";

/** What was chosen (-1: nothing) and why every other route was passed over, in the order of the documented ranks. */
export interface RouteExplanation {
  readonly chosen: number;
  readonly passed: readonly { readonly index: number; readonly why: string }[];
}

/** Explains what `compileRoutes(routes).match(view)` answers. Expects a validated plan. */
export function explainRoute(routes: readonly RoutePlan[], view: RequestView): RouteExplanation {
  const ordered = [...compileMatchers(routes)].sort((a, b) => compareRanks(a, b) || a.index - b.index);
  const reasons = ordered.map((matcher) => ({ matcher, why: whyNot(matcher, view) }));
  const winner = reasons.find((reason) => reason.why === null)?.matcher ?? null;
  return {
    chosen: winner?.index ?? -1,
    passed: reasons.flatMap(({ matcher, why }) =>
      matcher === winner ? [] : [{ index: matcher.index, why: why ?? whyBehind(matcher, winner!) }],
    ),
  };
}

function whyBehind(matcher: Matcher, winner: Matcher): string {
  const reason = whyAhead(winner, matcher);
  if (reason === null) return `matches as well, and ties with "${winner.name}"`;
  return `matches as well, but "${winner.name}" is more specific: ${reason}`;
}

/** What about the request does not fit, or null if all does. */
function whyNot(matcher: Matcher, view: RequestView): string | null {
  return (
    whyNotHost(matcher, withoutRootDot(view.host())) ??
    whyNotPath(matcher, view.path()) ??
    whyNotMethod(matcher, view.method()) ??
    whyNotProtocols(matcher, view) ??
    whyNotConditions(matcher, view) ??
    whyNotSource(matcher, view.source())
  );
}

function whyNotHost(matcher: Matcher, host: string): string | null {
  const { host: wanted } = matcher;
  const named = host === "" ? "no host" : `host ${host}`;
  if (wanted.kind === "any") return null;
  if (wanted.kind === "exact") return host === wanted.host ? null : `${named} is not ${wanted.host}`;
  const below = host.length > wanted.host.length + 1 && host.endsWith("." + wanted.host);
  return below ? null : `${named} is not below ${wanted.host} (${hostText(matcher)})`;
}

function whyNotPath(matcher: Matcher, received: string): string | null {
  const { path: wanted } = matcher;
  const path = canonicalPath(received);
  const named = path === received ? `path ${path}` : `path ${received} (read as ${path})`;
  switch (wanted.kind) {
    case "any":
      return null;
    case "exact":
      return path === wanted.path ? null : `${named} is not ${wanted.path}`;
    case "prefix":
      return path === wanted.path || path.startsWith(wanted.path + "/") ? null : `${named} is not below ${wanted.path}`;
    case "regex":
      return wanted.regex.test(path) ? null : `${named} does not match ${pathText(matcher)}`;
  }
}

function whyNotMethod(matcher: Matcher, method: string): string | null {
  if (matcher.methods === null || matcher.methods.has(method)) return null;
  return `method ${method} is not ${[...matcher.methods].join(" or ")}`;
}

function whyNotProtocols(matcher: Matcher, view: RequestView): string | null {
  if (matcher.alpn === null || offers(matcher.alpn, view)) return null;
  const offered = view.alpn?.() ?? [];
  return `ALPN ${offered.length === 0 ? "(none)" : offered.join(", ")} does not offer ${[...matcher.alpn].join(" or ")}`;
}

function whyNotConditions(matcher: Matcher, view: RequestView): string | null {
  for (const condition of matcher.conditions) {
    const value = conditionValue(condition, view);
    if (!conditionHolds(condition, value)) return whyNotCondition(condition, value);
  }
  return null;
}

function whyNotCondition({ from, name, match }: Condition, value: string | undefined): string {
  if (value === undefined) return `there is no ${from} ${name}`;
  const wanted = match.kind === "exact" ? `is not ${JSON.stringify(match.value)}` : "";
  return (
    `${from} ${name} is ${JSON.stringify(value)}, which ` +
    (match.kind === "regex" ? `does not match ~${match.source}` : wanted)
  );
}

function whyNotSource(matcher: Matcher, source: string): string | null {
  if (matcher.sourceSet === null || matcher.sourceSet.contains(source)) return null;
  return `source ${source === "" ? "(none)" : source} is in none of its ranges`;
}
