// One HTTP/1.1 connection to an endpoint: it sends requests, has their answers read, and goes back to the endpoint's idle
// connections when an exchange ended exactly where it said it would. It knows nothing of clients and routes.
import type { AnswerHead } from "@plimsoll/wire/http1";
import type { FaultCode } from "../base/fault.ts";
import type { ClientTls } from "../net/tls.ts";
import type { CloseReason, Connection, ConnectionHandler } from "../net/transport.ts";
import { Timer } from "../net/wheel.ts";
import { EndpointCell } from "../observe/table.ts";
import { connectFaults } from "./connect-faults.ts";
import type { Endpoint } from "../pool/endpoint.ts";
import type { IdleConnection } from "../pool/idle.ts";
import type { Occupant } from "../pool/occupants.ts";
import type { PoolTimeouts } from "../pool/plan.ts";
import { type AnswerEvents, AnswerReader } from "./answer-reader.ts";
import type { AnswerSink } from "./answer-sink.ts";
import type { EngineContext } from "./engine-context.ts";
import { Outbox, settle } from "./outbox.ts";
import type { Preface } from "./preface.ts";

const Phase = { connecting: 0, busy: 1, idle: 2, dead: 3 } as const;
const noTrailers = new Uint8Array(0);
/** A reused connection that ends so soon after its request, ms, was being closed by the endpoint when it was sent. */
const raceTime = 1_000;

export class UpstreamSession implements ConnectionHandler, IdleConnection, AnswerEvents, Occupant {
  readonly endpoint: Endpoint;
  /** What was said first on it; only exchanges of the same client follow. null = nothing. */
  readonly preface: Preface | null;
  readonly outbox: Outbox;
  connection: Connection | null = null;
  sink: AnswerSink | null;
  idleSince = 0;
  /** Exchanges that ended on it. */
  exchanges = 0;
  // Occupant: while an exchange is under way on it
  nextThere: Occupant | null = null;
  previousThere: Occupant | null = null;
  readonly tunnel = false;
  readonly patient = false;
  since = 0;
  readonly #context: EngineContext;
  readonly #timer: Timer;
  readonly #reader: AnswerReader;
  readonly #maxExchanges: number;
  /** The endpoint's settings when it was made. */
  readonly #tls: ClientTls | undefined;
  #timeouts: PoolTimeouts;
  #phase: number = Phase.connecting;
  #requestDone = false;
  /** The endpoint keeps the connection after this answer. */
  #persistent = false;
  #paused = false;
  /** How long it was idle before its present exchange, ms. */
  #rested = 0;

