// A worker process: an engine, told by its supervisor what to run. It decides nothing: signals meant for the whole process
// group (Ctrl-C, systemd's stop) are left to the supervisor, and when the supervisor is gone it finishes what it has and
// exits, so that nobody serves a configuration that nobody can change any more.
import { every, after, systemClock, systemRandom } from "../net/clock.ts";
import { createDatagramTransport } from "../net/datagrams.ts";
import { createBunTransport } from "../net/bun-transport.ts";
import { receiveDescriptors } from "../net/descriptor-passing.ts";
import { closeFd } from "../net/listening-socket.ts";
import type { HandshakeFailure } from "../net/tls.ts";
import type { Listener } from "../net/transport.ts";
import { startWheel, Wheel } from "../net/wheel.ts";
import { SharedTable, WorkerCell } from "../observe/table.ts";
import type { EnginePlan } from "../proxy/assemble.ts";
import type { Engine, EngineOptions, Prepared } from "../proxy/engine.ts";
import { MemoryWatch } from "./memory.ts";
import type { FromWorker, SocketOffer, ToWorker } from "./messages.ts";
import { DescriptorWatch } from "./worker-descriptors.ts";
import { WorkerLog } from "./worker-log.ts";

/** Where the supervisor put the channel for descriptors. */
const descriptorChannel = 3;
/** Ms between two calls of the engine's tick. */
const tickInterval = 25;
/** Ms between two failed handshakes that are told. */
const failurePause = 5_000;
/** Ms that the access log may take to write its last lines. */
const logPatience = 1000;

/** The part of an engine that a worker calls. */
export type WorkerEngine = Pick<
  Engine,
  "prepare" | "listen" | "tick" | "announceStop" | "stop" | "busy" | "open" | "shed"
>;
export type CreateEngine = (options: EngineOptions) => WorkerEngine;

type PrepareMessage = ToWorker & { kind: "prepare" };

/** A snapshot between prepare and commit. */
interface Waiting {
  readonly generation: number;
  readonly prepared: Prepared;
  readonly message: PrepareMessage;
  /** Descriptors that came with it, by socket key. */
  readonly fresh: ReadonlyMap<string, number>;
}

/** Runs a worker in this process until it is told to stop. Called once, by the process's entry. */
export function runWorker(createEngine: CreateEngine): void {
  const worker = new Worker(createEngine);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const) process.on(signal, () => {});
  process.on("message", (message) => worker.hear(message as ToWorker));
  process.on("disconnect", () => worker.stop());
  process.on("uncaughtException", (error) => worker.defect(error));
  process.on("unhandledRejection", (error) => worker.defect(error));
  tell({ kind: "hello" });
}

function tell(message: FromWorker): void {
  try {
    process.send?.(message);
  } catch {
    // The supervisor is gone; "disconnect" follows.
  }
}

class Worker {
  readonly #createEngine: CreateEngine;
  #engine: WorkerEngine | null = null;
  #log: WorkerLog | null = null;
  #descriptors: DescriptorWatch | null = null;
  #waiting: Waiting | null = null;
  /** Accepting, by socket key. */
  readonly #listeners = new Map<string, Listener>();
  #cells: Float64Array = new Float64Array(0);
  #own = 0;
  #window = 0;
  /** Bytes that all workers together may use. */
  #memory = Infinity;
  #reviewMemory: () => void = () => {};
  #replaced = false;
  #stopping = false;

  constructor(createEngine: CreateEngine) {
    this.#createEngine = createEngine;
  }

