// A connection whose first bytes say what it is. For whom it was made: the PROXY protocol header is read, and only then does a
// session begin, which knows no other client than the one that the header names. Where one port is for both, whether TLS
// comes or plain HTTP. And, while an authority looks whether a name is ours, whether it is the authority.
import { parseProxyHeader, ProxyHeader, ProxyViolation, proxyViolations } from "@plimsoll/wire/proxy-protocol";
import type { FaultCode } from "../base/fault.ts";
import type { HandshakeReason, TlsContext } from "../net/tls.ts";
import type { CloseReason, Connection, ConnectionHandler } from "../net/transport.ts";
import { Timer } from "../net/wheel.ts";
import { ListenerCell } from "../observe/table.ts";
import { admit, takePlace, turnAway } from "./client-admission.ts";
import type { EngineContext } from "./engine-context.ts";
import { countHandshake, serverTlsOf } from "./handshakes.ts";
import { HeldBytes } from "./held-bytes.ts";
import type { ListedSession, ListenerSnapshot, ListenerState } from "./listener-state.ts";
import type { FoldedTls } from "./listener-tls.ts";
import { ProofWait, provingTls } from "./proofs.ts";
import { type OpenSession, refusals, sessions } from "./sessions.ts";

/** Whether something is read of connections to a listener before they may shake hands: then all begin in plain text. */
export function readsAhead({ plan, plain, proofs }: ListenerSnapshot): boolean {
  return plan.proxyProtocol !== "off" || plain !== null || proofs !== null;
}

/** Whether `connection` has to say what it is before its session begins, or may not have one at all. */
export function arrives(state: ListenerState, connection: Connection): boolean {
  const { plan, plain, tls } = state.current;
  // Hands were shaken under the settings before a reload: nothing can stand in front any more.
  if (connection.tls !== null) return false;
  // Those without a header are encrypted from here, too.
  return tls !== null || plain !== null || plan.proxyProtocol === "require" || awaitsHeader(state, connection);
}

/** Whether a PROXY protocol header may come, or must. */
function awaitsHeader({ current: { plan, trusted } }: ListenerState, connection: Connection): boolean {
  if (plan.proxyProtocol === "off") return false;
  return plan.proxyProtocol === "require" || (trusted !== null && trusted.contains(connection.remoteAddress));
}

/** What a client that begins a handshake sends first (RFC 8446 §5.1). No request begins so: it is no character of a token. */
const handshakeRecord = 22;

const nothing = new Uint8Array(0);

/** How long a connection that has said nothing yet may still begin, where there is no time; ms. */
const lastMoment = 1_000;

/** Takes a connection that is counted as open, or resets it and returns null: its client has as many as one may. */
export function arrive(
  context: EngineContext,
  state: ListenerState,
  connection: Connection,
  open: OpenSession,
): Arrival | null {
  const arrival = new Arrival(context, state, connection, open);
  return arrival.takePlace() ? arrival : null;
}

class Arrival implements ConnectionHandler, ListedSession {
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
  /** The header was read, or none is waited for: what comes now is the client's. */
  #headed: boolean;
  /** While somebody may ask for a proof. */
  #asking: ProofWait | null = null;
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
    this.#headed = !awaitsHeader(state, connection);
    state.add(this);
    context.wheel.arm(this.#timer, this.#headed ? this.#longest : state.current.plan.timeouts.proxyHeader);
  }

