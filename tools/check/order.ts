// The import lines of the house: packages, folders of the balancer, no circles (types included), no doors but the front
// one. Must not know what a file does, only whom it names.
import { existsSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { type CheckResult, type Finding, isTest, lineAt, root, type Source, sources, walk } from "./files.ts";

/** Each package may import only those before it. Tests may also use the testbed. */
const packageLine = ["wire", "testbed", "balancer", "audit", "dashboard", "cli", "kit"];
const packageNames: Record<string, string> = { plimsoll: "cli" };
for (const name of packageLine) if (name !== "cli") packageNames[`@plimsoll/${name}`] = name;

/** Packages that import none of ours: the kit is installed into applications. */
const alone = new Set(["kit"]);

/** Folders of a folder, left to right; those in one inner list are siblings that do not know each other. */
const folderLines: Record<string, readonly (readonly string[])[]> = {
  "packages/balancer/src": [["base"], ["observe"], ["net"], ["pool"], ["proxy"], ["config"], ["control"], ["admin"]],
  "packages/balancer/src/pool": [["balance", "probe", "stick"]],
  "packages/balancer/src/proxy": [["route"], ["steps"], ["fixtures"], ["layer4"], ["datagrams"]],
  "packages/balancer/src/control": [["certificate"], ["discovery", "app", "acme", "service"], ["handover"]],
};

interface Import {
  readonly specifier: string;
  readonly line: number;
  /** The imported file inside this repository; undefined for packages from elsewhere. */
  readonly file: string | undefined;
}

export function checkOrder(all: readonly Source[] = sources()): CheckResult {
  const findings: Finding[] = [];
  const graph = new Map<string, readonly string[]>();
  let count = 0;
  for (const source of all) {
    const imports = importsOf(source);
    count += imports.length;
    for (const one of imports) {
      const text = judge(source.file, one);
      if (text) findings.push({ file: source.file, line: one.line, text });
    }
    graph.set(
      source.file,
      imports.flatMap((one) => (one.file ? [one.file] : [])),
    );
  }
  for (const circle of circles(graph)) {
    findings.push({ file: circle[0] ?? "", line: 0, text: `imports in a circle: ${circle.join(" -> ")}` });
  }
  return { findings, summary: `${count} imports in ${all.length} files, no circles` };
}

/** Every import, re-export, dynamic import and `import("...")` type of a file. */
export function importsOf(source: Source): readonly Import[] {
  const found: Import[] = [];
  walk(source.program, (node) => {
    if (!/^(Import|ExportNamed|ExportAll)Declaration$|^ImportExpression$|^TSImportType$/.test(node.type)) return;
    const from = (node["source"] ?? node["argument"]) as { type: string; value?: unknown } | null;
    if (typeof from?.value !== "string") return;
    const specifier = from.value;
    found.push({ specifier, line: lineAt(source.text, node.start), file: resolve(source.file, specifier) });
  });
  return found;
}

function resolve(from: string, specifier: string): string | undefined {
  if (specifier.startsWith(".")) return posix.join(dirname(from), specifier);
  const [name = "", ...rest] = packageParts(specifier);
  const folder = packageNames[name];
  if (!folder) return undefined;
  const path = rest.join("/");
  if (path.startsWith("src/")) return `packages/${folder}/${path}`;
  return exported(folder, path) ?? `packages/${folder}/src`;
}

const manifests = new Map<string, Record<string, string>>();

function exported(folder: string, path: string): string | undefined {
  let map = manifests.get(folder);
  if (!map) {
    const file = join(root, "packages", folder, "package.json");
    map = existsSync(file) ? ((require(file) as { exports?: Record<string, string> }).exports ?? {}) : {};
    manifests.set(folder, map);
  }
  const key = path === "" ? "." : `./${path}`;
  const direct = map[key];
  if (typeof direct === "string") return posix.join("packages", folder, direct);
  for (const [pattern, target] of Object.entries(map)) {
    const star = pattern.indexOf("*");
    if (star < 0 || typeof target !== "string") continue;
    const head = pattern.slice(0, star);
    const tail = pattern.slice(star + 1);
    if (!key.startsWith(head) || !key.endsWith(tail)) continue;
    const middle = key.slice(head.length, key.length - tail.length);
    return posix.join("packages", folder, target.replace("*", middle));
  }
  return undefined;
}

function packageParts(specifier: string): readonly string[] {
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? [parts.slice(0, 2).join("/"), ...parts.slice(2)] : parts;
}

function judge(from: string, one: Import): string | undefined {
  const to = one.file;
  if (!to) return undefined;
  const relative = one.specifier.startsWith(".");
  if (relative && !/\.(ts|tsx|json|mjs|js)$/.test(to)) return `"${one.specifier}": import paths end in ".ts"`;
  const here = packageOf(from);
  const there = packageOf(to);
  if (here && there && here !== there) {
    if (relative) return `"${one.specifier}" climbs out of its package; import it by its package name`;
    return judgePackages(here, there, isTest(from));
  }
  if (!here || here !== there) return undefined;
  if (!relative && !isTest(from)) return `"${one.specifier}": a package imports its own files by relative path`;
  if (/\/index\.ts$/.test(to) && !isTest(from)) return `"${one.specifier}": a barrel is for other packages only`;
  return judgeFolders(from, to);
}

function judgePackages(here: string, there: string, test: boolean): string | undefined {
  if (alone.has(here)) return `${here} stands alone and imports none of our packages`;
  if (alone.has(there) && !test) return `${there} is for applications; nothing here imports it`;
  if (there === "testbed") {
    if (!test) return "the testbed is for tests only";
    return here === "wire" ? "wire stands before the testbed" : undefined;
  }
  if (packageLine.indexOf(there) < packageLine.indexOf(here)) return undefined;
  return `${here} stands before ${there} on the package line (${packageLine.join(" < ")})`;
}

function judgeFolders(from: string, to: string): string | undefined {
  for (const [folder, line] of Object.entries(folderLines)) {
    const a = folderBelow(folder, from);
    const b = folderBelow(folder, to);
    if (a === undefined || b === undefined || a === b) continue;
    const rankA = line.findIndex((names) => names.includes(a));
    const rankB = line.findIndex((names) => names.includes(b));
    const printed = line.map((names) => names.join(", ")).join(" < ");
    if (rankA < 0 || rankB < 0) return `${folder}/${rankA < 0 ? a : b} has no place on its line (${printed})`;
    if (rankB >= rankA) return `${a} must not know ${b} (${folder}: ${printed})`;
  }
  return undefined;
}

function folderBelow(folder: string, file: string): string | undefined {
  if (!file.startsWith(`${folder}/`)) return undefined;
  const rest = file.slice(folder.length + 1).split("/");
  return rest.length > 1 ? rest[0] : undefined;
}

function packageOf(file: string): string | undefined {
  return /^packages\/([^/]+)\//.exec(file)?.[1];
}

/** Groups of files that import each other in a circle (Tarjan's strongly connected components), one path for each. */
export function circles(graph: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const order = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const onStack = new Set<string>();
  const found: string[][] = [];
  function visit(file: string): void {
    const mine = order.size;
    order.set(file, mine);
    let lowest = mine;
    stack.push(file);
    onStack.add(file);
    for (const next of graph.get(file) ?? []) {
      if (!order.has(next)) {
        visit(next);
        lowest = Math.min(lowest, low.get(next) ?? lowest);
      } else if (onStack.has(next)) lowest = Math.min(lowest, order.get(next) ?? lowest);
    }
    low.set(file, lowest);
    if (lowest !== mine) return;
    const group: string[] = [];
    for (let member = stack.pop(); member !== undefined; member = stack.pop()) {
      onStack.delete(member);
      group.push(member);
      if (member === file) break;
    }
    if (group.length > 1 || (graph.get(file) ?? []).includes(file)) found.push(group.sort());
  }
  for (const file of graph.keys()) if (!order.has(file)) visit(file);
  return found;
}
