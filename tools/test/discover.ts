// Which test files there are, what each needs, and how they are grouped into processes.
// This folder runs the tests; it must not know what any of them tests.
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Tests that run together in one process. */
export interface Job {
  readonly name: string;
  readonly files: readonly string[];
  /** Programs, by command name, that every file here needs. */
  readonly needs: readonly string[];
  /** Nothing else runs meanwhile. */
  readonly alone: boolean;
  /** Longest time for one test, in ms. */
  readonly testTimeout: number;
  /** Longest time for the whole process, in ms. */
  readonly timeout: number;
}

/** Files of which the path contains one of the filters, or all of them where there is no filter. */
export function testFiles(root: string, filters: readonly string[]): readonly string[] {
  const found: string[] = [];
  for (const pattern of ["{packages,tools,bench,examples}/**/*.test.ts", "tests/**/*.test.ts"]) {
    for (const file of new Bun.Glob(pattern).scanSync({ cwd: root, dot: true })) {
      if (!file.includes("node_modules/")) found.push(file);
    }
  }
  return found.filter((file) => filters.length === 0 || filters.some((one) => file.includes(one))).sort();
}

/** Programs named in a file's opening comment: "// Needs: curl, nginx". */
export function needsOf(text: string): readonly string[] {
  const names = /^\/\/ Needs: (.+)$/m.exec(opening(text))?.[1] ?? "";
  return names
    .split(",")
    .map((name) => name.trim().replace(/\.$/, ""))
    .filter(Boolean);
}

/** Whether a file's opening comment asks for the machine to itself: "// Runs alone: it counts descriptors". */
export function runsAlone(text: string): boolean {
  return /^\/\/ Runs alone: \S/m.test(opening(text));
}

function opening(text: string): string {
  const end = text.search(/^(?!\/\/|\s*$)/m);
  return end < 0 ? text : text.slice(0, end);
}

/**
 * Unit tests share a process by folder; every integration test has one of its own, so that what one leaves behind
 * cannot hide in the next. Units come first, and jobs that run alone last.
 */
export function planJobs(root: string, files: readonly string[]): readonly Job[] {
  const jobs = new Map<string, Job>();
  for (const file of files) {
    const text = readFileSync(join(root, file), "utf8");
    const needs = needsOf(text);
    const alone = runsAlone(text);
    const unit = !file.startsWith("tests/");
    const name = unit && needs.length === 0 && !alone ? unitGroup(file) : file;
    const before = jobs.get(name);
    jobs.set(name, {
      name,
      files: [...(before?.files ?? []), file],
      needs,
      alone,
      testTimeout: unit ? 30_000 : 120_000,
      timeout: unit ? 300_000 : 600_000,
    });
  }
  const rank = (job: Job): number => (job.alone ? 2 : job.name.startsWith("tests/") ? 1 : 0);
  return [...jobs.values()].sort((a, b) => rank(a) - rank(b));
}

/** "packages/balancer/src/net/wheel.test.ts" belongs to "packages/balancer/src/net". */
function unitGroup(file: string): string {
  const parts = file.split("/").slice(0, -1);
  return parts.slice(0, parts[0] === "packages" ? 4 : 1).join("/");
}