  /**
   * Counts it as its client's, whoever that is known to be so far; false: it was turned away. A trusted proxy is nobody until its
   * header names one, and what it holds until then is bounded by `maxConnections` alone.
   */
  takePlace(): boolean {
    const state = this.#state;
    state.clients.leave(this);
    if (takePlace(state, this, this.#connection)) return true;
    this.#leave();
    turnAway(this.#context, state, this.#connection);
    return false;
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
    const held = this.#held;
    if (held.empty) return this.#read(bytes, 0, bytes.length);
    held.add(bytes, 0, bytes.length);
    const all = held.take();
    this.#read(all, held.from, held.to);
  }

  onDrain(): void {}

  onEnd(): void {
    // A proxy that only looks whether somebody listens has nothing to say, and is answered by the connection itself.
    if (this.#held.empty) this.#close();
    else if (this.#required && !this.#headed) this.#refuse("proxy-header-malformed", "closed within the header");
    else this.#tellKind(true);
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

  /** How long a client that may speak TLS or not is waited for, ms. */
  get #longest(): number {
    const { plan, tls } = this.#state.current;
    if (this.#winding && !this.#patient) return lastMoment;
    return tls === null ? plan.timeouts.headers : plan.timeouts.handshake;
  }

  /** Reads [from, to) of all that came so far. */
  #read(bytes: Uint8Array, from: number, to: number): void {
    let at = from;
    if (!this.#headed) {
      at = this.#readHeader(bytes, from, to);
      if (at < 0) return;
      this.#headed = true;
      this.#context.wheel.arm(this.#timer, this.#longest);
    }
    if (at < to) this.#held.add(bytes, at, to);
    this.#tellKind(false);
  }

  /** Returns where the client's own bytes begin; -1: not known yet, or never. */
  #readHeader(bytes: Uint8Array, from: number, to: number): number {
    if (!this.#trusted) {
      if (!this.#required) return from;
      this.#refuseUntrusted();
      return -1;
    }
    const header = new ProxyHeader();
    const position = parseProxyHeader(bytes, from, to, header);
    if (position > 0) {
      this.#context.cells[this.#state.cells + ListenerCell.bytesIn]! += position - from;
      this.#connection.proxied = header;
      return this.takePlace() ? position : -1;
    }
    if (position === 0) this.#held.add(bytes, from, to);
    else if (position !== -ProxyViolation.absent) {
      this.#refuse("proxy-header-malformed", proxyViolations[-position] ?? "");
    } else if (!this.#required) return from;
    else this.#refuse("proxy-header-missing", "the connection began with something else");
    return -1;
  }

  /** Begins what the client's first byte says. `ended`: it sends no more. */
  #tellKind(ended: boolean): void {
    const { plain, tls, proofs } = this.#state.current;
    const first = this.#held.first;
    // Nothing to tell them apart by, yet.
    if (first < 0 && (plain !== null || proofs !== null)) return;
    if (plain !== null && first !== handshakeRecord) this.#begin(sessions.http as OpenSession, ended);
    else if (tls === null) this.#begin(this.#open, ended);
    else if (proofs === null) this.#encrypt(tls, null);
    else {
      this.#asking ??= new ProofWait();
      if (this.#asking.hears(this.#held.view)) this.#encrypt(tls, this.#asking.found(proofs));
      else if (ended) this.#fail(tls, "gone", "closed by the client");
    }
  }

  /** The session takes over, and what was read for it. */
  #begin(open: OpenSession, ended: boolean): void {
    const held = this.#held;
    const connection = this.#connection;
    this.#leave();
    const session = admit(this.#context, this.#state, connection, open);
    if (session === null) return;
    connection.handler = session;
    if (this.#winding) session.wind(this.#patient);
    if (held.length > 0) session.onData(held.take().subarray(held.from, held.to));
    if (ended) session.onEnd();
  }

  /** What comes now is the client's handshake, and the session begins behind it; behind one that was for a proof, nothing. */
  #encrypt(tls: FoldedTls, proof: TlsContext | null): void {
    const { cells } = this.#context;
    const state = this.#state;
    const held = this.#held;
    const ahead = held.length > 0 ? held.take().subarray(held.from, held.to) : nothing;
    this.#leave();
    cells[state.cells + ListenerCell.open]!--;
    const usual = serverTlsOf(cells, state, tls, this.#context.handshakeFailed, true);
    const server = proof === null ? usual : provingTls(usual, proof);
    this.#connection.startTls(server, ahead, (connection) => {
      if (connection.tls !== null) countHandshake(cells, state, connection.tls);
      // RFC 8737 §3: nothing is exchanged.
      if (proof !== null) {
        connection.close();
        return connection.handler;
      }
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
    else if (this.#headed) this.#unheard();
    else if (this.#required && !this.#trusted) this.#refuseUntrusted();
    else if (this.#required) {
      const { proxyHeader } = this.#state.current.plan.timeouts;
      this.#refuse("proxy-header-timeout", `no whole header after ${proxyHeader} ms`);
    } else {
      this.#headed = true;
      this.#context.wheel.arm(this.#timer, this.#longest);
      // A protocol in which the client waits to be spoken to first begins without a byte.
      this.#tellKind(false);
    }
  }

  /** It said nothing by which it could be told what it is; it ends as one does that begins a handshake with silence. */
  #unheard(): void {
    const { plan, tls } = this.#state.current;
    if (tls === null) this.#refuse("client-hello-timeout", `nothing after ${plan.timeouts.headers} ms`);
    else this.#fail(tls, "timeout", `not begun within ${plan.timeouts.handshake} ms`);
  }

  /** Counts and tells a handshake that did not come to be, and ends the connection. */
  #fail(tls: FoldedTls, reason: HandshakeReason, detail: string): void {
    const { cells, handshakeFailed } = this.#context;
    const { remoteAddress } = this.#connection;
    const { failed } = serverTlsOf(cells, this.#state, tls, handshakeFailed);
    failed({ reason, detail, remoteAddress, serverName: "" });
    this.cut();
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
