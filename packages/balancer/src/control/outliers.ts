// Outliers, decided once for the whole program: the supervisor sums every worker's counts each second, asks the pools'
// watches (pool/outlier/), and writes who is out into the shared table, where every worker sees it at its next tick. A worker
// alone would see an eighth of the failures and eject an eighth of the time.
import type { Clock } from "../base/clock.ts";
import type { Timers } from "../net/clock.ts";
import type { Log } from "../observe/log.ts";
import { EndpointCell, EndpointState, StateCell, type SharedTable } from "../observe/table.ts";
import { algorithms } from "../pool/balance/table.ts";
import { OutlierWatch, type Decision, type Ejection, type Member } from "../pool/outlier/watch.ts";
import { Count, type Counts } from "../pool/outlier/window.ts";
import type { EndpointPlan, OutlierPlan, PoolPlan } from "../pool/plan.ts";

/** Ms between two looks. */
const interval = 1_000;

export interface OutliersNeeds {
  readonly table: SharedTable;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  /** What runs now. */
  pools(): readonly PoolPlan[];
}

/** The watches over all pools of the running plan. */
export class Outliers {
  readonly #needs: OutliersNeeds;
  readonly #watches = new Map<string, OutlierWatch>();
  /** Totals by slot, filled anew at each look. */
  readonly #totals = new Map<number, Counts>();
  #cancel: () => void = () => {};

  constructor(needs: OutliersNeeds) {
    this.#needs = needs;
  }

  /** Takes on what the program that this one takes over from decided. Before `start`. */
  inherit(pool: PoolPlan, endpoint: EndpointPlan, ejection: Ejection): void {
    this.#watch(pool.name).inherit(this.#member(pool, endpoint), ejection, this.#needs.clock.wall());
  }

  /** Begins to look every second, until `stop`. */
  start(): void {
    this.#cancel = this.#needs.timers.every(interval, () => this.review());
  }

  stop(): void {
    this.#cancel();
  }

  /** Why an endpoint is out now; null when it is not. */
  ejection(pool: string, slot: number): Ejection | null {
    return this.#watches.get(pool)?.ejection(slot) ?? null;
  }

  /** One look at all pools. */
  review(): void {
    const pools = this.#needs.pools();
    const watched = new Set(pools.flatMap((pool) => (pool.outliers === null ? [] : pool.name)));
    for (const name of this.#watches.keys()) if (!watched.has(name)) this.#watches.delete(name);
    const now = this.#needs.clock.wall();
    for (const pool of pools) {
      if (pool.outliers !== null) this.#reviewPool(pool, pool.outliers, now);
      // Of a pool that is no longer watched, or of an endpoint that was gone for a moment, nobody knows why it is out.
      for (const { slot } of pool.endpoints) {
        if (this.ejection(pool.name, slot) === null) this.#write(slot, StateCell.ejectedUntil, 0);
      }
    }
  }

  #reviewPool(pool: PoolPlan, outliers: OutlierPlan, now: number): void {
    const watch = this.#watch(pool.name);
    const members = pool.endpoints.map((endpoint) => this.#member(pool, endpoint));
    const keyed = algorithms[pool.balance].needsKey || pool.sticky !== null;
    for (const decision of watch.review(now, outliers, members, pool.readiness !== null, keyed)) {
      this.#carryOut(pool, decision, now);
    }
  }

  #watch(pool: string): OutlierWatch {
    let watch = this.#watches.get(pool);
    if (watch === undefined) {
      watch = new OutlierWatch();
      this.#watches.set(pool, watch);
    }
    return watch;
  }

  #member(pool: PoolPlan, { slot, id, weight, backup }: EndpointPlan): Member {
    const { table } = this.#needs;
    const at = table.state(slot);
    const state = table.cells[at + StateCell.state];
    const probed = pool.readiness !== null;
    return {
      slot,
      id,
      willing: weight > 0 && (state === EndpointState.ready || (state === EndpointState.unknown && !probed)),
      backup,
      since: table.cells[at + StateCell.since] ?? 0,
      totals: this.#total(slot),
    };
  }

  #total(slot: number): Counts {
    const { table } = this.#needs;
    let totals = this.#totals.get(slot);
    if (totals === undefined) {
      totals = new Float64Array(Count.size);
      this.#totals.set(slot, totals);
    }
    const first = table.endpoint(0, slot);
    const sum = (cell: number) => table.sum(first + cell);
    const refusals = sum(EndpointCell.connectRefusals);
    totals[Count.good] =
      sum(EndpointCell.answers2xx) +
      sum(EndpointCell.answers3xx) +
      sum(EndpointCell.answers4xx) +
      sum(EndpointCell.connections);
    totals[Count.errors] = sum(EndpointCell.answers5xx);
    totals[Count.resets] = sum(EndpointCell.resets);
    totals[Count.timeouts] = sum(EndpointCell.timeouts);
    totals[Count.connects] = sum(EndpointCell.connectFailures) - refusals;
    totals[Count.refusals] = refusals;
    totals[Count.timed] = sum(EndpointCell.timed);
    totals[Count.logs] = sum(EndpointCell.latencyLogs);
    totals[Count.logSquares] = sum(EndpointCell.latencyLogSquares);
    return totals;
  }

  #carryOut(pool: PoolPlan, decision: Decision, now: number): void {
    const { table, log } = this.#needs;
    const { slot, id } = decision.member;
    const fields = { pool: pool.name, endpoint: id };
    const name = `${pool.name}/${id}`;
    if (decision.kind === "eject") {
      const { until, reason } = decision;
      // It comes back cold; and workers let it back by themselves when the time is over, whatever became of us.
      this.#write(slot, StateCell.warmFrom, until);
      this.#write(slot, StateCell.ejectedUntil, until);
      table.cells[table.state(slot) + StateCell.ejections]!++;
      const text = `${name} is ejected for ${Math.round((until - now) / 1000)} s: ${reason}`;
      log.event("warn", "endpoint.ejected", text, { ...fields, until });
      return;
    }
    const at = table.state(slot);
    if ((table.cells[at + StateCell.ejectedUntil] ?? 0) > now) this.#write(slot, StateCell.warmFrom, now);
    log.event("info", "endpoint.admitted", `${name} is back in rotation: ${decision.reason}`, fields);
  }

  /** Only what changes: a page of the file that nobody wrote to costs no room. */
  #write(slot: number, cell: number, value: number): void {
    const { cells } = this.#needs.table;
    const at = this.#needs.table.state(slot) + cell;
    if (cells[at] !== value) cells[at] = value;
  }
}
