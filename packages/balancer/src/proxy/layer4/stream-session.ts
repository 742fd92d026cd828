// One client connection of a layer-4 listener: routed by where it comes from and, where its first bytes are read for that, by
// what a TLS client asks for; joined to an endpoint, passed on as bytes.
// What the client sends before its endpoint is connected is kept up to a bound, and then the client is not read.
import { type FaultCode } from "../../base/fault.ts";
import type { CloseReason, Connection, ConnectionHandler } from "../../net/transport.ts";
import { Timer } from "../../net/wheel.ts";
import { EndpointCell, ListenerCell, PoolCell } from "../../observe/table.ts";
import type { Endpoint } from "../../pool/endpoint.ts";
import type { Pool } from "../../pool/pool.ts";
import { countFault, type EngineContext } from "../engine-context.ts";
import type { FoldedRoute } from "../folded-route.ts";
import { hashKey } from "../hash-key.ts";
import { HeldBytes } from "../held-bytes.ts";
import type { ListedSession, ListenerState } from "../listener-state.ts";
import { Outbox, settle } from "../outbox.ts";
import { Prefaces, proxyHeaderFor } from "../preface.ts";
import { readVisit } from "../stickiness.ts";
import { noTries } from "../books.ts";
import { type BookedConnection, logConnection } from "./books.ts";
import { ConnectionView } from "./connection-view.ts";
import { countVisit, Dial, type DialOwner } from "./dial.ts";
import { alertFor, HelloWait } from "./hello.ts";
import { type EndedBy, Relay, type RelayOwner } from "./relay.ts";

/** Bytes that are kept while there is no endpoint yet: as much as one read brings. */
const mostHeld = 64 * 1024;

const view = new ConnectionView();

export class StreamSession implements ConnectionHandler, ListedSession, DialOwner, RelayOwner, BookedConnection {
  /** Links of the listener's list. */
  next: ListedSession | null = null;
  previous: ListedSession | null = null;
  readonly idle = false;
  readonly startedAt: number;
  readonly source: string;
  readonly protocol: string;
  name = "";
  route: FoldedRoute | null = null;
  dial: Dial | null = null;
  firstByteAt = 0;
  bytesIn = 0;
  bytesOut = 0;
  fault: FaultCode | "" = "";
  ended = "";
  readonly #context: EngineContext;
  readonly #state: ListenerState;
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #held = new HeldBytes();
  /** While the first bytes are read; null when they are not, or no more. */
  #hello: HelloWait | null = null;
  #helloTimer: Timer | null = null;
  #protocols: readonly string[] = [];
  #relay: Relay | null = null;
  #peerEnded = false;
  #paused = false;
  #over = false;

  constructor(context: EngineContext, state: ListenerState, connection: Connection) {
    this.#context = context;
    this.#state = state;
    this.#connection = connection;
    this.#outbox = new Outbox(context.cells, state.cells + ListenerCell.bytesOut);
    this.#outbox.connection = connection;
    this.startedAt = context.clock.now();
    this.source = connection.remoteAddress;
    this.protocol = state.current.plan.protocol.toUpperCase();
    state.add(this);
    if (state.current.plan.protocol === "tls") this.#awaitHello(state.current.plan.timeouts.headers);
    else this.#begin();
  }

  /** What an endpoint's drain ends; null before it has one. */
  get passage(): Relay | null {
    return this.#relay;
  }

  /** It is one piece of work from its first byte to its last: there is nothing to wait for before it is asked to end. */
  wind(): void {}

