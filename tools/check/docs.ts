// What documents promise: every path they name exists, every link and anchor resolves, every npm script is there, the
// words are the glossary's, and made documents equal what makes them. Must not know how a document is rendered.
import { existsSync } from "node:fs";
import { join, posix } from "node:path";
import { madeDocuments } from "../made-documents.ts";
import { type CheckResult, type Finding, readText, repositoryFiles, root } from "./files.ts";

/** The words that stand for something else here. Only prose is read; code, quotes from rivals and links are not. */
const words: readonly (readonly [RegExp, string])[] = [
  [/\bfront-?ends?\b/i, "listener"],
  [/\bback-?ends?\b/i, "pool or endpoint"],
  [/\bclusters?\b/i, "pool"],
  [/\bupstream groups?\b/i, "pool"],
  [/\bentry-?points?\b/i, "listener"],
];

/** A code span that names a place in this repository. */
const placeName = /^(packages|tests|tools|bench|docs|examples|\.ci)\/[\w.@/*{},-]*$|^[A-Z]+\.md$|^LICENSE$/;

export function checkDocs(files: readonly string[] = repositoryFiles()): CheckResult {
  const findings: Finding[] = [];
  const documents = files.filter((file) => file.endsWith(".md"));
  const scripts = (JSON.parse(readText("package.json")) as { scripts: Record<string, string> }).scripts;
  for (const file of documents) findings.push(...judgeDocument(file, readText(file), files, scripts));
  const made = madeDocuments();
  for (const { file, text } of made) {
    if (!existsSync(join(root, file)) || readText(file) !== text) {
      findings.push({ file, line: 0, text: "is made, and differs from what makes it; run: npm run docs" });
    }
  }
  return { findings, summary: `${documents.length} documents, ${made.length} of them made` };
}

/** Findings of one document. `files` are the repository's, for what it may name. */
export function judgeDocument(
  file: string,
  text: string,
  files: readonly string[],
  scripts: Record<string, string>,
): readonly Finding[] {
  const findings: Finding[] = [];
  const made = file.startsWith("bench/results/");
  let fenced = false;
  for (const [index, line] of text.split("\n").entries()) {
    const add = (what: string): number => findings.push({ file, line: index + 1, text: what });
    if (/^\s*(```|~~~)/.test(line)) fenced = !fenced;
    for (const [, name] of line.matchAll(/\bnpm run ([\w:-]+)/g)) {
      if (name && !(name in scripts)) add(`"npm run ${name}": no such script`);
    }
    if (fenced || made) continue;
    for (const [, code = ""] of line.matchAll(/`([^`]+)`/g)) {
      if (placeName.test(code) && !names(code, files)) add(`\`${code}\` does not exist`);
    }
    for (const [, target = ""] of line.matchAll(/\]\(([^)\s]+)[^)]*\)/g)) {
      const problem = judgeLink(file, target, files);
      if (problem) add(problem);
    }
    const prose = line
      .replace(/`[^`]*`/g, "")
      .replace(/\]\([^)]*\)/g, "]")
      .replace(/"[^"]*"/g, "");
    for (const [pattern, better] of words) {
      const word = pattern.exec(prose)?.[0];
      if (word) add(`"${word}": the house's word is ${better}`);
    }
  }
  return findings;
}

function judgeLink(file: string, target: string, files: readonly string[]): string | undefined {
  if (/^[a-z]+:/.test(target)) return undefined;
  const [path = "", anchor = ""] = target.split("#");
  const at = path === "" ? file : posix.join(posix.dirname(file), decodeURIComponent(path));
  if (!names(at, files)) return `link to ${target}: no such file`;
  if (anchor === "" || !at.endsWith(".md")) return undefined;
  return anchorsOf(readText(at)).has(anchor) ? undefined : `link to ${target}: no such heading`;
}

/** Whether a path, a folder, or a pattern with `*` or `{a,b}` names at least one file. */
function names(path: string, files: readonly string[]): boolean {
  const plain = path.replace(/\/$/, "");
  if (/[*{]/.test(plain)) {
    const glob = new Bun.Glob(plain);
    return files.some((one) => glob.match(one));
  }
  return plain === "." || files.some((one) => one === plain || one.startsWith(`${plain}/`));
}

/** Anchors as the large forges make them from headings, doubles numbered. */
export function anchorsOf(text: string): ReadonlySet<string> {
  const seen = new Map<string, number>();
  const anchors = new Set<string>();
  for (const line of text.replace(/^(```|~~~)[\s\S]*?^\1/gm, "").split("\n")) {
    const heading = /^#{1,6}\s+(.*?)\s*#*$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const words = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const slug = words.replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/g, "-");
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    anchors.add(times === 0 ? slug : `${slug}-${times}`);
  }
  return anchors;
}