  hear(message: ToWorker): void {
    switch (message.kind) {
      case "begin":
        this.#begin(message);
        return;
      case "prepare":
        tell({ kind: "prepared", generation: message.generation, problem: this.#prepare(message) });
        return;
      case "commit":
        tell({ kind: "committed", generation: message.generation, problem: this.#commit(message.generation) });
        return;
      case "discard":
        if (this.#waiting?.generation === message.generation) this.#discard();
        tell({ kind: "discarded", generation: message.generation, problem: "" });
        return;
      case "reopen":
        this.#log?.reopen();
        return;
      case "stopping":
        this.#engine?.announceStop();
        return;
      case "stop":
        this.#window = message.window;
        this.#replaced = message.replaced;
        this.stop();
        return;
    }
  }

  /** Finishes what is in flight, writes the log's last lines, exits. */
  stop(): void {
    if (this.#stopping) return;
    this.#stopping = true;
    void this.#finish();
  }

  /** An exception that nobody expected: what state the engine is in is unknown, so another process takes over. */
  defect(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    tell({ kind: "event", level: "error", name: "worker.defect", text, fields: {} });
    // The channel writes before the next turn of the loop; a moment is enough.
    after(50, () => process.exit(70));
  }

  #begin(message: ToWorker & { kind: "begin" }): void {
    const table = SharedTable.open(message.table);
    this.#cells = table.cells;
    this.#own = table.worker(message.row);
    this.#cells[this.#own + WorkerCell.pid] = process.pid;
    this.#cells[this.#own + WorkerCell.started] = systemClock.wall();
    const wheel = new Wheel(systemClock.now());
    startWheel(wheel, systemClock);
    if (message.logged) {
      this.#log = new WorkerLog(table, message.row, (text) =>
        tell({ kind: "event", level: "warn", name: "log.trouble", text, fields: {} }),
      );
    }
    const descriptors = new DescriptorWatch(this.#cells, this.#own, systemClock, (level, name, text) =>
      tell({ kind: "event", level, name, text: `worker ${message.row}: ${text}`, fields: {} }),
    );
    this.#descriptors = descriptors;
    const transport = createBunTransport({ onDescriptors: (use) => descriptors.changed(use) });
    const engine = this.#createEngine({
      transport,
      datagrams: createDatagramTransport(transport.descriptors),
      clock: systemClock,
      random: systemRandom,
      wheel,
      table,
      row: message.row,
      log: this.#log,
      handshakeFailed: tellFailures(),
    });
    this.#engine = engine;
    const relief = { open: () => engine.open, shed: () => engine.shed(), hold: transport.hold };
    const memory = new MemoryWatch(this.#cells, this.#own, systemClock, relief, (level, name, text) =>
      tell({ kind: "event", level, name, text: `worker ${message.row}: ${text}`, fields: {} }),
    );
    this.#reviewMemory = () => memory.review(table.sum(table.worker(0) + WorkerCell.rss), this.#memory);
    every(tickInterval, () => engine.tick(systemClock.now()));
    this.#beat();
    every(1000, () => this.#beat());
  }

  #beat(): void {
    this.#cells[this.#own + WorkerCell.heartbeat] = systemClock.wall();
    this.#cells[this.#own + WorkerCell.rss] = process.memoryUsage.rss();
    this.#log?.count();
    this.#descriptors?.review();
    this.#reviewMemory();
  }

  /** Builds a snapshot and takes in its sockets; "" or the problem. */
  #prepare(message: PrepareMessage): string {
    if (this.#waiting !== null) this.#discard();
    let fresh: ReadonlyMap<string, number>;
    try {
      fresh = takeDescriptors(message.fresh);
    } catch (error) {
      return `its sockets could not be taken over: ${(error as Error).message}`;
    }
    const problem = this.#build(message, fresh);
    if (problem !== "") closeAll(fresh);
    return problem;
  }

  #build(message: PrepareMessage, fresh: ReadonlyMap<string, number>): string {
    if (this.#engine === null) return "the worker was not told who it is";
    if (this.#stopping) return "the worker is stopping";
    for (const key of message.fresh) {
      if (!fresh.has(key)) return `the socket of ${key} did not arrive`;
    }
    const logProblem = this.#log?.prepare(message.log) ?? "";
    if (logProblem !== "") return logProblem;
    const prepared = this.#engine.prepare(message.plan);
    if ("problem" in prepared) {
      this.#log?.discard();
      return prepared.problem;
    }
    this.#waiting = { generation: message.generation, prepared, message, fresh };
    return "";
  }

  #discard(): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting === null) return;
    waiting.prepared.discard();
    this.#log?.discard();
    closeAll(waiting.fresh);
  }

  /** Switches to the snapshot that was built; "" or the problem. */
  #commit(generation: number): string {
    const waiting = this.#waiting;
    if (waiting === null || waiting.generation !== generation) return `generation ${generation} was never prepared`;
    this.#waiting = null;
    const { message, fresh, prepared } = waiting;
    prepared.commit();
    this.#window = message.window;
    this.#memory = message.memory;
    const problem = this.#accept(message.plan, message.sockets, fresh);
    this.#log?.commit();
    this.#cells[this.#own + WorkerCell.snapshot] = generation;
    return problem;
  }

  #accept(plan: EnginePlan, sockets: readonly SocketOffer[], fresh: ReadonlyMap<string, number>): string {
    const wanted = new Set(sockets.map((socket) => socket.key));
    for (const [key, listener] of this.#listeners) {
      if (wanted.has(key)) continue;
      listener.close();
      this.#listeners.delete(key);
    }
    for (const { key, listener: name } of sockets) {
      const fd = fresh.get(key);
      const listener = plan.listeners.find((each) => each.name === name);
      if (fd === undefined || listener === undefined) continue;
      try {
        const opened = this.#engine?.listen(name, fd, { kind: "tcp", ...listener.address });
        if (opened !== undefined) this.#listeners.set(key, opened);
      } catch (error) {
        return `listener ${name}: ${(error as Error).message}`;
      }
    }
    return "";
  }

