// What the program tells of itself: one plain object, the same for `plimsoll status`, for GET /status and for tests.
import type { Plan } from "../config/plan.ts";
import {
  EndpointCell,
  EndpointState,
  ListenerCell,
  PoolCell,
  StateCell,
  WorkerCell,
  type SharedTable,
} from "../observe/table.ts";
import { algorithms } from "../pool/balance/table.ts";
import type { EnginePlan } from "../proxy/assemble.ts";
import { drainWindow, type DrainWindow } from "./drain-window.ts";
import type { DrainFacts, Drains, LeavingFacts } from "./drains.ts";
import type { Ejection } from "../pool/outlier/watch.ts";
import type { PoolPlan } from "../pool/plan.ts";
import { shareAt, warmSince } from "../pool/slow-start.ts";
import type { OrderStatus } from "./acme/order-state.ts";
import type { EndpointStates } from "./endpoint-states.ts";
import { ladderStatus, type LadderStatus } from "./ladder-status.ts";
import type { Outliers } from "./outliers.ts";
import type { ProbeFacts, Probes } from "./probes.ts";
import type { SocketSet } from "./sockets.ts";

/** Whether the program wants traffic; "replaced": it does, in the shape of the program that took over from it. */
export type Readiness = "starting" | "ready" | "stopping" | "replaced";

export interface ListenerStatus {
  readonly name: string;
  readonly host: string;
  /** The real port, also when the configuration says 0. */
  readonly port: number;
  /** What a client writes in front of the address: "https", "tcp". */
  readonly scheme: string;
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
  /** What its last probe saw; null while there is none. */
  readonly probe: ProbeFacts | null;
  readonly inFlight: number;
  readonly requests: number;
  readonly failures: number;
  readonly connectFailures: number;
  readonly idleConnections: number;
  readonly tunnels: number;
  /** Why it is ejected as an outlier, and until when; null while it is not. */
  readonly ejection: Ejection | null;
  /** Until when it is kept out because connecting to it failed, wall-clock ms; 0 while it is not. */
  readonly unreachableUntil: number;
  /** Times it was ejected. */
  readonly ejections: number;
  /** Share of its weight that it has by now, 0.1 to 1: less than 1 while it warms up. */
  readonly share: number;
  /** Age in ms of the oldest thing under way; only told while it drains, else 0. */
  readonly oldest: number;
  /** What becomes of its drain; null while there is none. */
  readonly drain: DrainFacts | null;
}

export interface PoolStatus {
  readonly name: string;
  readonly balance: string;
  readonly requests: number;
  readonly queued: number;
  /** Nobody is ready, so requests go to those that are not known to be. */
  readonly failsOpen: boolean;
  /** How long a drain that begins now may take, and why. */
  readonly drain: DrainWindow;
  /** The timeout hierarchy, as it is set and as it was observed. */
  readonly hierarchy: LadderStatus;
  readonly endpoints: readonly EndpointStatus[];
}

export interface WorkerStatus {
  readonly row: number;
  /** 0 while there is no process. */
  readonly pid: number;
  readonly serving: boolean;
  /** Resident bytes. */
  readonly rss: number;
  /** Accepted by this worker's row so far, and open now, over all listeners. */
  readonly connections: number;
  readonly openConnections: number;
  /** Wall-clock ms since when it accepts nothing, because its descriptors are used up; 0 while it accepts. */
  readonly shortSince: number;
  /** The same because the memory of all workers together is used up. */
  readonly fullSince: number;
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
  /** Endpoints that left the configuration and still have something in flight. */
  readonly leaving: readonly LeavingFacts[];
  /** How we took over, or why nobody took over from us. */
  readonly lastUpgrade: {
    readonly at: number;
    readonly ok: boolean;
    readonly problem: string;
    readonly from: { readonly pid: number; readonly version: string } | null;
  } | null;
  /** Those that are ordered from an authority. */
  readonly certificates: readonly OrderStatus[];
  readonly lastReload: { readonly at: number; readonly ok: boolean; readonly problems: readonly string[] } | null;
}

export function listenerStatus(table: SharedTable, plan: EnginePlan, sockets: readonly SocketSet[]): ListenerStatus[] {
  return plan.listeners.map(({ name, slot, address, protocol, tls }) => {
    const sum = (cell: number) => table.sum(table.listener(0, slot) + cell);
    return {
      name,
      host: address.host,
      port: sockets.find((set) => set.listener === name)?.port ?? address.port,
      scheme: tls === null ? protocol : "https",
      openConnections: sum(ListenerCell.open),
      connections: sum(ListenerCell.accepted),
      requests: sum(ListenerCell.requests),
    };
  });
}

