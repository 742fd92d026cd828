// What may not be written where: clocks, chance, I/O, throws, promises, inheritance, names that say nothing. Rules are
// rows of a table; where one does not hold, exceptions.ts says why.
import { exceptions, type Exception } from "./exceptions.ts";
import {
  type CheckResult,
  type Finding,
  isTest,
  lineAt,
  type Source,
  sources,
  type SyntaxNode,
  walk,
} from "./files.ts";

/** One ban: where it holds, and what in the syntax breaks it. `judge` returns what is wrong, or undefined. */
interface Ban {
  readonly rule: string;
  readonly because: string;
  readonly holds: (file: string) => boolean;
  readonly judge: (node: SyntaxNode, parent: SyntaxNode | undefined) => string | undefined;
}

const engine = /^packages\/(wire|balancer)\/src\//;
const thinking = /^packages\/(wire\/src|balancer\/src\/(base|observe|pool|proxy|config))\//;
const dataPlane = /^packages\/(wire\/src|balancer\/src\/(net|pool|proxy))\//;

const timeNames = new Set([
  "Date.now",
  "performance.now",
  "Math.random",
  "process.hrtime",
  "Bun.nanoseconds",
  "Bun.sleep",
  "crypto.randomUUID",
  "crypto.getRandomValues",
]);
const timeCalls = new Set(["setTimeout", "setInterval", "setImmediate", "queueMicrotask"]);

const bans: readonly Ban[] = [
  {
    rule: "no-clock",
    because: "time and chance are arguments (base/clock.ts, base/random.ts), so that every decision can be replayed",
    holds: (file) => engine.test(file) && !file.startsWith("packages/balancer/src/net/") && !isTest(file),
    judge(node) {
      const name = dotted(node);
      if (name && timeNames.has(name)) return name;
      const callee = node.type === "CallExpression" ? dotted(node["callee"] as SyntaxNode) : undefined;
      if (callee && timeCalls.has(callee)) return callee;
      const dated = node.type === "NewExpression" && dotted(node["callee"] as SyntaxNode) === "Date";
      return dated && (node["arguments"] as readonly unknown[]).length === 0 ? "new Date()" : undefined;
    },
  },
  {
    rule: "no-io",
    because: "parts that think do no I/O; they get bytes, time and chance as arguments",
    holds: (file) => thinking.test(file) && !isTest(file),
    judge(node) {
      if (node.type === "ImportDeclaration") {
        const from = (node["source"] as { value: string }).value;
        if (/^(node|bun):/.test(from) && !isPure(node)) return `import of "${from}"`;
      }
      const name = dotted(node);
      return name && /^(Bun|process)\.[a-z]/.test(name) ? name : undefined;
    },
  },
  {
    rule: "no-throw",
    because: "the data plane does not throw; what a peer does wrong is a value",
    holds: (file) => dataPlane.test(file) && !isTest(file),
    judge: (node) => (node.type === "ThrowStatement" ? "throw" : undefined),
  },
  {
    rule: "no-promise",
    because: "the data plane is callbacks and plain functions",
    holds: (file) => /^packages\/(wire\/src|balancer\/src\/(base|proxy|pool\/balance))\//.test(file) && !isTest(file),
    judge(node) {
      if (node.type === "AwaitExpression") return "await";
      return node["async"] === true ? "an async function" : undefined;
    },
  },
  {
    rule: "no-slow-sockets",
    because: "node:http, Bun.serve, fetch and streams never carry balanced traffic (measured at 2 to 7 times the cost)",
    holds: (file) => /^packages\/balancer\/src\/(?!admin\/)/.test(file) && !isTest(file),
    judge(node) {
      const from = node.type === "ImportDeclaration" ? (node["source"] as { value: string }).value : "";
      if (/^node:(http|https|http2|net|tls|stream|events)/.test(from) && !isPure(node)) return `"${from}"`;
      if (dotted(node) === "Bun.serve") return "Bun.serve";
      const called = node.type === "CallExpression" ? dotted(node["callee"] as SyntaxNode) : undefined;
      return called === "fetch" ? "fetch" : undefined;
    },
  },
  {
    rule: "no-inheritance",
    because: "values and functions before classes, and no inheritance but from Error",
    holds: (file) => /^packages\//.test(file),
    judge(node) {
      const above = /^Class/.test(node.type) ? (node["superClass"] as SyntaxNode | null) : null;
      const name = above ? (dotted(above) ?? "an expression") : "";
      return name && !/Error$/.test(name) ? `extends ${name}` : undefined;
    },
  },
  {
    rule: "no-unfinished-tests",
    because: "a test that never runs is no test",
    holds: isTest,
    judge(node) {
      const name = dotted(node);
      return name && /^(test|it|describe)\.(only|todo|skip)$/.test(name) ? name : undefined;
    },
  },
];

