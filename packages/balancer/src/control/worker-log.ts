// The access log of a worker over reloads: the engine keeps one sink, what is behind it changes.
import { after } from "../net/clock.ts";
import { compileAccessFormat } from "../observe/access-format.ts";
import { openAccessLog, type AccessLog } from "../observe/access-log.ts";
import type { AccessRecord, AccessSink } from "../observe/access-record.ts";
import { WorkerCell, type SharedTable } from "../observe/table.ts";
import type { LogPlan } from "../config/plan.ts";

type Tell = (level: "warn" | "error", name: string, text: string) => void;

/** The sink that a worker's engine gets. */
export class WorkerLog implements AccessSink {
  readonly #cells: Float64Array;
  readonly #own: number;
  readonly #tell: Tell;
  #plan: LogPlan = { access: "none", format: "json" };
  #log: AccessLog | null = null;
  /** Counted by logs that were closed, and by processes that had this row before. */
  #takenBefore: number;
  #droppedBefore: number;

  constructor(table: SharedTable, row: number, tell: Tell) {
    this.#cells = table.cells;
    this.#own = table.worker(row);
    this.#tell = tell;
    this.#takenBefore = this.#cells[this.#own + WorkerCell.logTaken] ?? 0;
    this.#droppedBefore = this.#cells[this.#own + WorkerCell.logDropped] ?? 0;
  }

  exchange(record: AccessRecord): void {
    this.#log?.exchange(record);
  }

  /** Whether a plan could be used; "" or the problem. */
  check(plan: LogPlan): string {
    const format = compileAccessFormat(plan.format);
    return typeof format === "function" ? "" : format.problem;
  }

  /** Changes to another plan; "" or why the old one goes on. */
  use(plan: LogPlan): string {
    if (plan.access === this.#plan.access && plan.format === this.#plan.format) return "";
    let next: AccessLog | null = null;
    if (plan.access !== "none") {
      const opened = openAccessLog(plan.access, plan.format, {
        later: (ms, run) => void after(ms, run),
        onTrouble: (cause) => this.#tell("warn", "log.trouble", `the access log ${plan.access} fails: ${cause}`),
      });
      if ("problem" in opened) return opened.problem;
      next = opened;
    }
    this.#leave();
    this.#log = next;
    this.#plan = plan;
    return "";
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
