// The slow reader of docs/routing.md, for tests only: every route is asked, those that match are sorted by the rules as
// written there, the first wins. Shares nothing with the table but the canonical path and the literal beginning of a regex.
import { BlockList, isIP } from "node:net";
import type { MatchPlan, RoutePlan, ValueMatch } from "../plan.ts";
import { canonicalPath } from "./canonical.ts";
import { literalStart } from "./literal-start.ts";
import type { RequestView } from "./view.ts";

/** Index of the route that the documented order chooses, or -1. */
export function referenceMatch(routes: readonly RoutePlan[], view: RequestView): number {
  const matching = routes.flatMap((route, index) =>
    matches(route.match, view) ? [{ index, key: sortKey(route.match) }] : [],
  );
  matching.sort((a, b) => compareKeys(a.key, b.key) || a.index - b.index);
  return matching[0]?.index ?? -1;
}

function matches(match: MatchPlan, view: RequestView): boolean {
  const host = view.host();
  if (match.host.kind === "exact" && match.host.host !== host) return false;
  if (match.host.kind === "suffix" && !(host.endsWith("." + match.host.host) && host !== "." + match.host.host))
    return false;
  const path = canonicalPath(view.path());
  const wanted = match.path;
  if (wanted.kind === "exact" && canonicalPath(wanted.path) !== path) return false;
  if (wanted.kind === "regex" && !new RegExp(wanted.source).test(path)) return false;
  if (wanted.kind === "prefix" && wanted.path !== "" && !(path + "/").startsWith(wanted.path + "/")) return false;
  const methods = methodsOf(match);
  if (methods.length > 0 && !methods.includes(view.method())) return false;
  if (!match.headers.every(([name, value]) => holds(value, view.header(name)))) return false;
  if (!match.query.every(([name, value]) => holds(value, view.query(name)))) return false;
  if (!match.cookies.every(([name, value]) => holds(value, view.cookie(name)))) return false;
  return match.sources.length === 0 || match.sources.some((cidr) => inside(cidr, view.source()));
}

function methodsOf(match: MatchPlan): readonly string[] {
  return match.methods.includes("GET") ? [...new Set([...match.methods, "HEAD"])] : match.methods;
}

function holds(wanted: ValueMatch, value: string | undefined): boolean {
  if (value === undefined || wanted.kind === "present") return value !== undefined;
  return wanted.kind === "exact" ? wanted.value === value : new RegExp(wanted.source).test(value);
}

function inside(cidr: string, address: string): boolean {
  const [net, bits] = cidr.split("/") as [string, string];
  const list = new BlockList();
  list.addSubnet(net, Number(bits), "ipv4");
  return isIP(address) === 4 && list.check(address, "ipv4");
}

type Key = readonly (number | string)[];

/** Less is more specific, part by part. */
function sortKey(match: MatchPlan): Key {
  const { host, path } = match;
  const values = [...match.headers, ...match.query, ...match.cookies].map(([, value]) => value);
  const regexes = values
    .flatMap((value) => (value.kind === "regex" ? [value.source] : []))
    .sort()
    .join("\n");
  const pathRegex = path.kind === "regex" ? path.source : "";
  const depth = path.kind === "prefix" ? path.path.split("/").length - 1 : literalStart(pathRegex).length;
  return [
    host.kind === "exact" ? -1e9 : host.kind === "suffix" ? -host.host.split(".").length : 0,
    path.kind === "exact" ? -1e9 : -depth,
    -pathRegex.length,
    pathRegex,
    methodsOf(match).length || 1e9,
    -(values.length + (match.sources.length > 0 ? 1 : 0)),
    -values.filter((value) => value.kind === "exact").length,
    -regexes.length,
    regexes,
    -Math.min(...match.sources.map((cidr) => Number(cidr.split("/")[1]) + 96), match.sources.length === 0 ? 0 : 128),
  ];
}

function compareKeys(a: Key, b: Key): number {
  for (let i = 0; i < a.length; i++) {
    if (a[i]! < b[i]!) return -1;
    if (a[i]! > b[i]!) return 1;
  }
  return 0;
}
