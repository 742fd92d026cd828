// What the schema library reports, in words: the place, the value, the reason, the next step.
import type { z } from "zod";
import { nearest } from "./nearest.ts";
import { error, type Finding, type Path } from "./problem.ts";
import type { Remainder } from "./remainder.ts";
import { foreignKeys, foreignWord } from "./foreign-keys.ts";
import { schemaAt, view, type SchemaView } from "./schema/walk.ts";

/** How the value at an (original) path may be shown, or what to call it where it may not. */
export type Show = (path: Path) => { readonly text: string } | { readonly hidden: string };

type Issue = z.core.$ZodIssue;

/** Findings for issues. Paths of issues are those of `remainder`, paths of findings the original ones. */
export function findingsOf(
  issues: readonly Issue[],
  root: z.core.$ZodType,
  remainder: Remainder,
  show: Show,
): Finding[] {
  return issues.flatMap((issue) => {
    const path = issue.path as Path;
    const where = remainder.original(path);
    if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(key, path, where, root));
    if (issue.code === "invalid_key") return [wrongKey(issue, where)];
    if (issue.code === "custom" && issue.params?.["key"] === true) return [repeatedKey(issue, where)];
    return [wrongValue(issue, path, where, root, remainder, show)];
  });
}

function unknownKey(key: string, path: Path, where: Path, root: z.core.$ZodType): Finding {
  const schema = schemaAt(root, path);
  const shape = schema === undefined ? undefined : view(schema).shape;
  const known = shape?.kind === "map" ? Object.keys(shape.keys) : [];
  const inside = path.length === 0 ? "at the top" : "here";
  const hint = foreignKeys(key, known) ?? suggestion(key, known);
  return { ...error([...where, key], `there is no key "${key}" ${inside}`, hint), atKey: true };
}

function suggestion(key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  return near === undefined ? `the keys are ${known.join(", ")}` : `did you mean "${near}"?`;
}

function wrongKey(issue: Extract<Issue, { code: "invalid_key" }>, where: Path): Finding {
  const inner = issue.issues[0];
  const { reason, hint } = told(inner);
  return { ...error(where, `"${String(where.at(-1))}" cannot stand here: ${reason}`, hint), atKey: true };
}

function repeatedKey(issue: Issue, where: Path): Finding {
  const { reason, hint } = told(issue);
  return { ...error(where, `"${String(where.at(-1))}" cannot stand here: ${reason}`, hint), atKey: true };
}

function wrongValue(
  issue: Issue,
  path: Path,
  where: Path,
  root: z.core.$ZodType,
  remainder: Remainder,
  show: Show,
): Finding {
  const schema = schemaAt(root, path);
  const seen = schema === undefined ? undefined : view(schema);
  const value = remainder.at(path);
  if (value === undefined)
    return error(where, `"${String(where.at(-1))}" is missing here`, seen?.facts?.hint ?? examples(seen?.examples));
  const noun = seen?.facts?.noun ?? shapeNoun(seen?.shape.kind);
  const shown = show(where);
  const hint = seen?.facts?.hint ?? examples(seen?.examples);
  if (value === null)
    return error(
      where,
      "there is no value here",
      `give it a value, or remove the key; ${hint ?? "see docs/config.md"}`,
    );
  const misplaced = belongsBelow(path, root, value);
  if (misplaced !== undefined) return { ...error(where, misplaced.message, misplaced.hint), atKey: true };
  if ("hidden" in shown) return error(where, `${shown.hidden} is not ${noun}`, hint);
  if (issue.code === "custom") {
    const why = told(issue);
    return error(where, `${shown.text} is not ${noun}: ${why.reason}`, why.hint);
  }
  if (issue.code === "too_small" && seen?.shape.kind === "list")
    return error(where, "the list is empty", "give it at least one item");
  if (issue.code === "too_big" && issue.origin === "string")
    return error(where, `the text is longer than ${String(issue.maximum)} characters`, "shorten it");
  const bounds = outside(issue);
  if (bounds !== undefined) return error(where, `${shown.text} is too ${bounds}`, hint);
  return error(
    where,
    `${shown.text} is not ${noun}`,
    closer(value, noun, seen?.shape.kind, issue.code === "invalid_type" ? issue.expected : "") ??
      word(issue, value) ??
      hint ??
      keysHint(seen),
  );
}

