// One HTTP/1.1 connection to an endpoint: it sends requests, reads answers strictly, and goes back to the endpoint's idle
// connections when an exchange ended exactly where it said it would. It knows nothing of clients and routes.
import {
  type AnswerHead,
  answerLimits,
  ChunkedReader,
  Framing,
  parseAnswerHead,
  violations,
} from "@plimsoll/wire/http1";
import { copyBytes, roundUp } from "../base/bytes.ts";
import type { FaultCode } from "../base/fault.ts";
import type { CloseReason, Connection, ConnectionHandler } from "../net/transport.ts";
import { Timer } from "../net/wheel.ts";
import { EndpointCell } from "../observe/table.ts";
import type { Endpoint } from "../pool/endpoint.ts";
import type { IdleConnection } from "../pool/idle.ts";
import type { PoolTimeouts } from "../pool/plan.ts";
import type { EngineContext } from "./engine-context.ts";
import { Outbox, settle } from "./outbox.ts";

/** Who gets the answer. After `answerEnd`, `switched` or `failed` the session has let go of its sink. */
export interface AnswerSink {
  /** A new connection is open: send the request now. */
  opened(): void;
  informational(bytes: Uint8Array, head: AnswerHead): void;
  answerHead(bytes: Uint8Array, head: AnswerHead): void;
  answerData(bytes: Uint8Array, from: number, to: number): void;
  answerEnd(trailers: Uint8Array, length: number): void;
  /** 101 came, and it was asked for; bytes [from, to) already belong to the new protocol. */
  switched(bytes: Uint8Array, head: AnswerHead, from: number, to: number): void;
  /** The endpoint took what was waiting. */
  drained(): void;
  failed(code: FaultCode, cause: string): void;
  /** Whether reading on would only pile up bytes. */
  congested(): boolean;
}

const Phase = { connecting: 0, head: 1, body: 2, idle: 3, dead: 4 } as const;
const noTrailers = new Uint8Array(0);
/** More informational answers than this before the final one are a loop (RFC 9110 §15.2 sets no number). */
const mostInformational = 16;

export class UpstreamSession implements ConnectionHandler, IdleConnection {
  readonly endpoint: Endpoint;
  readonly outbox = new Outbox();
  readonly timer: Timer;
  connection: Connection | null = null;
  idleSince = 0;
  /** Exchanges that ended on it. */
  exchanges = 0;
  #phase: number = Phase.connecting;
  #sink: AnswerSink | null;
  #timeouts: PoolTimeouts;
  readonly #context: EngineContext;
  readonly #keepAlive: { readonly maxRequests: number };
  #requestMethod = 0;
  #upgradeAsked = false;
  #requestDone = false;
  #informational = 0;
  #answerBytes = false;
  #framing = 0;
  #remaining = 0;
  #reusable = false;
  #chunked: ChunkedReader | null = null;
  #held: Uint8Array | null = null;
  #heldTo = 0;
  #paused = false;

