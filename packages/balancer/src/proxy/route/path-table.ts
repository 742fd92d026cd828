// All routes of one host: exact paths in a Map, prefixes and regexes in a trie of path segments. A look-up costs as many
// steps as the path has segments that some route names, however many routes there are.
import { buildLeaf, firstOf, type Leaf } from "./leaf.ts";
import type { Matcher } from "./matcher.ts";
import { compareRanks } from "./rank.ts";
import type { RequestView } from "./view.ts";

interface PathNode {
  readonly parent: PathNode | null;
  children: Map<string, PathNode> | null;
  /** Regexes whose literal beginning ends here, in their order. */
  regexes: readonly { readonly regex: RegExp; readonly leaf: Leaf }[];
  /** The prefix that ends here; at the root: any path. */
  leaf: Leaf | null;
}

export interface PathTable {
  readonly exact: ReadonlyMap<string, Leaf> | null;
  readonly root: PathNode;
  /** Whether the path matters at all. */
  readonly needsPath: boolean;
}

/** A table of routes that share their host. */
export function buildPathTable(matchers: readonly Matcher[]): PathTable {
  const exact = new Map<string, Matcher[]>();
  const prefixes = new Map<PathNode, Matcher[]>();
  const regexes = new Map<PathNode, Map<string, Matcher[]>>();
  const root = newNode(null);
  for (const matcher of matchers) {
    const { path } = matcher;
    if (path.kind === "exact") {
      push(exact, path.path, matcher);
      continue;
    }
    let node = root;
    if (path.kind !== "any") for (const segment of path.segments) node = childOf(node, segment);
    if (path.kind === "regex") {
      let sources = regexes.get(node);
      if (sources === undefined) regexes.set(node, (sources = new Map()));
      push(sources, path.source, matcher);
    } else {
      push(prefixes, node, matcher);
    }
  }
  for (const [node, list] of prefixes) node.leaf = buildLeaf(list);
  for (const [node, sources] of regexes) node.regexes = regexLeaves(sources);
  const leaves = new Map([...exact].map(([path, list]) => [path, buildLeaf(list)]));
  const needsPath = exact.size > 0 || regexes.size > 0 || root.children !== null;
  return { exact: leaves.size === 0 ? null : leaves, root, needsPath };
}

/** Index of the most specific route that takes the request, or -1. `path` is canonical; not looked at if not needed. */
export function findByPath(table: PathTable, view: RequestView, path: string): number {
  if (table.exact !== null) {
    const leaf = table.exact.get(path);
    if (leaf !== undefined) {
      const found = firstOf(leaf, view);
      if (found >= 0) return found;
    }
  }
  for (let node: PathNode | null = deepest(table.root, path); node !== null; node = node.parent) {
    const { regexes } = node;
    for (let i = 0; i < regexes.length; i++) {
      const entry = regexes[i]!;
      if (!entry.regex.test(path)) continue;
      const found = firstOf(entry.leaf, view);
      if (found >= 0) return found;
    }
    if (node.leaf !== null) {
      const found = firstOf(node.leaf, view);
      if (found >= 0) return found;
    }
  }
  return -1;
}

/** The node of the longest run of leading segments that the trie knows. */
function deepest(root: PathNode, path: string): PathNode {
  let node = root;
  let from = 1;
  while (node.children !== null && from <= path.length) {
    const slash = path.indexOf("/", from);
    const end = slash < 0 ? path.length : slash;
    const child = node.children.get(path.slice(from, end));
    if (child === undefined) break;
    node = child;
    from = end + 1;
  }
  return node;
}

function regexLeaves(sources: ReadonlyMap<string, readonly Matcher[]>): PathNode["regexes"] {
  // All of one source have the same rank up to there, so any of them stands for it.
  const lists = [...sources.values()].sort((a, b) => compareRanks(a[0]!, b[0]!));
  return lists.map((list) => ({ regex: new RegExp(sourceOf(list[0]!)), leaf: buildLeaf(list) }));
}

function sourceOf(matcher: Matcher): string {
  return matcher.path.kind === "regex" ? matcher.path.source : "";
}

function newNode(parent: PathNode | null): PathNode {
  return { parent, children: null, regexes: [], leaf: null };
}

function childOf(node: PathNode, segment: string): PathNode {
  node.children ??= new Map();
  let child = node.children.get(segment);
  if (child === undefined) node.children.set(segment, (child = newNode(node)));
  return child;
}

/** Appends to the list that a Map has for a key. */
export function push<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