  /** The end of the stop's window. */
  cut(): void {
    if (this.#relay !== null) this.#relay.cutFor("draining");
    else this.#refuse("draining");
  }

  // ConnectionHandler, until there is an endpoint

  onOpen(): void {}

  onData(bytes: Uint8Array): void {
    this.#context.cells[this.#state.cells + ListenerCell.bytesIn]! += bytes.length;
    if (this.#over) return;
    this.#held.add(bytes, 0, bytes.length);
    if (this.#hello !== null) this.#listen(this.#hello, bytes);
    if (this.#over) return;
    if (this.#held.length < mostHeld || this.#paused) return;
    this.#paused = true;
    this.#connection.pause();
  }

  onDrain(): void {}

  onEnd(): void {
    // It may only have no more to say.
    this.#peerEnded = true;
    if (this.#hello === null) return;
    if (!this.#held.empty) {
      this.#refuse("client-gone");
      return;
    }
    // Somebody who only looks whether anybody listens.
    this.#finish("", "client");
    this.#connection.close();
  }

  onClose(reason: CloseReason, _cause: string): void {
    if (this.#over) return;
    this.dial?.abandon();
    this.#finish(reason === "reset" ? "client-gone" : "", "client");
  }

  // DialOwner

  reached(connection: Connection, endpoint: Endpoint): void {
    const context = this.#context;
    const dial = this.dial as Dial;
    const outbox = new Outbox(context.cells, endpoint.cell(EndpointCell.bytesUp));
    outbox.connection = connection;
    countVisit(dial, endpoint);
    const relay = new Relay(
      {
        context,
        endpoint,
        idle: dial.destination.timeouts.tunnelIdle,
        client: {
          connection: this.#connection,
          outbox: this.#outbox,
          cell: this.#state.cells + ListenerCell.bytesIn,
        },
        upstream: { connection, outbox, cell: endpoint.cell(EndpointCell.bytesDown) },
      },
      this,
    );
    this.#relay = relay;
    if (!this.#held.empty) {
      const { from, to } = this.#held;
      relay.client.pass(this.#held.take(), from, to);
    }
    if (this.#paused && !outbox.blocked) this.#connection.resume();
    else if (outbox.blocked && !this.#paused) this.#connection.pause();
    this.#paused = false;
    if (this.#peerEnded) relay.client.onEnd();
  }

  unreached(code: FaultCode, _cause: string): void {
    this.#refuse(code);
  }

  // RelayOwner

  untouched(): boolean {
    const relay = this.#relay as Relay;
    const dial = this.dial as Dial;
    const ms = this.#context.clock.now() - relay.since;
    const { connection } = this.#relay!.client;
    this.#relay = null;
    connection.handler = this;
    if (dial.again("upstream-reset", ms)) return true;
    this.#relay = relay;
    connection.handler = relay.client;
    return false;
  }

  relayed(fault: FaultCode | "", by: EndedBy): void {
    const relay = this.#relay as Relay;
    this.firstByteAt = relay.firstByteAt;
    this.bytesIn = relay.client.received;
    this.bytesOut = relay.upstream.received;
    if (fault === "connection-reset") this.dial?.endpoint?.count(EndpointCell.failures);
    this.#finish(fault, by);
  }

  #awaitHello(ms: number): void {
    this.#hello = new HelloWait();
    this.#helloTimer = new Timer(() => this.#refuse("client-hello-timeout"));
    this.#context.wheel.arm(this.#helloTimer, ms);
  }

  /** Bytes that are kept for the endpoint all the same. */
  #listen(hello: HelloWait, bytes: Uint8Array): void {
    if (!hello.take(bytes)) {
      this.#refuse("client-hello-malformed");
      return;
    }
    if (!hello.whole) return;
    this.#hello = null;
    this.#stopHelloTimer();
    this.name = hello.hello.serverName;
    this.#protocols = hello.hello.alpn;
    this.#begin();
  }

  #stopHelloTimer(): void {
    if (this.#helloTimer !== null) this.#context.wheel.disarm(this.#helloTimer);
  }

  /** What an endpoint is told of its client before the client's first byte. */
  #prefaceFor({ plan }: Pool): Uint8Array | null {
    return plan.proxyProtocol === "v2"
      ? proxyHeaderFor(this.#connection, this.name === "" ? {} : { authority: this.name })
      : (new Prefaces(this.#connection).of(plan)?.bytes ?? null);
  }

  /** Finds the route and asks its pool for an endpoint. */
  #begin(): void {
    const context = this.#context;
    const { current } = this.#state;
    view.set(this.source, this.name, this.#protocols);
    const index = current.table.match(view);
    const route = index < 0 ? undefined : current.routes[index];
    if (route === undefined) {
      this.#refuse("route-not-found");
      return;
    }
    this.route = route;
    const wall = context.clock.wall();
    const destination = route.split === null ? route.destination : route.split(view, wall);
    if (destination === null) {
      this.#refuse("internal-error");
      return;
    }
    const { pool } = destination;
    pool.count(PoolCell.requests);
    const dial = new Dial(context, destination, this);
    this.dial = dial;
    dial.preface = this.#prefaceFor(pool);
    if (pool.needsKey) dial.key = hashKey(pool.plan.hashKey, view);
    if (pool.stick !== null) dial.visit = readVisit(pool.stick, null, view, wall);
    dial.begin();
  }

  /** Ends it without an endpoint: in TLS by an alert, else by a reset, since an end in order would look like an answer. */
  #refuse(code: FaultCode): void {
    if (this.#over) return;
    const alert = this.protocol === "TLS" && this.#hello?.isTls !== false ? alertFor(code) : null;
    this.dial?.abandon();
    this.#finish(code, code === "client-gone" ? "client" : "");
    if (alert === null) this.#connection.reset();
    else {
      this.#connection.write(alert, 0, alert.length);
      this.#connection.close();
    }
  }

  #finish(fault: FaultCode | "", ended: string): void {
    const context = this.#context;
    const { dial } = this;
    this.#over = true;
    this.#stopHelloTimer();
    this.fault = fault;
    this.ended = ended;
    this.#held.clear();
    if (fault !== "") countFault(context, fault);
    if (dial !== null) {
      if (dial.records !== noTries) dial.note(fault, context.clock.now() - dial.since);
      dial.release();
    }
    context.cells[this.#state.cells + ListenerCell.open]!--;
    this.#state.remove(this);
    if (context.log !== null) logConnection(context, this, this.#state.name);
    settle();
  }
}
