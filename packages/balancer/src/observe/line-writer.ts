// Writes lines to a file or to stdout without ever blocking the caller. Lines gather in a buffer; one write at a time is
// under way, on a thread of the runtime. When the disk or the reader of a pipe cannot follow, memory stays within a
// bound: further lines are dropped and counted. A log is worth less than the traffic it tells of.
import { closeSync, fstatSync, openSync, write as writeFile } from "node:fs";

/** Runs `run` once after `ms`; from net/, because time is not ours. */
export type Later = (ms: number, run: () => void) => void;

export interface LineWriterOptions {
  /** A file's path (opened for appending, 0640), or an open descriptor such as 1. */
  readonly to: string | number;
  readonly later: Later;
  /** Told once per row of failures, with the system's reason. */
  readonly onTrouble?: (cause: string) => void;
  /** Bytes held at most while the writer cannot follow. */
  readonly bound?: number;
}

const batch = 64 * 1024;
/** Longest that a line waits for company. */
const patience = 100;
/** A pipe takes this much in one piece even when another process writes too (POSIX PIPE_BUF on Linux). */
const pipePiece = 4096;

/** One destination of ASCII lines. Throws from its constructor when the file cannot be opened. */
export class LineWriter {
  /** Lines that were given up. */
  dropped = 0;
  /** Lines that were taken. */
  taken = 0;
  readonly #to: string | number;
  readonly #later: Later;
  readonly #onTrouble: (cause: string) => void;
  readonly #bound: number;
  #fd: number;
  #pipe: boolean;
  /** Being filled. */
  #buffer: Buffer = Buffer.allocUnsafe(batch);
  #used = 0;
  /** Full ones that wait, oldest first; the first is being written when `#writing`. */
  readonly #queue: { readonly bytes: Buffer; from: number; readonly to: number; readonly lines: number }[] = [];
  #queued = 0;
  #lines = 0;
  #writing = false;
  #scheduled = false;
  #troubled = false;
  #reopen = false;
  #closed = false;
  #whenIdle: (() => void) | null = null;

  constructor(options: LineWriterOptions) {
    this.#to = options.to;
    this.#later = options.later;
    this.#onTrouble = options.onTrouble ?? (() => {});
    this.#bound = options.bound ?? 1024 * 1024;
    this.#fd = typeof options.to === "number" ? options.to : openLog(options.to);
    this.#pipe = isPipe(this.#fd);
  }

  /** Takes one line of ASCII, its line feed included. Never blocks, never throws. */
  line(text: string): void {
    const size = text.length;
    if (this.#closed || this.#queued + this.#used + size > this.#bound) {
      this.dropped++;
      return;
    }
    if (this.#used + size > this.#buffer.length) this.#turn(size);
    this.#buffer.write(text, this.#used, size, "latin1");
    this.#used += size;
    this.#lines++;
    this.taken++;
    if (this.#used >= batch) {
      this.#turn(batch);
      this.#pump();
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      this.#later(patience, () => {
        this.#scheduled = false;
        this.flush();
      });
    }
  }

  /** Begins to write what has gathered. */
  flush(): void {
    if (!this.#writing) this.#turn(batch);
    this.#pump();
  }

  /** Opens the file again under its name, for logrotate; lines already taken go to the new file. A descriptor stays. */
  reopen(): void {
    if (typeof this.#to === "number") return;
    this.#reopen = true;
    this.#pump();
  }

  /** Writes what is left, then resolves. A stuck destination never lets it resolve: the caller bounds the wait. */
  close(): Promise<void> {
    this.#closed = true;
    this.#turn(0);
    return new Promise((resolve) => {
      this.#whenIdle = () => {
        if (typeof this.#to === "string") closeSync(this.#fd);
        resolve();
      };
      this.#pump();
    });
  }

  /** Puts the filled part into the queue and takes a fresh buffer with room for `room` bytes. */
  #turn(room: number): void {
    if (this.#used > 0) {
      this.#queue.push({ bytes: this.#buffer, from: 0, to: this.#used, lines: this.#lines });
      this.#queued += this.#used;
      this.#buffer = Buffer.allocUnsafe(Math.max(batch, room));
      this.#used = 0;
      this.#lines = 0;
    } else if (room > this.#buffer.length) {
      this.#buffer = Buffer.allocUnsafe(room);
    }
  }

  #pump(): void {
    if (this.#writing) return;
    if (this.#reopen) this.#swap();
    const head = this.#queue[0];
    if (head === undefined) {
      if (this.#closed) this.#idle();
      return;
    }
    this.#writing = true;
    const to = this.#pipe ? wholeLines(head.bytes, head.from, head.to) : head.to;
    writeFile(this.#fd, head.bytes, head.from, to - head.from, null, (error, written) => {
      this.#writing = false;
      if (error !== null && error !== undefined) this.#failed(error);
      else this.#wrote(written);
    });
  }

  #wrote(written: number): void {
    this.#troubled = false;
    const head = this.#queue[0];
    if (head !== undefined) {
      head.from += written;
      this.#queued -= written;
      if (head.from >= head.to) this.#queue.shift();
    }
    // What came in meanwhile goes out at once rather than after another wait.
    if (this.#queue.length === 0 && this.#used > 0 && !this.#scheduled) this.#turn(batch);
    this.#pump();
  }

  #failed(error: NodeJS.ErrnoException): void {
    if (error.code === "EAGAIN" || error.code === "EINTR") {
      // Somebody made the shared pipe non-blocking, and it is full.
      this.#writing = true;
      this.#later(5, () => {
        this.#writing = false;
        this.#pump();
      });
      return;
    }
    const head = this.#queue.shift();
    if (head !== undefined) {
      this.#queued -= head.to - head.from;
      this.dropped += head.lines;
    }
    this.#trouble(error.message);
    this.#pump();
  }

  #trouble(cause: string): void {
    if (!this.#troubled) this.#onTrouble(cause);
    this.#troubled = true;
  }

  #swap(): void {
    this.#reopen = false;
    if (typeof this.#to !== "string") return;
    try {
      const fresh = openLog(this.#to);
      closeSync(this.#fd);
      this.#fd = fresh;
      this.#pipe = isPipe(fresh);
    } catch (error) {
      // The old file stays open: better there than nowhere.
      this.#trouble(`cannot reopen ${this.#to}: ${(error as Error).message}`);
    }
  }

  #idle(): void {
    const done = this.#whenIdle;
    this.#whenIdle = null;
    done?.();
  }
}

function openLog(path: string): number {
  return openSync(path, "a", 0o640);
}

function isPipe(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false;
  }
}

/** As many whole lines as a pipe takes in one piece, so that lines of several workers never tear each other. */
function wholeLines(bytes: Buffer, from: number, to: number): number {
  if (to - from <= pipePiece) return to;
  const last = bytes.lastIndexOf(10, from + pipePiece - 1);
  if (last >= from) return last + 1;
  const first = bytes.indexOf(10, from);
  return first < 0 || first >= to ? to : first + 1;
}
