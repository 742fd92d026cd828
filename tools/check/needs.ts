// A test file that starts a foreign program says so in its opening comment ("// Needs: curl"), so that `npm test` can get
// the program, and name the file when it cannot.
import { needsOf } from "../test/discover.ts";
import { packages } from "../test/programs.ts";
import { type CheckResult, type Finding, lineAt, type Source, sources, type SyntaxNode, walk } from "./files.ts";

export function checkNeeds(
  all: readonly Source[] = sources().filter((source) => source.file.endsWith(".test.ts")),
): CheckResult {
  const findings: Finding[] = [];
  let named = 0;
  for (const { file, text, program } of all) {
    const needs = needsOf(text);
    named += needs.length;
    for (const name of needs) {
      if (!(name in packages))
        findings.push({ file, line: 1, text: `tools/test/programs.ts knows no program "${name}"` });
    }
    walk(program, (node) => {
      const name = started(node);
      if (!name || !(name in packages) || needs.includes(name)) return;
      findings.push({
        file,
        line: lineAt(text, node.start),
        text: `starts ${name}; say "// Needs: ${name}" at the top`,
      });
    });
  }
  return { findings, summary: `${named} programs named in ${all.length} test files` };
}

/** The program of a call that starts one: its first argument, or the first word of a list that is. */
function started(node: SyntaxNode): string | undefined {
  if (node.type !== "CallExpression") return undefined;
  const callee = node["callee"] as SyntaxNode;
  const name = (callee.type === "MemberExpression" ? (callee["property"] as SyntaxNode) : callee)["name"];
  if (typeof name !== "string" || !/^(spawn|exec|run|start)/i.test(name)) return undefined;
  const first = (node["arguments"] as readonly SyntaxNode[])[0];
  if (first?.type === "ArrayExpression") return literal((first["elements"] as readonly (SyntaxNode | null)[])[0]);
  return literal(first);
}

function literal(node: SyntaxNode | null | undefined): string | undefined {
  return node?.type === "Literal" && typeof node["value"] === "string" ? node["value"] : undefined;
}
