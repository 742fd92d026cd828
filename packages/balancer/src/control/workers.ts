// The workers of one program: started, watched, replaced. A row is a place in the shared table and on every listener;
// processes come and go in it. Whoever starts in a row runs the current snapshot, whatever changes meanwhile.
import type { Clock } from "../base/clock.ts";
import type { Timers } from "../net/clock.ts";
import type { Log } from "../observe/log.ts";
import { WorkerCell, type SharedTable } from "../observe/table.ts";
import type { SocketSet } from "./sockets.ts";
import { WorkerProcess, type PrepareMessage, type WorkerExit } from "./worker-process.ts";

/** What workers are to run. */
export interface Snapshot extends PrepareMessage {
  readonly sockets: readonly SocketSet[];
}

export interface WorkersOptions {
  readonly count: number;
  /** Program and arguments that run a worker. */
  readonly command: readonly string[];
  readonly table: SharedTable;
  readonly tablePath: string;
  readonly timers: Timers;
  readonly clock: Clock;
  readonly log: Log;
  /** Seconds without a sign of life after which a worker is killed. */
  readonly stuckAfter: number;
}

/** Ms that a worker may take for a step before it counts as hung: building 10,000 routes takes well under one second. */
const patience = 10_000;
/** A worker that exits before it served for this long has crashed at once; one that was killed later is simply replaced. */
const soon = 1_000;
const firstBackoff = 100;
const longestBackoff = 5_000;
/** Ms beyond the window for a stopping worker to close its log and exit. */
const grace = 3_000;
/** Seconds of silence after which a worker does not count as alive; it beats every second. */
const lively = 3;
/** Times that a worker may exit before it ever served until the program gives up starting. */
const startTries = 3;
const stopped = "the program was told to stop";

interface Row {
  readonly index: number;
  process: WorkerProcess | null;
  serving: boolean;
  /** Clock ms. */
  servingSince: number;
  /** Exits in a row, each before it had served for long. */
  crashes: number;
  lastProblem: string;
  beat: number;
  /** Seconds for which the heartbeat has not changed. */
  silent: number;
}