/** "large" and "small" for numbers that are only beyond their bounds. */
function outside(issue: Issue): string | undefined {
  if (issue.code === "too_big") return issue.origin === "string" || issue.origin === "array" ? undefined : "large";
  return issue.code === "too_small" && issue.origin !== "string" && issue.origin !== "array" ? "small" : undefined;
}

/** A key of a pool that stands beside its pool: the slip of the space bar that YAML makes easiest. */
function belongsBelow(
  path: Path,
  root: z.core.$ZodType,
  value: unknown,
): { readonly message: string; readonly hint: string } | undefined {
  const [group, key, ...rest] = path;
  if (group === undefined || typeof key !== "string" || rest.length > 0) return undefined;
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return undefined;
  const record = schemaAt(root, [group]);
  const shape = record === undefined ? undefined : view(record).shape;
  const inner = shape?.kind === "record" ? view(shape.value).shape : undefined;
  if (inner?.kind !== "map" || !Object.hasOwn(inner.keys, key)) return undefined;
  const one = String(group).replace(/s$/, "");
  return {
    message: `"${key}" stands where the name of a ${one} is expected`,
    hint: `indent it further, so that it stands below its ${one} and not beside it`,
  };
}

function keysHint(seen: SchemaView | undefined): string | undefined {
  if (seen?.shape.kind !== "map") return undefined;
  const keys = Object.keys(seen.shape.keys);
  return `write { ${keys[0] ?? "key"}: ... }; the keys are ${keys.join(", ")}`;
}

/** What a leaf of ours said in its own issue. */
function told(issue: Issue | undefined): { reason: string; hint: string | undefined } {
  const params = issue?.code === "custom" ? issue.params : undefined;
  const reason = params?.["reason"];
  const hint = params?.["hint"];
  return {
    reason: typeof reason === "string" ? reason : (issue?.message ?? "it is not allowed"),
    hint: typeof hint === "string" ? hint : undefined,
  };
}

function word(issue: Issue, value: unknown): string | undefined {
  if (issue.code !== "invalid_value" || typeof value !== "string") return undefined;
  const words = issue.values.map(String);
  const near = foreignWord(value, words) ?? nearest(value, words);
  return near === undefined ? undefined : `did you mean "${near}"?`;
}

/** The way out for the slips that YAML itself invites. */
function closer(value: unknown, noun: string, kind: string | undefined, expected: string): string | undefined {
  if (typeof value === "number" && noun === "a duration") return `write ${value}s or ${value}ms`;
  if (typeof value === "number" && noun === "a size") return `write ${value}B or ${value}KiB`;
  if (typeof value === "number" && noun === "a percentage")
    return `write ${value > 0 && value < 1 ? Number((value * 100).toFixed(6)) : value}%`;
  if (typeof value === "string" && noun === "true or false" && /^(yes|on|no|off)$/i.test(value)) {
    return `write ${/^(yes|on)$/i.test(value) ? "true" : "false"}`;
  }
  if (typeof value === "string" && noun.startsWith("a whole number") && /^\d+$/.test(value))
    return `write ${value} without quotes`;
  if (typeof value === "string" && noun.startsWith("one of http, tcp") && value.startsWith("/")) {
    return `write readiness: { path: ${value} }`;
  }
  if (typeof value === "number" && noun === "an address") return `write 127.0.0.1:${value}`;
  if ((typeof value === "number" || typeof value === "boolean") && expected === "string")
    return `write "${String(value)}", in quotes`;
  if (kind === "list")
    return typeof value === "string" && /^[\w.:/-]{1,60}$/.test(value)
      ? `write a list: [${value}]`
      : "write a list: [a, b], or one item to a line, each after a -";
  if ((kind === "map" || kind === "record") && Array.isArray(value))
    return "remove the - or the brackets: this is a map of keys, not a list";
  return undefined;
}

function shapeNoun(kind: string | undefined): string {
  if (kind === "map" || kind === "record") return "a map of keys";
  return kind === "list" ? "a list" : "allowed here";
}

function examples(values: readonly unknown[] | undefined): string | undefined {
  const [first] = values ?? [];
  return first === undefined ? undefined : `for example: ${typeof first === "string" ? first : JSON.stringify(first)}`;
}
