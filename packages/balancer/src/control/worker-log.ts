// The access log of a worker over reloads: the engine keeps one sink, what is behind it changes.
import { after } from "../net/clock.ts";
import { openAccessLog, type AccessLog } from "../observe/access-log.ts";
import type { AccessRecord, AccessSink } from "../observe/access-record.ts";
import { WorkerCell, type SharedTable } from "../observe/table.ts";
import type { LogPlan } from "../config/plan.ts";

/** A log that is open and waits for its turn. */
interface Next {
  readonly plan: LogPlan;
  readonly log: AccessLog | null;
}

/** The sink that a worker's engine gets. */
export class WorkerLog implements AccessSink {
  readonly #cells: Float64Array;
  readonly #own: number;
  readonly #tell: (text: string) => void;
  #plan: LogPlan = { access: "none", format: "json" };
  #log: AccessLog | null = null;
  #next: Next | null = null;
  /** Counted by logs that were closed, and by processes that had this row before. */
  #takenBefore: number;
  #droppedBefore: number;

  constructor(table: SharedTable, row: number, tell: (text: string) => void) {
    this.#cells = table.cells;
    this.#own = table.worker(row);
    this.#tell = tell;
    this.#takenBefore = this.#cells[this.#own + WorkerCell.logTaken] ?? 0;
    this.#droppedBefore = this.#cells[this.#own + WorkerCell.logDropped] ?? 0;
  }

  exchange(record: AccessRecord): void {
    this.#log?.exchange(record);
  }

  /** Opens what another plan asks for, beside what is in use; "" or why that cannot be. `commit` or `discard` follows. */
  prepare(plan: LogPlan): string {
    this.discard();
    if (plan.access === this.#plan.access && plan.format === this.#plan.format) return "";
    if (plan.access === "none") {
      this.#next = { plan, log: null };
      return "";
    }
    const opened = openAccessLog(plan.access, plan.format, {
      later: (ms, run) => void after(ms, run),
      onTrouble: (cause) => this.#tell(`the access log ${plan.access} fails: ${cause}`),
    });
    if ("problem" in opened) return opened.problem;
    this.#next = { plan, log: opened };
    return "";
  }

  /** Changes to what was prepared. */
  commit(): void {
    const next = this.#next;
    if (next === null) return;
    this.#next = null;
    this.#leave();
    this.#log = next.log;
    this.#plan = next.plan;
  }

  /** Gives up what was prepared. */
  discard(): void {
    void this.#next?.log?.close();
    this.#next = null;
  }

  reopen(): void {
    this.#log?.reopen();
  }

  /** Writes the counts to the shared table. */
  count(): void {
    this.#cells[this.#own + WorkerCell.logTaken] = this.#takenBefore + (this.#log?.taken ?? 0);
    this.#cells[this.#own + WorkerCell.logDropped] = this.#droppedBefore + (this.#log?.dropped ?? 0);
  }

  async close(): Promise<void> {
    await this.#log?.close();
    this.count();
  }

  #leave(): void {
    const log = this.#log;
    if (log === null) return;
    this.#takenBefore += log.taken;
    this.#droppedBefore += log.dropped;
    void log.close();
  }
}
