// Everything that the engine writes to a connection goes through its outbox. Small pieces gather in one scratch buffer that
// all outboxes share, so that a head and the body bytes that came with it leave in one system call. What the kernel does not
// take is kept here, and the outbox is `blocked` until the connection drains: whoever feeds it pauses its own source then.
import { copyBytes, free, roundUp, worthFreeing } from "../base/bytes.ts";
import type { Connection } from "../net/transport.ts";

/** Pieces up to this size are copied together; a larger one is handed to the kernel where it lies. */
const gatherLimit = 32 * 1024;
const scratch = Buffer.allocUnsafeSlow(128 * 1024);
let scratchTo = 0;
let scratchOwner: Outbox | null = null;

/** Hands what is gathered to the kernel. Every entry into the engine, from the network or a tick, ends with this. */
export function settle(): void {
  if (scratchOwner !== null) scratchOwner.flush();
}

export class Outbox {
  connection: Connection | null = null;
  /** Bytes that the kernel did not take: pending[pendingFrom, pendingTo). */
  #pending: Uint8Array | null = null;
  #pendingFrom = 0;
  #pendingTo = 0;
  readonly #cells: Float64Array;
  readonly #cell: number;

  /** Every byte that the kernel takes is counted in `cells[cell]`. */
  constructor(cells: Float64Array, cell: number) {
    this.#cells = cells;
    this.#cell = cell;
  }

  /** Whether bytes wait for the kernel; while so, the source must rest. */
  get blocked(): boolean {
    return this.#pending !== null;
  }

  /** How many bytes wait, for tests and limits. */
  get waiting(): number {
    return this.#pendingTo - this.#pendingFrom;
  }

  /** Adds bytes [from, to); they are copied or written before this returns. */
  append(bytes: Uint8Array, from: number, to: number): void {
    const length = to - from;
    if (length <= 0) return;
    if (length > gatherLimit) {
      if (scratchOwner === this) this.#flush(true);
      else if (scratchOwner !== null) scratchOwner.flush();
      this.#write(bytes, from, to, false);
      return;
    }
    const at = this.reserve(length);
    copyBytes(scratch, at, bytes, from, to);
    scratchTo = at + length;
  }

  /** Makes room for `length` bytes (64 KiB at most) and returns where in `Outbox.scratch` to write; `wrote` ends it. */
  reserve(length: number): number {
    if (scratchOwner !== this || scratchTo + length > scratch.length) {
      if (scratchOwner !== null) scratchOwner.flush();
      scratchOwner = this;
      scratchTo = 0;
    }
    return scratchTo;
  }

  /** The buffer that `reserve` speaks of. */
  static readonly scratch: Uint8Array = scratch;

  /** Ends what `reserve` began: bytes were written up to `to`. */
  wrote(to: number): void {
    scratchTo = to;
  }

  /** Writes what is gathered for this outbox. */
  flush(): void {
    if (scratchOwner === this) this.#flush(false);
  }

  /** The connection has room again. Returns true when nothing waits any more. */
  drain(): boolean {
    const pending = this.#pending;
    if (pending === null) return true;
    const connection = this.connection;
    if (connection === null) return false;
    const accepted = connection.write(pending, this.#pendingFrom, this.#pendingTo);
    this.#cells[this.#cell]! += accepted;
    this.#pendingFrom += accepted;
    if (this.#pendingFrom < this.#pendingTo) return false;
    this.#release();
    return true;
  }

  /** Forgets everything, also what was gathered: the connection is dead or being cut. */
  clear(): void {
    if (scratchOwner === this) {
      scratchOwner = null;
      scratchTo = 0;
    }
    this.#release();
    this.#pendingFrom = this.#pendingTo = 0;
  }

  /** What waited is out, or never will be. A crowd of slow clients would leave much behind for the garbage collector. */
  #release(): void {
    const pending = this.#pending;
    if (pending !== null && pending.length >= worthFreeing) free(pending);
    this.#pending = null;
  }

  /** `more`: another write follows at once. */
  #flush(more: boolean): void {
    const to = scratchTo;
    scratchOwner = null;
    scratchTo = 0;
    if (to > 0) this.#write(scratch, 0, to, more);
  }

  #write(bytes: Uint8Array, from: number, to: number, more: boolean): void {
    const connection = this.connection;
    if (connection === null) return;
    let at = from;
    if (this.#pending === null) {
      const accepted = more ? connection.writeAhead(bytes, from, to) : connection.write(bytes, from, to);
      this.#cells[this.#cell]! += accepted;
      at += accepted;
      if (at >= to) return;
    }
    this.#keep(bytes, at, to);
  }

  #keep(bytes: Uint8Array, from: number, to: number): void {
    const pending = this.#pending;
    const waiting = this.#pendingTo - this.#pendingFrom;
    const needed = waiting + (to - from);
    if (pending === null) {
      const kept = Buffer.allocUnsafeSlow(needed);
      copyBytes(kept, 0, bytes, from, to);
      this.#pending = kept;
      this.#pendingFrom = 0;
      this.#pendingTo = needed;
      return;
    }
    if (this.#pendingTo + (to - from) > pending.length) {
      const grown = Buffer.allocUnsafeSlow(roundUp(needed));
      copyBytes(grown, 0, pending, this.#pendingFrom, this.#pendingTo);
      this.#release();
      this.#pending = grown;
      this.#pendingFrom = 0;
      this.#pendingTo = waiting;
    }
    this.#pendingTo = copyBytes(this.#pending as Uint8Array, this.#pendingTo, bytes, from, to);
  }
}
