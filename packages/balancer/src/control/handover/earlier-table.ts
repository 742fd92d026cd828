// The shared table of the program that this one took over from. It stays mapped, and is read, for as long as anybody counts in it:
// requests that the old program finishes are counted there.
import type { Timers } from "../../net/clock.ts";
import { takeCounts, takeKeepAliveAges, type CommonSlots, type SlotPairs } from "../../observe/earlier-counts.ts";
import { SharedTable, WorkerCell } from "../../observe/table.ts";
import type { EnginePlan } from "../../proxy/assemble.ts";
import { endpointKey } from "../slots.ts";
import type { Carried } from "./messages.ts";

/** Ms between two looks: as often as anybody scrapes. */
const lookEvery = 1_000;

export class EarlierTable {
  readonly #table: SharedTable;
  readonly #carried: Carried;
  /** null: of another layout, or gone. Everything is counted from nothing then. */
  #old: SharedTable | null = null;
  #plan: EnginePlan | null = null;
  #slots: CommonSlots = { endpoints: [], pools: [], listeners: [] };
  #stop: () => void = () => {};

  constructor(table: SharedTable, carried: Carried) {
    this.#table = table;
    this.#carried = carried;
    try {
      this.#old = SharedTable.open(carried.table);
    } catch {
      // Nothing to fail for.
    }
  }

  /** Takes all that was counted and learned. Before any worker runs. */
  begin(plan: EnginePlan): void {
    this.#take(plan);
    if (this.#old !== null) takeKeepAliveAges(this.#old, this.#table, this.#slots.endpoints);
  }

  /** Goes on taking what is counted, until `alive` says that none of the processes is left that do. */
  follow(timers: Timers, alive: (pid: number) => boolean, plan: () => EnginePlan): void {
    if (this.#old === null) return;
    this.#stop = timers.every(lookEvery, () => {
      const over = !this.#processes().some(alive);
      this.#take(plan());
      if (over) this.close();
    });
  }

  close(): void {
    this.#stop();
    this.#old = null;
  }

  #take(plan: EnginePlan): void {
    if (this.#old === null) return;
    // A slot that has got another meaning since must not be written to.
    if (plan !== this.#plan) this.#slots = commonSlots(this.#carried, plan);
    this.#plan = plan;
    takeCounts(this.#old, this.#table, this.#slots);
  }

  /** The old supervisor, and its workers: they may outlive it. */
  #processes(): number[] {
    const old = this.#old;
    if (old === null) return [];
    const workers = Array.from(
      { length: old.shape.workers },
      (_, row) => old.cells[old.worker(row) + WorkerCell.pid] ?? 0,
    );
    return [old.owner, ...workers].filter((pid) => pid > 0);
  }
}

function commonSlots(carried: Carried, { pools, listeners }: EnginePlan): CommonSlots {
  const endpoints = new Map(carried.endpoints.map(({ key, slot }) => [key, slot]));
  const pairs = (from: number | undefined, to: number): SlotPairs => (from === undefined ? [] : [[from, to]]);
  return {
    endpoints: pools.flatMap(({ name, endpoints: all }) =>
      all.flatMap((endpoint) => pairs(endpoints.get(endpointKey(name, endpoint)), endpoint.slot)),
    ),
    pools: pools.flatMap(({ name, slot }) => pairs(carried.pools[name], slot)),
    listeners: listeners.flatMap(({ name, slot }) => pairs(carried.listeners[name], slot)),
  };
}
