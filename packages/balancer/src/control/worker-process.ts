// One worker as the supervisor sees it: a process, a channel for messages, a channel for descriptors.
import type { Subprocess } from "bun";
import type { Timers } from "../net/clock.ts";
import { sendDescriptors, socketPair } from "../net/descriptor-passing.ts";
import { closeFd } from "../net/listening-socket.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import { sharesOf, type SocketSet, type SocketShare } from "./sockets.ts";

/** How a step of a worker ended. */
export type StepResult =
  | { readonly ok: true }
  /** `gone`: the process exited or did not answer, which says nothing about the plan. */
  | { readonly ok: false; readonly gone: boolean; readonly problem: string };

/** How a process ended, in words. */
export interface WorkerExit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly text: string;
}

export interface WorkerProcessOptions {
  readonly row: number;
  /** How many rows there are. */
  readonly rows: number;
  readonly command: readonly string[];
  readonly timers: Timers;
  readonly onMessage: (message: FromWorker & { kind: "event" }) => void;
}

/** Below the kernel's limit for one message, and their keys below that for its payload. */
const descriptorsAtOnce = 100;

type Step = "hello" | "prepared" | "committed" | "discarded";
/** The part of a prepare message that the caller decides. */
export type PrepareMessage = Omit<ToWorker & { kind: "prepare" }, "kind" | "fresh" | "sockets">;

/** One process. It is never reused: a replacement is another object. */
export class WorkerProcess {
  readonly row: number;
  readonly exited: Promise<WorkerExit>;
  /** Generation whose snapshot it was told to commit last; 0 before the first. */
  committed = 0;
  exit: WorkerExit | null = null;
  readonly #rows: number;
  readonly #timers: Timers;
  readonly #process: Subprocess;
  readonly #descriptors: number;
  /** Keys of the sockets it has. */
  #has = new Set<string>();
  readonly #waiting = new Map<string, (result: StepResult) => void>();
  readonly #onEvent: WorkerProcessOptions["onMessage"];

