// What a test left behind: processes and files. A socket cannot outlive its process, so processes stand for both.
import { dlopen, FFIType } from "bun:ffi";
import { readdirSync, readFileSync } from "node:fs";

/** A process that should not be there any more. */
export interface Leftover {
  readonly pid: number;
  readonly command: string;
}

/** Variable that marks every process of one job; its value names the job. */
export const marker = "PLIMSOLL_TEST_JOB";

/**
 * Makes this process the parent of every orphan below it (prctl PR_SET_CHILD_SUBREAPER), so that a daemon which
 * forgets its environment (nginx overwrites it with its title) is still seen. Orphans that end are reaped, as init
 * would, so that a test which waits for one to be gone sees it go. `own` are the processes that this one started and
 * waits for itself. Does nothing on systems that have no such call.
 */
export function adoptOrphans(own: ReadonlySet<number>): void {
  const symbols = openLibc();
  if (!symbols || symbols.prctl(36, 1n) !== 0) return;
  const reap = (): void => {
    for (const pid of children()) if (!own.has(pid) && state(pid) === "Z") symbols.waitpid(pid, null, 1);
  };
  setInterval(reap, 20).unref();
}

function openLibc():
  | { prctl(option: number, value: bigint): number; waitpid(pid: number, at: null, flags: number): number }
  | undefined {
  for (const name of ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`]) {
    try {
      return dlopen(name, {
        prctl: { args: [FFIType.i32, FFIType.u64], returns: FFIType.i32 },
        waitpid: { args: [FFIType.i32, FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
      }).symbols;
    } catch {
      // Another libc or another system: marked processes are still found.
    }
  }
  return undefined;
}

/** Pids of this process's children, dead ones included. */
function children(): readonly number[] {
  const tasks = "/proc/self/task";
  return readdirSync(tasks).flatMap((task) => read(`${tasks}/${task}/children`).split(" ").filter(Boolean).map(Number));
}

/** Live processes of which the environment carries this mark. */
export function markedProcesses(value: string): readonly Leftover[] {
  const needle = `${marker}=${value}\0`;
  return livePids()
    .filter((pid) => pid !== process.pid && `${read(`/proc/${pid}/environ`)}\0`.includes(needle))
    .map(describe);
}

/** Live children of this process other than those it started itself. */
export function adoptedProcesses(own: ReadonlySet<number>): readonly Leftover[] {
  return children()
    .filter((pid) => !own.has(pid) && !"ZX".includes(state(pid)))
    .map(describe);
}

function livePids(): readonly number[] {
  try {
    const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    return pids.map(Number).filter((pid) => !"ZX".includes(state(pid)));
  } catch {
    return [];
  }
}

/** State letter of a process; "X" when it is gone. */
function state(pid: number): string {
  const text = read(`/proc/${pid}/stat`);
  return text.charAt(text.lastIndexOf(")") + 2) || "X";
}

function describe(pid: number): Leftover {
  return { pid, command: read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim().slice(0, 160) };
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** Waits up to `patience` ms until nothing is left, then kills what is and says what it was. */
export async function sweep(look: () => readonly Leftover[], patience = 3000): Promise<readonly Leftover[]> {
  const until = performance.now() + patience;
  let left = look();
  while (left.length > 0 && performance.now() < until) {
    await Bun.sleep(50);
    left = look();
  }
  for (const { pid } of left) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself just now.
    }
  }
  return left;
}

/** Files in a job's own temporary folders, without what runtimes cache there for themselves. */
export function leftFiles(folder: string): readonly string[] {
  const caches = /^(node-compile-cache|v8-compile-cache|bunx-|jiti)/;
  return readdirSync(folder).filter((name) => !caches.test(name));
}
