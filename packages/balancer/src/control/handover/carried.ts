// What one program hands on to the next beside its sockets: what operators asked for, what probes and outlier detection
// found, how warm endpoints are, which endpoint has which session. Without it a new program would send requests to an
// endpoint that is drained, and treat every endpoint as new.
import type { Clock } from "../../base/clock.ts";
import { PoolCell, SharedTable, StateCell } from "../../observe/table.ts";
import { slotRange } from "../../pool/stick/learned.ts";
import type { EnginePlan } from "../../proxy/assemble.ts";
import type { Answers } from "../compose.ts";
import type { Drains } from "../drains.ts";
import { drainWindow } from "../drain-window.ts";
import type { EndpointStates, StateEntry } from "../endpoint-states.ts";
import type { Outliers } from "../outliers.ts";
import { endpointKey } from "../slots.ts";
import type { Carried, CarriedEndpoint } from "./messages.ts";

export interface CarriedParts {
  readonly table: SharedTable;
  readonly states: EndpointStates;
  readonly drains: Pick<Drains, "of">;
  readonly outliers: Pick<Outliers, "ejection" | "inherit">;
}

/** All that is known now. `path` is the shared table's. */
export function gather(parts: CarriedParts, plan: EnginePlan, path: string, names: Answers): Carried {
  const { table, states, drains, outliers } = parts;
  const endpoints = plan.pools.flatMap((pool) =>
    pool.endpoints.flatMap((endpoint): CarriedEndpoint[] => {
      const entry = states.of(pool.name, endpoint);
      if (entry === undefined) return [];
      const { verdict, asked, state, reason, probed, since } = entry;
      const cell = (at: number) => table.cells[table.state(endpoint.slot) + at] ?? 0;
      return [
        {
          key: endpointKey(pool.name, endpoint),
          slot: endpoint.slot,
          verdict,
          asked,
          state,
          reason,
          probed,
          since,
          judged: pool.readiness !== null,
          drainUntil: drains.of(pool.name, endpoint)?.until ?? 0,
          passiveUntil: cell(StateCell.passiveUntil),
          warmFrom: cell(StateCell.warmFrom),
          ejections: cell(StateCell.ejections),
          ejection: outliers.ejection(pool.name, endpoint.slot),
        },
      ];
    }),
  );
  const longest = Object.fromEntries(plan.pools.map((pool) => [pool.name, drainWindow(table, pool).longestSeen]));
  const slots = (all: readonly { readonly name: string; readonly slot: number }[]) =>
    Object.fromEntries(all.map(({ name, slot }) => [name, slot]));
  const { pools, listeners } = plan;
  return {
    table: path,
    endpoints,
    pools: slots(pools),
    listeners: slots(listeners),
    longest,
    names: Object.fromEntries(names),
  };
}

/** Makes a plan's endpoints begin as the old program had them. Before the states are applied, and before any worker runs. */
export function restore(parts: CarriedParts, plan: EnginePlan, carried: Carried, clock: Clock): void {
  const { table, states, outliers } = parts;
  const known = new Map(carried.endpoints.map((each) => [each.key, each]));
  const entries = new Map<string, StateEntry>();
  const windows = new Map<string, number>();
  for (const pool of plan.pools) {
    for (const endpoint of pool.endpoints) {
      const key = endpointKey(pool.name, endpoint);
      const was = known.get(key);
      if (was === undefined) continue;
      const { verdict, asked, state, reason, probed, since } = was;
      const before = { ...pool, readiness: was.judged ? pool.readiness : null };
      entries.set(key, { pool: before, endpoint, verdict, asked, state, reason, probed, since });
      if (was.drainUntil > 0) windows.set(key, Math.max(0, was.drainUntil - clock.wall()));
      const at = table.state(endpoint.slot);
      table.cells[at + StateCell.passiveUntil] = was.passiveUntil;
      table.cells[at + StateCell.warmFrom] = was.warmFrom;
      table.cells[at + StateCell.ejections] = was.ejections;
      if (was.ejection !== null && pool.outliers !== null) {
        table.cells[at + StateCell.ejectedUntil] = was.ejection.until;
        outliers.inherit(pool, endpoint, was.ejection);
      }
    }
    const longest = carried.longest[pool.name] ?? 0;
    // The first worker's own, which forgets it in time as if it had seen it.
    if (longest > 0) table.cells[table.pool(0, pool.slot) + PoolCell.longest] = longest;
  }
  states.inherit(entries, windows);
}

/**
 * Copies which endpoint has which session, where the new table knows nothing yet. To be called again when the old program
 * has let go, for the sessions that began meanwhile. Returns how many were copied.
 */
export function copySessions(table: SharedTable, plan: EnginePlan, carried: Carried): number {
  let old: SharedTable;
  try {
    old = SharedTable.open(carried.table);
  } catch {
    // Another layout, or gone: sessions are learned again.
    return 0;
  }
  const size = table.shape.sessions ?? 0;
  if (old.shape.sessions !== size) return 0;
  const slots = new Map<number, number>();
  const known = new Map(carried.endpoints.map((each) => [each.key, each.slot]));
  for (const pool of plan.pools) {
    for (const endpoint of pool.endpoints) {
      const slot = known.get(endpointKey(pool.name, endpoint));
      if (slot !== undefined) slots.set(slot, endpoint.slot);
    }
  }
  let copied = 0;
  for (let i = 0; i < size; i++) {
    const cell = old.cells[old.sessions + i] ?? 0;
    if (cell === 0 || table.cells[table.sessions + i] !== 0) continue;
    const slot = slots.get((cell % slotRange) - 1);
    if (slot === undefined) continue;
    table.cells[table.sessions + i] = cell - (cell % slotRange) + slot + 1;
    copied++;
  }
  return copied;
}
