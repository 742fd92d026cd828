// What is wrong with a configuration, where, and what to do about it. Problems are collected, never thrown: whoever
// fixes a file wants all of them at once.

/** A key path as the schema sees it: ["pools", "api", "endpoints", 0]. */
export type Path = readonly (string | number)[];

/** One thing to tell the person who wrote the configuration. */
export interface Problem {
  /** Errors refuse the configuration; warnings do not. */
  readonly severity: "error" | "warning";
  /** The file as it was named to us. */
  readonly file: string;
  /** From 1; 0 when the place has no line, as in a TypeScript configuration. */
  readonly line: number;
  /** From 1, in characters; 0 like `line`. */
  readonly column: number;
  /** "pools.api.endpoints[0]", or "" for the file as a whole. */
  readonly path: string;
  /** What is wrong and why; one sentence without a full stop. */
  readonly message: string;
  /** What it leads to, where that is not plain; one sentence without a full stop. */
  readonly why?: string;
  /** The next step, where there is one. */
  readonly hint?: string;
  /** Values that would mend it, each list of them together; best first. */
  readonly mends?: readonly (readonly { readonly path: string; readonly value: string }[])[];
}

/** A problem before its place in the file is known. */
export interface Finding {
  readonly severity: "error" | "warning";
  readonly path: Path;
  /** Whether the key itself is meant (unknown key), rather than its value. */
  readonly atKey?: boolean;
  /** `{other}` in it stands for `other`. */
  readonly message: string;
  readonly why?: string;
  readonly hint?: string | undefined;
  readonly mends?: Problem["mends"];
  /** What it clashes with. */
  readonly other?: Path;
  /** What it was reckoned from: if something is wrong with one of these, nothing is known. */
  readonly depends?: readonly Path[];
}

export function error(path: Path, message: string, hint?: string): Finding {
  return { severity: "error", path, message, hint };
}

export function warning(path: Path, message: string, hint?: string): Finding {
  return { severity: "warning", path, message, hint };
}

/** "pools.api.endpoints[0]"; keys that are not plain words are quoted: pools["my api"]. */
export function formatPath(path: Path): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(part)) text += text === "" ? part : `.${part}`;
    else text += `[${JSON.stringify(part)}]`;
  }
  return text;
}

/** By place, then errors before warnings, then by path. What an alias brings to several paths is said once. */
export function sortProblems(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>();
  return problems
    .filter((problem) => {
      const where = problem.line === 0 ? problem.path : /[^.]*$/.exec(problem.path)?.[0];
      const key = `${problem.line}:${problem.column}:${where}:${problem.message}`;
      return !seen.has(key) && seen.add(key);
    })
    .sort(
      (a, b) =>
        a.line - b.line ||
        a.column - b.column ||
        a.severity.localeCompare(b.severity) ||
        (a.path < b.path ? -1 : a.path > b.path ? 1 : 0),
    );
}

/** Keys whose literal value must not reach a terminal or a log, even as the source line under a message. */
const secretValue = /((?:secret|password|token|authorization)["']?\s*:\s*)(\[[^\]]*\]?|[^\s,}#[][^,}#]*)/gi;
/** The same as an item of a list on a line of its own. */
const secretItem = /(?:secret|password|token|authorization)\[\d+\]$/i;

/** Characters of a source line that are shown; configuration on one endless line stays readable. */
const widest = 160;

/**
 * Text for a terminal, without colour: place and message, the source line with a caret, the next step. `text` is the
 * file that the problems were found in ("" for none).
 */
export function renderProblems(problems: readonly Problem[], text: string): string {
  const lines = text.split(/\r\n|\r|\n/);
  return problems.map((problem) => renderProblem(problem, lines[problem.line - 1])).join("\n");
}

function renderProblem(problem: Problem, source: string | undefined): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file;
  const path = problem.path === "" ? "" : `${problem.path}: `;
  let out = `${place}: ${problem.severity}: ${path}${problem.message}\n`;
  if (source !== undefined && source.trim() !== "") out += excerpt(problem, source);
  if (problem.why !== undefined) out += `  why: ${problem.why}\n`;
  if (problem.hint !== undefined) out += `  hint: ${problem.hint}\n`;
  return out;
}

function excerpt(problem: Problem, source: string): string {
  // Tabs and control characters would move the caret or the reader's terminal; one column each keeps it in its place.
  const clean = source.replace(/[\u0000-\u001f\u007f-\u009f]/g, " ");
  // A masked value keeps its length for the same reason.
  const masked = secretItem.test(problem.path)
    ? clean.replace(/^(\s*-\s*)(.*)$/, hide).replace(secretValue, hide)
    : clean.replace(secretValue, hide);
  const from = problem.column > widest ? problem.column - widest / 2 : 0;
  const number = String(problem.line);
  const margin = " ".repeat(number.length);
  const caret = " ".repeat(Math.max(0, problem.column - 1 - from));
  return `  ${number} | ${masked.slice(from, from + widest).trimEnd()}\n  ${margin} | ${caret}^\n`;
}

/** References to the environment may be seen; of a list, each item is judged by itself. */
function hide(_: string, key: string, value: string): string {
  const each = (item: string): string => (item.includes("${") ? item : item.replaceAll(/[^\s[\]]/g, "*"));
  return key + (value.startsWith("[") ? value.split(",").map(each).join(",") : each(value));
}
