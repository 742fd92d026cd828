// Where a running program keeps what its processes share: one directory each, 0700, with the shared table and a note
// that tells other commands of the same user where its admin address is. Gone when the program exits; what a killed
// one left behind is swept by the next start.
import {
  accessSync,
  constants,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const prefix = "plimsoll-";
const note = "running.json";
const order = "upgrade.json";

/** What a running program tells of itself. */
export interface RunningProgram {
  readonly pid: number;
  readonly version: string;
  /** Wall-clock ms. */
  readonly started: number;
  /** Base address of its admin API ("http://127.0.0.1:9090"); "" if it has none. */
  readonly admin: string;
  /** Process id of the program that it took over from, which may not be gone yet. */
  readonly replaces?: number;
}

/** A program that runs, and its directory. */
export interface FoundProgram extends RunningProgram {
  readonly directory: string;
}

/** What an upgrade is to start, told by whoever may write to the program's directory. */
export interface UpgradeOrder {
  /** Program to start instead of the present one, with its arguments; null: the same again. */
  readonly binary: string | null;
  /** Ms that it may take until it serves. */
  readonly patience: number;
}

/** The directory of one running program. */
export interface RuntimeDirectory {
  readonly path: string;
  readonly table: string;
  /** Writes or replaces the note. */
  tell(program: RunningProgram): void;
  /** Removes the note: another program is the one to be found. */
  hush(): void;
  /** The order that was left there, which is gone then; null when there is none. */
  takeOrder(): UpgradeOrder | null;
  remove(): void;
}

/**
 * Where such directories may lie, best first: XDG_RUNTIME_DIR, which belongs to the user; shared memory, because the table
 * is written all the time and no disk should follow that; the temporary directory. Whoever looks for a program looks in
 * all: a service has another environment than its operator's shell.
 */
export function runtimeBases(env: Readonly<Record<string, string | undefined>>): string[] {
  const own = env["XDG_RUNTIME_DIR"] ?? "";
  const candidates = [own.startsWith("/") ? own : "", "/dev/shm", tmpdir()];
  return candidates.filter((path) => path !== "" && isUsable(path));
}

/** Sweeps what dead programs left, then makes a directory for `pid`. Throws what the system says. */
export function makeRuntimeDirectory(base: string, pid: number): RuntimeDirectory {
  sweep(base);
  const path = mkdtempSync(join(base, `${prefix}${pid}-`));
  return {
    path,
    table: join(path, "table"),
    tell(program) {
      writeFileSync(join(path, `${note}.new`), JSON.stringify(program), { mode: 0o600 });
      renameSync(join(path, `${note}.new`), join(path, note));
    },
    hush: () => rmSync(join(path, note), { force: true }),
    takeOrder() {
      try {
        const told = JSON.parse(readFileSync(join(path, order), "utf8")) as UpgradeOrder;
        rmSync(join(path, order));
        return told;
      } catch {
        return null;
      }
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Leaves an order for the next upgrade of a running program. Throws what the system says: only its user may. */
export function leaveOrder(program: FoundProgram, wanted: UpgradeOrder): void {
  writeFileSync(join(program.directory, order), JSON.stringify(wanted), { mode: 0o600 });
}

/** The programs of this user that run now, youngest first; those that were taken over from are not among them. */
export function runningPrograms(bases: readonly string[]): FoundProgram[] {
  const found: FoundProgram[] = [];
  for (const { path, pid } of bases.flatMap(directories)) {
    if (!isAlive(pid)) continue;
    try {
      const told = JSON.parse(readFileSync(join(path, note), "utf8")) as RunningProgram;
      if (told.pid === pid) found.push({ ...told, directory: path });
    } catch {
      // Another user's, or one that has not said anything yet.
    }
  }
  const replaced = new Set(found.map((program) => program.replaces));
  return found.filter((program) => !replaced.has(program.pid)).sort((a, b) => b.started - a.started);
}

/** Removes directories whose program is dead. Those of other users stay: removing them fails, and that is right. */
function sweep(base: string): void {
  for (const { path, pid } of directories(base)) {
    if (isAlive(pid)) continue;
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {
      // Not ours.
    }
  }
}

/** Those of this user. In a folder that all may write to anybody can make one of that name, and have signals sent where he likes. */
function directories(base: string): { path: string; pid: number }[] {
  const found: { path: string; pid: number }[] = [];
  for (const name of readdirSync(base)) {
    const pid = /^plimsoll-(\d{1,10})-[A-Za-z0-9]{6}$/.exec(name)?.[1];
    const path = join(base, name);
    if (pid !== undefined && isOurs(path)) found.push({ path, pid: Number(pid) });
  }
  return found;
}

/** Whether it is a directory, made by this user, that nobody else may write to or look into. */
function isOurs(path: string): boolean {
  const seen = lstatSync(path, { throwIfNoEntry: false });
  return seen?.isDirectory() === true && seen.uid === process.getuid?.() && (seen.mode & 0o077) === 0;
}

/** Whether a process with this id runs, ours or not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  return !awaitsBurial(pid);
}

/** It has ended, and its parent has not asked how: in a container without an init nobody does for those whose parent is gone. */
function awaitsBurial(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.charAt(stat.lastIndexOf(")") + 2) === "Z";
  } catch {
    return false;
  }
}

function isUsable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
