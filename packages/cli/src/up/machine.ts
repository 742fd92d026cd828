// The machine on which `up` runs an application: processes, ports and time, as control/app wants them.
import type { Exit, Host, ProcessGroup, SpawnOptions, Stream } from "@plimsoll/balancer/src/control/app/host.ts";
import { endEscaped, markName, newMark } from "./escaped.ts";
import { startGuard, type Guard } from "./guard.ts";
import { knock } from "./knock.ts";
import { ephemeralPorts, groupListens, groupMembers, type Marked } from "./proc.ts";

/** How long the end of an output is waited for after its program has ended; something it started may hold it open. In ms. */
const outputGrace = 300;
/** A port is not handed out again for this many others. */
const recently = 256;

/** A Host, and how to let go of it. */
export interface Machine extends Host {
  /** Ends what instances have started and what outlived them all. See endEscaped. */
  endEscaped(hurried: () => boolean, told: (found: readonly Marked[]) => void): Promise<void>;
  /** Ends the watcher; the instances must be gone. */
  close(): void;
}

/** The real machine. `grace` is what the watcher gives instances in ms if this program is killed. */
export function openMachine(cwd: string, env: Readonly<Record<string, string | undefined>>, grace: number): Machine {
  const mark = newMark();
  const guard = startGuard(grace, `${markName}=${mark}`);
  const handedOut: number[] = [];
  return {
    now: () => performance.now(),
    random: Math.random,
    after(ms, then) {
      const timer = setTimeout(then, ms);
      return () => clearTimeout(timer);
    },
    freePort: () => Promise.resolve(freePort(handedOut)),
    spawn: (options) => spawn(options, cwd, { ...env, [markName]: mark }, guard),
    knock,
    endEscaped: (hurried, told) => endEscaped(mark, grace, hurried, told),
    close: () => guard.done(),
  };
}

/**
 * A port that can be bound now, from below the range of outgoing connections: a busy balancer takes hundreds of those a
 * second, and one of them could take the port in the moment before the application binds it.
 */
function freePort(handedOut: number[]): number {
  const top = Math.min(ephemeralPorts()[0], 32_768) - 1;
  const bottom = Math.max(1024, Math.min(20_000, top - 4096));
  for (let attempt = 0; attempt < 200; attempt++) {
    // Towards the end, whatever the system gives.
    const wanted = attempt < 180 && top > bottom ? bottom + Math.floor(Math.random() * (top - bottom)) : 0;
    const port = bindable(wanted);
    if (port === 0 || handedOut.includes(port)) continue;
    handedOut.push(port);
    if (handedOut.length > recently) handedOut.shift();
    return port;
  }
  return 0;
}

function bindable(port: number): number {
  try {
    const listener = Bun.listen({ hostname: "127.0.0.1", port, exclusive: true, socket: { data() {} } });
    const bound = listener.port;
    listener.stop(true);
    return bound;
  } catch {
    return 0;
  }
}

function spawn(
  options: SpawnOptions,
  cwd: string,
  env: Readonly<Record<string, string | undefined>>,
  guard: Guard,
): ProcessGroup | string {
  try {
    const child = Bun.spawn([...options.command], {
      cwd,
      env: { ...env, ...options.env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      // A session and process group of its own: Ctrl-C is ours to handle, and the whole tree can be signalled.
      detached: true,
    });
    const { pid } = child;
    guard.add(pid);
    const outputs = Promise.all([
      readAll(child.stdout, "stdout", options.output),
      readAll(child.stderr, "stderr", options.output),
    ]);
    void child.exited.then(async () => {
      options.exited(toExit(child.exitCode, child.signalCode));
      await Promise.race([outputs, Bun.sleep(outputGrace)]);
      options.outputEnded();
    });
    let gone = false;
    const alive = (): boolean => {
      if (gone) return false;
      if (child.exitCode === null && child.signalCode === null) return true;
      gone = !groupAlive(pid);
      if (gone) guard.remove(pid);
      return !gone;
    };
    return {
      pid,
      alive,
      listening: () => groupListens(pid),
      // Once the group is gone its number may belong to somebody else.
      signal: (name) => void (alive() && signalGroup(pid, name)),
    };
  } catch (error) {
    return spawnFailure(options.command[0] ?? "", error);
  }
}

function toExit(code: number | null, signal: string | number | null): Exit {
  return { code: signal === null ? code : null, signal: signal === null ? "" : String(signal) };
}

async function readAll(
  from: ReadableStream<Uint8Array>,
  stream: Stream,
  output: SpawnOptions["output"],
): Promise<void> {
  // Not reading on until the line is printed makes a stuck terminal slow the instance, not fill our memory.
  for await (const bytes of from) await output(stream, bytes);
}

function groupAlive(group: number): boolean {
  const members = groupMembers(group);
  // Without /proc a zombie that nobody reaps counts as alive; it is waited for until the grace is over.
  return members === null ? signalGroup(group, 0) : members.length > 0;
}

function signalGroup(group: number, signal: "SIGTERM" | "SIGKILL" | 0): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch {
    return false;
  }
}

function spawnFailure(program: string, error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT") return `there is no program "${program}" on the PATH`;
  if (code === "EACCES") return `"${program}" may not be executed`;
  return `"${program}": ${error instanceof Error ? error.message : String(error)}`;
}
