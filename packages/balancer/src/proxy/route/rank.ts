// The documented order of routes (docs/routing.md): which of two that match the same request wins. It never looks at the
// order in the file. Each criterion can also say in words why the winner is ahead.
import { byText, type Matcher } from "./matcher.ts";

/** Beyond any number of labels or segments; finite, because Infinity - Infinity is no order at all. */
const longest = 1e9;

/** One line of the order. */
interface Criterion {
  /** Below zero: `a` goes first. */
  readonly compare: (a: Matcher, b: Matcher) => number;
  /** Why `a` is ahead of `b`, after "is more specific: ". */
  readonly words: (a: Matcher, b: Matcher) => string;
}

const criteria: readonly Criterion[] = [
  {
    compare: (a, b) => hostLabels(b) - hostLabels(a),
    words: (a, b) => `host ${hostText(a)} goes before ${hostText(b)}`,
  },
  {
    compare: (a, b) => pathDepth(b) - pathDepth(a),
    words: (a, b) => `path ${pathText(a)} goes before ${pathText(b)}`,
  },
  {
    compare: (a, b) => compareRegexes(pathRegex(a), pathRegex(b)),
    words: (a, b) => `path ${pathText(a)} goes before ${pathText(b)}`,
  },
  {
    compare: (a, b) => methodCount(a) - methodCount(b),
    words: (a, b) =>
      b.methods === null ? "it names its methods" : `it names fewer methods (${methodCount(a)} < ${methodCount(b)})`,
  },
  {
    compare: (a, b) => protocolCount(a) - protocolCount(b),
    words: (a, b) =>
      b.alpn === null ? "it names protocols" : `it names fewer protocols (${protocolCount(a)} < ${protocolCount(b)})`,
  },
  {
    compare: (a, b) => conditionCount(b) - conditionCount(a),
    words: (a, b) => `it has more conditions (${conditionCount(a)} > ${conditionCount(b)})`,
  },
  {
    compare: (a, b) => exactCount(b) - exactCount(a),
    words: (a, b) => `more of its conditions ask for an exact value (${exactCount(a)} > ${exactCount(b)})`,
  },
  {
    compare: (a, b) => compareRegexes(conditionRegexes(a), conditionRegexes(b)),
    words: () => "the regexes of its conditions are longer, or of equal length and first in the alphabet",
  },
  {
    compare: (a, b) => sourceBits(b) - sourceBits(a),
    words: () => "its source ranges are narrower",
  },
];

/** Below zero: `a` is more specific. Zero: neither is, and if both can match one request, they tie. */
export function compareRanks(a: Matcher, b: Matcher): number {
  for (const criterion of criteria) {
    const order = criterion.compare(a, b);
    if (order !== 0) return order;
  }
  return 0;
}

/** Why `a` goes before `b`; null if neither is ahead. */
export function whyAhead(a: Matcher, b: Matcher): string | null {
  for (const criterion of criteria) {
    const order = criterion.compare(a, b);
    if (order !== 0) return order < 0 ? criterion.words(a, b) : null;
  }
  return null;
}

/** Equal for two routes exactly if they have the same rank and the same host and path: only those can tie. */
export function rankKey(matcher: Matcher): string {
  return JSON.stringify([
    hostText(matcher),
    pathText(matcher),
    matcher.methods?.size ?? 0,
    matcher.alpn?.size ?? 0,
    conditionCount(matcher),
    exactCount(matcher),
    conditionRegexes(matcher),
    sourceBits(matcher),
  ]);
}

/** As the operator writes it. */
export function hostText(matcher: Matcher): string {
  const { host } = matcher;
  return host.kind === "any" ? "any" : host.kind === "exact" ? host.host : "*." + host.host;
}

/** As the operator writes it. */
export function pathText(matcher: Matcher): string {
  const { path } = matcher;
  if (path.kind === "any") return "any";
  if (path.kind === "exact") return path.path;
  return path.kind === "prefix" ? path.path + "/*" : "~" + path.source;
}

/** An exact host is the longest there is; then suffixes by their labels; then any. */
function hostLabels(matcher: Matcher): number {
  const { host } = matcher;
  if (host.kind === "exact") return longest;
  return host.kind === "any" ? 0 : host.host.split(".").length;
}

/** The same for paths: a regex counts as the prefix that it literally begins with. */
function pathDepth(matcher: Matcher): number {
  const { path } = matcher;
  if (path.kind === "exact") return longest;
  return path.kind === "any" ? 0 : path.segments.length;
}

function pathRegex(matcher: Matcher): string {
  return matcher.path.kind === "regex" ? matcher.path.source : "";
}

/** Nobody can tell which of two regexes is narrower, so the longer goes first, then the alphabet. None ("") goes last. */
function compareRegexes(a: string, b: string): number {
  return b.length - a.length || byText(a, b);
}

function methodCount(matcher: Matcher): number {
  return matcher.methods?.size ?? longest;
}

function protocolCount(matcher: Matcher): number {
  return matcher.alpn?.size ?? longest;
}

function conditionCount(matcher: Matcher): number {
  return matcher.conditions.length + (matcher.sourceSet === null ? 0 : 1);
}

function exactCount(matcher: Matcher): number {
  return matcher.conditions.filter((c) => c.match.kind === "exact").length;
}

function conditionRegexes(matcher: Matcher): string {
  return matcher.conditions
    .flatMap((c) => (c.match.kind === "regex" ? [c.match.source] : []))
    .sort(byText)
    .join("\n");
}

/** Of the widest range; 0 without any. */
function sourceBits(matcher: Matcher): number {
  return matcher.sources.length === 0 ? 0 : Math.min(...matcher.sources.map((cidr) => cidr.bits));
}
