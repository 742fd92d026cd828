// The configuration against its schema: every wrong value becomes a finding, and what is left after the wrong parts are
// taken out is still checked for meaning, so that one typing error does not hide all other mistakes.
import { findingsOf, type Show } from "./issues.ts";
import type { Finding, Path } from "./problem.ts";
import { Remainder } from "./remainder.ts";
import { configSchema, type Config } from "./schema/config.ts";

/** What the schema says of a value. */
export interface Checked {
  /** What can be looked at further; null if nothing is left. */
  readonly config: Config | null;
  readonly findings: readonly Finding[];
  /** Paths that were taken out: whatever is missed there is a consequence. */
  readonly removed: readonly Path[];
  /** Turns a path of `config` into one of the value. */
  readonly original: (path: Path) => Path;
}

/** Rounds of taking out: each takes out at least one level, and the schema has fewer than this. */
const mostRounds = 12;

/**
 * @param value Plain data; it is not changed.
 * @param unfilled Places that already have a problem and hold nothing; they are taken out without another word.
 */
export function checkShape(value: unknown, unfilled: readonly Path[], show: Show): Checked {
  const remainder = new Remainder(value);
  const original = (path: Path): Path => remainder.original(path);
  const removed: Path[] = remainder.remove(unfilled);
  let findings: Finding[] = [];
  for (let round = 0; round < mostRounds && remainder.value !== undefined; round++) {
    const parsed = configSchema.safeParse(remainder.value);
    if (parsed.success) return { config: parsed.data, findings, removed, original };
    const { issues } = parsed.error;
    // The first round sees all that was written. Later ones see the holes that were made, and make them larger.
    if (round === 0) {
      findings = findingsOf(issues, configSchema, remainder, show).filter(
        (finding) => finding.atKey === true || !isConsequence(finding.path, removed),
      );
    }
    const wrong = issues.flatMap((issue): Path[] => {
      const path = issue.path as Path;
      return issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...path, key]) : [path];
    });
    for (const path of wrong) if (isAddress(path)) removed.push(remainder.replace(path, standIn));
    removed.push(...remainder.remove(wrong.filter((path) => !isAddress(path))));
  }
  return { config: null, findings, removed, original };
}

/** A listener without its address would be taken out whole, and nothing said of its routes. Port 0 clashes with none. */
const standIn = "127.0.0.1:0";

function isAddress(path: Path): boolean {
  return path.length === 3 && path[0] === "listeners" && path[2] === "address";
}

/** Whether something at `path` may be missed only because it, or something in it, was taken out. */
export function isConsequence(path: Path, removed: readonly Path[]): boolean {
  return removed.some((hole) => path.every((part, index) => hole[index] === part));
}
