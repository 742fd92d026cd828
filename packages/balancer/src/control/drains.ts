// The drains under way, as the supervisor sees them: when each began and ends is written to the shared table, workers carry it
// out, and what became of it is told. Why an endpoint drains is endpoint-states.ts's affair.
import type { Clock } from "../base/clock.ts";
import { formatDuration } from "../base/units.ts";
import type { Timers } from "../net/clock.ts";
import type { Log } from "../observe/log.ts";
import { EndpointCell, StateCell, type SharedTable } from "../observe/table.ts";
import type { EndpointPlan, PoolPlan } from "../pool/plan.ts";
import { drainWindow } from "./drain-window.ts";
import { endpointKey } from "./slots.ts";

/** How often a drain is looked at, ms. */
const lookEvery = 100;
/** After this long, ms, a worker that has not told that it knows of a drain is not waited for: it hangs or has just begun. */
const longestUnaware = 1_000;
/** Ms after the end of a window in which workers cut: they look every 25 ms. */
const cutting = 250;

/** What is under way at an endpoint, over all workers. */
export interface UnderWay {
  /** Requests in flight, tunnels not among them. */
  readonly exchanges: number;
  readonly tunnels: number;
  /** Age of the oldest of them in ms; 0 when there is none, or it does not drain. */
  readonly oldest: number;
}

/** A drain, for status. */
export interface DrainFacts {
  /** Wall-clock ms. */
  readonly since: number;
  readonly until: number;
  /** Nothing is left. */
  readonly empty: boolean;
  /** What the end of the window cut. */
  readonly cut: { readonly exchanges: number; readonly tunnels: number };
}

/** An endpoint that is no longer in the configuration and not yet empty. */
export interface LeavingFacts extends DrainFacts, UnderWay {
  readonly pool: string;
  readonly id: string;
}

export interface DrainsNeeds {
  readonly table: SharedTable;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  /** Wall-clock ms: endpoint states written before it are known to every worker that serves. */
  reviewed(): number;
}

interface Drain {
  readonly pool: PoolPlan;
  readonly endpoint: EndpointPlan;
  readonly from: number;
  until: number;
  /** It left the configuration: nobody waits for it but us. */
  removed: boolean;
  /** Counters of what was cut, as they stood at the begin. */
  readonly cutBefore: { readonly exchanges: number; readonly tunnels: number };
  cutTold: boolean;
  empty: boolean;
}

export class Drains {
  readonly #needs: DrainsNeeds;
  readonly #drains = new Map<string, Drain>();
  #stopLooking: (() => void) | null = null;

  constructor(needs: DrainsNeeds) {
    this.#needs = needs;
  }

  /**
   * Begins one, or gives the one under way another window from now on. `window` in ms; null means what the pool says.
   * Returns the window.
   */
  begin(pool: PoolPlan, endpoint: EndpointPlan, window: number | null): number {
    const { table, clock } = this.#needs;
    const ms = window ?? drainWindow(table, pool).window;
    const key = endpointKey(pool.name, endpoint);
    const now = clock.wall();
    const known = this.#drains.get(key);
    const drain: Drain = {
      pool,
      endpoint,
      from: known?.from ?? now,
      until: now + ms,
      removed: false,
      cutBefore: known?.cutBefore ?? this.#cuts(endpoint),
      cutTold: known?.cutTold ?? false,
      empty: false,
    };
    this.#drains.set(key, drain);
    this.#write(endpoint, drain.from, drain.until);
    this.#watch();
    return ms;
  }

