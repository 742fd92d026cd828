// The engine of one worker: listeners, sessions and the snapshot they run, with one way to change it (prepare, then commit)
// and one to stop. proxy/ moves requests between sockets and pools; it must not know configuration files, processes or the
// admin API.
import { AnswerHead, RequestHead } from "@plimsoll/wire/http1";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { DatagramTransport } from "../net/datagrams.ts";
import type { HandshakeFailure, ServerTls } from "../net/tls.ts";
import type { Address, Connection, ConnectionHandler, Listener, Transport } from "../net/transport.ts";
import type { Wheel } from "../net/wheel.ts";
import { type AccessSink, blankAccessRecord } from "../observe/access-record.ts";
import { ListenerCell, type SharedTable, WorkerCell } from "../observe/table.ts";
import { commitPools, type PoolContext } from "../pool/assemble.ts";
import { spreadClosing } from "../pool/drain.ts";
import type { Occupant } from "../pool/occupants.ts";
import type { Pool } from "../pool/pool.ts";
import { admit } from "./client-admission.ts";
import { arrive, arrives, readsAhead } from "./arrival.ts";
import { assemble, type EnginePlan, type Snapshot } from "./assemble.ts";
import { CurrentRequest } from "./current-request.ts";
import type { EngineContext } from "./engine-context.ts";
import { FlowTable } from "./datagrams/flow-table.ts";
import { countHandshake, serverTlsOf } from "./handshakes.ts";
import { updateDate } from "./http-date.ts";
import { type ListedSession, ListenerState } from "./listener-state.ts";
import { settle } from "./outbox.ts";
import { seedRequestIds } from "./request-id.ts";
import { sessions } from "./sessions.ts";

export interface EngineOptions {
  readonly transport: Transport;
  /** For listeners that speak UDP. */
  readonly datagrams?: DatagramTransport;
  readonly clock: Clock;
  readonly random: Random;
  /** Driven by the caller; its `now` is the engine's coarse clock. */
  readonly wheel: Wheel;
  readonly table: SharedTable;
  /** This worker's row. */
  readonly row: number;
  readonly log: AccessSink | null;
  /** Told of each TLS handshake with a client that failed: as often as clients like. */
  readonly handshakeFailed?: (listener: string, failure: HandshakeFailure) => void;
}

/** A snapshot that was built and waits to be swapped in. Nothing has changed yet. */
export interface Prepared {
  commit(): void;
  discard(): void;
}

export interface Engine {
  /** Builds a snapshot from a validated plan, beside the running one. */
  prepare(plan: EnginePlan): Prepared | { readonly problem: string };
  /**
   * Begins to accept on a listener of the running snapshot, on an inherited descriptor or a fresh socket. Throws an Error
   * with `.code` if it cannot.
   */
  listen(name: string, fd: number | undefined, address: Address): Listener;
  /** About every 25 ms: queues, states, budgets, the Date field. `now` is the clock's. */
  tick(now: number): void;
  /** Connections open now, with those that still shake hands. */
  readonly open: number;
  /** Exchanges and tunnels under way. */
  readonly busy: number;
  /** Closes connections on which nothing is under way, of clients and to endpoints: their memory is needed. */
  shed(): void;
  /** Goes on accepting, but every answer says that its connection ends: clients move to somebody who stays. */
  announceStop(): void;
  /**
   * Stops accepting, lets what is under way finish, asks tunnels to end, spread over the window, and cuts what is left after
   * `window` ms. Resolves when nothing is left. `replaced`: others serve the same sockets; who asks for our readiness is told yes.
   */
  stop(window: number, replaced?: boolean): Promise<void>;
}

interface Stopping {
  /** When what is left is cut; the clock's ms. */
  readonly at: number;
  readonly over: PromiseWithResolvers<void>;
  /** Tunnels that were asked to end. */
  readonly asked: Set<Occupant>;
}

