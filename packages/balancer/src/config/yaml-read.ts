// YAML text to plain values, with the place of everything. Decided here: YAML 1.2 core schema (`off` is a text, not
// false), one document, no tags, unique keys, anchors and merge keys within bounds, `${ENV}` in values and never in keys.
import { isAlias, isMap, isScalar, isSeq, parseDocument, type Node, type Pair, type Scalar, type YAMLMap } from "yaml";
import { expand, type Environment } from "./environment.ts";
import { Places } from "./place.ts";
import { error, type Finding, type Path, type Problem } from "./problem.ts";
import { syntaxProblems } from "./yaml-syntax.ts";

/** What a text holds. `value` is undefined when the syntax leaves nothing to look at. */
export interface YamlReading {
  readonly value: unknown;
  readonly places: Places;
  readonly problems: readonly Problem[];
  /** Where references to the environment could not be filled: what stands there is not worth a second message. */
  readonly unfilled: readonly Path[];
}

/** Longest text; a configuration beyond that is a mistake or an attack. */
const longestText = 16 * 1024 * 1024;

/** Values that aliases may add in all: ten lines of nested aliases can otherwise stand for 10^9 values. */
const mostAliased = 100_000;

/** Levels of nesting; the deepest key of the schema is at level seven. */
const deepest = 40;

const coreTags = new Set(
  ["str", "int", "float", "bool", "null", "map", "seq"].map((name) => `tag:yaml.org,2002:${name}`),
);

