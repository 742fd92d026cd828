// `npm run check`: every rule of the house, in parallel, one line each. Findings are printed only where there are some.
// Arguments pick checks by name: `npm run check -- order docs`.
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { checkBans } from "./check/bans.ts";
import { checkDocs } from "./check/docs.ts";
import { type CheckResult, root } from "./check/files.ts";
import { checkFolders } from "./check/folders.ts";
import { checkNeeds } from "./check/needs.ts";
import { checkOrder } from "./check/order.ts";
import { checkSize } from "./check/size.ts";

interface Outcome {
  readonly ok: boolean;
  readonly summary: string;
  readonly detail: string;
}

/** The checks, slowest first so that they start first. */
const checks: Record<string, () => Promise<Outcome>> = {
  lint: () => program("oxlint", ["--format=unix"], /(\d+ files? with \d+ rules)/),
  types: () => program("tsc", ["-p", "."], /$^/),
  unused: () => program("knip", ["--no-progress"], /$^/),
  order: () => own(checkOrder),
  bans: () => own(checkBans),
  docs: () => own(checkDocs),
  format: () => program("oxfmt", ["--check"], /on (\d+ files)/),
  size: () => own(checkSize),
  folders: () => own(checkFolders),
  needs: () => own(checkNeeds),
};

async function program(name: string, args: readonly string[], summary: RegExp): Promise<Outcome> {
  const child = Bun.spawn(["node", entry(name), ...args], {
    cwd: root,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const code = await child.exited;
  return { ok: code === 0, summary: summary.exec(out)?.[1] ?? "", detail: `${out}${err}`.trim() };
}

/** The script behind a command of node_modules. */
function entry(name: string): string {
  return join(root, "node_modules", ".bin", name);
}

async function own(check: () => CheckResult | Promise<CheckResult>): Promise<Outcome> {
  const { findings, summary } = await check();
  const lines = findings.map((one) => `${one.file}${one.line > 0 ? `:${one.line}` : ""}: ${one.text}`);
  const broken = `${findings.length} finding${findings.length === 1 ? "" : "s"}`;
  return { ok: findings.length === 0, summary: findings.length === 0 ? summary : broken, detail: lines.join("\n") };
}

async function main(picked: readonly string[]): Promise<number> {
  const unknown = picked.filter((name) => !(name in checks));
  if (unknown.length > 0) {
    console.error(`No check called ${unknown.join(", ")}. There are: ${Object.keys(checks).join(", ")}`);
    return 2;
  }
  const queue = Object.entries(checks).filter(([name]) => picked.length === 0 || picked.includes(name));
  let failed = 0;
  async function worker(): Promise<void> {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const [name, run] = next;
      const started = performance.now();
      const outcome = await run().catch((error: unknown) => ({ ok: false, summary: "", detail: String(error) }));
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      if (!outcome.ok) failed++;
      console.log(
        `${outcome.ok ? "ok  " : "FAIL"} ${name.padEnd(8)} ${seconds.padStart(5)} s  ${outcome.summary}`.trimEnd(),
      );
      if (!outcome.ok) console.log(indent(outcome.detail));
    }
  }
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, worker));
  return failed === 0 ? 0 : 1;
}

function indent(text: string): string {
  const lines = text.split("\n");
  const shown = lines.slice(0, 60).map((line) => `       ${line}`);
  if (lines.length > shown.length) shown.push(`       ... and ${lines.length - shown.length} lines more`);
  return shown.join("\n");
}

process.exit(await main(process.argv.slice(2)));