  /** Lets the engine finish, and tells what the end of the window will cut. */
  async #drain(): Promise<void> {
    const engine = this.#engine;
    if (engine === null) return;
    const forget = after(Math.max(0, this.#window - 2 * tickInterval), () => {
      if (engine.busy === 0) return;
      const text = `${engine.busy} exchanges and tunnels are cut: the window of ${this.#window} ms is over`;
      tell({ kind: "event", level: "warn", name: "worker.cut", text, fields: { cut: engine.busy } });
    });
    await engine.stop(this.#window, this.#replaced);
    forget();
  }

  async #finish(): Promise<void> {
    try {
      await this.#drain();
      const patience = new Promise<void>((resolve) => void after(logPatience, resolve));
      await Promise.race([this.#log?.close(), patience]);
    } finally {
      process.exit(0);
    }
  }
}

/** Clients can make handshakes fail as often as they like, so one in a while is told, with the number of those between. */
function tellFailures(): (listener: string, failure: HandshakeFailure) => void {
  let silentUntil = 0;
  let untold = 0;
  return (listener, { reason, detail, remoteAddress, serverName }) => {
    const now = systemClock.now();
    if (now < silentUntil) {
      untold++;
      return;
    }
    silentUntil = now + failurePause;
    const others = untold === 0 ? "" : ` (and ${untold} before it)`;
    untold = 0;
    // It had left before it was accepted: who it was is not known any more.
    const client = remoteAddress === "" ? "a client that had gone" : remoteAddress;
    const text = `listener ${listener}: the TLS handshake with ${client} failed: ${detail}${others}`;
    tell({
      kind: "event",
      level: "warn",
      name: "tls.handshake-failed",
      text,
      fields: { listener, reason, serverName },
    });
  };
}

/** The descriptors that were sent before the message that names them. */
function takeDescriptors(keys: readonly string[]): Map<string, number> {
  const taken = new Map<string, number>();
  while (taken.size < keys.length) {
    const received = receiveDescriptors(descriptorChannel);
    if (received === null || received.payload.length === 0) break;
    const names = JSON.parse(new TextDecoder().decode(received.payload)) as string[];
    received.fds.forEach((fd, index) => {
      const key = names[index] ?? "";
      // Not asked for: it belongs to a change that was given up before this worker heard of it.
      if (!keys.includes(key) || taken.has(key)) closeFd(fd);
      else taken.set(key, fd);
    });
  }
  return taken;
}

function closeAll(fds: ReadonlyMap<string, number>): void {
  for (const fd of fds.values()) closeFd(fd);
}
