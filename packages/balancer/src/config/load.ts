// Text -> Config -> Plan. The one way in for configuration from a file; `module.ts` is the one for TypeScript.
import { checkShape, isConsequence } from "./check.ts";
import type { Environment } from "./environment.ts";
import { readAsWanted } from "./environment-types.ts";
import { readCertificates } from "./certificates.ts";
import { readErrorPages } from "./error-pages.ts";
import type { FileReader } from "./file-reader.ts";
import { judgeLogFile } from "./log-file.ts";
import { checkMeaning } from "./meaning.ts";
import { findUnavailable } from "./not-yet.ts";
import { explainHierarchy, type Explanation } from "./hierarchy/explain.ts";
import type { Locate } from "./hierarchy/ladder.ts";
import type { Meant } from "./meaning/meant.ts";
import type { Places } from "./place.ts";
import { planConfig } from "./plan-listeners.ts";
import type { Plan } from "./plan.ts";
import { sortProblems, type Finding, type Path, type Problem } from "./problem.ts";
import type { Show } from "./issues.ts";
import { readYaml } from "./yaml-read.ts";

export type { FileReader } from "./file-reader.ts";

/** A text and the file it came from. */
export interface ConfigText {
  readonly text: string;
  /** Named in every problem; relative paths in the configuration are relative to its folder. */
  readonly file: string;
}

/** Either a plan, with what is doubtful about it, or everything that is wrong: errors and warnings, sorted by place. */
export type Loaded = (
  | { readonly plan: Plan; readonly warnings: readonly Problem[] }
  | { readonly problems: readonly Problem[] }
) & {
  /** The timeout hierarchy of what could be read, on demand; absent if nothing could. */
  readonly explain?: () => Explanation;
};

/** Reads, checks and plans a YAML configuration. Never throws: whatever is wrong is a problem with its place. */
export function loadConfig(source: ConfigText, environment: Environment, reader: FileReader): Loaded {
  const reading = readYaml(source.text, source.file, environment);
  if (reading.value === undefined) return { problems: sortProblems(reading.problems) };
  return planValue(reading.value, reading, reader);
}

/** What is known of a value besides itself. */
interface Known {
  readonly places: Places;
  readonly problems: readonly Problem[];
  readonly unfilled: readonly Path[];
}

/** Checks and plans plain data. */
export function planValue(written: unknown, known: Known, reader: FileReader): Loaded {
  const { places, unfilled } = known;
  const value = readAsWanted(withoutExtensions(written), places.substitutions());
  const findings: Finding[] = findUnavailable(value);
  const checked = checkShape(value, unfilled, shower(value, places));
  findings.push(...checked.findings);
  let plan: Plan | null = null;
  if (checked.config !== null) {
    const { config } = checked;
    const read = readErrorPages(config, places.file, reader);
    const { original } = checked;
    const within = (written: string): string => reader.resolve(places.file, written);
    const certificates = readCertificates(config, places.file, reader);
    plan = planConfig(config, within, read.pages, certificates.certificates, original);
    const isWritten = (path: Path): boolean => stands(value, original(path));
    const meant: Meant = { config, plan, poolNames: keysOf(value, "pools"), isWritten, original };
    findings.push(
      ...believable(
        [
          ...read.findings,
          ...certificates.findings,
          ...judgeLogFile(config, places.file, reader),
          ...checkMeaning(meant),
        ],
        original,
        checked.removed,
      ),
    );
  }
  const problems = sortProblems([...known.problems, ...findings.map((finding) => places.problem(finding))]);
  if (plan === null) return { problems };
  const explain = explainer(plan, checked.original, (path) => (stands(value, path) ? places.of(path) : null));
  if (problems.some(({ severity }) => severity === "error")) return { problems, explain };
  return { plan, warnings: problems, explain };
}

function explainer(
  plan: Plan,
  original: (path: Path) => Path,
  find: (path: Path) => { file: string; line: number } | null,
): () => Explanation {
  const locate: Locate = (written) => {
    const path = original(written);
    const found = find(path);
    return found === null ? null : { path, ...found };
  };
  return () => explainHierarchy({ ...plan, pools: plan.pools.map(({ pool }) => pool) }, locate, original);
}

/** What holds in spite of the parts that could not be looked at. */
function believable(findings: readonly Finding[], original: (path: Path) => Path, removed: readonly Path[]): Finding[] {
  return findings
    .map((finding) => ({
      ...finding,
      path: original(finding.path),
      ...(finding.other && { other: original(finding.other) }),
    }))
    .filter(({ path, other, depends, severity }) => {
      if (isConsequence(path, removed) || (other !== undefined && isConsequence(other, removed))) return false;
      if (depends?.some((each) => removed.some((hole) => overlap(original(each), hole))) === true) return false;
      // A pool seems unused when the route that names it was wrong.
      return (
        severity === "error" ||
        path[0] !== "pools" ||
        path.length > 2 ||
        !removed.some((hole) => hole[0] === "listeners")
      );
    });
}

/** Whether one path leads to the other. */
function overlap(a: Path, b: Path): boolean {
  return a.every((part, index) => index >= b.length || part === b[index]);
}

/** Whether a value holds something at a path. */
function stands(value: unknown, path: Path): boolean {
  let current = value;
  for (const part of path) {
    if (typeof current !== "object" || current === null || !Object.hasOwn(current, part)) return false;
    current = (current as Record<string | number, unknown>)[part];
  }
  return current !== undefined && current !== null;
}

/** `x-...` at the top is a place for anchors, as in Compose files; it means nothing to us. */
function withoutExtensions(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => !key.startsWith("x-")));
}

function keysOf(value: unknown, key: string): string[] {
  const inner: unknown =
    typeof value === "object" && value !== null ? Object.getOwnPropertyDescriptor(value, key)?.value : undefined;
  return typeof inner === "object" && inner !== null ? Object.keys(inner) : [];
}

/** Keys (and names of header fields) whose value a message must not repeat. */
const secretKey = /secret|password|token|authorization/i;

/** Longest part of a value that a message repeats. */
const longestShown = 60;

function shower(value: unknown, places: Places): Show {
  return (path) => {
    let current = value;
    for (const [index, part] of path.entries()) {
      const substitution = places.substitution(path.slice(0, index + 1));
      if (substitution !== undefined) return { hidden: `what ${substitution.written} stands for` };
      if (typeof part === "string" && secretKey.test(part)) return { hidden: "what stands here" };
      if (typeof current !== "object" || current === null || !Object.hasOwn(current, part)) break;
      current = (current as Record<string | number, unknown>)[part];
    }
    if (Array.isArray(current)) return { text: "a list" };
    if (typeof current === "object" && current !== null) return { text: "a map" };
    const text = typeof current === "string" ? JSON.stringify(current) : String(current);
    return { text: text.length > longestShown ? `${text.slice(0, longestShown)}...` : text };
  };
}