export function createEngine(options: EngineOptions): Engine {
  const { table, row, clock, wheel } = options;
  const handshakeFailed = options.handshakeFailed ?? (() => undefined);
  const context: EngineContext = {
    transport: options.transport,
    clock,
    wheel,
    random: options.random,
    cells: table.cells,
    own: table.worker(row),
    log: options.log,
    handshakeFailed,
    record: blankAccessRecord(),
    requestHead: new RequestHead(),
    answerHead: new AnswerHead(),
    request: new CurrentRequest(),
    name: "plimsoll",
  };
  const pools: PoolContext = { table, row, clock, wallNow: () => clock.wall(), random: options.random };
  const listeners = new Map<string, ListenerState>();
  /** Listeners that left the snapshot while connections of theirs were open. */
  const leaving = new Set<ListenerState>();
  /** Those of listeners that speak UDP. */
  const flowTables = new Set<FlowTable>();
  let removed: readonly Pool[] = [];
  let snapshot: Snapshot | null = null;
  let stopping: Stopping | null = null;
  seedRequestIds(options.random);
  updateDate(clock.wall());

  function commit(next: Snapshot): void {
    removed = [...removed, ...commitPools(next.pools, snapshot?.pools ?? null)];
    snapshot = next;
    for (const [name, listener] of next.listeners) {
      const cells = table.listener(row, listener.plan.slot);
      const state = listeners.get(name);
      if (state === undefined) listeners.set(name, new ListenerState(name, cells, listener));
      else {
        state.cells = cells;
        state.current = listener;
        const tls = tlsOf(state);
        for (const socket of state.sockets) socket.secure(tls);
      }
    }
    for (const [name, state] of listeners) if (!next.listeners.has(name)) leave(name, state);
    for (const pool of next.pools.values()) pool.tick(clock.now(), clock.wall());
    table.cells[context.own + WorkerCell.snapshot]!++;
    settle();
  }

  /** How the sockets of a listener speak TLS from the first byte; null where they begin in plain text. */
  function tlsOf(state: ListenerState): ServerTls | null {
    const { tls } = state.current;
    // What is read first comes before the handshake (arrival.ts).
    if (tls === null || readsAhead(state.current)) return null;
    return serverTlsOf(context.cells, state, tls, handshakeFailed);
  }

  /** No new connections, no further requests on the open ones. */
  function leave(name: string, state: ListenerState): void {
    listeners.delete(name);
    state.closing = true;
    for (const socket of state.sockets) socket.close();
    for (const session of sessionsOf(state)) session.wind(true);
    if (!over(state)) leaving.add(state);
  }

  /** Nothing is open there, and nothing comes any more; `late`: whoever is still shaking hands has had all the time there is. */
  function over(state: ListenerState, late = false): boolean {
    return state.open === 0 && (late || state.shaking === 0) && !state.sockets.some((socket) => socket.open);
  }

  function accept(state: ListenerState, connection: Connection): ConnectionHandler {
    const { cells } = context;
    const { protocol, limits } = state.current.plan;
    const most = limits.maxConnections;
    const open = sessions[protocol];
    cells[state.cells + ListenerCell.accepted]!++;
    if (connection.tls !== null) countHandshake(cells, state, connection.tls);
    if (open === null || (most > 0 && state.open >= most)) {
      cells[state.cells + ListenerCell.refused]!++;
      connection.reset();
      return connection.handler;
    }
    cells[state.cells + ListenerCell.open]!++;
    const session = arrives(state, connection)
      ? arrive(context, state, connection, open)
      : admit(context, state, connection, open);
    if (session === null) return connection.handler;
    // It waited in the queue while the listener was closed: it has one request.
    if (leaving.has(state)) session.wind(true);
    return session;
  }

  function listenForDatagrams(state: ListenerState, fd: number | undefined, address: Address): Listener {
    if (options.datagrams === undefined) throw new Error(`${state.name} speaks UDP, and there is no way to`);
    const table = new FlowTable(context, state, options.datagrams, address, fd);
    flowTables.add(table);
    return table;
  }

  /** Asks tunnels to end, spread over what is left: those there are, and later what became one meanwhile. */
  function askToEnd({ at, asked }: Stopping, now: number): void {
    const tunnels = [...leaving]
      .flatMap((state) => sessionsOf(state).flatMap((session) => session.passage ?? []))
      .filter((one) => !asked.has(one));
    if (tunnels.length === 0) return;
    for (const one of tunnels) asked.add(one);
    spreadClosing(tunnels, at - now, options.random);
  }

  function count(of: (state: ListenerState) => number): number {
    let total = 0;
    for (const state of listeners.values()) total += of(state);
    for (const state of leaving) total += of(state);
    return total;
  }

  return {
    prepare(plan) {
      try {
        const next = assemble(plan, snapshot, pools);
        return { commit: () => commit(next), discard: () => undefined };
      } catch (error) {
        return { problem: error instanceof Error ? error.message : String(error) };
      }
    },

    listen(name, fd, address) {
      const state = listeners.get(name);
      if (state === undefined) throw new Error(`no listener is called ${name}`);
      const tls = tlsOf(state);
      const socket =
        state.current.plan.protocol === "udp"
          ? listenForDatagrams(state, fd, address)
          : options.transport.listen(
              { address, ...(fd === undefined ? {} : { fd }), ...(tls === null ? {} : { tls }) },
              (connection) => accept(state, connection),
            );
      state.sockets = [...state.sockets.filter((each) => each.open), socket];
      state.port = socket.port;
      return socket;
    },

    tick(now) {
      const wall = clock.wall();
      updateDate(wall);
      for (const pool of snapshot?.pools.values() ?? []) pool.tick(now, wall);
      for (const pool of removed) pool.tick(now, wall);
      table.cells[context.own + WorkerCell.reviewed] = wall;
      if (removed.length > 0) removed = removed.filter((pool) => pool.unfinished);
      // What left a queue, served or timed out, has written: no event of the network follows that would send it.
      settle();
      for (const table of flowTables) {
        table.review();
        if (!table.open) flowTables.delete(table);
      }
      const late = stopping !== null && now >= stopping.at;
      for (const state of leaving) if (over(state, late)) leaving.delete(state);
      if (stopping === null) return;
      if (late) for (const state of leaving) for (const session of sessionsOf(state)) session.cut();
      else askToEnd(stopping, now);
      if (leaving.size === 0) {
        // Nobody will ask for them again, and an endpoint that drains waits for them.
        for (const pool of snapshot?.pools.values() ?? []) pool.retire();
        stopping.over.resolve();
        stopping = null;
      }
    },

    get open() {
      return count((state) => state.open + state.shaking);
    },

    get busy() {
      return count((state) => sessionsOf(state).filter((session) => !session.idle).length);
    },

    shed() {
      for (const state of listeners.values())
        for (const session of sessionsOf(state)) if (session.idle) session.wind(false);
      for (const pool of snapshot?.pools.values() ?? []) {
        for (const endpoint of pool.endpoints) {
          endpoint.idle.clear();
          endpoint.publishIdle();
        }
      }
    },

    announceStop() {
      for (const state of listeners.values()) state.closing = true;
    },

    stop(window, replaced = false) {
      // Told again, by an impatient operator: it ends for both who wait, and the earlier end counts.
      const { at = Infinity, over = Promise.withResolvers<void>() } = stopping ?? {};
      const now = clock.now();
      stopping = { at: Math.min(at, now + window), over, asked: new Set() };
      for (const [name, state] of listeners) {
        state.replaced = replaced;
        leave(name, state);
      }
      askToEnd(stopping, now);
      return over.promise;
    },
  };
}

/** The sessions at this moment: closing one takes it out of the list that is walked. */
function sessionsOf(state: ListenerState): readonly ListedSession[] {
  const sessions: ListedSession[] = [];
  for (let session = state.first; session !== null; session = session.next) sessions.push(session);
  return sessions;
}
