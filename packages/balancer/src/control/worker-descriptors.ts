// A worker whose descriptors are used up, told: by an event when it stops accepting and one when that is over, in the shared
// table for status and metrics. Doors may open and shut many times a second then; that is one shortage.
import type { Clock } from "../base/clock.ts";
import { formatDuration } from "../base/units.ts";
import type { DescriptorUse } from "../net/descriptor-gate.ts";
import type { LogLevel } from "../observe/log.ts";
import { WorkerCell } from "../observe/table.ts";

/** Ms without a shut door after which a shortage is over. */
const calm = 1_000;

const systemLimit =
  "the system's table of open files is full (ENFILE): new connections wait, and it is asked again each second. End what holds " +
  "so many files (cat /proc/sys/fs/file-nr), or raise `sysctl fs.file-max`";

function ownLimit(open: number, room: number): string {
  return (
    `descriptors run out: ${open} connections are open of ${room}, part of which is for endpoints; new ones wait until ` +
    "some end. Raise `ulimit -n` (LimitNOFILE in a systemd unit), or lower limits.maxConnections"
  );
}

export class DescriptorWatch {
  readonly #cells: Float64Array;
  readonly #own: number;
  readonly #clock: Clock;
  readonly #tell: (level: LogLevel, name: string, text: string) => void;
  #short = false;
  /** Clock ms at which the doors were last seen to open. */
  #openedAt = 0;

  /** `own`: first of the worker's cells. */
  constructor(
    cells: Float64Array,
    own: number,
    clock: Clock,
    tell: (level: LogLevel, name: string, text: string) => void,
  ) {
    this.#cells = cells;
    this.#own = own;
    this.#clock = clock;
    this.#tell = tell;
  }

  /** The doors were shut or opened. */
  changed({ short, cause, open, room }: DescriptorUse): void {
    this.#short = short;
    if (!short) {
      this.#openedAt = this.#clock.now();
      return;
    }
    if (this.#since > 0) return;
    this.#cells[this.#own + WorkerCell.shortSince] = this.#clock.wall();
    this.#cells[this.#own + WorkerCell.shortages]!++;
    const text =
      cause === ""
        ? ownLimit(open, room)
        : cause === "ENFILE"
          ? systemLimit
          : `the system accepts no connections (${cause}); new ones wait, and it is asked again each second`;
    this.#tell("warn", "worker.descriptors-short", text);
  }

  /** To be called about once a second. */
  review(): void {
    if (this.#since === 0 || this.#short || this.#clock.now() - this.#openedAt < calm) return;
    const took = Math.max(0, Math.round(this.#clock.wall() - this.#since));
    this.#cells[this.#own + WorkerCell.shortSince] = 0;
    this.#tell(
      "info",
      "worker.descriptors-enough",
      `new connections are accepted again, after ${formatDuration(took)}`,
    );
  }

  get #since(): number {
    return this.#cells[this.#own + WorkerCell.shortSince] ?? 0;
  }
}
