// How a connection gets its endpoint: picked, waited for where all are at their limit, connected to, and another one asked
// where that fails. Nothing of the client's bytes is sent before a connection stands, so another try costs nobody anything.
import { type FaultCode, faults } from "../../base/fault.ts";
import type { CloseReason, Connection, ConnectionHandler } from "../../net/transport.ts";
import { Timer } from "../../net/wheel.ts";
import type { TryRecord } from "../../observe/access-record.ts";
import { EndpointCell, PoolCell } from "../../observe/table.ts";
import type { Endpoint } from "../../pool/endpoint.ts";
import type { Occupant } from "../../pool/occupants.ts";
import type { Avoided, Waiter } from "../../pool/pool.ts";
import type { Visit } from "../../pool/stick/stick.ts";
import { noTries } from "../books.ts";
import { connectFaults } from "../connect-faults.ts";
import type { EngineContext } from "../engine-context.ts";
import type { Destination } from "../folded-route.ts";
import { settle } from "../outbox.ts";
import { isRetriable } from "../retry.ts";

const nobody: ConnectionHandler = { onOpen() {}, onData() {}, onDrain() {}, onEnd() {}, onClose() {} };

/** Who wants the connection. */
export interface DialOwner {
  /** It stands: with `endpoint`, whose place is `release`d when it is over. */
  reached(connection: Connection, endpoint: Endpoint): void;
  /** There is none to be had. */
  unreached(code: FaultCode, cause: string): void;
}

export class Dial implements ConnectionHandler, Waiter, Occupant {
  // Waiter
  queuedAt = 0;
  next: Waiter | null = null;
  prev: Waiter | null = null;
  queue: Waiter["queue"] = null;
  key = 0;
  // Occupant: while it is being connected
  nextThere: Occupant | null = null;
  previousThere: Occupant | null = null;
  readonly tunnel = true;
  readonly patient = true;
  since = 0;

  /** Where it is, or was tried last. */
  endpoint: Endpoint | null = null;
  visit: Visit | null = null;
  /** What an endpoint is told first; null = nothing. */
  preface: Uint8Array | null = null;
  attempts = 0;
  /** What became of each, kept from the first failure on where there is a log. */
  records: TryRecord[] = noTries;
  connectMs = -1;
  queueMs = -1;
  readonly destination: Destination;
  readonly #context: EngineContext;
  readonly #owner: DialOwner;
  readonly #timer: Timer;
  #avoid: Avoided = null;
  #connection: Connection | null = null;
  #queued = false;
  /** It has a place at `endpoint`. */
  #placed = false;

  constructor(context: EngineContext, destination: Destination, owner: DialOwner) {
    this.#context = context;
    this.destination = destination;
    this.#owner = owner;
    this.#timer = new Timer(() => this.#expired());
  }

