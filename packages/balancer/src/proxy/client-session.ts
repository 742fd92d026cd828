// One HTTP/1.1 client connection: reads requests strictly one after the other (RFC 9112 §9.3.2: answers leave in the order
// of the requests), hands each to its exchange, frames the answer, and closes so that the client can tell a whole answer
// from a cut one.
import {
  type AnswerHead,
  ChunkedReader,
  Framing,
  mayComplete,
  Method,
  parseRequestHead,
  violations,
  writeChunkHead,
} from "@plimsoll/wire/http1";
import { copyBytes, latin1, roundUp } from "../base/bytes.ts";
import type { FaultCode } from "../base/fault.ts";
import type { CloseReason, Connection, ConnectionHandler } from "../net/transport.ts";
import { Timer } from "../net/wheel.ts";
import { ListenerCell } from "../observe/table.ts";
import { BodyFraming, Persistence, writeAnswerHead } from "./answer-head.ts";
import type { ClientSide } from "./client-side.ts";
import type { EngineContext } from "./engine-context.ts";
import { Exchange } from "./exchange.ts";
import { dateLine } from "./http-date.ts";
import type { ListenerState } from "./listener-state.ts";
import { Outbox, settle } from "./outbox.ts";
import { type OwnAnswer, reasonPhrase } from "./own-answer.ts";
import type { HeaderEdits } from "./steps/header-edits.ts";
import { Tunnel } from "./tunnel.ts";
import type { UpstreamSession } from "./upstream-session.ts";

/** What is read next. */
const Phase = {
  /** A request head. */
  head: 0,
  /** The request's body. */
  body: 1,
  /** Nothing: the answer is awaited; more bytes are the next request's and wait. */
  answer: 2,
  /** Nothing any more: the last bytes of the last answer are on their way. */
  closing: 3,
  tunnel: 4,
  dead: 5,
} as const;

/** Bytes of later requests that may wait here before reading stops. */
const mostAhead = 64 * 1024;

const crlf = latin1("\r\n");
const lastChunk = latin1("0\r\n\r\n");
const lastChunkHead = latin1("0\r\n");
const closeLine = "Connection: close\r\n";
const keepAliveLine = "Connection: keep-alive\r\n";

export class ClientSession implements ConnectionHandler, ClientSide {
  /** Links of the listener's list. */
  next: ClientSession | null = null;
  previous: ClientSession | null = null;
  readonly outbox = new Outbox();
  readonly exchange: Exchange;
  readonly #context: EngineContext;
  readonly #state: ListenerState;
  readonly #connection: Connection;
  readonly #timer: Timer;
  #phase: number = Phase.head;
  #requests = 0;
  #held: Uint8Array | null = null;
  #heldTo = 0;
  #paused = false;
  /** Inside `#read`: whoever completes an answer then leaves the next request to its loop. */
  #reading = false;
  #closeAfter = false;
  #peerEnded = false;
  #unacknowledged = -1;
  // The request.
  #minor = 1;
  #method = 0;
  #framing = 0;
  #remaining = 0;
  #bodyLimit = 0;
  #keepAlive = true;
  #chunked: ChunkedReader | null = null;
  #passTrailers = false;
  // The answer.
  #answerFraming = 0;
  #tunnel: Tunnel | null = null;

  constructor(context: EngineContext, state: ListenerState, connection: Connection, scheme: "http" | "https") {
    this.#context = context;
    this.#state = state;
    this.#connection = connection;
    this.outbox.connection = connection;
    this.exchange = new Exchange(context, this, state, {
      address: connection.remoteAddress,
      scheme,
      ownHost: context.name,
    });
    this.#timer = new Timer(() => this.#expired());
    state.add(this);
    this.#arm(state.current.plan.timeouts.headers);
  }

  /** Whether no request is under way: such a connection can be closed at any time. */
  get idle(): boolean {
    return this.#phase === Phase.head && this.#held === null;
  }

