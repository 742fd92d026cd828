// How much one program has room for: rows of the shared table, workers, descriptors.
import type { Plan } from "../config/plan.ts";
import { raiseDescriptorLimit } from "../net/descriptor-limit.ts";
import type { Log } from "../observe/log.ts";
import { EndpointCell, ListenerCell, PoolCell, type SharedTable, type TableShape } from "../observe/table.ts";
import { coresAllowed } from "./cores.ts";
import type { SlotUse } from "./slots.ts";

/** Workers for `workers: auto`: the cores that this process may use, as its control group and affinity allow. */
export function workerCount(plan: Plan): number {
  return plan.workers === 0 ? coresAllowed().count : plan.workers;
}

/** What decided it, for the log: "its affinity". Empty where the configuration has a number. */
export function workersBecause(plan: Plan): { readonly because?: string } {
  return plan.workers === 0 ? { because: coresAllowed().because } : {};
}

/** The table lasts as long as the program, so there is room for what may come. It is sparse: unused rows cost nothing. */
export function tableShape(plan: Plan, workers: number): TableShape {
  const endpoints = plan.pools.reduce((sum, source) => sum + source.pool.endpoints.length + source.names.length * 8, 0);
  return {
    workers,
    endpoints: Math.max(4096, endpoints * 4),
    pools: Math.max(512, plan.pools.length * 4),
    listeners: Math.max(64, plan.listeners.length * 4),
    // 2 MiB at most, and only where an application's cookie is learned from.
    sessions: 262_144,
  };
}

/** The table, as the registry of slots asks for it. */
export function slotUse(table: SharedTable): SlotUse {
  return {
    busy(kind, slot) {
      if (kind === "listener") return table.sum(table.listener(0, slot) + ListenerCell.open) > 0;
      if (kind === "pool") return table.sum(table.pool(0, slot) + PoolCell.queued) > 0;
      const first = table.endpoint(0, slot);
      return [EndpointCell.inFlight, EndpointCell.idle, EndpointCell.tunnels].some(
        (cell) => table.sum(first + cell) > 0,
      );
    },
    clear(kind, slot) {
      if (kind === "listener") table.clearListener(slot);
      else if (kind === "pool") table.clearPool(slot);
      else table.clearEndpoint(slot);
    },
  };
}

/** Raises the limit of open descriptors as far as the system lets us; workers inherit it. Returns what holds then. */
export function raiseLimit(log: Log): number {
  const limit = raiseDescriptorLimit();
  if (limit.failure !== undefined)
    log.event("warn", "program.limit", `the descriptor limit stays low: ${limit.failure}`);
  return limit.soft;
}

/** Descriptors of a worker that are no connections: pipes, logs, the runtime's own, and a listening socket for each listener. */
const others = 128;
/** Clients for whom a worker should have room where nothing is said of them. */
const fewClients = 1_000;

/** "" when `limit` descriptors are enough for what a plan lets in; else a sentence. A client takes two: its own and one to its endpoint. */
export function limitProblem(plan: Plan, limit: number): string {
  const bound = plan.listeners.map(({ limits }) => limits.maxConnections);
  const open = bound.some((most) => most === 0);
  const clients = Math.max(
    bound.reduce((sum, most) => sum + most, 0),
    open ? fewClients : 0,
  );
  const needed = 2 * clients + others + plan.listeners.length;
  if (limit >= needed) return "";
  const room = Math.max(0, Math.floor((limit - others - plan.listeners.length) / 2));
  const wanted = open ? `${clients} are few` : `limits.maxConnections lets ${clients} in`;
  return (
    `the limit of ${limit} open files leaves a worker room for about ${room} clients, and ${wanted}; when it is reached new ` +
    `ones wait. Raise it to ${needed} or more (\`ulimit -n\`, LimitNOFILE in a systemd unit)`
  );
}