  /** Asks for an endpoint. The owner is told, perhaps before this returns. */
  begin(): void {
    const { pool } = this.destination;
    const { visit } = this;
    const endpoint = visit === null ? pool.pick(this.key, this.#avoid) : pool.pickSticky(visit, this.key, this.#avoid);
    if (endpoint !== null) {
      this.#connect(endpoint);
      return;
    }
    if (pool.refusal === "unusable") {
      this.#owner.unreached("pool-unusable", "");
      return;
    }
    this.#queued = pool.wait(this, visit === null ? null : visit.waitsFor);
    if (!this.#queued) this.#owner.unreached("pool-queue-full", "");
  }

  /**
   * The connection failed, after `ms`, in a way that leaves nothing half done (nothing passed on it yet). Whether another
   * endpoint is asked instead; the owner is told of that one later.
   */
  again(code: FaultCode, ms: number): boolean {
    const { retry, pool } = this.destination;
    const endpoint = this.endpoint as Endpoint;
    const failed = { code, safe: true, sent: false, bodyLost: false, answered: false };
    if (this.attempts >= retry.attempts || !isRetriable(retry, failed)) return false;
    if (code === "drain-window-over" && !pool.goesOn) return false;
    if (!pool.retryAllowed(retry.budget)) return false;
    if (faults[code].side === "upstream") endpoint.count(EndpointCell.failures);
    this.note(code, ms);
    this.release();
    this.#avoid = this.#avoid === null ? endpoint : [endpoint].concat(this.#avoid);
    this.endpoint = null;
    this.begin();
    return true;
  }

  /** Gives up whatever goes on or waits. */
  abandon(): void {
    if (this.#queued) this.destination.pool.leave(this);
    this.#queued = false;
    this.#drop();
    this.release();
  }

  /** Gives the endpoint's place back. */
  release(): void {
    if (!this.#placed) return;
    this.#placed = false;
    const endpoint = this.endpoint as Endpoint;
    endpoint.count(EndpointCell.tunnels, -1);
    endpoint.end();
    this.destination.pool.wake();
  }

  /** Keeps for the log what became of the present try. */
  note(fault: string, ms: number): void {
    if (this.#context.log === null || this.endpoint === null) return;
    if (this.records === noTries) this.records = [];
    this.records.push({ endpoint: this.endpoint.id, fault, status: 0, ms });
  }

  // Waiter

  ready(endpoint: Endpoint): void {
    this.#leftQueue();
    this.#connect(endpoint);
  }

  timedOut(): void {
    this.#leftQueue();
    this.#owner.unreached("pool-queue-timeout", "");
  }

  // Occupant

  closeAfter(_ms: number): void {}

  cut(): void {
    this.#drop();
    if (this.again("drain-window-over", this.#context.clock.now() - this.since)) return;
    this.#owner.unreached("drain-window-over", "cut at the end of the drain's window");
  }

  // ConnectionHandler, until it is open

  onOpen(): void {
    const connection = this.#connection as Connection;
    const endpoint = this.endpoint as Endpoint;
    this.#connection = null;
    this.#context.wheel.disarm(this.#timer);
    endpoint.occupants.leave(this);
    this.connectMs = this.#context.clock.now() - this.since;
    endpoint.connectSucceeded();
    endpoint.observe(this.connectMs, false);
    if (this.preface !== null) endpoint.count(EndpointCell.bytesUp, this.preface.length);
    this.#owner.reached(connection, endpoint);
    settle();
  }

  onData(_bytes: Uint8Array): void {}
  onDrain(): void {}
  onEnd(): void {}

  onClose(reason: CloseReason, cause: string): void {
    this.#connection = null;
    this.#failed(connectFaults[reason], cause);
  }

  #connect(endpoint: Endpoint): void {
    const { wheel, clock, random, transport } = this.#context;
    this.endpoint = endpoint;
    this.#placed = true;
    endpoint.begin();
    endpoint.count(EndpointCell.tunnels);
    endpoint.count(EndpointCell.requests);
    endpoint.count(EndpointCell.connects);
    if (this.attempts > 0) endpoint.count(EndpointCell.retries);
    this.attempts++;
    this.since = clock.now();
    endpoint.enter(this, random);
    this.#connection = transport.connect(endpoint.address, this, endpoint.tls, this.preface);
    wheel.arm(this.#timer, this.destination.timeouts.connect);
  }

  #expired(): void {
    this.#failed("connect-timeout", `no connection after ${this.destination.timeouts.connect} ms`);
  }

  #failed(code: FaultCode, cause: string): void {
    const endpoint = this.endpoint as Endpoint;
    const { clock } = this.#context;
    const ms = clock.now() - this.since;
    this.#drop();
    const refused = code === "connect-refused";
    endpoint.connectFailed(clock.wall(), refused);
    if (!this.again(code, ms)) {
      endpoint.observe(ms, true);
      endpoint.count(EndpointCell.failures);
      this.#owner.unreached(code, cause);
    }
    settle();
  }

  #drop(): void {
    const connection = this.#connection;
    this.#connection = null;
    this.#context.wheel.disarm(this.#timer);
    this.endpoint?.occupants.leave(this);
    if (connection === null) return;
    // Its end is told later, when another connection may be under way here.
    connection.handler = nobody;
    connection.close();
  }

  #leftQueue(): void {
    this.#queued = false;
    this.queueMs = this.#context.clock.now() - this.queuedAt;
  }
}

/** Counts whether a client of a pool that keeps clients got to where it belongs. */
export function countVisit(dial: Dial, endpoint: Endpoint): void {
  const { visit } = dial;
  if (visit === null || visit.endpoint === null) return;
  dial.destination.pool.count(visit.endpoint === endpoint ? PoolCell.stickyHits : PoolCell.stickyMoved);
}
