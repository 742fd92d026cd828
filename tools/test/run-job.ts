// Runs one job in a process of its own and says what came of it.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Job } from "./discover.ts";
import { readReport, type Tally } from "./junit.ts";
import { leftFiles, marker, markedProcesses, sweep } from "./leftovers.ts";
import { searchPath } from "./programs.ts";

/** A job's tally, with everything that went wrong around the tests counted as failed, too. */
export interface JobResult extends Tally {
  readonly seconds: number;
  /** What to show when something failed. */
  readonly output: string;
}

/** Process ids of jobs under way, so that they are not taken for orphans, and end when we are told to. */
export const running: Set<number> = new Set();

export async function runJob(root: string, job: Job): Promise<JobResult> {
  // Short, because the path of a Unix socket has room for 107 bytes.
  const folder = mkdtempSync(join(tmpdir(), "pt-"));
  const tmp = join(folder, "t");
  const run = join(folder, "r");
  mkdirSync(tmp);
  mkdirSync(run, { mode: 0o700 });
  const report = join(folder, "report.xml");
  const mark = basename(folder);
  const started = performance.now();
  const args = ["test", "--only-failures", `--timeout=${job.testTimeout}`, "--reporter=junit"];
  const child = Bun.spawn(
    [process.execPath, ...args, `--reporter-outfile=${report}`, ...job.files.map((file) => `./${file}`)],
    {
      cwd: root,
      env: { ...process.env, PATH: searchPath(), TMPDIR: tmp, XDG_RUNTIME_DIR: run, [marker]: mark },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      detached: true,
    },
  );
  running.add(child.pid);
  let late = false;
  const alarm = setTimeout(() => {
    late = true;
    killGroup(child.pid);
  }, job.timeout);
  const texts = Promise.all([child.stdout.text(), child.stderr.text()]);
  const code = await child.exited;
  clearTimeout(alarm);
  const left = await sweep(() => markedProcesses(mark));
  running.delete(child.pid);
  // A process that was left behind may hold the pipes; it is gone now, so they end.
  const output = (await texts).join("").trim();
  const seconds = (performance.now() - started) / 1000;

  const tally = read(report);
  const failed = [...tally.failed];
  if (late) failed.push(`${job.name}: not done after ${job.timeout / 1000} s, killed`);
  else if (code !== 0 && failed.length === 0) failed.push(`${job.name}: the test process ended with ${code}`);
  else if (code === 0 && tally.passed + tally.skipped.length === 0) failed.push(`${job.name}: has no tests`);
  for (const { pid, command } of left) failed.push(`${job.name}: left process ${pid} behind: ${command}`);
  for (const at of [tmp, run]) {
    for (const file of leftFiles(at)) failed.push(`${job.name}: left a temporary file behind: ${file}`);
  }
  rmSync(folder, { recursive: true, force: true });
  return { passed: tally.passed, failed, skipped: tally.skipped, seconds, output };
}

/** Ends every job under way with all of its processes. */
export function stopJobs(): void {
  for (const pid of running) killGroup(pid);
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Already gone.
  }
}

function read(report: string): Tally {
  try {
    return readReport(readFileSync(report, "utf8"));
  } catch {
    return { passed: 0, failed: [], skipped: [] };
  }
}
