// A connection whose first bytes say for whom it was made: the PROXY protocol header is read, and only then does a session
// begin, which knows no other client than the one that the header names.
import { parseProxyHeader, ProxyHeader, ProxyViolation, proxyViolations } from "@plimsoll/wire/proxy-protocol";
import type { FaultCode } from "../base/fault.ts";
import type { CloseReason, Connection, ConnectionHandler } from "../net/transport.ts";
import { Timer } from "../net/wheel.ts";
import { ListenerCell } from "../observe/table.ts";
import { admit } from "./client-admission.ts";
import type { EngineContext } from "./engine-context.ts";
import { countHandshake, serverTlsOf } from "./handshakes.ts";
import { HeldBytes } from "./held-bytes.ts";
import type { ListedSession, ListenerState } from "./listener-state.ts";
import type { FoldedTls } from "./listener-tls.ts";
import { type OpenSession, refusals } from "./sessions.ts";

/** Whether `connection` has to say for whom it is before its session begins, or may not have one at all. */
export function arrivesProxied(state: ListenerState, connection: Connection): boolean {
  const { plan, tls, trusted } = state.current;
  // Hands were shaken under the settings before a reload: nothing can stand in front any more.
  if (plan.proxyProtocol === "off" || connection.tls !== null) return false;
  // Where TLS may stand behind a header, all begin in plain text, and those without one are encrypted from here.
  return (
    tls !== null || plan.proxyProtocol === "require" || (trusted !== null && trusted.contains(connection.remoteAddress))
  );
}

const nothing = new Uint8Array(0);

/** How long a connection that has said nothing yet may still begin, where there is no time; ms. */
const lastMoment = 1_000;

export class Arrival implements ConnectionHandler, ListedSession {
  next: ListedSession | null = null;
  previous: ListedSession | null = null;
  /** Nothing of it is worth waiting for. */
  readonly idle = true;
  readonly passage = null;
  readonly #context: EngineContext;
  readonly #state: ListenerState;
  readonly #connection: Connection;
  readonly #open: OpenSession;
  readonly #timer: Timer;
  readonly #held = new HeldBytes();
  /** Told once it is a session: to have one request, and a moment for it, or `patient`ly its usual time. */
  #winding = false;
  #patient = false;
  #over = false;

  /** `open` makes the session that takes over. */
  constructor(context: EngineContext, state: ListenerState, connection: Connection, open: OpenSession) {
    this.#context = context;
    this.#state = state;
    this.#connection = connection;
    this.#open = open;
    this.#timer = new Timer(() => this.#expired());
    state.add(this);
    context.wheel.arm(this.#timer, state.current.plan.timeouts.proxyHeader);
  }

  wind(patient: boolean): void {
    this.#winding = true;
    this.#patient = patient;
    if (!patient && this.#held.empty && !this.#over) this.#context.wheel.arm(this.#timer, lastMoment);
  }

  cut(): void {
    this.#connection.reset();
    this.#end();
  }

  onOpen(): void {}

  onData(bytes: Uint8Array): void {
    if (!this.#trusted) {
      if (this.#required) return this.#refuseUntrusted();
      this.#held.add(bytes, 0, bytes.length);
      this.#begin(null, false);
    } else if (this.#held.empty) this.#read(bytes, 0, bytes.length);
    else {
      this.#held.add(bytes, 0, bytes.length);
      const held = this.#held.take();
      this.#read(held, this.#held.from, this.#held.to);
    }
  }

  onDrain(): void {}

  onEnd(): void {
    // A proxy that only looks whether somebody listens has nothing to say, and is answered by the connection itself.
    if (this.#held.empty) this.#close();
    else if (this.#required) this.#refuse("proxy-header-malformed", "closed within the header");
    else this.#begin(null, true);
  }

  onClose(_reason: CloseReason, _cause: string): void {
    this.#end();
  }

  get #trusted(): boolean {
    const { trusted } = this.#state.current;
    return trusted !== null && trusted.contains(this.#connection.remoteAddress);
  }

  get #required(): boolean {
    return this.#state.current.plan.proxyProtocol === "require";
  }

  /** Reads [from, to) of all that came so far. */
  #read(bytes: Uint8Array, from: number, to: number): void {
    const header = new ProxyHeader();
    const position = parseProxyHeader(bytes, from, to, header);
    if (position === 0) {
      this.#held.add(bytes, from, to);
      return;
    }
    if (position > 0) {
      this.#context.cells[this.#state.cells + ListenerCell.bytesIn]! += position - from;
      this.#held.add(bytes, position, to);
      this.#begin(header, false);
    } else if (position !== -ProxyViolation.absent) {
      this.#refuse("proxy-header-malformed", proxyViolations[-position] ?? "");
    } else if (this.#required) this.#refuse("proxy-header-missing", "the connection began with something else");
    else {
      this.#held.add(bytes, from, to);
      this.#begin(null, false);
    }
  }

  /** The session takes over, and what was read for it; `ended`: its client sends no more. */
  #begin(header: ProxyHeader | null, ended: boolean): void {
    const held = this.#held;
    const connection = this.#connection;
    this.#leave();
    connection.proxied = header;
    const { tls } = this.#state.current;
    if (tls !== null) return this.#encrypt(tls, held.length > 0 ? held.take().subarray(held.from, held.to) : nothing);
    const session = admit(this.#context, this.#state, connection, this.#open);
    if (session === null) return;
    connection.handler = session;
    if (this.#winding) session.wind(this.#patient);
    if (held.length > 0) session.onData(held.take().subarray(held.from, held.to));
    if (ended) session.onEnd();
  }

  /** What comes now is the client's handshake, and the session begins behind it. */
  #encrypt(tls: FoldedTls, ahead: Uint8Array): void {
    const { cells } = this.#context;
    const state = this.#state;
    cells[state.cells + ListenerCell.open]!--;
    const server = serverTlsOf(cells, state, tls, this.#context.handshakeFailed);
    this.#connection.startTls(server, ahead, (connection) => {
      if (connection.tls !== null) countHandshake(cells, state, connection.tls);
      cells[state.cells + ListenerCell.open]!++;
      const session = admit(this.#context, state, connection, this.#open);
      if (session === null) return connection.handler;
      // Told of the listener's end here, or its sockets were closed while it shook hands.
      if (this.#winding) session.wind(this.#patient);
      else if (!state.sockets.some((socket) => socket.open)) session.wind(true);
      return session;
    });
  }

  #refuseUntrusted(): void {
    this.#refuse("proxy-header-untrusted", `${this.#connection.remoteAddress} is not in trustedProxies`);
  }

  #refuse(code: FaultCode, cause: string): void {
    this.#leave();
    refusals[this.#state.current.plan.protocol](this.#context, this.#state, this.#connection, code, cause);
  }

  #expired(): void {
    if (this.#winding && this.#held.empty) this.#close();
    else if (this.#required && !this.#trusted) this.#refuseUntrusted();
    else if (this.#required) {
      const { proxyHeader } = this.#state.current.plan.timeouts;
      this.#refuse("proxy-header-timeout", `no whole header after ${proxyHeader} ms`);
      // A protocol in which the client waits to be spoken to first.
    } else this.#begin(null, false);
  }

  #close(): void {
    this.#connection.close();
    this.#end();
  }

  /** The connection is over. */
  #end(): void {
    if (this.#over) return;
    this.#leave();
    this.#context.cells[this.#state.cells + ListenerCell.open]!--;
  }

  /** Somebody else has it from here on, or nobody. */
  #leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.#context.wheel.disarm(this.#timer);
    this.#state.remove(this);
  }
}
