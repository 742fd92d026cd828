// What an instance has started and what then left its process group (a daemon, by setsid): no signal to the group reaches
// it. It is known by a mark in its environment, which whatever it starts inherits, and is ended when `up` itself ends; not
// with its instance, because instances may share such a thing.
import { type Marked, markedProcesses } from "./proc.ts";

/** The variable that carries the mark. */
export const markName = "PLIMSOLL_UP";
/** From one look at what is left to the next, ms. */
const poll = 50;
/** How long after SIGKILL the end is waited for, ms: nobody can end a process in an uninterruptible wait. */
const killPatience = 2000;

/** A mark that no other run of this program has. */
export function newMark(): string {
  return `${process.pid}-${Date.now().toString(36)}`;
}

/**
 * Ends what is left with this mark: SIGTERM, `grace` ms, SIGKILL. `hurried` says that there is no grace (any more). `told`
 * hears at once of what there is.
 */
export async function endEscaped(
  mark: string,
  grace: number,
  hurried: () => boolean,
  told: (found: readonly Marked[]) => void,
): Promise<void> {
  const find = (): Marked[] => markedProcesses(`${markName}=${mark}`);
  const found = find();
  if (found.length === 0) return;
  told(found);
  signalAll(found, "SIGTERM");
  const patience = performance.now() + grace;
  while (performance.now() < patience && !hurried()) {
    if (find().length === 0) return;
    await Bun.sleep(poll);
  }
  const until = performance.now() + killPatience;
  // What ends may have started something in its last moment.
  for (let left = find(); left.length > 0 && performance.now() < until; left = find()) {
    signalAll(left, "SIGKILL");
    await Bun.sleep(poll);
  }
}

function signalAll(processes: readonly Marked[], signal: "SIGTERM" | "SIGKILL"): void {
  for (const { pid } of processes) {
    try {
      process.kill(pid, signal);
    } catch {
      // Gone since, or somebody else's.
    }
  }
}