  /** Throws what the system says when the process cannot be started. */
  constructor(options: WorkerProcessOptions) {
    this.row = options.row;
    this.#rows = options.rows;
    this.#timers = options.timers;
    this.#onEvent = options.onMessage;
    const [ours, theirs] = socketPair();
    this.#descriptors = ours;
    let told: (exit: WorkerExit) => void = () => {};
    this.exited = new Promise((resolve) => (told = resolve));
    try {
      this.#process = Bun.spawn([...options.command], {
        // The worker finds its descriptor channel at 3; the runtime puts its IPC behind it.
        stdio: ["ignore", "inherit", "inherit", theirs],
        serialization: "json",
        ipc: (message) => this.#hear(message as FromWorker),
        onExit: (_, code, signal) => {
          this.exit = describeExit(code, signal);
          closeFd(ours);
          this.#giveUp(this.exit.text);
          told(this.exit);
        },
      });
    } catch (error) {
      closeFd(ours);
      throw error;
    } finally {
      closeFd(theirs);
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Waits until the process can be talked to, then tells it who it is. */
  async begin(message: Omit<ToWorker & { kind: "begin" }, "kind" | "row">, patience: number): Promise<StepResult> {
    const hello = await this.#answer("hello", 0, patience);
    if (hello.ok) this.#send({ kind: "begin", row: this.row, ...message });
    return hello;
  }

  /** Has it build a snapshot, and hands over the sockets that it does not have yet. */
  prepare(message: PrepareMessage, sockets: readonly SocketSet[], patience: number): Promise<StepResult> {
    if (this.exit !== null) return Promise.resolve(gone(this.exit.text));
    const shares = this.#shares(sockets);
    const missing = shares.filter((share) => !this.#has.has(share.key));
    try {
      this.#handOver(missing);
    } catch (error) {
      return Promise.resolve(gone(`could not be given its sockets: ${(error as Error).message}`));
    }
    const fresh = missing.map((share) => share.key);
    const offers = shares.map(({ key, listener }) => ({ key, listener }));
    const answer = this.#answer("prepared", message.generation, patience);
    this.#send({ kind: "prepare", ...message, sockets: offers, fresh });
    return answer;
  }

  /** Has it run the snapshot that it prepared. */
  commit(generation: number, sockets: readonly SocketSet[], patience: number): Promise<StepResult> {
    this.#has = new Set(this.#shares(sockets).map((share) => share.key));
    this.committed = generation;
    const answer = this.#answer("committed", generation, patience);
    this.#send({ kind: "commit", generation });
    return answer;
  }

  /** Has it forget the snapshot that it prepared, and the sockets that came with it. */
  discard(generation: number, patience: number): Promise<StepResult> {
    const answer = this.#answer("discarded", generation, patience);
    this.#send({ kind: "discard", generation });
    return answer;
  }

  reopen(): void {
    this.#send({ kind: "reopen" });
  }

  announceStop(): void {
    this.#send({ kind: "stopping" });
  }

  /** `replaced`: another program serves the same sockets from now on. */
  stop(window: number, replaced: boolean): void {
    this.#send({ kind: "stop", window, replaced });
  }

  kill(): void {
    if (this.exit === null) this.#process.kill("SIGKILL");
  }

  #shares(sockets: readonly SocketSet[]): SocketShare[] {
    return sharesOf(sockets, this.row, this.#rows);
  }

  #handOver(shares: readonly SocketShare[]): void {
    for (let from = 0; from < shares.length; from += descriptorsAtOnce) {
      const some = shares.slice(from, from + descriptorsAtOnce);
      const keys = new TextEncoder().encode(JSON.stringify(some.map((share) => share.key)));
      sendDescriptors(
        this.#descriptors,
        some.map((share) => share.fd),
        keys,
      );
    }
  }

  #send(message: ToWorker): void {
    if (this.exit !== null) return;
    try {
      this.#process.send(message);
    } catch {
      // Its end of the channel is closed: its exit is on the way and will be told.
    }
  }

  #answer(step: Step, generation: number, patience: number): Promise<StepResult> {
    if (this.exit !== null) return Promise.resolve(gone(this.exit.text));
    return new Promise((resolve) => {
      const key = `${step} ${generation}`;
      const cancel = this.#timers.after(patience, () => {
        this.#waiting.delete(key);
        resolve(gone(`did not answer within ${patience} ms`));
      });
      this.#waiting.set(key, (result) => {
        cancel();
        this.#waiting.delete(key);
        resolve(result);
      });
    });
  }

  #hear(message: FromWorker): void {
    if (message.kind === "event") {
      this.#onEvent(message);
      return;
    }
    const problem = message.kind === "hello" ? "" : message.problem;
    const key = message.kind === "hello" ? "hello 0" : `${message.kind} ${message.generation}`;
    this.#waiting.get(key)?.(problem === "" ? { ok: true } : { ok: false, gone: false, problem });
  }

  #giveUp(text: string): void {
    for (const resolve of [...this.#waiting.values()]) resolve(gone(text));
  }
}

function gone(problem: string): StepResult {
  return { ok: false, gone: true, problem };
}

function describeExit(code: number | null, signal: number | string | null): WorkerExit {
  const name = signal === null ? null : signalName(signal);
  return { code, signal: name, text: name === null ? `exited with code ${code}` : `was killed by ${name}` };
}

const signalNumbers: Readonly<Record<number, string>> = {
  1: "SIGHUP",
  2: "SIGINT",
  4: "SIGILL",
  6: "SIGABRT",
  7: "SIGBUS",
  9: "SIGKILL",
  11: "SIGSEGV",
  15: "SIGTERM",
};

function signalName(signal: number | string): string {
  return typeof signal === "string" ? signal : (signalNumbers[signal] ?? `signal ${signal}`);
}