/** Words that the glossary replaces, in identifiers. */
const words: readonly (readonly [RegExp, string])[] = [
  // `entrypoints` alone is an option of Bun.build.
  [/front[eE]nd|(?!^entrypoints$)^.*entry[pP]oints?$/, "listener"],
  [/(^|[a-z])[bB]ack[eE]nd/, "pool or endpoint"],
  [/(^|[a-z])[cC]luster/, "pool"],
  [/[uU]pstreamGroup/, "pool"],
];

const vague = /(^|\/)(utils?|helpers?|common|misc|core|types)(\/|\.m?tsx?$)/;

export function checkBans(all: readonly Source[] = sources(), allowed: readonly Exception[] = exceptions): CheckResult {
  const findings: Finding[] = [];
  const used = new Set<Exception>();
  for (const source of all) {
    const { file, text } = source;
    if (vague.test(file))
      findings.push({ file, line: 0, text: "a name that says nothing; name it after what is in it" });
    for (const comment of source.comments) {
      const left = /\b(TODO|FIXME|XXX)\b/.exec(comment.value)?.[1];
      if (left)
        findings.push({ file, line: lineAt(text, comment.start), text: `${left}: finish it, or open an issue` });
    }
    const holding = bans.filter((ban) => ban.holds(file));
    // One finding for each rule and file is enough: it is mended, or excepted, for the whole file.
    const told = new Set<Ban>();
    walk(source.program, (node, parent) => {
      const better = wordFor(node);
      if (better) findings.push({ file, line: lineAt(text, node.start), text: better });
      for (const ban of holding) {
        const what = ban.judge(node, parent);
        if (!what) continue;
        const exception = allowed.find((one) => one.rule === ban.rule && one.file === file);
        if (exception) used.add(exception);
        else if (!told.has(ban)) {
          findings.push({ file, line: lineAt(text, node.start), text: `${ban.rule}: ${what} (${ban.because})` });
        }
        told.add(ban);
      }
    });
  }
  for (const one of allowed) {
    if (used.has(one)) continue;
    findings.push({ file: one.file, line: 0, text: `exceptions.ts lets it break ${one.rule}, but it does not` });
  }
  return { findings, summary: `${bans.length} rules, ${allowed.length} exceptions with reasons` };
}

/** Whether an import brings only types, or functions that touch nothing. */
function isPure(node: SyntaxNode): boolean {
  if (node["importKind"] === "type") return true;
  const named = node["specifiers"] as readonly SyntaxNode[];
  return (
    named.length > 0 &&
    named.every(
      (one) =>
        one["importKind"] === "type" ||
        /^(isIP(v[46])?|createHash|createHmac|X509Certificate|createPrivateKey)$/.test(importedName(one)),
    )
  );
}

function importedName(specifier: SyntaxNode): string {
  return ((specifier["imported"] as SyntaxNode | undefined)?.["name"] as string | undefined) ?? "";
}

/** "a.b.c" for a plain member expression or identifier, else undefined. */
function dotted(node: SyntaxNode): string | undefined {
  if (node.type === "Identifier") return node["name"] as string;
  if (node.type !== "MemberExpression" || node["computed"] === true) return undefined;
  const object = dotted(node["object"] as SyntaxNode);
  const property = node["property"] as SyntaxNode;
  return object && property.type === "Identifier" ? `${object}.${property["name"] as string}` : undefined;
}

function wordFor(node: SyntaxNode): string | undefined {
  if (node.type !== "Identifier") return undefined;
  const name = node["name"] as string;
  const word = words.find(([pattern]) => pattern.test(name));
  return word ? `"${name}": the house's word is ${word[1]}` : undefined;
}