/** Reads a text. Never throws. */
export function readYaml(text: string, file: string, environment: Environment): YamlReading {
  const places = new Places(file, text);
  const none = (finding: Finding): YamlReading => {
    return { value: undefined, places, problems: [places.problem(finding)], unfilled: [] };
  };
  if (text.length > longestText)
    return none(
      error(
        [],
        "the file is longer than 16 MiB",
        "split the routes over several listeners, or make them from a program in plimsoll.config.ts",
      ),
    );
  // The parser takes half a minute to refuse 100,000 open brackets.
  const brackets = /[[{](?:\s*[[{]){100}/.exec(text);
  if (brackets !== null) {
    const finding = error([], "this is nested too deeply", "no setting needs more than a few levels");
    const problem = { ...places.problem(finding), ...places.at(brackets.index) };
    return { value: undefined, places, problems: [problem], unfilled: [] };
  }
  let document;
  try {
    // Duplicates are found below: the library compares each key with each other, which 10,000 pools would feel.
    document = parseDocument(text, {
      uniqueKeys: false,
      prettyErrors: false,
      resolveKnownTags: false,
      logLevel: "error",
    });
  } catch (cause) {
    // The parser recurses; thousands of opening brackets exhaust the stack.
    return none(
      error(
        [],
        `this cannot be read as YAML: ${cause instanceof RangeError ? "it is nested too deeply" : String(cause)}`,
      ),
    );
  }
  const syntax = syntaxProblems(document.errors, text, places);
  if (syntax.length > 0) return { value: undefined, places, problems: syntax, unfilled: [] };
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
    return none(error([], "the file is empty", "begin with `listeners:` and `pools:`"));
  }
  const walk = new Walk(places, environment);
  const value = walk.value(document.contents, [], 0);
  return { value, places, problems: walk.findings, unfilled: walk.unfilled };
}

/** One walk over a document. */
class Walk {
  readonly findings: Problem[] = [];
  readonly unfilled: Path[] = [];
  readonly #places: Places;
  readonly #environment: Environment;
  readonly #anchors = new Map<string, Node>();
  /** Anchored nodes that the walk is inside of by an alias: meeting one again is a circle. */
  readonly #open = new Set<Node>();
  #aliased = 0;

  constructor(places: Places, environment: Environment) {
    this.#places = places;
    this.#environment = environment;
  }

  value(node: Node | null, path: Path, key: number): unknown {
    const at = node?.range?.[0] ?? key;
    // Within an alias, the places are those of the anchored text: that is where a value must be put right.
    this.#places.add(path, path.length === 0 || typeof path.at(-1) === "number" ? at : key, at, isScalar(node));
    if (this.#open.size > 0 && ++this.#aliased > mostAliased) {
      if (this.#aliased === mostAliased + 1)
        this.#refuse(path, `aliases stand for more than ${mostAliased} values`, "write the values out");
      return undefined;
    }
    if (path.length > deepest) return this.#refuse(path, `this is nested deeper than ${deepest} levels`);
    if (node === null) return null;
    if (isAlias(node)) {
      return this.#through(node.source, path, (target) => this.value(target, path, key));
    }
    if (node.tag !== undefined && !coreTags.has(node.tag)) {
      return this.#refuse(path, `the tag ${node.tag} has no meaning here`, "remove the tag");
    }
    if ("anchor" in node && typeof node.anchor === "string" && this.#open.size === 0)
      this.#anchors.set(node.anchor, node);
    if (isMap(node)) {
      const target: Record<string, unknown> = {};
      this.#pairs(node, path, target, false);
      return target;
    }
    if (isSeq(node)) return node.items.map((item, index) => this.value(item as Node | null, [...path, index], at));
    if (isScalar(node)) return this.#scalar(node, path, at);
    return this.#refuse(path, "this is neither a map, a list nor a value");
  }

  /** Follows an alias, with a guard against circles. */
  #through<T>(anchor: string, path: Path, go: (target: Node) => T): T | undefined {
    const target = this.#anchors.get(anchor);
    if (target === undefined) {
      const hint = `if the text *${anchor} is meant, put it in quotes: "*${anchor}"`;
      return this.#refuse(path, `*${anchor} is an alias in YAML, and there is no anchor &${anchor} above it`, hint);
    }
    if (this.#open.has(target)) return this.#refuse(path, `the anchor &${anchor} contains itself`);
    this.#open.add(target);
    const value = go(target);
    this.#open.delete(target);
    return value;
  }

  #pairs(map: YAMLMap, path: Path, target: Record<string, unknown>, merging: boolean): void {
    const own = new Set<string>();
    const merges: Pair[] = [];
    for (const pair of map.items) {
      const key = pair.key as Node | null;
      const at = key?.range?.[0] ?? map.range?.[0] ?? 0;
      if (!isScalar(key) || key.value === null) {
        this.#refuseAt(
          path,
          at,
          "a key must be a plain word",
          "put `key: value` here; text that begins with { or [ needs quotes",
        );
        continue;
      }
      const name = keyText(key);
      if (name === "<<" && key.type === "PLAIN") {
        merges.push(pair);
        continue;
      }
      if (merging && Object.hasOwn(target, name)) continue;
      if (own.has(name)) {
        const first = this.#places.problem(error([...path, name], "")).line;
        this.#refuseAt(
          [...path, name],
          at,
          `the key "${name}" stands here twice`,
          `remove one of the two; the first is on line ${first}`,
        );
        continue;
      }
      own.add(name);
      if (name === "__proto__" || name.includes("${")) {
        const why =
          name === "__proto__" ? "__proto__ cannot be a key" : "the environment can be used in values, not in keys";
        this.#refuseAt(path, at, why, "use another name");
        continue;
      }
      target[name] = this.value(pair.value as Node | null, [...path, name], at);
    }
    // After the map's own keys, because those win wherever they stand; of several merged maps the first wins.
    for (const pair of merges) this.#merge(pair.value as Node | null, path, target);
  }

  #merge(node: Node | null, path: Path, target: Record<string, unknown>): void {
    const at = node?.range?.[0] ?? 0;
    if (isAlias(node)) this.#through(node.source, path, (anchored) => this.#merge(anchored, path, target));
    else if (isMap(node)) this.#pairs(node, path, target, true);
    else if (isSeq(node)) for (const item of node.items) this.#merge(item as Node | null, path, target);
    else
      this.#refuseAt(path, at, "only maps can be merged with <<", "write `<<: *name`, where &name stands before a map");
  }

  #scalar(node: Scalar, path: Path, at: number): unknown {
    const source = node.source;
    if (source === undefined || !source.includes("${")) return node.value;
    const expansion = expand(source, this.#environment);
    const quote = node.type === "PLAIN" ? 0 : 1;
    for (const fault of expansion.faults) this.#refuseAt(path, at + quote + fault.at, fault.message, fault.hint);
    if (expansion.faults.length > 0) {
      this.unfilled.push(path);
      return undefined;
    }
    if (expansion.referred) this.#places.substituted(path, { written: source, values: expansion.values });
    return expansion.text;
  }

  #refuse(path: Path, message: string, hint?: string): undefined {
    this.findings.push(this.#places.problem(error(path, message, hint)));
    this.unfilled.push(path);
    return undefined;
  }

  #refuseAt(path: Path, offset: number, message: string, hint: string): void {
    this.findings.push({ ...this.#places.problem(error(path, message, hint)), ...this.#places.at(offset) });
  }
}

/** A key as it was written: 404 and "404" are the same. */
function keyText(key: Scalar): string {
  if (typeof key.value === "string") return key.value;
  return key.source ?? JSON.stringify(key.value);
}
