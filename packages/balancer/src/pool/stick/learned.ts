// Which endpoint has which session, for all workers at once: a part of the shared table. Each session is one cell, so a
// worker reads what another wrote either whole or not at all, and nothing is locked. Eight cells, a line of the processor's
// cache, are a set; a session may lie in one set only, and the eight that were used last are remembered there.
import type { SharedTable } from "../../observe/table.ts";

const ways = 8;
/** A cell holds 38 bits of the session's hashes above 15 bits of slot plus one: 53 bits, exact in a double; 0 is empty. */
export const slotRange = 2 ** 15;

export class LearnedSessions {
  readonly #cells: Float64Array;
  readonly #from: number;
  readonly #sets: number;

  constructor(table: SharedTable) {
    this.#cells = table.cells;
    this.#from = table.sessions;
    this.#sets = Math.floor((table.shape.sessions ?? 0) / ways);
  }

  /** Slot of the endpoint that has it, or -1. Both hashes are unsigned 32-bit numbers of the same session. */
  find(first: number, second: number): number {
    if (this.#sets === 0) return -1;
    const cells = this.#cells;
    const at = this.#set(first);
    const print = fingerprint(first, second);
    for (let way = 0; way < ways; way++) {
      const cell = cells[at + way]!;
      if (Math.floor(cell / slotRange) !== print || cell === 0) continue;
      // One place forward for each use, so that what is used outlives what is not, at the price of two stores.
      if (way > 0) {
        cells[at + way] = cells[at + way - 1]!;
        cells[at + way - 1] = cell;
      }
      return (cell % slotRange) - 1;
    }
    return -1;
  }

  /** It is at this endpoint from now on. */
  remember(first: number, second: number, slot: number): void {
    if (this.#sets === 0 || slot + 1 >= slotRange) return;
    const cells = this.#cells;
    const at = this.#set(first);
    const print = fingerprint(first, second);
    const entry = print * slotRange + slot + 1;
    for (let way = 0; way < ways; way++) {
      const cell = cells[at + way]!;
      if (cell === 0 || Math.floor(cell / slotRange) === print) {
        cells[at + way] = entry;
        return;
      }
    }
    // The last one makes room, and what is new begins in the middle: a flood of sessions that are never used again
    // cannot drive out those that are.
    for (let way = ways - 1; way > ways / 2; way--) cells[at + way] = cells[at + way - 1]!;
    cells[at + ways / 2] = entry;
  }

  #set(first: number): number {
    return this.#from + ((first >>> 6) % this.#sets) * ways;
  }
}

function fingerprint(first: number, second: number): number {
  return (first & 63) * 2 ** 32 + second;
}