  /** Begins to connect. `sink.opened` or `sink.failed` follows, never before this returns. */
  constructor(
    context: EngineContext,
    endpoint: Endpoint,
    maxExchanges: number,
    timeouts: PoolTimeouts,
    sink: AnswerSink,
    preface: Preface | null = null,
  ) {
    this.preface = preface;
    this.#context = context;
    this.endpoint = endpoint;
    this.#maxExchanges = maxExchanges;
    this.#timeouts = timeouts;
    this.sink = sink;
    this.outbox = new Outbox(context.cells, endpoint.cell(EndpointCell.bytesUp));
    this.#timer = new Timer(() => this.#expired());
    this.#reader = new AnswerReader(this, context.answerHead);
    this.since = context.clock.now();
    endpoint.enter(this, context.random);
    endpoint.count(EndpointCell.connects);
    this.#tls = endpoint.tls;
    this.connection = context.transport.connect(endpoint.address, this, this.#tls, preface?.bytes);
    this.outbox.connection = this.connection;
    context.wheel.arm(this.#timer, timeouts.connect);
  }

  /** Whether it carried an exchange before: a death before any answer byte is then likely the keep-alive race. */
  get reused(): boolean {
    return this.exchanges > 0;
  }

  /** Whether a request can be sent on it now. */
  get open(): boolean {
    return this.#phase === Phase.busy;
  }

  /** Whether the endpoint has ended it and we were not told yet. */
  get ending(): boolean {
    return this.connection === null || this.connection.ending();
  }

  /** Gives a session its next exchange, after it was idle for `rested` ms. */
  attach(sink: AnswerSink, timeouts: PoolTimeouts, rested: number): void {
    this.sink = sink;
    this.#timeouts = timeouts;
    this.#rested = rested;
    this.#phase = Phase.busy;
    this.since = this.#context.wheel.now;
    this.endpoint.enter(this, this.#context.random);
    this.endpoint.count(EndpointCell.reuses);
  }

  /** Sends a request head; the body follows through `outbox`, then `requestSent`. */
  sendHead(bytes: Uint8Array, length: number, method: number, upgradeAsked: boolean): void {
    this.#requestDone = false;
    this.#reader.begin(method, upgradeAsked);
    this.outbox.append(bytes, 0, length);
  }

  /** The request is complete: the endpoint's turn. */
  requestSent(): void {
    this.#requestDone = true;
    this.#watch();
  }

  /** After request bytes were written: while the endpoint does not take them, it is on the clock. */
  watchUpload(): void {
    if (this.outbox.blocked || !this.#requestDone) this.#watch();
  }

  /** Reading goes on: the client caught up. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#watch();
    this.connection?.resume();
  }

  /** Lets go without an answer: the exchange is over or goes elsewhere. Whatever comes now is nobody's. */
  abandon(): void {
    this.sink = null;
    this.#die(true);
  }

  /** Closes an idle session: too old, too many, or its endpoint left. */
  retire(): void {
    this.#die(false);
  }

  /** Hands the connection over to a tunnel. */
  release(): Connection | null {
    const connection = this.connection;
    this.#context.wheel.disarm(this.#timer);
    this.#reader.stop();
    this.#phase = Phase.dead;
    this.sink = null;
    this.connection = null;
    this.endpoint.occupants.leave(this);
    return connection;
  }

  // Occupant

  closeAfter(_ms: number): void {}

  /** The endpoint's drain has no more time for this exchange. */
  cut(): void {
    this.#fail("drain-window-over", "cut at the end of the drain's window");
  }

  // ConnectionHandler

  onOpen(): void {
    const { sink } = this;
    if (sink === null || this.#phase !== Phase.connecting) return;
    this.#phase = Phase.busy;
    this.#context.wheel.disarm(this.#timer);
    this.endpoint.connectSucceeded();
    if (this.preface !== null) this.endpoint.count(EndpointCell.bytesUp, this.preface.bytes.length);
    sink.opened();
    settle();
  }

  onData(bytes: Uint8Array): void {
    if (this.sink === null) {
      // Bytes that nobody asked for: after an answer's announced end, or on an idle connection (wire.md, Answers).
      this.#die(true);
      return;
    }
    this.endpoint.count(EndpointCell.bytesDown, bytes.length);
    if (this.#reader.inBody) this.#arm(this.#timeouts.idle);
    this.#reader.read(bytes);
    settle();
    const { sink } = this;
    if (sink === null || this.#paused || !sink.congested()) return;
    this.#paused = true;
    this.#watch();
    this.connection?.pause();
  }

  onDrain(): void {
    if (!this.outbox.drain()) {
      this.watchUpload();
      return;
    }
    this.#watch();
    this.sink?.drained();
    settle();
  }

  onEnd(): void {
    if (this.#phase === Phase.idle) {
      this.#learnIdle();
      this.#die(false);
    } else if (this.#reader.untilClose) {
      this.#persistent = false;
      this.complete(noTrailers, 0, 0);
      settle();
    } else this.fault(this.#closedFault("closed"), "closed by the endpoint");
  }

  onClose(reason: CloseReason, cause: string): void {
    this.connection = null;
    this.outbox.connection = null;
    if (this.#phase === Phase.idle) {
      this.#learnIdle();
      this.#die(false);
    } else if (this.#phase !== Phase.dead) this.fault(this.#closedFault(reason), cause);
  }

  // AnswerEvents

  bodyBegins(head: AnswerHead): void {
    this.#persistent = head.keepAlive;
    if (head.keepAliveTimeout >= 0) this.endpoint.keepAliveAge.told(head.keepAliveTimeout);
    this.#arm(this.#timeouts.idle);
  }

  complete(trailers: Uint8Array, trailerLength: number, excess: number): void {
    const sink = this.sink as AnswerSink;
    this.sink = null;
    this.exchanges++;
    this.endpoint.occupants.leave(this);
    this.#context.wheel.disarm(this.#timer);
    const most = this.#maxExchanges;
    const reusable =
      this.#persistent &&
      excess === 0 &&
      this.#requestDone &&
      !this.outbox.blocked &&
      (most === 0 || this.exchanges < most);
    if (!reusable || !this.#rest()) this.#die(excess > 0);
    sink.answerEnd(trailers, trailerLength);
  }

  switching(bytes: Uint8Array, head: AnswerHead, from: number, to: number): void {
    this.#context.wheel.disarm(this.#timer);
    this.sink?.switched(bytes, head, from, to);
  }

  fault(code: FaultCode, cause: string): void {
    if (this.#phase === Phase.connecting) {
      this.endpoint.connectFailed(this.#context.clock.wall(), code === "connect-refused");
    } else this.endpoint.tryFailed(code, this.reused);
    this.#fail(code, cause);
  }

  #fail(code: FaultCode, cause: string): void {
    const { sink } = this;
    this.sink = null;
    this.#die(true);
    sink?.failed(code, cause);
    settle();
  }

  /** Becomes idle; false when there are enough idle ones. */
  #rest(): boolean {
    this.#phase = Phase.idle;
    const { preface } = this;
    // Made with settings that hold no more.
    if (this.#tls !== this.endpoint.tls) return false;
    if (preface?.over === true || !this.endpoint.idle.put(this, this.#context.wheel.now)) return false;
    preface?.keep(this);
    return true;
  }

  #closedFault(reason: CloseReason): FaultCode {
    if (this.#phase === Phase.connecting) return connectFaults[reason];
    if (this.#reader.begun) return "answer-truncated";
    const { now } = this.#context.wheel;
    if (this.reused && now - this.since < raceTime) this.endpoint.keepAliveAge.closed(this.#rested, now);
    return reason === "reset" ? "upstream-reset" : "upstream-closed";
  }

  #learnIdle(): void {
    const { now } = this.#context.wheel;
    this.endpoint.keepAliveAge.closed(now - this.idleSince, now);
  }

  #expired(): void {
    const { connect, firstByte, idle } = this.#timeouts;
    if (this.#phase === Phase.connecting) this.fault("connect-timeout", `no connection after ${connect} ms`);
    else if (this.outbox.blocked) this.fault("upload-idle-timeout", `nothing taken for ${idle} ms`);
    else if (this.#reader.inBody) this.fault("answer-idle-timeout", `silent for ${idle} ms`);
    else this.fault("first-byte-timeout", `no answer after ${firstByte} ms`);
  }

  #die(abruptly: boolean): void {
    if (this.#phase === Phase.dead) return;
    if (this.#phase === Phase.idle) {
      this.endpoint.idle.remove(this);
      this.preface?.forget(this);
    }
    this.#phase = Phase.dead;
    this.endpoint.occupants.leave(this);
    this.#reader.stop();
    this.#context.wheel.disarm(this.#timer);
    this.outbox.clear();
    const { connection } = this;
    this.connection = null;
    this.outbox.connection = null;
    if (abruptly) connection?.reset();
    else connection?.close();
  }

  /** Puts the endpoint on the clock for what is its turn now; nothing while somebody else's slowness holds it up. */
  #watch(): void {
    if (this.#phase !== Phase.busy) return;
    const { firstByte, idle } = this.#timeouts;
    if (this.outbox.blocked) this.#arm(idle);
    else if (this.#paused) this.#context.wheel.disarm(this.#timer);
    else if (this.#reader.inBody) this.#arm(idle);
    else if (this.#requestDone) this.#arm(firstByte);
    else this.#context.wheel.disarm(this.#timer);
  }

  #arm(ms: number): void {
    this.#context.wheel.arm(this.#timer, ms);
  }
}
