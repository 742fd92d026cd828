// The route table of a listener: exact hosts in a Map, host suffixes in a trie of labels read from the right, below each
// host its paths. Looked up in the documented order (docs/routing.md), falling through to the less specific wherever
// methods or conditions say no.
import type { RoutePlan } from "../plan.ts";
import { canonicalPath } from "./canonical.ts";
import { compileMatchers, type Matcher } from "./matcher.ts";
import { buildPathTable, findByPath, push, type PathTable } from "./path-table.ts";
import type { RequestView } from "./view.ts";

/** The compiled routes of one listener. */
export interface RouteTable {
  /** 0 or more: every request matches exactly this route, no look is needed (a single catch-all). Else -1. */
  readonly only: number;
  /** Whether any route looks at the host. */
  readonly needsHost: boolean;
  /** Whether any route looks at the path. If so, what goes upstream must pass `forwardedPath` of canonical.ts. */
  readonly needsPath: boolean;
  /** Index of the route that takes the request, or -1. */
  match(view: RequestView): number;
}

interface HostNode {
  readonly parent: HostNode | null;
  children: Map<string, HostNode> | null;
  table: PathTable | null;
}

/** Compiles a listener's routes. Expects a validated plan: a regex that does not compile throws SyntaxError. */
export function compileRoutes(routes: readonly RoutePlan[]): RouteTable {
  const matchers = compileMatchers(routes);
  const exact = new Map<string, PathTable>();
  const suffixes: HostNode = { parent: null, children: null, table: null };
  const anyHost: Matcher[] = [];
  for (const list of byHost(matchers)) {
    const { host } = list[0]!;
    if (host.kind === "any") anyHost.push(...list);
    else if (host.kind === "exact") exact.set(host.host, buildPathTable(list));
    else nodeOf(suffixes, host.host).table = buildPathTable(list);
  }
  const anyTable = buildPathTable(anyHost);
  const only = matchers.length === 1 && isCatchAll(matchers[0]!) ? 0 : -1;
  const needsHost = exact.size > 0 || suffixes.children !== null;
  const needsPath = matchers.some((matcher) => matcher.path.kind !== "any");

  function match(view: RequestView): number {
    if (only >= 0) return only;
    // Made once, and only for a host whose routes look at it.
    let path = "";
    if (needsHost) {
      const host = withoutRootDot(view.host());
      const own = exact.get(host);
      if (own !== undefined) {
        if (own.needsPath) path = canonicalPath(view.path());
        const found = findByPath(own, view, path);
        if (found >= 0) return found;
      }
      for (let node: HostNode | null = deepest(suffixes, host); node !== null; node = node.parent) {
        if (node.table === null) continue;
        if (node.table.needsPath && path === "") path = canonicalPath(view.path());
        const found = findByPath(node.table, view, path);
        if (found >= 0) return found;
      }
    }
    if (anyTable.needsPath && path === "") path = canonicalPath(view.path());
    return findByPath(anyTable, view, path);
  }
  return { only, needsHost, needsPath, match };
}

/** "example.com." is the same host as "example.com": the dot stands for the root of the DNS. */
export function withoutRootDot(host: string): string {
  return host.endsWith(".") ? host.slice(0, -1) : host;
}

function byHost(matchers: readonly Matcher[]): Iterable<readonly Matcher[]> {
  const lists = new Map<string, Matcher[]>();
  for (const matcher of matchers) {
    push(lists, matcher.host.kind === "any" ? "" : matcher.host.kind + " " + matcher.host.host, matcher);
  }
  return lists.values();
}

function isCatchAll(matcher: Matcher): boolean {
  return (
    matcher.host.kind === "any" &&
    matcher.path.kind === "any" &&
    matcher.methods === null &&
    matcher.alpn === null &&
    matcher.conditions.length === 0 &&
    matcher.sourceSet === null
  );
}

function nodeOf(root: HostNode, suffix: string): HostNode {
  let node = root;
  for (const label of suffix.split(".").reverse()) {
    node.children ??= new Map();
    let child = node.children.get(label);
    if (child === undefined) node.children.set(label, (child = { parent: node, children: null, table: null }));
    node = child;
  }
  return node;
}

/** The node of the longest suffix that the trie knows and that leaves at least one label of the host over. */
function deepest(root: HostNode, host: string): HostNode {
  let node = root;
  let to = host.length;
  while (node.children !== null) {
    const dot = to === 0 ? -1 : host.lastIndexOf(".", to - 1);
    if (dot <= 0) break;
    const child = node.children.get(host.slice(dot + 1, to));
    if (child === undefined) break;
    node = child;
    to = dot;
  }
  return node;
}
