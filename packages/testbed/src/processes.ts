// Real programs: started in a process group of their own, waited for, and ended with everything they started.
import { readdirSync, readFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { eventually, within } from "./waiting.ts";

export interface ProgramOptions {
  readonly cwd?: string;
  /** Added to this process's environment; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Ready when a line matches, or when this loopback port accepts. Neither: at once. */
  readonly ready?: RegExp | number;
  /** Longest wait for readiness in ms; 20 s unless told. */
  readonly timeout?: number;
}

/** How a program ended. `signal` is undefined unless a signal ended it. */
export interface Ended {
  readonly code: number;
  readonly signal: string | undefined;
}

/** Starts a program and waits until it is ready. Throws with its output when it ends or is silent instead. */
export async function startProgram(argv: readonly string[], options: ProgramOptions = {}): Promise<Program> {
  const program = new Program(argv, options);
  const { ready, timeout = 20_000 } = options;
  try {
    if (typeof ready === "number") await program.orEnd(waitForPort(ready, "127.0.0.1", timeout));
    else if (ready) await program.line(ready, timeout);
  } catch (error) {
    await program.kill();
    throw error;
  }
  return program;
}

export class Program {
  readonly argv: readonly string[];
  readonly pid: number;
  /** Settles when the program itself has ended; its children may still run. */
  readonly ended: Promise<Ended>;
  #output = "";
  readonly #closed: Promise<unknown>;

  constructor(argv: readonly string[], options: ProgramOptions) {
    this.argv = argv;
    const env: Record<string, string> = {};
    for (const [name, value] of Object.entries({ ...process.env, ...options.env })) {
      if (value !== undefined) env[name] = value;
    }
    const child = Bun.spawn([...argv], {
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      env,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      detached: true,
    });
    this.pid = child.pid;
    this.#closed = Promise.all([this.#drain(child.stdout), this.#drain(child.stderr)]);
    this.ended = child.exited.then((code) => ({
      code,
      signal: child.signalCode === null ? undefined : String(child.signalCode),
    }));
  }

  /** Everything it has written so far, both streams together. */
  get output(): string {
    return this.#output;
  }

  /** Waits for a line that matches and returns the match; lines written before count, too. */
  async line(pattern: RegExp, timeout = 20_000): Promise<RegExpMatchArray> {
    const multiline = new RegExp(pattern.source, pattern.flags.includes("m") ? pattern.flags : `${pattern.flags}m`);
    const found = eventually(`${pattern} from ${this.argv.join(" ")}`, () => this.#output.match(multiline), timeout);
    return this.orEnd(found);
  }

  /** Sends a signal to the program only. */
  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
  }

  /** SIGTERM, then waits for the end; kills after `grace` ms. Returns how it ended. */
  async stop(grace = 10_000): Promise<Ended> {
    const tree = processTree(this.pid);
    trySignal(this.pid, "SIGTERM");
    const ended = await within(grace, () => "", this.ended).catch(() => undefined);
    await this.kill(tree);
    return ended ?? this.ended;
  }

  /** Ends the program and everything that it started, at once. Safe to call again. */
  async kill(known: readonly number[] = []): Promise<void> {
    const tree = new Set([...known, ...processTree(this.pid)]);
    for (const pid of tree) trySignal(pid, "SIGKILL");
    trySignal(-this.pid, "SIGKILL");
    await this.ended;
    // Until the last one is gone its ports are taken.
    for (const pid of tree) await waitForExit(pid);
    await this.#closed;
  }

  /** `promise`, unless the program ends first; then an Error with its output. */
  async orEnd<T>(promise: Promise<T>): Promise<T> {
    const early = this.ended.then(async ({ code, signal }): Promise<never> => {
      // What it wrote last may still be on its way.
      await within(1000, () => "", this.#closed).catch(() => {});
      throw new Error(`${this.argv.join(" ")} ended with ${signal ?? code}:\n${this.#output}`);
    });
    promise.catch(() => {});
    early.catch(() => {});
    return Promise.race([promise, early]).catch((error: unknown) => {
      if (error instanceof Error && !error.message.includes(this.#output)) error.message += `\n${this.#output}`;
      throw error;
    });
  }

  async #drain(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const part of stream) this.#output += decoder.decode(part, { stream: true });
  }
}

/** Pids of a process and all of its descendants, from /proc; empty when it is gone. */
export function processTree(pid: number): readonly number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    const one = Number(name);
    if (one > 0) parents.set(one, statOf(one).parent);
  }
  if (!parents.has(pid)) return [];
  const tree = [pid];
  for (const above of tree) for (const [one, parent] of parents) if (parent === above) tree.push(one);
  return tree;
}

/** Whether a process lives; a zombie does not. */
export function isAlive(pid: number): boolean {
  const { state } = statOf(pid);
  return state !== "" && state !== "Z" && state !== "X";
}

/** Waits until a process has ended. */
export async function waitForExit(pid: number, timeout = 10_000): Promise<void> {
  await eventually(`the end of process ${pid}`, () => !isAlive(pid), timeout);
}

/** Waits until a port accepts. */
export async function waitForPort(port: number, host = "127.0.0.1", timeout = 10_000): Promise<void> {
  await eventually(`port ${port} to accept`, () => accepts(port, host), timeout, 20);
}

/** Whether somebody accepts on a port now. */
export function accepts(port: number, host = "127.0.0.1"): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host });
    const done = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => done(true)).once("error", () => done(false));
  });
}

/** A port that was free just now. For programs that cannot be told to take any. */
export function freePort(host = "127.0.0.1"): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once("error", reject);
    probe.listen(0, host, () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

function statOf(pid: number): { parent: number; state: string } {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state = "", parent = "0"] = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { parent: Number(parent), state };
  } catch {
    return { parent: 0, state: "" };
  }
}

function trySignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone already.
  }
}
