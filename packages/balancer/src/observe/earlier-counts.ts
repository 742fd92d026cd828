// What a program counted goes on counting in the one that takes over from it: the sums of the old table stand in a row of their
// own in the new one, as Envoy merges the counters of its parent. Gauges do not: what is in flight there is the old one's own.
import { EndpointCell, gauges, ListenerCell, PoolCell, type SharedTable, WorkerCell } from "./table.ts";

/** Which rows of two tables mean the same: of the old one, of the new one. */
export type SlotPairs = readonly (readonly [from: number, to: number])[];

export interface CommonSlots {
  readonly endpoints: SlotPairs;
  readonly pools: SlotPairs;
  readonly listeners: SlotPairs;
}

const counting = (size: number, gauge: readonly number[]) =>
  Array.from({ length: size }, (_, cell) => cell).filter((cell) => !gauge.includes(cell));

const endpointCells = counting(EndpointCell.size, gauges.endpoint);
/** The longest requests are no sums. */
const poolCells = counting(PoolCell.size, [...gauges.pool, PoolCell.longest, PoolCell.longestBefore]);
const listenerCells = counting(ListenerCell.size, gauges.listener);
/** Of the rest some tell of one process alone. */
const workerCells = [
  WorkerCell.logTaken,
  WorkerCell.logDropped,
  ...counting(WorkerCell.size, []).filter((cell) => cell >= WorkerCell.faults),
];

/**
 * Makes what `from` has counted by now part of the sums of `to`. To be called again as long as the old program counts: each
 * call puts the present sums in the place of those before.
 */
export function takeCounts(from: SharedTable, to: SharedTable, slots: CommonSlots): void {
  const row = to.earlier;
  const copy = (cells: readonly number[], source: number, target: number) => {
    for (const cell of cells) {
      const total = from.sum(source + cell);
      // The file is sparse: where nothing was counted nothing is written.
      if (to.cells[target + cell] !== total) to.cells[target + cell] = total;
    }
  };
  copy(workerCells, from.worker(0), to.worker(row));
  for (const [old, slot] of slots.endpoints) copy(endpointCells, from.endpoint(0, old), to.endpoint(row, slot));
  for (const [old, slot] of slots.pools) copy(poolCells, from.pool(0, old), to.pool(row, slot));
  for (const [old, slot] of slots.listeners) copy(listenerCells, from.listener(0, old), to.listener(row, slot));
}

/** Has all workers of `to`, before they run, begin with what those of `from` learned of how long endpoints keep idle connections. */
export function takeKeepAliveAges(from: SharedTable, to: SharedTable, endpoints: SlotPairs): void {
  for (const [old, slot] of endpoints) {
    let age = Infinity;
    for (let row = 0; row < from.shape.workers; row++) {
      const learned = from.cells[from.endpoint(row, old) + EndpointCell.keepAlive] ?? 0;
      if (learned > 0) age = Math.min(age, learned);
    }
    if (age === Infinity) continue;
    for (let row = 0; row < to.shape.workers; row++) to.cells[to.endpoint(row, slot) + EndpointCell.keepAlive] = age;
  }
}