export function poolStatus(
  table: SharedTable,
  plan: EnginePlan,
  states: Pick<EndpointStates, "of" | "failsOpen">,
  drains: Pick<Drains, "of" | "underWay">,
  outliers: Pick<Outliers, "ejection">,
  probes: Pick<Probes, "last">,
  shutdown: Plan["shutdown"],
  wallNow: number,
): PoolStatus[] {
  return plan.pools.map((pool) => {
    const since = coldSince(table, pool, wallNow);
    const endpoints = pool.endpoints.map((endpoint): EndpointStatus => {
      const entry = states.of(pool.name, endpoint);
      const { address } = endpoint;
      const sum = (cell: number) => table.sum(table.endpoint(0, endpoint.slot) + cell);
      const stateCell = (cell: number) => table.cells[table.state(endpoint.slot) + cell] ?? 0;
      return {
        id: endpoint.id,
        address: address.kind === "unix" ? `unix:${address.path}` : hostPort(address.host, address.port),
        weight: endpoint.weight,
        zone: endpoint.zone,
        backup: endpoint.backup,
        state: entry?.state ?? "unknown",
        reason: entry?.reason ?? "",
        since: entry?.since ?? 0,
        probe: probes.last(pool.name, endpoint),
        inFlight: sum(EndpointCell.inFlight),
        requests: sum(EndpointCell.requests),
        failures: sum(EndpointCell.failures),
        connectFailures: sum(EndpointCell.connectFailures),
        idleConnections: sum(EndpointCell.idle),
        tunnels: sum(EndpointCell.tunnels),
        ejection: outliers.ejection(pool.name, endpoint.slot),
        unreachableUntil: stateCell(StateCell.passiveUntil) > wallNow ? stateCell(StateCell.passiveUntil) : 0,
        ejections: stateCell(StateCell.ejections),
        share:
          stateCell(StateCell.warmFrom) >= since ? shareAt(stateCell(StateCell.warmFrom), pool.slowStart, wallNow) : 1,
        oldest: drains.underWay(endpoint).oldest,
        drain: drains.of(pool.name, endpoint),
      };
    });
    return {
      name: pool.name,
      balance: pool.balance,
      requests: table.sum(table.pool(0, pool.slot) + PoolCell.requests),
      queued: table.sum(table.pool(0, pool.slot) + PoolCell.queued),
      failsOpen: states.failsOpen(pool.name),
      drain: drainWindow(table, pool),
      hierarchy: ladderStatus(table, plan, shutdown, pool, drainWindow(table, pool)),
      endpoints,
    };
  });
}

/** From when on who comes in is cold, as workers reckon it (`warmUp` in pool/rotation.ts), without zones. */
function coldSince(table: SharedTable, pool: PoolPlan, wallNow: number): number {
  if (!algorithms[pool.balance].needsKey) return -Infinity;
  const cell = (slot: number, cell: number) => table.cells[table.state(slot) + cell] ?? 0;
  const usable = pool.endpoints.filter(
    ({ slot, weight }) =>
      weight > 0 &&
      cell(slot, StateCell.state) <= EndpointState.ready &&
      (pool.readiness === null || cell(slot, StateCell.state) === EndpointState.ready) &&
      cell(slot, StateCell.passiveUntil) <= wallNow &&
      cell(slot, StateCell.ejectedUntil) <= wallNow,
  );
  const primaries = usable.filter(({ backup }) => !backup);
  const tier = primaries.length > 0 ? primaries : usable;
  return warmSince(
    tier.map(({ slot }) => cell(slot, StateCell.warmFrom)),
    pool.slowStart,
  );
}

export function workerStatus(
  table: SharedTable,
  plan: EnginePlan,
  rows: readonly { readonly pid: number; readonly serving: boolean }[],
): WorkerStatus[] {
  const sum = (row: number, cell: number) =>
    plan.listeners.reduce((total, { slot }) => total + (table.cells[table.listener(row, slot) + cell] ?? 0), 0);
  return rows.map(({ pid, serving }, row) => ({
    row,
    pid,
    serving,
    rss: table.cells[table.worker(row) + WorkerCell.rss] ?? 0,
    connections: sum(row, ListenerCell.accepted),
    openConnections: sum(row, ListenerCell.open),
    shortSince: table.cells[table.worker(row) + WorkerCell.shortSince] ?? 0,
    fullSince: table.cells[table.worker(row) + WorkerCell.fullSince] ?? 0,
  }));
}

/** "127.0.0.1:80", "[::1]:80". */
export function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