  /** Begins to connect. `sink.opened` or `sink.failed` follows, never before this returns. */
  constructor(
    context: EngineContext,
    endpoint: Endpoint,
    keepAlive: { readonly maxRequests: number },
    timeouts: PoolTimeouts,
    sink: AnswerSink,
  ) {
    this.#context = context;
    this.endpoint = endpoint;
    this.#keepAlive = keepAlive;
    this.#timeouts = timeouts;
    this.#sink = sink;
    this.timer = new Timer(() => this.#expired());
    endpoint.count(EndpointCell.connects);
    this.connection = context.transport.connect(endpoint.address, this);
    this.outbox.connection = this.connection;
    context.wheel.arm(this.timer, timeouts.connect);
  }

  /** Whether it carried an exchange before: a death before any answer byte is then likely the keep-alive race. */
  get reused(): boolean {
    return this.exchanges > 0;
  }

  /** Whether any byte of the current answer came. */
  get answering(): boolean {
    return this.#answerBytes;
  }

  /** Gives an idle session its next exchange. */
  attach(sink: AnswerSink, timeouts: PoolTimeouts): void {
    this.#sink = sink;
    this.#timeouts = timeouts;
    this.#phase = Phase.head;
    this.endpoint.count(EndpointCell.reuses);
  }

  /** Sends a request head; the body follows through `outbox`, then `requestSent`. */
  sendHead(bytes: Uint8Array, length: number, method: number, upgradeAsked: boolean): void {
    this.#requestMethod = method;
    this.#upgradeAsked = upgradeAsked;
    this.#requestDone = false;
    this.#informational = 0;
    this.#answerBytes = false;
    this.outbox.append(bytes, 0, length);
  }

  /** The request is complete: the endpoint's turn. */
  requestSent(): void {
    this.#requestDone = true;
    if (this.#phase === Phase.head) this.#context.wheel.arm(this.timer, this.#timeouts.firstByte);
  }

  /** After request bytes were written: while the endpoint does not take them, it is on the clock. */
  watchUpload(): void {
    if (this.outbox.blocked) this.#context.wheel.arm(this.timer, this.#timeouts.idle);
    else if (!this.#requestDone && this.#phase === Phase.head) this.#context.wheel.disarm(this.timer);
  }

  /** Reading goes on: the client caught up. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#phase === Phase.body) this.#context.wheel.arm(this.timer, this.#timeouts.idle);
    this.connection?.resume();
  }

  /** Lets go without an answer: the exchange is over or goes elsewhere. Whatever comes now is nobody's. */
  abandon(): void {
    this.#sink = null;
    this.#die(true);
  }

  /** Closes an idle session: too old, too many, or its endpoint left. */
  retire(): void {
    this.#die(false);
  }

  /** Hands the connection over to a tunnel. */
  release(): Connection | null {
    const connection = this.connection;
    this.#context.wheel.disarm(this.timer);
    this.#phase = Phase.dead;
    this.#sink = null;
    this.#held = null;
    this.connection = null;
    return connection;
  }

  onOpen(): void {
    const sink = this.#sink;
    if (sink === null || this.#phase !== Phase.connecting) return;
    this.#phase = Phase.head;
    this.#context.wheel.disarm(this.timer);
    this.endpoint.connectSucceeded();
    sink.opened();
    settle();
  }

  onData(bytes: Uint8Array): void {
    if (this.#sink === null) {
      // Bytes that nobody asked for: after an answer's announced end, or on an idle connection (wire.md, Answers).
      this.#die(true);
      return;
    }
    this.endpoint.count(EndpointCell.bytesDown, bytes.length);
    this.#answerBytes = true;
    if (this.#held !== null) {
      this.#hold(bytes, 0, bytes.length);
      const held = this.#held as Uint8Array;
      const to = this.#heldTo;
      this.#held = null;
      this.#read(held, 0, to);
    } else this.#read(bytes, 0, bytes.length);
    settle();
    const sink = this.#sink;
    if (sink !== null && !this.#paused && sink.congested()) {
      this.#paused = true;
      this.#context.wheel.disarm(this.timer);
      this.connection?.pause();
    }
  }

  onDrain(): void {
    if (!this.outbox.drain()) {
      this.watchUpload();
      return;
    }
    if (this.#requestDone) this.requestSent();
    this.#sink?.drained();
    settle();
  }

  onEnd(): void {
    if (this.#phase === Phase.idle) {
      this.#learnIdle();
      this.#die(false);
    } else if (this.#phase === Phase.body && this.#framing === Framing.untilClose) {
      this.#reusable = false;
      this.#complete(noTrailers, 0, 0);
      settle();
    } else this.#fail(this.#closedFault("closed"), "closed by the endpoint");
  }

  onClose(reason: CloseReason, cause: string): void {
    this.connection = null;
    this.outbox.connection = null;
    if (this.#phase === Phase.idle) this.#die(false);
    else if (this.#phase !== Phase.dead) this.#fail(this.#closedFault(reason), cause);
  }

  #read(bytes: Uint8Array, from: number, to: number): void {
    let at = from;
    while (this.#sink !== null) {
      if (this.#phase === Phase.head) {
        const head = this.#context.answerHead;
        const next = parseAnswerHead(bytes, at, to, answerLimits, head, this.#requestMethod);
        if (next === 0) {
          if (at < to) this.#hold(bytes, at, to);
          return;
        }
        if (next < 0) {
          const violation = violations[-next];
          this.#fail((violation?.fault ?? "answer-malformed") as FaultCode, violation?.text ?? "");
          return;
        }
        at = next;
        if (head.status < 200) {
          if (head.status === 101) {
            this.#switch(bytes, head, at, to);
            return;
          }
          if (++this.#informational > mostInformational) {
            this.#fail("answer-malformed", "too many informational answers");
            return;
          }
          this.#sink.informational(bytes, head);
          if (at === to) return;
          continue;
        }
        this.#beginBody(head);
        this.#sink.answerHead(bytes, head);
        if (this.#sink === null) return;
        if (this.#framing === Framing.none || (this.#framing === Framing.length && this.#remaining === 0)) {
          this.#complete(noTrailers, 0, to - at);
          return;
        }
        if (at === to) return;
      }
      if (this.#phase !== Phase.body) return;
      if (this.#framing === Framing.length) {
        const end = Math.min(to, at + this.#remaining);
        this.#remaining -= end - at;
        this.#sink.answerData(bytes, at, end);
        if (this.#remaining === 0) this.#complete(noTrailers, 0, to - end);
        return;
      }
      if (this.#framing === Framing.untilClose) {
        this.#sink.answerData(bytes, at, to);
        return;
      }
      at = this.#readChunked(bytes, at, to);
      if (at === to) return;
    }
  }

  #readChunked(bytes: Uint8Array, from: number, to: number): number {
    const reader = this.#chunked as ChunkedReader;
    let at = from;
    while (at < to) {
      at = reader.step(bytes, at, to);
      if (reader.violation !== 0) {
        this.#fail("answer-truncated", violations[reader.violation]?.text ?? "badly chunked");
        return to;
      }
      if (reader.dataEnd > reader.dataStart) this.#sink?.answerData(bytes, reader.dataStart, reader.dataEnd);
      if (this.#sink === null) return to;
      if (reader.done) {
        this.#complete(reader.trailers, reader.trailerLength, to - at);
        return to;
      }
    }
    return to;
  }

  #beginBody(head: AnswerHead): void {
    this.#phase = Phase.body;
    this.#framing = head.framing;
    this.#remaining = head.contentLength;
    this.#reusable = head.keepAlive && head.framing !== Framing.untilClose;
    if (head.keepAliveTimeout >= 0) {
      // One second less than it says: the connection must be ours when the request arrives there.
      this.endpoint.learnedIdle = Math.max(0, head.keepAliveTimeout * 1000 - 1000);
    }
    if (head.framing === Framing.chunked) {
      this.#chunked ??= new ChunkedReader();
      this.#chunked.reset();
    }
    this.#context.wheel.arm(this.timer, this.#timeouts.idle);
  }

  #complete(trailers: Uint8Array, trailerLength: number, excess: number): void {
    const sink = this.#sink as AnswerSink;
    this.#sink = null;
    this.exchanges++;
    const most = this.#keepAlive.maxRequests;
    this.#context.wheel.disarm(this.timer);
    if (
      this.#reusable &&
      excess === 0 &&
      this.#requestDone &&
      !this.outbox.blocked &&
      !this.#paused &&
      (most === 0 || this.exchanges < most) &&
      this.#rest()
    ) {
      sink.answerEnd(trailers, trailerLength);
      return;
    }
    this.#die(excess > 0);
    sink.answerEnd(trailers, trailerLength);
  }

  /** Becomes idle; false when there are enough idle ones. */
  #rest(): boolean {
    this.#phase = Phase.idle;
    return this.endpoint.idle.put(this, this.#context.wheel.now);
  }

  #switch(bytes: Uint8Array, head: AnswerHead, from: number, to: number): void {
    if (!this.#upgradeAsked || !head.upgrade) {
      this.#fail("answer-upgrade-unasked", "status 101");
      return;
    }
    const sink = this.#sink as AnswerSink;
    this.#context.wheel.disarm(this.timer);
    sink.switched(bytes, head, from, to);
  }

  #closedFault(reason: CloseReason): FaultCode {
    if (this.#phase === Phase.connecting) return reason === "refused" ? "connect-refused" : "connect-failed";
    if (this.#phase === Phase.body) return "answer-truncated";
    if (this.#held !== null || this.#answerBytes) return "answer-truncated";
    return reason === "reset" ? "upstream-reset" : "upstream-closed";
  }

  #learnIdle(): void {
    const age = this.#context.wheel.now - this.idleSince;
    // A restart closes idle connections of any age; only what looks like a setting teaches anything.
    if (age < 1000) return;
    const learned = this.endpoint.learnedIdle;
    if (learned < 0 || age - 1000 < learned) this.endpoint.learnedIdle = Math.max(0, age - 1000);
  }

  #expired(): void {
    if (this.#phase === Phase.connecting) this.#fail("connect-timeout", `no connection after ${this.#timeouts.connect} ms`);
    else if (this.outbox.blocked) this.#fail("upload-idle-timeout", `nothing taken for ${this.#timeouts.idle} ms`);
    else if (this.#phase === Phase.head) this.#fail("first-byte-timeout", `no answer after ${this.#timeouts.firstByte} ms`);
    else if (this.#phase === Phase.body) this.#fail("answer-idle-timeout", `silent for ${this.#timeouts.idle} ms`);
    settle();
  }

  #fail(code: FaultCode, cause: string): void {
    if (this.#phase === Phase.connecting) this.endpoint.connectFailed(this.#context.clock.wall(), code === "connect-refused");
    const sink = this.#sink;
    this.#sink = null;
    this.#die(true);
    sink?.failed(code, cause);
    settle();
  }

  #die(abruptly: boolean): void {
    if (this.#phase === Phase.dead) return;
    if (this.#phase === Phase.idle) this.endpoint.idle.remove(this);
    this.#phase = Phase.dead;
    this.#held = null;
    this.#context.wheel.disarm(this.timer);
    this.outbox.clear();
    const connection = this.connection;
    this.connection = null;
    this.outbox.connection = null;
    if (connection === null) return;
    if (abruptly) connection.reset();
    else connection.close();
  }

  #hold(bytes: Uint8Array, from: number, to: number): void {
    const held = this.#held;
    const length = to - from;
    if (held === null) {
      const kept = Buffer.allocUnsafeSlow(roundUp(length));
      copyBytes(kept, 0, bytes, from, to);
      this.#held = kept;
      this.#heldTo = length;
      return;
    }
    if (this.#heldTo + length > held.length) {
      const grown = Buffer.allocUnsafeSlow(roundUp(this.#heldTo + length));
      copyBytes(grown, 0, held, 0, this.#heldTo);
      this.#held = grown;
    }
    this.#heldTo = copyBytes(this.#held as Uint8Array, this.#heldTo, bytes, from, to);
  }
}
