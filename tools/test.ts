// `npm test`: gets the programs that tests need, runs every test, and ends with one line that counts them.
//
//   npm test                      all: unit tests first, then integration
//   npm test -- wire pool         only files with one of these words in their path
//   npm test -- --with-checks     the checks of `npm run check`, too, each counted as a test
//
// With CI=true nothing may be skipped. PLIMSOLL_NO_INSTALL=1 forbids installing Debian packages.
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { type Job, planJobs, testFiles } from "./test/discover.ts";
import { adoptedProcesses, adoptOrphans, sweep } from "./test/leftovers.ts";
import { installPrograms, missingPrograms, packages } from "./test/programs.ts";
import { type JobResult, runJob, running, stopJobs } from "./test/run-job.ts";

const root = join(import.meta.dir, "..");
const ci = process.env["CI"] === "true";

let passed = 0;
const failed: string[] = [];
const skipped: string[] = [];

async function main(args: readonly string[]): Promise<number> {
  const flags = args.filter((arg) => arg.startsWith("--"));
  const unknown = flags.find((flag) => flag !== "--with-checks");
  if (unknown) {
    console.error(`npm test knows no ${unknown}; it takes words to find in paths, and --with-checks.`);
    return 2;
  }
  const filters = args.filter((arg) => !arg.startsWith("--"));
  const jobs = planJobs(root, testFiles(root, filters));
  if (jobs.length === 0) {
    console.error(`No test file has ${filters.map((one) => `"${one}"`).join(" or ")} in its path.`);
    return 2;
  }
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  if (flags.includes("--with-checks")) await runChecks();
  const ready = await satisfiable(jobs);
  // From here on every child of this process that it did not start is something a test left behind.
  adoptOrphans(running);
  await runAll(ready);

  for (const name of skipped) console.log(`skipped: ${name}`);
  for (const name of failed) console.log(`failed: ${name}`);
  if (ci && skipped.length > 0) console.log("With CI=true nothing may be skipped.");
  console.log(`${passed} passed, ${failed.length} failed, ${skipped.length} skipped`);
  return failed.length > 0 || (ci && skipped.length > 0) || passed === 0 ? 1 : 0;
}

/** Jobs whose programs are there, after trying to get them; the others are skipped by name. */
async function satisfiable(jobs: readonly Job[]): Promise<readonly Job[]> {
  const needed = new Set(jobs.flatMap((job) => job.needs));
  for (const name of needed) {
    if (!(name in packages))
      failed.push(`"// Needs: ${name}" names a program that tools/test/programs.ts does not know`);
  }
  await installPrograms(missingPrograms(needed));
  const missing = new Set(missingPrograms(needed));
  return jobs.filter((job) => {
    const lacks = job.needs.filter((name) => missing.has(name));
    if (lacks.length > 0) skipped.push(`${job.name} (needs ${lacks.join(", ")})`);
    return lacks.length === 0;
  });
}

async function runAll(jobs: readonly Job[]): Promise<void> {
  const queue = jobs.filter((job) => !job.alone);
  async function worker(): Promise<void> {
    for (let job = queue.shift(); job; job = queue.shift()) account(job, await runJob(root, job));
  }
  await Promise.all(Array.from({ length: Math.max(1, Math.min(4, availableParallelism())) }, worker));
  for (const job of jobs) if (job.alone) account(job, await runJob(root, job));
  const left = await sweep(() => adoptedProcesses(running));
  for (const { pid, command } of left) failed.push(`a test left process ${pid} behind: ${command}`);
}

function account(job: Job, result: JobResult): void {
  passed += result.passed;
  failed.push(...result.failed);
  skipped.push(...result.skipped);
  const ok = result.failed.length === 0;
  const counts = [`${result.passed} passed`];
  if (!ok) counts.push(`${result.failed.length} failed`);
  if (result.skipped.length > 0) counts.push(`${result.skipped.length} skipped`);
  console.log(`${ok ? "ok  " : "FAIL"} ${job.name}: ${counts.join(", ")} (${result.seconds.toFixed(1)} s)`);
  if (!ok) console.log(tail(result.output, 200));
}

async function runChecks(): Promise<void> {
  const child = Bun.spawn([process.execPath, join(root, "tools/check.ts")], {
    cwd: root,
    stdin: "ignore",
    stdout: "pipe",
  });
  const text = await child.stdout.text();
  const code = await child.exited;
  console.log(text.trimEnd());
  const before = failed.length;
  for (const [, verdict, name] of text.matchAll(/^(ok {2}|FAIL) (\w+)/gm)) {
    if (verdict === "FAIL") failed.push(`check ${name}`);
    else passed++;
  }
  if (code !== 0 && failed.length === before) failed.push("npm run check");
}

function tail(text: string, lines: number): string {
  const all = text.split("\n");
  const shown = all.slice(-lines).map((line) => `     ${line}`);
  if (all.length > lines) shown.unshift(`     (${all.length - lines} lines before)`);
  return shown.join("\n");
}

function interrupted(): void {
  stopJobs();
  process.exit(130);
}

process.exit(await main(process.argv.slice(2)));
