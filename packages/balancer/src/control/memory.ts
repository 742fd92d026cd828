// How much memory the workers may have together, and what is done when they near it: idle connections go first, then nobody new is
// accepted. What would come otherwise is the kernel, which ends a worker with everything that it carries.
import { totalmem } from "node:os";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { formatDuration, formatSize } from "../base/units.ts";
import type { LogLevel } from "../observe/log.ts";
import { WorkerCell } from "../observe/table.ts";
import { controlGroups, systemReader } from "./control-groups.ts";

/** Bytes that this process may use: the smallest limit of its control groups, or what the machine has. */
export function memoryAllowed(root = "/", machine = totalmem()): number {
  const read = systemReader(root);
  let least = machine;
  for (const { second, folder } of controlGroups(read, "memory")) {
    const text = read(join(folder, second ? "memory.max" : "memory.limit_in_bytes")) ?? "";
    // "max" is no limit; version 1 has a number for that which is larger than any machine.
    if (/^\d+$/.test(text) && Number(text) > 0) least = Math.min(least, Number(text));
  }
  return least;
}

/** Share of the budget from which idle connections are closed, and from which nobody new is accepted. */
const high = 0.9;
const full = 0.95;
/** A worker with fewer connections accepts whatever its memory is: closing doors would not free what they do not hold. */
const fewConnections = 64;

/** What a worker is to do about it. */
export interface MemoryRelief {
  /** Connections of clients that are open in this worker. */
  readonly open: () => number;
  /** Closes connections on which nothing is under way. */
  shed(): void;
  /** Stops accepting, or goes on. */
  hold(held: boolean): void;
}

export class MemoryWatch {
  readonly #cells: Float64Array;
  readonly #own: number;
  readonly #clock: Clock;
  readonly #relief: MemoryRelief;
  readonly #tell: (level: LogLevel, name: string, text: string) => void;
  #shedding = false;

  /** `own`: first of the worker's cells. */
  constructor(
    cells: Float64Array,
    own: number,
    clock: Clock,
    relief: MemoryRelief,
    tell: (level: LogLevel, name: string, text: string) => void,
  ) {
    this.#cells = cells;
    this.#own = own;
    this.#clock = clock;
    this.#relief = relief;
    this.#tell = tell;
  }

  /** To be called about once a second: `used` bytes of `budget`, all workers together. */
  review(used: number, budget: number): void {
    const share = used / budget;
    const sizes = `${inMiB(used)} of ${inMiB(budget)}`;
    if (share >= high) {
      // Each time: those that have become idle since go as well.
      this.#relief.shed();
      if (!this.#shedding) {
        const text = `the workers use ${sizes}: connections without a request are closed. Give the program more memory, or lower limits.maxConnections`;
        this.#tell("warn", "worker.memory-high", text);
      }
    }
    this.#shedding = share >= high;
    const since = this.#cells[this.#own + WorkerCell.fullSince] ?? 0;
    const many = this.#relief.open() >= fewConnections;
    if (since === 0 && share >= full && many) {
      this.#cells[this.#own + WorkerCell.fullSince] = this.#clock.wall();
      this.#relief.hold(true);
      this.#tell("error", "worker.memory-full", `the workers use ${sizes}: new connections wait until some end`);
    } else if (since > 0 && (share < high || !many)) {
      this.#cells[this.#own + WorkerCell.fullSince] = 0;
      this.#relief.hold(false);
      const took = formatDuration(Math.max(0, Math.round(this.#clock.wall() - since)));
      this.#tell("info", "worker.memory-enough", `new connections are accepted again, after ${took}`);
    }
  }
}

function inMiB(bytes: number): string {
  const MiB = 1024 * 1024;
  return formatSize(Math.max(1, Math.round(bytes / MiB)) * MiB);
}
