// What the program tells of itself: one plain object, the same for `plimsoll status`, for GET /status and for tests.
import { EndpointCell, ListenerCell, PoolCell, WorkerCell, type SharedTable } from "../observe/table.ts";
import type { EnginePlan } from "../proxy/assemble.ts";
import type { EndpointStates } from "./endpoint-states.ts";
import type { SocketSet } from "./sockets.ts";

/** Whether the program wants traffic. */
export type Readiness = "starting" | "ready" | "stopping";

export interface ListenerStatus {
  readonly name: string;
  readonly host: string;
  /** The real port, also when the configuration says 0. */
  readonly port: number;
  readonly openConnections: number;
  readonly connections: number;
  readonly requests: number;
}

export interface EndpointStatus {
  readonly id: string;
  readonly address: string;
  readonly weight: number;
  readonly zone: string;
  readonly backup: boolean;
  readonly state: string;
  readonly reason: string;
  /** Wall-clock ms of the last change of state. */
  readonly since: number;
  readonly inFlight: number;
  readonly requests: number;
  readonly failures: number;
  readonly connectFailures: number;
  readonly idleConnections: number;
  readonly tunnels: number;
}

export interface PoolStatus {
  readonly name: string;
  readonly balance: string;
  readonly requests: number;
  readonly queued: number;
  readonly endpoints: readonly EndpointStatus[];
}

export interface WorkerStatus {
  readonly row: number;
  /** 0 while there is no process. */
  readonly pid: number;
  readonly serving: boolean;
  /** Resident bytes. */
  readonly rss: number;
}

export interface Status {
  readonly version: string;
  readonly pid: number;
  readonly readiness: Readiness;
  /** Ms since the start. */
  readonly uptime: number;
  /** Counts the changes of what runs; 1 is what the program started with. */
  readonly generation: number;
  /** Base address of the admin API; "" if it has none. */
  readonly admin: string;
  readonly workers: readonly WorkerStatus[];
  readonly workerRestarts: number;
  readonly listeners: readonly ListenerStatus[];
  readonly pools: readonly PoolStatus[];
  readonly lastReload: { readonly at: number; readonly ok: boolean; readonly problems: readonly string[] } | null;
}

export function listenerStatus(table: SharedTable, plan: EnginePlan, sockets: readonly SocketSet[]): ListenerStatus[] {
  return plan.listeners.map(({ name, slot, address }) => {
    const sum = (cell: number) => table.sum(table.listener(0, slot) + cell);
    return {
      name,
      host: address.host,
      port: sockets.find((set) => set.listener === name)?.port ?? address.port,
      openConnections: sum(ListenerCell.open),
      connections: sum(ListenerCell.accepted),
      requests: sum(ListenerCell.requests),
    };
  });
}

export function poolStatus(table: SharedTable, plan: EnginePlan, states: EndpointStates): PoolStatus[] {
  return plan.pools.map((pool) => ({
    name: pool.name,
    balance: pool.balance,
    requests: table.sum(table.pool(0, pool.slot) + PoolCell.requests),
    queued: table.sum(table.pool(0, pool.slot) + PoolCell.queued),
    endpoints: pool.endpoints.map((endpoint): EndpointStatus => {
      const entry = states.of(pool.name, endpoint);
      const { address } = endpoint;
      const sum = (cell: number) => table.sum(table.endpoint(0, endpoint.slot) + cell);
      return {
        id: endpoint.id,
        address: address.kind === "unix" ? `unix:${address.path}` : hostPort(address.host, address.port),
        weight: endpoint.weight,
        zone: endpoint.zone,
        backup: endpoint.backup,
        state: entry?.state ?? "unknown",
        reason: entry?.reason ?? "",
        since: entry?.since ?? 0,
        inFlight: sum(EndpointCell.inFlight),
        requests: sum(EndpointCell.requests),
        failures: sum(EndpointCell.failures),
        connectFailures: sum(EndpointCell.connectFailures),
        idleConnections: sum(EndpointCell.idle),
        tunnels: sum(EndpointCell.tunnels),
      };
    }),
  }));
}

export function workerStatus(
  table: SharedTable,
  rows: readonly { readonly pid: number; readonly serving: boolean }[],
): WorkerStatus[] {
  return rows.map(({ pid, serving }, row) => ({
    row,
    pid,
    serving,
    rss: table.cells[table.worker(row) + WorkerCell.rss] ?? 0,
  }));
}

/** "127.0.0.1:80", "[::1]:80". */
export function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
