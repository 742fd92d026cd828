// The lock of a storage folder: of several programs that share it, on one machine or over a network file system, one orders.
// The holder touches the file; whoever finds it untouched for long takes it over. Clocks of two machines are never
// compared: it is watched whether the file changes.
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

/** What stands in the file. */
interface Claim {
  readonly host: string;
  readonly pid: number;
  /** Tells two claims of one process apart. */
  readonly nonce: string;
  /** Grows with every claim and touch. */
  readonly beat: number;
}

/** Ms between two touches, and without one after which the holder counts as gone: four were missed. */
export const lockTouch = 15_000;
const staleAfter = 75_000;

export class FolderLock {
  readonly #file: string;
  readonly #nonce: string;
  #held = false;
  #beat = 0;
  /** The claim of another that was seen last, and since when, monotonic ms. */
  #seen = { text: "", since: 0 };

  constructor(folder: string, nonce: string) {
    this.#file = join(folder, "lock");
    this.#nonce = nonce;
  }

  get held(): boolean {
    return this.#held;
  }

  /** Takes it if it is free or its holder is gone. `now` is monotonic ms. Throws if the folder cannot be written. */
  take(now: number): boolean {
    if (this.#held) return this.touch();
    if (this.#create()) return true;
    const text = this.#read();
    if (text === "") return this.#create();
    if (text !== this.#seen.text) this.#seen = { text, since: now };
    if (!isGone(text) && now - this.#seen.since < staleAfter) return false;
    return this.#remove(text) && this.#create();
  }

  /** Shows that the holder lives. False if it was taken away meanwhile: then nothing may be ordered any more. */
  touch(): boolean {
    if (!this.#held) return false;
    if (!this.#isOurs()) {
      this.#held = false;
      return false;
    }
    const beside = `${this.#file}.${this.#nonce}`;
    this.#put(beside);
    renameSync(beside, this.#file);
    return true;
  }

  release(): void {
    if (this.#held && this.#isOurs()) rmSync(this.#file, { force: true });
    this.#held = false;
  }

  /** Who holds it, for a message; "" if nobody does. */
  holder(): string {
    const claim = parse(this.#read());
    return claim === null ? "" : `process ${claim.pid} on ${claim.host}`;
  }

  #create(): boolean {
    const beside = `${this.#file}.${this.#nonce}`;
    this.#put(beside);
    try {
      // Unlike a rename, a link fails where there is a file already, and the file is whole when it appears.
      linkSync(beside, this.#file);
      this.#held = true;
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw error;
    } finally {
      rmSync(beside, { force: true });
    }
  }

  /** Takes a claim away, unless it changed since it was judged: of two that judge at once one must not remove the other's. */
  #remove(judged: string): boolean {
    const away = `${this.#file}.${this.#nonce}.away`;
    try {
      renameSync(this.#file, away);
    } catch {
      return false; // somebody else was quicker
    }
    try {
      if (readFileSync(away, "utf8") === judged) return true;
      linkSync(away, this.#file);
      return false;
    } catch {
      return false;
    } finally {
      rmSync(away, { force: true });
    }
  }

  /** No two claims are equal: one that is made anew must not look like one that was left alone since. */
  #put(file: string): void {
    this.#beat++;
    const claim: Claim = { host: hostname(), pid: process.pid, nonce: this.#nonce, beat: this.#beat };
    const fd = openSync(file, "w", 0o600);
    try {
      writeSync(fd, JSON.stringify(claim));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }

  #isOurs(): boolean {
    return parse(this.#read())?.nonce === this.#nonce;
  }

  #read(): string {
    try {
      return readFileSync(this.#file, "utf8");
    } catch {
      return "";
    }
  }
}

/** A process of this machine that does not exist any more left its claim behind: nobody needs to wait. */
function isGone(text: string): boolean {
  const claim = parse(text);
  if (claim === null || claim.host !== hostname() || !Number.isSafeInteger(claim.pid) || claim.pid <= 0) return false;
  // Two containers may share a folder, a host name and process numbers; then only silence counts.
  if (claim.pid === process.pid) return false;
  try {
    process.kill(claim.pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

function parse(text: string): Claim | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && "nonce" in value ? (value as Claim) : null;
  } catch {
    return null;
  }
}