  /** No further request on this connection; an idle one closes now. */
  wind(): void {
    if (this.#phase === Phase.tunnel) return;
    this.#closeAfter = true;
    if (this.idle) this.#close();
  }

  /** Closes whatever is under way. */
  cut(): void {
    if (this.#phase === Phase.dead) return;
    if (this.#tunnel !== null) {
      this.#tunnel.end("");
      return;
    }
    this.exchange.clientGone("draining", "cut at the end of the window");
    this.outbox.clear();
    this.#connection.reset();
    this.#die();
  }

  // ConnectionHandler

  onOpen(): void {}

  onData(bytes: Uint8Array): void {
    this.#context.cells[this.#state.cells + ListenerCell.bytesIn]! += bytes.length;
    const length = bytes.length;
    if (this.#phase === Phase.closing) return;
    if (this.#held === null) {
      this.#read(bytes, 0, length);
    } else {
      const ready = this.#phase !== Phase.head || mayComplete(bytes, 0, length);
      this.#hold(bytes, 0, length);
      if (this.#phase === Phase.answer) {
        if (this.#heldTo > mostAhead) this.#pause();
      } else if (ready || this.#heldTo > this.#state.current.limits.headBytes) this.#readHeld();
    }
    settle();
    this.#count();
  }

  onDrain(): void {
    if (!this.outbox.drain()) {
      this.#watchRead();
      return;
    }
    this.#count();
    if (this.#phase === Phase.closing) {
      this.#close();
      return;
    }
    if (this.exchange.active) {
      this.#disarmRead();
      this.exchange.clientDrained();
    } else {
      this.#readHeld();
      this.#resume();
    }
    settle();
  }

  onEnd(): void {
    this.#peerEnded = true;
    if (this.#phase === Phase.head && !this.outbox.blocked) {
      this.#connection.close();
      this.#die();
    } else if (this.#phase === Phase.body) {
      this.exchange.clientGone("client-gone", "closed within its request body");
      this.#connection.reset();
      this.#die();
    } else {
      // Half closed: it may still read its answer (HAProxy takes it so too); then the connection ends.
      this.#closeAfter = true;
    }
  }

  onClose(reason: CloseReason, cause: string): void {
    if (this.#phase === Phase.dead) return;
    this.exchange.clientGone("client-gone", reason === "reset" ? `reset: ${cause}` : "closed");
    this.#die();
  }

  // ClientSide

  informational(bytes: Uint8Array, head: AnswerHead): void {
    if (this.#minor === 0) return; // RFC 9110 §15.2: never to an HTTP/1.0 client
    writeAnswerHead(bytes, head, this.outbox, BodyFraming.none, -1, Persistence.silent, null);
    this.outbox.flush();
  }

  answerHead(bytes: Uint8Array, head: AnswerHead, edits: HeaderEdits | null): void {
    let framing: number;
    let length = -1;
    const { status } = head;
    if (this.#method === Method.head || status === 204 || status === 304) {
      framing = BodyFraming.none;
      // The length of what a GET would have got (RFC 9110 §8.6); 204 must have none.
      if (status !== 204) length = head.contentLength;
    } else if (head.framing === Framing.length) {
      framing = BodyFraming.length;
      length = head.contentLength;
    } else if (this.#minor === 1) framing = BodyFraming.chunked;
    else {
      framing = BodyFraming.untilClose;
      this.#closeAfter = true;
    }
    this.#answerFraming = framing;
    writeAnswerHead(bytes, head, this.outbox, framing, length, this.#persistence(), edits);
  }

  answerData(bytes: Uint8Array, from: number, to: number): void {
    const { outbox } = this;
    if (this.#answerFraming === BodyFraming.none) return;
    if (this.#answerFraming !== BodyFraming.chunked) {
      outbox.append(bytes, from, to);
      return;
    }
    const at = outbox.reserve(18);
    outbox.wrote(writeChunkHead(Outbox.scratch, at, to - from));
    outbox.append(bytes, from, to);
    outbox.append(crlf, 0, 2);
  }

  answerEnd(trailers: Uint8Array, length: number): void {
    if (this.#answerFraming === BodyFraming.chunked) {
      if (length > 0 && this.#passTrailers) {
        this.outbox.append(lastChunkHead, 0, lastChunkHead.length);
        this.outbox.append(trailers, 0, length);
        this.outbox.append(crlf, 0, 2);
      } else this.outbox.append(lastChunk, 0, lastChunk.length);
    }
    this.#answered();
  }

  ownAnswer(answer: OwnAnswer, close: boolean): void {
    if (close) this.#closeAfter = true;
    const { status, lines, body } = answer;
    const bodiless = status === 204 || status === 304;
    const persistence = this.#persistence();
    const head = latin1(
      `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n` +
        (bodiless ? "" : `Content-Length: ${body.length}\r\n`) +
        (persistence === Persistence.close ? closeLine : persistence === Persistence.keepAlive ? keepAliveLine : ""),
    );
    const { outbox } = this;
    outbox.append(head, 0, head.length);
    outbox.append(dateLine, 0, dateLine.length);
    outbox.append(lines, 0, lines.length);
    outbox.append(crlf, 0, 2);
    if (!bodiless && this.#method !== Method.head) outbox.append(body, 0, body.length);
    this.#answered();
  }

  requestWanted(): void {
    if (this.#phase !== Phase.body) return;
    this.#readHeld();
    if (this.#phase === Phase.body && !this.exchange.wantsBody) return;
    this.#resume();
  }

  tunnel(bytes: Uint8Array, head: AnswerHead, from: number, to: number, upstream: UpstreamSession): void {
    const { outbox } = this;
    writeAnswerHead(bytes, head, outbox, BodyFraming.none, -1, Persistence.upgrade, null);
    const connection = upstream.release();
    if (connection === null) return;
    this.#context.wheel.disarm(this.#timer);
    this.#phase = Phase.tunnel;
    const tunnel = new Tunnel(
      this.#context.wheel,
      this.exchange.tunnelIdle,
      { connection: this.#connection, outbox },
      { connection, outbox: upstream.outbox },
      (fault, up, down) => {
        this.exchange.tunnelEnded(fault, up, down);
        this.#die();
      },
    );
    this.#tunnel = tunnel;
    if (from < to) tunnel.upstream.pass(bytes, from, to);
    const held = this.#held;
    if (held !== null) {
      this.#held = null;
      tunnel.client.pass(held, 0, this.#heldTo);
    }
    settle();
    if (this.#paused) this.#connection.resume();
    if (this.#peerEnded) tunnel.client.onEnd();
  }

  congested(): boolean {
    this.outbox.flush();
    if (!this.outbox.blocked) return false;
    this.#watchRead();
    return true;
  }

  // Reading

  #read(bytes: Uint8Array, from: number, to: number): void {
    let at = from;
    this.#reading = true;
    while (at < to) {
      if (this.#phase === Phase.head) {
        if (this.outbox.blocked) break;
        const next = this.#readHead(bytes, at, to);
        if (next === 0) break;
        at = next;
      } else if (this.#phase === Phase.body) {
        if (!this.exchange.wantsBody) break;
        at = this.#readBody(bytes, at, to);
      } else break;
    }
    this.#reading = false;
    if (this.#phase === Phase.body) this.exchange.requestFlush();
    if (at >= to || this.#phase >= Phase.closing) return;
    this.#hold(bytes, at, to);
    if (this.#phase === Phase.body || this.outbox.blocked || this.#heldTo > mostAhead) this.#pause();
  }

  #readHeld(): void {
    const held = this.#held;
    if (held === null || this.#reading) return;
    const to = this.#heldTo;
    this.#held = null;
    this.#read(held, 0, to);
  }

  /** Returns the position after the head, or 0 when it is incomplete or was refused. */
  #readHead(bytes: Uint8Array, from: number, to: number): number {
    const head = this.#context.requestHead;
    const { limits, plan } = this.#state.current;
    const next = parseRequestHead(bytes, from, to, limits, head, plan.underscores);
    if (next === 0) {
      // The clock of the head starts with its first byte, not with each.
      if (this.#held === null && this.#requests > 0) this.#arm(plan.timeouts.headers);
      return 0;
    }
    this.#requests++;
    if (next < 0) {
      this.#refuse(-next);
      return 0;
    }
    this.#minor = head.minor;
    this.#method = head.method;
    this.#framing = head.framing;
    this.#keepAlive = head.keepAlive && this.#requests < plan.limits.requestsPerConnection;
    this.#passTrailers = head.acceptsTrailers && head.minor === 1;
    if (head.framing === Framing.none || (head.framing === Framing.length && head.contentLength === 0)) {
      this.#phase = Phase.answer;
      this.#context.wheel.disarm(this.#timer);
    } else {
      this.#phase = Phase.body;
      this.#remaining = head.contentLength;
      if (head.framing === Framing.chunked) {
        this.#chunked ??= new ChunkedReader();
        this.#chunked.reset();
      }
      this.#arm(plan.timeouts.body);
    }
    this.exchange.begin(bytes, head);
    this.#bodyLimit = this.exchange.route?.maxBodyBytes ?? 0;
    return next;
  }

  #readBody(bytes: Uint8Array, from: number, to: number): number {
    const { exchange } = this;
    this.#arm(this.#state.current.plan.timeouts.body);
    if (this.#framing === Framing.length) {
      const end = Math.min(to, from + this.#remaining);
      this.#remaining -= end - from;
      exchange.bytesIn += end - from;
      exchange.requestData(bytes, from, end);
      if (this.#remaining === 0) this.#bodyRead();
      return end;
    }
    const reader = this.#chunked as ChunkedReader;
    const at = reader.step(bytes, from, to);
    if (reader.violation !== 0) {
      exchange.refuse("request-body-malformed", violations[reader.violation]?.text ?? "");
      return at;
    }
    const { dataStart, dataEnd } = reader;
    if (dataEnd > dataStart) {
      exchange.bytesIn += dataEnd - dataStart;
      if (this.#bodyLimit > 0 && exchange.bytesIn > this.#bodyLimit) {
        exchange.refuse("request-body-too-large", `more than ${this.#bodyLimit} bytes`);
        return at;
      }
      const length = writeChunkHead(chunkHead, 0, dataEnd - dataStart);
      exchange.requestData(chunkHead, 0, length);
      exchange.requestData(bytes, dataStart, dataEnd);
      exchange.requestData(crlf, 0, 2);
    }
    if (reader.done) {
      // Trailers end here: an endpoint cannot say that it wants them (wire.md, Requests).
      exchange.requestData(lastChunk, 0, lastChunk.length);
      this.#bodyRead();
    }
    return at;
  }

  #bodyRead(): void {
    this.#phase = Phase.answer;
    this.#context.wheel.disarm(this.#timer);
    this.exchange.requestEnd();
  }

  #refuse(violation: number): void {
    const found = violations[violation];
    this.#method = Method.other;
    this.#phase = Phase.answer;
    this.#closeAfter = true;
    this.#minor = 1;
    this.exchange.refuseUnread((found?.fault ?? "request-malformed") as FaultCode, found?.text ?? "");
  }

  // Answering

  #persistence(): number {
    if (this.#closeAfter || !this.#keepAlive || this.#state.closing || this.#peerEnded) {
      this.#closeAfter = true;
      return Persistence.close;
    }
    return this.#minor === 0 ? Persistence.keepAlive : Persistence.silent;
  }

  /** The answer is complete: on to the next request, or to the end. */
  #answered(): void {
    this.#unacknowledged = -1;
    if (this.#closeAfter || this.#phase === Phase.body) {
      this.#close();
      return;
    }
    this.#phase = Phase.head;
    if (this.#held === null) this.#arm(this.#state.current.plan.timeouts.idle);
    else this.#arm(this.#state.current.plan.timeouts.headers);
    if (this.#reading || this.outbox.blocked) return;
    this.#readHeld();
    if (this.#phase === Phase.head) this.#resume();
  }

  /** Ends the connection in order: everything out first. The transport reads on for a while (RFC 9112 §9.6). */
  #close(): void {
    this.outbox.flush();
    this.#held = null;
    if (this.outbox.blocked) {
      this.#phase = Phase.closing;
      this.#resume();
      this.#watchRead();
      return;
    }
    this.#count();
    this.#connection.close();
    this.#die();
  }

  #die(): void {
    if (this.#phase === Phase.dead) return;
    this.#phase = Phase.dead;
    this.#held = null;
    this.outbox.clear();
    this.#context.wheel.disarm(this.#timer);
    this.#state.remove(this);
    this.#context.cells[this.#state.cells + ListenerCell.open]!--;
  }

  // Time and flow

  #expired(): void {
    if (this.outbox.blocked) {
      this.#readStalled();
      return;
    }
    switch (this.#phase) {
      case Phase.head:
        if (this.#held === null) {
          // Nothing was asked: an idle connection ends without a word.
          this.#connection.close();
          this.#die();
          return;
        }
        this.#requests++;
        this.#phase = Phase.answer;
        this.#closeAfter = true;
        this.#minor = 1;
        this.exchange.refuseUnread("request-head-timeout", "");
        break;
      case Phase.body:
        this.exchange.refuse("request-body-timeout", "");
        break;
    }
    settle();
  }

  /**
   * The client took nothing for a whole interval as far as we see. The kernel may have megabytes of its own to send before
   * it asks for more, so a client at 1 KB/s looks idle for minutes: what counts is whether its queue got shorter.
   */
  #readStalled(): void {
    const waiting = this.#connection.unsent();
    if (waiting >= 0 && waiting !== this.#unacknowledged) {
      this.#unacknowledged = waiting;
      this.#arm(this.#state.current.plan.timeouts.body);
      return;
    }
    this.exchange.clientGone("client-read-timeout", "");
    this.outbox.clear();
    this.#connection.reset();
    this.#die();
  }

  #watchRead(): void {
    if (this.#phase !== Phase.body) this.#arm(this.#state.current.plan.timeouts.body);
  }

  #disarmRead(): void {
    if (this.#phase === Phase.answer) this.#context.wheel.disarm(this.#timer);
  }

  #arm(ms: number): void {
    this.#context.wheel.arm(this.#timer, ms);
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    // A body that waits for a slow endpoint is not the client's fault.
    if (this.#phase === Phase.body) this.#context.wheel.disarm(this.#timer);
    this.#connection.pause();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#phase === Phase.body) this.#arm(this.#state.current.plan.timeouts.body);
    this.#connection.resume();
  }

  #count(): void {
    const { written } = this.outbox;
    if (written === 0) return;
    this.outbox.written = 0;
    this.#context.cells[this.#state.cells + ListenerCell.bytesOut]! += written;
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

const chunkHead = new Uint8Array(32);
