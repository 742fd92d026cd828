// How long an endpoint that leaves may take: as configured, or by what its pool's requests were seen to need. Pure.
import { PoolCell, type SharedTable } from "../observe/table.ts";
import type { PoolPlan } from "../pool/plan.ts";

/** Bounds of an automatic window, and what it is while nothing has been seen, ms. */
const shortest = 5_000;
const longest = 300_000;
const unseen = 30_000;
/** How much longer than the longest request seen: the next one may be a little longer. */
const margin = 1.5;

/** A pool's window, and why it is that long. */
export interface DrainWindow {
  readonly configured: number | "auto";
  /** Longest request of the last half an hour to an hour, ms; 0 = none was seen. Streams and tunnels do not count. */
  readonly longestSeen: number;
  /** What a drain that begins now gets, ms. */
  readonly window: number;
}

/** The window of a pool as of now. */
export function drainWindow(table: SharedTable, pool: Pick<PoolPlan, "slot" | "drain">): DrainWindow {
  let seen = 0;
  for (let row = 0; row < table.shape.workers; row++) {
    const at = table.pool(row, pool.slot);
    for (const cell of [PoolCell.longest, PoolCell.longestBefore]) seen = Math.max(seen, table.cells[at + cell] ?? 0);
  }
  const configured = pool.drain.window;
  return { configured, longestSeen: seen, window: configured === "auto" ? automatic(seen) : configured };
}

function automatic(seen: number): number {
  if (seen === 0) return unseen;
  return Math.min(longest, Math.max(shortest, Math.ceil((seen * margin) / 1000) * 1000));
}
