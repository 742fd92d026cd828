// What the checks share: which files the repository has and what their syntax is.
// Must not know any rule; each rule is a file of its own beside this one.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseSync, type Program, visitorKeys } from "oxc-parser";

/** The repository's root, ending without a slash. */
export const root: string = join(import.meta.dir, "..", "..");

/** One broken rule. `line` counts from 1; 0 when the whole file is meant. */
export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** What a check says: its findings, and one line for when there are none. */
export interface CheckResult {
  readonly findings: readonly Finding[];
  readonly summary: string;
}

/** A node of the syntax tree as the rules see it: a type, a place, and whatever that type has. */
export interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

/** One parsed source file. */
export interface Source {
  readonly file: string;
  readonly text: string;
  readonly program: Program;
  readonly comments: readonly { readonly type: "Line" | "Block"; readonly value: string; readonly start: number }[];
}

let listed: readonly string[] | undefined;

/** Every file that is or would be committed, as paths from the root, sorted. */
export function repositoryFiles(): readonly string[] {
  if (listed) return listed;
  const git = Bun.spawnSync(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root });
  if (git.exitCode !== 0) throw new Error(`git ls-files failed: ${git.stderr.toString().trim()}`);
  const names = new Set(git.stdout.toString().split("\0").filter(Boolean));
  listed = [...names].filter((name) => existsSync(join(root, name))).sort();
  return listed;
}

/** Text of a file of the repository. */
export function readText(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

/** Tests and what only they use. */
export function isTest(file: string): boolean {
  return /\.test\.m?ts$|\/fixtures\//.test(file) || file.startsWith("tests/");
}

/** Parses one file. Throws an Error with file and message when it is not TypeScript. */
export function parse(file: string, text: string): Source {
  const result = parseSync(file, text, { sourceType: "module" });
  const bad = result.errors[0];
  if (bad) throw new Error(`${file}: ${bad.message}`);
  return { file, text, program: result.program, comments: result.comments };
}

/** Every TypeScript file, parsed. Declaration files are left out. */
export function sources(): readonly Source[] {
  return repositoryFiles()
    .filter((file) => /\.(m?ts|tsx)$/.test(file) && !file.endsWith(".d.ts"))
    .map((file) => parse(file, readText(file)));
}

/** Calls `visit` for each node, parents first. */
export function walk(node: unknown, visit: (node: SyntaxNode, parent: SyntaxNode | undefined) => void): void {
  step(node as SyntaxNode, undefined, visit);
}

function step(
  node: SyntaxNode,
  parent: SyntaxNode | undefined,
  visit: (node: SyntaxNode, parent: SyntaxNode | undefined) => void,
): void {
  visit(node, parent);
  for (const key of visitorKeys[node.type] ?? []) {
    const child = node[key];
    if (Array.isArray(child)) {
      for (const item of child) if (item) step(item as SyntaxNode, node, visit);
    } else if (child) step(child as SyntaxNode, node, visit);
  }
}

/** Line of an offset, from 1. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) line++;
  return line;
}