  /** Nothing is closed or cut there any more. */
  end(pool: PoolPlan, endpoint: EndpointPlan): void {
    if (this.#drains.delete(endpointKey(pool.name, endpoint))) this.#write(endpoint, 0, 0);
  }

  /**
   * An endpoint has left the configuration, and every worker knows: what is under way there is drained like anywhere. A drain
   * under way keeps its clock.
   */
  leave(pool: PoolPlan, endpoint: EndpointPlan): void {
    const { exchanges, tunnels } = this.underWay(endpoint);
    const key = endpointKey(pool.name, endpoint);
    if (exchanges + tunnels === 0) {
      this.end(pool, endpoint);
      return;
    }
    if (!this.#drains.has(key)) {
      const window = this.begin(pool, endpoint, null);
      const text = `${pool.name}/${endpoint.id} left the configuration; ${counted(exchanges, tunnels)} there ${exchanges + tunnels === 1 ? "has" : "have"} ${formatDuration(window)}`;
      this.#tell("info", "endpoint.leaving", pool, endpoint, text, { window });
    }
    const drain = this.#drains.get(key);
    if (drain !== undefined) drain.removed = true;
  }

  /** The drain of an endpoint, if one is under way. */
  of(pool: string, endpoint: EndpointPlan): DrainFacts | null {
    const drain = this.#drains.get(endpointKey(pool, endpoint));
    return drain === undefined ? null : this.#facts(drain);
  }

  /** Endpoints that left the configuration and are not empty. */
  leaving(): readonly LeavingFacts[] {
    return [...this.#drains.values()]
      .filter((drain) => drain.removed)
      .map((drain) => ({
        pool: drain.pool.name,
        id: drain.endpoint.id,
        ...this.#facts(drain),
        ...this.underWay(drain.endpoint),
      }));
  }

  underWay(endpoint: EndpointPlan): UnderWay {
    const { table, clock } = this.#needs;
    const first = table.endpoint(0, endpoint.slot);
    const tunnels = table.sum(first + EndpointCell.tunnels);
    let began = 0;
    for (let row = 0; row < table.shape.workers; row++) {
      const oldest = table.cells[table.endpoint(row, endpoint.slot) + EndpointCell.oldest] ?? 0;
      if (oldest > 0 && (began === 0 || oldest < began)) began = oldest;
    }
    const exchanges = Math.max(0, table.sum(first + EndpointCell.inFlight) - tunnels);
    // Workers tell the oldest with their ticks, the numbers at once.
    const none = began === 0 || exchanges + tunnels === 0;
    return { exchanges, tunnels, oldest: none ? 0 : Math.max(0, Math.round(clock.wall() - began)) };
  }

  close(): void {
    this.#stopLooking?.();
    this.#stopLooking = null;
  }

  #facts(drain: Drain): DrainFacts {
    const now = this.#cuts(drain.endpoint);
    const { cutBefore } = drain;
    return {
      since: drain.from,
      until: drain.until,
      empty: drain.empty,
      cut: { exchanges: now.exchanges - cutBefore.exchanges, tunnels: now.tunnels - cutBefore.tunnels },
    };
  }

  #watch(): void {
    this.#stopLooking ??= this.#needs.timers.every(lookEvery, () => this.#look());
  }

  #look(): void {
    let waiting = false;
    for (const [key, drain] of this.#drains) {
      if (!drain.empty) this.#lookAt(drain);
      if (!drain.empty) waiting = true;
      else if (drain.removed) {
        this.#drains.delete(key);
        this.#write(drain.endpoint, 0, 0);
      }
    }
    if (!waiting) this.close();
  }

  #lookAt(drain: Drain): void {
    const { clock, reviewed } = this.#needs;
    const { pool, endpoint } = drain;
    const now = clock.wall();
    // A worker that does not know yet may send one more request there.
    if (reviewed() <= drain.from && now < drain.from + longestUnaware) return;
    const { exchanges, tunnels } = this.underWay(endpoint);
    const empty = exchanges + tunnels === 0;
    if (!empty && now < drain.until + cutting) return;
    const { cut } = this.#facts(drain);
    if (cut.exchanges + cut.tunnels > 0 && !drain.cutTold) {
      drain.cutTold = true;
      const window = formatDuration(Math.round(drain.until - drain.from));
      const text = `${pool.name}/${endpoint.id}: ${counted(cut.exchanges, cut.tunnels)} cut at the end of its window of ${window}`;
      this.#tell("warn", "endpoint.cut", pool, endpoint, text, { ...cut });
    }
    if (!empty) return;
    drain.empty = true;
    const took = Math.round(now - drain.from);
    const text = `${pool.name}/${endpoint.id} is empty after ${formatDuration(took)}`;
    this.#tell("info", "endpoint.drained", pool, endpoint, text, { took, ...cut });
  }

  #cuts(endpoint: EndpointPlan): { exchanges: number; tunnels: number } {
    const { table } = this.#needs;
    const first = table.endpoint(0, endpoint.slot);
    return {
      exchanges: table.sum(first + EndpointCell.cutExchanges),
      tunnels: table.sum(first + EndpointCell.cutTunnels),
    };
  }

  #write(endpoint: EndpointPlan, from: number, until: number): void {
    const { cells } = this.#needs.table;
    const at = this.#needs.table.state(endpoint.slot);
    // A worker may read between the two stores and must never see a drain whose window is over: when one begins or changes
    // its end is written first, when it ends its beginning goes first.
    if (from === 0) cells[at + StateCell.drainFrom] = 0;
    cells[at + StateCell.drainUntil] = until;
    cells[at + StateCell.drainFrom] = from;
  }

  #tell(
    level: "info" | "warn",
    name: string,
    pool: PoolPlan,
    endpoint: EndpointPlan,
    text: string,
    fields: Readonly<Record<string, number>>,
  ): void {
    this.#needs.log.event(level, name, text, { pool: pool.name, endpoint: endpoint.id, ...fields });
  }
}

/** "2 requests and 1 tunnel", "1 tunnel", "nothing". */
export function counted(exchanges: number, tunnels: number): string {
  const parts: string[] = [];
  if (exchanges > 0) parts.push(`${exchanges} request${exchanges === 1 ? "" : "s"}`);
  if (tunnels > 0) parts.push(`${tunnels} tunnel${tunnels === 1 ? "" : "s"}`);
  return parts.join(" and ") || "nothing";
}
