// One client's datagrams to one endpoint and back. A socket of its own towards the endpoint tells its answers, and what the
// network sends back, from those of all other flows.
import type { FaultCode } from "../../base/fault.ts";
import type { DatagramConnection, DatagramHandler, Sender } from "../../net/datagrams.ts";
import { Timer } from "../../net/wheel.ts";
import { EndpointCell, ListenerCell } from "../../observe/table.ts";
import type { Endpoint } from "../../pool/endpoint.ts";
import type { Occupant } from "../../pool/occupants.ts";
import type { EngineContext } from "../engine-context.ts";
import type { Destination, FoldedRoute } from "../folded-route.ts";
import type { ListedSession, ListenerState } from "../listener-state.ts";

/** The flows of a listener, as one of them knows them. */
export interface FlowHome {
  /** Sends to the client; whether the kernel took it. */
  answer(bytes: Uint8Array, to: Sender): boolean;
  /** It is over, and out of all lists but the home's own. */
  ended(flow: Flow): void;
}

/** Whose datagrams they are, and where they go. */
export interface FlowFacts {
  readonly key: string;
  /** The client's address as the system spells it. */
  readonly from: string;
  readonly client: Sender;
  readonly route: FoldedRoute;
  readonly destination: Destination;
  /** What stands in front of each datagram to the endpoint; null = nothing. */
  readonly preface: Uint8Array | null;
}

/** A preface and the longest datagram there is. */
const prefaced = new Uint8Array(256 + 65_535);

export class Flow implements DatagramHandler, ListedSession, Occupant {
  // ListedSession
  next: ListedSession | null = null;
  previous: ListedSession | null = null;
  // Occupant
  nextThere: Occupant | null = null;
  previousThere: Occupant | null = null;
  readonly tunnel = true;
  /** It cannot be asked to end; it is cut with the window. */
  readonly patient = true;
  readonly since: number;
  /** Neighbours in the order of the last datagram. */
  older: Flow | null = null;
  newer: Flow | null = null;

  readonly key: string;
  readonly from: string;
  readonly client: Sender;
  readonly route: FoldedRoute;
  readonly destination: Destination;
  readonly endpoint: Endpoint;
  bytesIn = 0;
  bytesOut = 0;
  /** Datagrams of the client's that were passed on, and of the endpoint's. */
  asked = 0;
  answered = 0;
  /** Clock ms of the first answer; 0 = none yet. */
  firstByteAt = 0;
  fault: FaultCode | "" = "";
  /** What ended it: endpoint, drain or idle; "" for none of these. */
  ended = "";
  readonly #context: EngineContext;
  readonly #state: ListenerState;
  readonly #home: FlowHome;
  readonly #preface: Uint8Array | null;
  readonly #timer: Timer;
  #upstream: DatagramConnection | null = null;
  /** Ends with its next answer. */
  #winding = false;
  #over = false;

  constructor(context: EngineContext, state: ListenerState, home: FlowHome, who: FlowFacts, endpoint: Endpoint) {
    this.#context = context;
    this.#state = state;
    this.#home = home;
    this.key = who.key;
    this.from = who.from;
    this.client = who.client;
    this.route = who.route;
    this.destination = who.destination;
    this.#preface = who.preface;
    this.endpoint = endpoint;
    this.since = context.clock.now();
    this.#timer = new Timer(() => this.end("", "idle"));
    endpoint.begin();
    endpoint.count(EndpointCell.requests);
    endpoint.count(EndpointCell.tunnels);
    endpoint.enter(this, context.random);
    state.add(this);
    const { cells } = context;
    cells[state.cells + ListenerCell.accepted]!++;
    cells[state.cells + ListenerCell.open]!++;
    this.#arm();
  }

  /** Whether its client waits for nothing: every datagram of its had an answer. */
  get idle(): boolean {
    return this.answered >= this.asked;
  }

  get passage(): Occupant {
    return this;
  }

  /** Gets its way to the endpoint; false when there is none to be had. */
  connect(upstream: DatagramConnection | null): boolean {
    this.#upstream = upstream;
    return upstream !== null;
  }

  /** A datagram of the client's; whether it was sent on. */
  forward(bytes: Uint8Array): boolean {
    this.#arm();
    this.bytesIn += bytes.length;
    this.asked++;
    const preface = this.#preface;
    const whole = preface === null ? bytes : behind(preface, bytes);
    if (this.#upstream?.send(whole) !== true) return false;
    this.endpoint.count(EndpointCell.bytesUp, whole.length);
    return true;
  }

  // DatagramHandler

  onDatagram(bytes: Uint8Array): void {
    if (this.#over) return;
    const { cells, clock } = this.#context;
    const { udp } = this.#state.current.plan;
    const at = this.#state.cells;
    this.#arm();
    this.endpoint.count(EndpointCell.bytesDown, bytes.length);
    if (this.firstByteAt === 0) {
      this.firstByteAt = clock.now();
      this.endpoint.connectSucceeded();
      this.endpoint.observe(this.firstByteAt - this.since, false);
    }
    this.answered++;
    const most = udp.amplification;
    const tooMuch = most > 0 && this.bytesOut + bytes.length > most * this.bytesIn;
    if (tooMuch || !this.#home.answer(bytes, this.client)) cells[at + ListenerCell.datagramsDropped]!++;
    else {
      this.bytesOut += bytes.length;
      cells[at + ListenerCell.bytesOut]! += bytes.length;
      cells[at + ListenerCell.datagramsOut]!++;
    }
    const complete = udp.answers > 0 && this.answered >= udp.answers * this.asked;
    if (complete || (this.#winding && this.idle)) this.end("", "");
  }

  onRefused(cause: string): void {
    if (this.#over) return;
    const { endpoint } = this;
    endpoint.count(EndpointCell.failures);
    endpoint.connectFailed(this.#context.clock.wall(), cause === "ECONNREFUSED");
    this.end("connect-refused", "endpoint");
  }

  // ListedSession and Occupant

  wind(): void {
    this.#winding = true;
    if (this.idle) this.end("", "");
  }

  closeAfter(_ms: number): void {}

  cut(): void {
    this.end(this.#winding ? "draining" : "drain-window-over", "drain");
  }

  /** It is forgotten: the client's next datagram begins another. */
  end(fault: FaultCode | "", by: string): void {
    if (this.#over) return;
    this.#over = true;
    this.fault = fault;
    this.ended = by;
    const { endpoint } = this;
    this.#context.wheel.disarm(this.#timer);
    this.#upstream?.close();
    this.#upstream = null;
    endpoint.occupants.leave(this);
    endpoint.count(EndpointCell.tunnels, -1);
    endpoint.end();
    this.#state.remove(this);
    this.#context.cells[this.#state.cells + ListenerCell.open]!--;
    this.#home.ended(this);
    this.destination.pool.wake();
  }

  #arm(): void {
    this.#context.wheel.arm(this.#timer, this.#state.current.plan.udp.idle);
  }
}

/** Both as one datagram; borrowed until the next. What is longer than a datagram can be is refused by the system. */
function behind(preface: Uint8Array, bytes: Uint8Array): Uint8Array {
  prefaced.set(preface);
  prefaced.set(bytes, preface.length);
  return prefaced.subarray(0, preface.length + bytes.length);
}
