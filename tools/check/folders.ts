// Each folder of source opens with two lines or more in its first file: what it is for, and what it must not know.
import { posix } from "node:path";
import { type CheckResult, type Finding, readText, repositoryFiles } from "./files.ts";

export function checkFolders(
  files: readonly string[] = repositoryFiles(),
  read: (file: string) => string = readText,
): CheckResult {
  const firsts = firstFiles(files);
  const findings: Finding[] = [];
  for (const file of firsts.values()) {
    if (openingLines(read(file)) >= 2) continue;
    const text = `the first file of ${posix.dirname(file)}/ opens with two comment lines: what the folder is for, what it must not know`;
    findings.push({ file, line: 1, text });
  }
  return { findings, summary: `${firsts.size} folders say what they are for` };
}

/** The first file of each folder of source: index.ts where there is one, else the first by name. Tests do not count. */
function firstFiles(files: readonly string[]): ReadonlyMap<string, string> {
  const firsts = new Map<string, string>();
  for (const file of files) {
    if (!/^(packages|bench|tools)\/.*\.ts$/.test(file) || /\.test\.ts$|\.d\.ts$|\/fixtures\//.test(file)) continue;
    const folder = posix.dirname(file);
    if (!firsts.has(folder) || file.endsWith("/index.ts")) firsts.set(folder, file);
  }
  return firsts;
}

function openingLines(text: string): number {
  const lines = text.split("\n");
  const start = lines[0]?.startsWith("#!") ? 1 : 0;
  let at = start;
  while (lines[at]?.startsWith("//")) at++;
  return at - start;
}