/** All rows. */
export class Workers {
  /** Processes that were replaced because they exited or hung. */
  restarts = 0;
  readonly #options: WorkersOptions;
  readonly #rows: Row[];
  #current: Snapshot = {
    generation: 0,
    plan: { listeners: [], pools: [] },
    sockets: [],
    log: { access: "none", format: "json" },
    window: 0,
    memory: Infinity,
  };
  /** Decided once: an engine that was made without a log spares itself the work for it. */
  #logged = false;
  #stopping = false;
  /** Who ended last, and how. */
  #lastLoss = "";
  #changed: (() => void)[] = [];
  #stopWatching: () => void = () => {};

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#rows = Array.from({ length: options.count }, (_, index) => ({
      index,
      process: null,
      serving: false,
      servingSince: 0,
      crashes: 0,
      lastProblem: "",
      beat: 0,
      silent: 0,
    }));
  }

  /** What each row does now. */
  get rows(): readonly { readonly pid: number; readonly serving: boolean }[] {
    return this.#rows.map((row) => ({ pid: row.process?.pid ?? 0, serving: row.serving }));
  }

  /** Whether any of them serves and gave a sign of life in the last seconds. */
  get alive(): boolean {
    return this.#rows.some((row) => row.serving && row.silent <= lively);
  }

  /** Wall-clock ms of the last look at endpoint states of the worker that looked longest ago. */
  get reviewed(): number {
    const { table } = this.#options;
    let first = Number.POSITIVE_INFINITY;
    for (const { index, serving } of this.#rows) {
      if (serving) first = Math.min(first, table.cells[table.worker(index) + WorkerCell.reviewed] ?? 0);
    }
    return first;
  }

  /** Starts every row; resolves with "" when all serve `first`, or with why that cannot be. */
  async start(first: Snapshot): Promise<string> {
    this.#current = first;
    this.#logged = first.log.access !== "none";
    if (this.#stopping) return stopped;
    this.#stopWatching = this.#options.timers.every(1000, () => this.#watch());
    for (const row of this.#rows) void this.#run(row);
    for (;;) {
      if (this.#rows.every((row) => row.serving)) return "";
      const failed = this.#rows.find((row) => row.crashes >= startTries);
      if (failed !== undefined) return `worker ${failed.index} does not start: ${failed.lastProblem}`;
      if (this.#stopping) return stopped;
      await this.#change();
    }
  }

  /** Watches for `ms`: resolves with "", or with why as soon as a worker ends. */
  async steady(ms: number): Promise<string> {
    const before = this.restarts;
    let over = false;
    const cancel = this.#options.timers.after(ms, () => {
      over = true;
      this.#wakeAll();
    });
    while (!over && !this.#stopping && this.restarts === before) await this.#change();
    cancel();
    if (this.#stopping) return stopped;
    return this.restarts === before ? "" : `${this.#lastLoss} soon after it began to serve`;
  }

  /**
   * Has every serving worker build `next`. Resolves with "" or with why one cannot; nothing has changed then. Workers that
   * die meanwhile do not count: their replacements run whatever is current when they come up.
   */
  async prepare(next: Snapshot): Promise<{ readonly problem: string; readonly prepared: readonly WorkerProcess[] }> {
    let problem = "";
    for (let round = 0; round < 2; round++) {
      if (round > 0) await this.#anyServing();
      const asked = this.#rows.flatMap((row) => (row.serving && row.process !== null ? [row.process] : []));
      const results = await Promise.all(asked.map((process) => process.prepare(next, next.sockets, patience)));
      const prepared = asked.filter((_, index) => results[index]?.ok === true);
      const refusal = results.findIndex((result) => !result.ok && !result.gone);
      const refused = results[refusal];
      if (refused !== undefined && !refused.ok) return { problem: refused.problem, prepared };
      if (prepared.length > 0) return { problem: "", prepared };
      const last = results.at(-1);
      problem =
        last === undefined || last.ok
          ? "no worker is running"
          : `every worker was lost while preparing: it ${last.problem}`;
    }
    return { problem, prepared: [] };
  }

  /** Resolves when nobody holds on to what came with `generation`: until then its addresses are taken, by ourselves. */
  async discard(generation: number, prepared: readonly WorkerProcess[]): Promise<void> {
    await Promise.all(prepared.map((process) => process.discard(generation, patience)));
  }

  /** From here on `next` is what a worker runs that comes up: sockets that it does not name may be closed. */
  announce(next: Snapshot): void {
    this.#current = next;
  }

  /** Has all workers run `next`, which was announced. Resolves when all that prepared it do. */
  async commit(next: Snapshot, prepared: readonly WorkerProcess[]): Promise<void> {
    const commits = this.#rows.map(async (row) => {
      const process = row.process;
      if (process === null || !row.serving) return;
      if (!prepared.includes(process)) {
        // It came up, with what ran before, while the others prepared, or it did not answer in time. It may have connections
        // already, so it is asked again; if it does not answer now, what it would do is unknown, and another takes its place.
        const late = await process.prepare(next, next.sockets, patience);
        if (!late.ok) {
          process.kill();
          return;
        }
      }
      const result = await process.commit(next.generation, next.sockets, patience);
      if (result.ok) return;
      if (!result.gone)
        this.#tell("error", "worker.refused", row, `worker ${row.index} could not switch: ${result.problem}`);
      process.kill();
    });
    await Promise.all(commits);
  }

  /** For logrotate. */
  reopenLogs(): void {
    for (const row of this.#rows) row.process?.reopen();
  }

  /** Has answers say `Connection: close`, while new connections are still accepted. */
  announceStop(): void {
    for (const row of this.#rows) row.process?.announceStop();
  }

  /** Stops all workers within about `window` ms. Resolves with whether every one of them finished in order. */
  async stop(window: number, replaced = false): Promise<boolean> {
    this.#stopping = true;
    this.#stopWatching();
    let orderly = true;
    const exits = this.#rows.map(async (row) => {
      const process = row.process;
      if (process === null) return;
      // One that was told to switch may have connections, although it has not said so yet.
      if (row.serving || process.committed > 0) process.stop(window, replaced);
      else process.kill();
      const cancel = this.#options.timers.after(window + grace, () => {
        orderly = false;
        process.kill();
      });
      const exit = await process.exited;
      cancel();
      if (row.serving && exit.code !== 0) orderly = false;
      row.serving = false;
    });
    this.#wakeAll();
    await Promise.all(exits);
    return orderly;
  }

  /** No worker is started any more; those that run go on until `stop`. */
  abandon(): void {
    this.#stopping = true;
    this.#wakeAll();
  }

  /** Ends all workers at once. */
  kill(): void {
    this.#stopping = true;
    for (const row of this.#rows) row.process?.kill();
    this.#wakeAll();
  }

  /** One process from its start to the moment it serves the current snapshot. */
  async #run(row: Row): Promise<void> {
    const { command, timers, tablePath, log, clock } = this.#options;
    row.silent = 0;
    row.lastProblem = "";
    let process: WorkerProcess;
    try {
      process = new WorkerProcess({
        row: row.index,
        rows: this.#rows.length,
        command,
        timers,
        onMessage: ({ level, name, text, fields }) => log.event(level, name, text, { ...fields, worker: row.index }),
      });
    } catch (error) {
      this.#lost(row, `cannot be started: ${(error as Error).message}`);
      return;
    }
    row.process = process;
    void process.exited.then((exit) => this.#exited(row, process, exit));
    const problem = await this.#bringUp(process, tablePath);
    if (process.exit !== null) return;
    if (problem !== "") {
      row.lastProblem = problem;
      process.kill();
      return;
    }
    row.serving = true;
    row.servingSince = clock.now();
    this.#tell("info", "worker.serving", row, `worker ${row.index} serves`, { generation: process.committed });
    this.#wakeAll();
  }

  async #bringUp(process: WorkerProcess, table: string): Promise<string> {
    const begun = await process.begin({ table, logged: this.#logged }, patience);
    if (!begun.ok) return begun.problem;
    while (process.committed !== this.#current.generation) {
      const { sockets, ...message } = this.#current;
      const prepared = await process.prepare(message, sockets, patience);
      if (!prepared.ok) return prepared.problem;
      // A change that was applied meanwhile: what was just built is out of date before its first request.
      if (message.generation !== this.#current.generation) {
        await process.discard(message.generation, patience);
        continue;
      }
      const committed = await process.commit(message.generation, sockets, patience);
      if (!committed.ok) return committed.problem;
    }
    return "";
  }

  #exited(row: Row, process: WorkerProcess, exit: WorkerExit): void {
    if (row.process !== process) return;
    row.process = null;
    if (this.#stopping) return;
    const served = row.serving;
    row.serving = false;
    if (served && this.#options.clock.now() - row.servingSince >= soon) row.crashes = 0;
    // Before another process gets this row: nothing of the dead one is in flight any more.
    this.#options.table.clearGauges(row.index);
    this.restarts++;
    this.#lost(row, served || row.lastProblem === "" ? exit.text : row.lastProblem, exit);
  }

  #lost(row: Row, problem: string, exit?: WorkerExit): void {
    row.crashes++;
    row.lastProblem = problem;
    this.#lastLoss = `worker ${row.index} ${problem}`;
    const delay = row.crashes < 2 ? 0 : Math.min(longestBackoff, firstBackoff * 2 ** (row.crashes - 2));
    this.#tell(
      "error",
      "worker.exited",
      row,
      `worker ${row.index}: ${problem}; another starts ${delay === 0 ? "now" : `in ${delay} ms`}`,
      {
        code: exit?.code ?? undefined,
        signal: exit?.signal ?? undefined,
      },
    );
    this.#wakeAll();
    const again = () => {
      if (!this.#stopping) void this.#run(row);
    };
    if (delay === 0) again();
    else this.#options.timers.after(delay, again);
  }

  /** Once a second. The value's change counts, not its age: a clock that jumps makes nobody look dead. */
  #watch(): void {
    const { table, stuckAfter } = this.#options;
    for (const row of this.#rows) {
      const beat = table.cells[table.worker(row.index) + WorkerCell.heartbeat] ?? 0;
      row.silent = row.serving && beat === row.beat ? row.silent + 1 : 0;
      row.beat = beat;
      if (row.silent < stuckAfter) continue;
      this.#tell(
        "error",
        "worker.stuck",
        row,
        `worker ${row.index} gave no sign of life for ${row.silent} s and is killed`,
      );
      row.silent = 0;
      row.process?.kill();
    }
  }

  #tell(level: "info" | "error", name: string, row: Row, text: string, fields = {}): void {
    this.#options.log.event(level, name, text, { worker: row.index, pid: row.process?.pid, ...fields });
  }

  /** Resolves at the next change of any row. */
  #change(): Promise<void> {
    return new Promise((resolve) => this.#changed.push(resolve));
  }

  #wakeAll(): void {
    for (const wake of this.#changed.splice(0)) wake();
  }

  async #anyServing(): Promise<void> {
    let late = false;
    const cancel = this.#options.timers.after(patience, () => {
      late = true;
      this.#wakeAll();
    });
    while (!late && !this.#stopping && !this.#rows.some((row) => row.serving)) await this.#change();
    cancel();
  }
}
