// The timeout hierarchy of what runs, and beside it what was observed. Pure.
import { formatDuration } from "../base/units.ts";
import { ladderOf, type Ladder } from "../config/hierarchy/ladder.ts";
import { waysOf, type HierarchyPlan } from "../config/hierarchy/ways.ts";
import { quantile } from "../observe/quantile.ts";
import { EndpointCell, latencyBuckets, PoolCell, type SharedTable } from "../observe/table.ts";
import type { PoolPlan } from "../pool/plan.ts";
import type { EnginePlan } from "../proxy/assemble.ts";
import type { DrainWindow } from "./drain-window.ts";

/** What a pool's requests and connections were seen to take, ms. */
export interface ObservedRungs {
  /** Of all exchanges since the program started, from the request's first byte to the answer's last; null if there was none. */
  readonly p50: number | null;
  readonly p99: number | null;
  /** Longest exchange of the last half an hour to an hour that was no stream; null if there was none. */
  readonly longest: number | null;
  /** After how long a rest a connection is not used again, as learned: the shortest of all endpoints; null if nothing was. */
  readonly idle: number | null;
}

export interface LadderStatus {
  /** One for each way to the pool: the pool itself, and routes that set something otherwise. */
  readonly ladders: readonly Ladder[];
  /** Ways that are not among them, because there are too many. */
  readonly more: number;
  readonly observed: ObservedRungs;
  /** Where what was observed contradicts what is declared or set; one sentence each. */
  readonly contradictions: readonly string[];
}

/** Ladders of one pool that are told. */
const mostLadders = 10;

/** Ladders of what runs, by pool; they change with the plan only. */
const laddersKnown = new WeakMap<EnginePlan, ReadonlyMap<string, readonly Ladder[]>>();

export function ladderStatus(
  table: SharedTable,
  plan: EnginePlan,
  shutdown: HierarchyPlan["shutdown"],
  pool: PoolPlan,
  drain: DrainWindow,
): LadderStatus {
  const ladders = laddersOf(plan, shutdown).get(pool.name) ?? [];
  const observed = observe(table, pool, drain);
  return {
    ladders: ladders.slice(0, mostLadders),
    more: Math.max(0, ladders.length - mostLadders),
    observed,
    contradictions: contradictions(pool, longestDeclared(plan, pool), observed, drain),
  };
}

function laddersOf(plan: EnginePlan, shutdown: HierarchyPlan["shutdown"]): ReadonlyMap<string, readonly Ladder[]> {
  const before = laddersKnown.get(plan);
  if (before !== undefined) return before;
  const ladders = Map.groupBy(
    waysOf({ ...plan, shutdown }).map((way) => ladderOf(way, null)),
    ({ pool }) => pool,
  );
  laddersKnown.set(plan, ladders);
  return ladders;
}

function observe(table: SharedTable, pool: PoolPlan, drain: DrainWindow): ObservedRungs {
  const first = table.pool(0, pool.slot) + PoolCell.latency;
  const counts = Array.from({ length: latencyBuckets.length + 1 }, (_, bucket) => table.sum(first + bucket));
  const learned: number[] = [];
  for (const { slot } of pool.endpoints) {
    for (let row = 0; row < table.shape.workers; row++) {
      const age = table.cells[table.endpoint(row, slot) + EndpointCell.keepAlive] ?? 0;
      if (age > 0) learned.push(age);
    }
  }
  const longest = drain.longestSeen === 0 ? null : Math.round(drain.longestSeen);
  return {
    p50: known(quantile(counts, 0.5), longest),
    p99: known(quantile(counts, 0.99), longest),
    longest,
    idle: learned.length === 0 ? null : Math.min(...learned),
  };
}

/** A quantile to a tenth of a ms; no more than the longest, where both lie in one bucket. */
function known(ms: number | null, longest: number | null): number | null {
  if (ms === null) return null;
  const bucket = (value: number): number => latencyBuckets.findIndex((bound) => value <= bound);
  const most = longest !== null && bucket(longest) === bucket(ms) ? longest : ms;
  return Math.round(Math.min(ms, most) * 10) / 10;
}

/** The longest that the application is declared to work on any request of this pool; 0 = not declared. */
function longestDeclared(plan: EnginePlan, pool: PoolPlan): number {
  const routes = plan.listeners.flatMap((listener) => listener.routes);
  const own = routes
    .filter(({ action }) =>
      action.kind === "pool"
        ? action.pool === pool.name
        : action.kind === "split" && action.parts.some((part) => part.pool === pool.name),
    )
    .map(({ declared }) => declared.app ?? 0);
  return Math.max(pool.declared.app, ...own);
}

function contradictions(pool: PoolPlan, app: number, observed: ObservedRungs, drain: DrainWindow): string[] {
  const { longest, idle } = observed;
  const { declared, keepAlive } = pool;
  const found: string[] = [];
  if (longest !== null && app > 0 && longest > app) {
    found.push(
      `the longest request lately took ${formatDuration(longest)}, and the application is declared to work for ${formatDuration(app)} at most`,
    );
  }
  if (longest !== null && longest > drain.window) {
    found.push(
      `the longest request lately took ${formatDuration(longest)}, and a drain would cut it after ${formatDuration(drain.window)}`,
    );
  }
  if (longest !== null && declared.client > 0 && longest > declared.client) {
    found.push(
      `the longest request lately took ${formatDuration(longest)}, and clients are declared to wait for ${formatDuration(declared.client)}`,
    );
  }
  // What is learned has its margin taken off: half of it at the most.
  if (idle !== null && declared.keepAlive > 0 && idle < declared.keepAlive / 2 && idle < declared.keepAlive - 1_000) {
    found.push(
      `the application is declared to keep idle connections for ${formatDuration(declared.keepAlive)}, and was seen to close them so soon that none is used again after ${formatDuration(idle)}`,
    );
  } else if (idle !== null && idle < keepAlive.idle) {
    found.push(
      `keepAlive.idle is ${formatDuration(keepAlive.idle)}, and the application closes so soon that no connection is used again after ${formatDuration(idle)}: a new worker begins with the longer one`,
    );
  }
  return found;
}
