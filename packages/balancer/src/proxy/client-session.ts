// One HTTP/1.1 client connection: reads requests strictly one after the other (RFC 9112 §9.3.2: answers leave in the order
// of the requests), hands each to its exchange, and closes so that the client can tell a whole answer from a cut one.
import { type AnswerHead, mayComplete, Method, parseRequestHead, violations } from "@plimsoll/wire/http1";
import { spells } from "../base/bytes.ts";
import type { FaultCode } from "../base/fault.ts";
import type { CloseReason, Connection, ConnectionHandler } from "../net/transport.ts";
import { Timer } from "../net/wheel.ts";
import { EndpointCell, ListenerCell } from "../observe/table.ts";
import { AnswerWriter } from "./answer-writer.ts";
import { certificateLines } from "./client-certificate.ts";
import type { ClientSide } from "./client-side.ts";
import type { EngineContext } from "./engine-context.ts";
import { Exchange } from "./exchange.ts";
import { HeldBytes } from "./held-bytes.ts";
import type { ListedSession, ListenerState } from "./listener-state.ts";
import { Outbox, settle } from "./outbox.ts";
import type { OwnAnswer } from "./own-answer.ts";
import { Prefaces } from "./preface.ts";
import { RequestBody } from "./request-body.ts";
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

/**
 * A connection that was used this lately, ms, is about to be used again: it is not closed under the request that is on its
 * way, but told with the answer.
 */
const hot = 1_000;

/** Answers up to this, bytes, lie in the client's own buffers when they were written, if it takes anything at all. */
const mostUnseen = 64 * 1024;

/** A timer that fires is at most this late or early, ms. */
const aboutNow = 50;

/** Bytes of later requests that may wait here before reading stops. */
const mostAhead = 64 * 1024;

/** The speed of a request's body is judged over at least this long, ms. */
const pacedOver = 30_000;

export class ClientSession implements ConnectionHandler, ClientSide, ListedSession {
  /** Links of the listener's list. */
  next: ListedSession | null = null;
  previous: ListedSession | null = null;
  readonly outbox: Outbox;
  readonly exchange: Exchange;
  readonly prefaces: Prefaces;
  readonly #context: EngineContext;
  readonly #state: ListenerState;
  readonly #connection: Connection;
  readonly #timer: Timer;
  readonly #body = new RequestBody();
  readonly #writer: AnswerWriter;
  readonly #held = new HeldBytes();
  #phase: number = Phase.head;
  #requests = 0;
  #paused = false;
  /** A head began to arrive. */
  #partial = false;
  /** Inside `#read`: whoever completes an answer then leaves the next request to its loop. */
  #reading = false;
  #keepAlive = true;
  /** The client said that the request it sends now is its last. */
  #saidLast = false;
  #closeAfter = false;
  /** Since when no request is under way, clock ms. */
  #idleSince: number;
  #peerEnded = false;
  /** What the kernel had not got rid of when the client was last looked at; -1 = not looked. */
  #unsent = -1;
  #tunnel: Tunnel | null = null;

  constructor(context: EngineContext, state: ListenerState, connection: Connection, scheme: "http" | "https") {
    this.#context = context;
    this.#state = state;
    this.#connection = connection;
    this.outbox = new Outbox(context.cells, state.cells + ListenerCell.bytesOut);
    this.outbox.connection = connection;
    this.#writer = new AnswerWriter(this.outbox);
    this.prefaces = new Prefaces(connection);
    const port = connection.proxied?.family === "ip" ? connection.localPort : 0;
    const { remoteAddress: address, tls } = connection;
    this.exchange = new Exchange(context, this, state, {
      address,
      scheme,
      port,
      tls,
      certificate: certificateLines(tls),
    });
    this.#timer = new Timer(() => this.#expired());
    state.add(this);
    this.#idleSince = context.wheel.now;
    this.#arm(state.current.plan.timeouts.headers);
  }

  /** Whether no request is under way: such a connection can be closed at any time. */
  get idle(): boolean {
    return this.#phase === Phase.head && this.#held.empty;
  }

  /** What became of it after an Upgrade; null for a connection that carries requests. */
  get passage(): Tunnel | null {
    return this.#tunnel;
  }

  /**
   * At most one more request on this connection; an idle one closes now, or when none has come for a moment. That a connection
   * ends after an answer clients expect (RFC 9112 §9.3.1), but few send their very first request again when it is not answered:
   * where there is time, one that was asked nothing yet keeps its clock.
   */
  wind(patient: boolean): void {
    if (this.#phase === Phase.tunnel) return;
    this.#closeAfter = true;
    if (!this.idle || (patient && this.#requests === 0)) return;
    const rested = this.#context.wheel.now - this.#idleSince;
    if (rested >= hot) this.#close();
    else this.#arm(hot - rested);
  }

  /** Destroys the connection: whatever was under way is seen to be incomplete. */
  cut(): void {
    if (this.#phase === Phase.dead) return;
    if (this.#tunnel !== null) {
      this.#tunnel.cutFor("draining");
      return;
    }
    this.exchange.clientGone("draining", "cut at the end of the window");
    this.outbox.clear();
    this.#connection.reset();
    this.#die();
  }

  /** Says why nothing of this connection is read, and closes it. Instead of a request. */
  refuse(code: FaultCode, cause: string): void {
    this.#refuseUnread(code, cause);
    settle();
  }

  // ConnectionHandler

  onOpen(): void {}

  onData(bytes: Uint8Array): void {
    const { length } = bytes;
    this.#context.cells[this.#state.cells + ListenerCell.bytesIn]! += length;
    if (this.#phase === Phase.closing) return;
    if (this.#held.empty) this.#read(bytes, 0, length, false);
    else {
      const whole = this.#phase !== Phase.head || mayComplete(bytes, 0, length);
      this.#held.add(bytes, 0, length);
      if (this.#phase === Phase.answer) {
        if (this.#held.length > mostAhead) this.#pause();
      } else if (whole || this.#held.length >= this.#state.current.limits.headBytes) this.#readHeld();
    }
    settle();
  }

  onDrain(): void {
    // What went out now is in the kernel's queue, too: it is looked at anew.
    this.#unsent = -1;
    if (!this.outbox.drain()) {
      this.#watchReader();
      return;
    }
    if (this.#phase === Phase.closing) {
      this.#close();
      return;
    }
    if (this.exchange.active) {
      if (this.#phase === Phase.answer) this.#context.wheel.disarm(this.#timer);
      this.exchange.clientDrained();
      if (this.#peerEnded) this.#nothingMoreComes();
    } else {
      // Until now it had enough to do.
      this.#idleSince = this.#context.wheel.now;
      this.#awaitHead();
      this.#readHeld();
      this.#awaitNext();
    }
    settle();
  }

  onEnd(): void {
    this.#peerEnded = true;
    if (this.#phase === Phase.head) this.#awaitNext();
    else this.#nothingMoreComes();
  }

  onClose(reason: CloseReason, cause: string): void {
    if (this.#phase === Phase.dead) return;
    this.exchange.clientGone("client-gone", reason === "reset" ? `reset: ${cause}` : "closed");
    this.#die();
  }

  // ClientSide

  informational(bytes: Uint8Array, head: AnswerHead): void {
    this.#writer.informational(bytes, head);
  }

  answerHead(bytes: Uint8Array, head: AnswerHead, edits: HeaderEdits | null, own: Uint8Array | null): void {
    // An answer before the whole request (a 413, a refusal instead of 100): the rest of the body may never come, and a
    // client that is not told would send its next request into it (RFC 9110 §10.1.1).
    if (this.#phase === Phase.body || this.#writer.needsClose(head)) this.#closeAfter = true;
    this.#writer.head(bytes, head, this.#lastAnswer(), edits, own);
  }

  answerData(bytes: Uint8Array, from: number, to: number): void {
    this.#writer.data(bytes, from, to);
  }

  answerEnd(trailers: Uint8Array, length: number): void {
    this.#writer.end(trailers, length);
    this.#answered();
  }

  ownAnswer(answer: OwnAnswer, close: boolean): void {
    if (close) this.#closeAfter = true;
    this.#writer.own(answer, this.#lastAnswer());
    this.#answered();
  }

  requestWanted(): void {
    if (this.#phase !== Phase.body) return;
    this.#readHeld();
    if (this.#phase === Phase.body && !this.exchange.wantsBody) return;
    this.#resume();
  }

  tunnel(
    bytes: Uint8Array,
    head: AnswerHead,
    from: number,
    to: number,
    upstream: UpstreamSession,
    own: Uint8Array | null,
  ): void {
    const { outbox } = this;
    this.#writer.switched(bytes, head, own);
    const connection = upstream.release();
    if (connection === null) return;
    this.#context.wheel.disarm(this.#timer);
    this.#phase = Phase.tunnel;
    const tunnel = new Tunnel({
      context: this.#context,
      endpoint: upstream.endpoint,
      idle: this.exchange.tunnelIdle,
      webSocket: spells(bytes, head.upgradeStart, head.upgradeEnd, "websocket"),
      client: { connection: this.#connection, outbox, cell: this.#state.cells + ListenerCell.bytesIn },
      upstream: {
        connection,
        outbox: upstream.outbox,
        cell: upstream.endpoint.cell(EndpointCell.bytesDown),
      },
      ended: (fault, up, down) => {
        this.exchange.tunnelEnded(fault, up, down);
        this.#die();
      },
    });
    this.#tunnel = tunnel;
    if (from < to) tunnel.upstream.pass(bytes, from, to);
    if (!this.#held.empty) {
      const ahead = this.#held.take();
      tunnel.client.pass(ahead, this.#held.from, this.#held.to);
    }
    settle();
    this.#resume();
    if (this.#peerEnded) tunnel.client.onEnd();
  }

  congested(): boolean {
    this.outbox.flush();
    if (!this.outbox.blocked) return false;
    this.#watchReader();
    return true;
  }

  // Reading

  /** `own`: the bytes were held, and are not the network's. */
  #read(bytes: Uint8Array, from: number, to: number, own: boolean): void {
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
        this.#awaitBody();
        const before = at;
        at = this.#body.read(bytes, at, to, this.exchange);
        this.#pace(at - before);
        if (this.#body.done && this.#phase === Phase.body) {
          this.#phase = Phase.answer;
          this.#context.wheel.disarm(this.#timer);
          // An answer that began before the request was complete, and that the client does not take.
          if (this.outbox.blocked) this.#watchReader();
          this.exchange.requestEnd();
        }
      } else break;
    }
    this.#reading = false;
    this.exchange.requestFlush();
    if (at >= to || this.#phase >= Phase.closing) return;
    if (own) this.#held.putBack(bytes, at, to);
    else this.#held.add(bytes, at, to);
    if (this.#phase === Phase.body || this.outbox.blocked || this.#held.length > mostAhead) this.#pause();
  }

  /** A client that sends a byte now and then would never be idle, and hold a place at an endpoint for ever. */
  #pace(bytes: number): void {
    // What was held came earlier, and nothing comes before it is used up.
    if (this.#phase !== Phase.body || this.#body.done || this.#paused) return;
    const { limits, timeouts } = this.#state.current.plan;
    const rate = limits.minBodyRate;
    // A silence that is allowed must not count as slowness.
    const stretch = Math.max(timeouts.body, pacedOver);
    if (!this.#body.lags(bytes, this.#context.wheel.now, rate, stretch) || !this.exchange.unanswered) return;
    this.exchange.refuse("request-body-timeout", `less than ${rate} bytes a second`);
  }

  #readHeld(): void {
    if (this.#held.empty || this.#reading) return;
    const bytes = this.#held.take();
    this.#read(bytes, this.#held.from, this.#held.to, true);
    // Its FIN may have come while this request waited behind another.
    if (this.#peerEnded) this.#nothingMoreComes();
  }

  /**
   * The client will send no more. A request that is not complete by then never will be. One that is may still be read by a
   * client that only closed its half, but nearly all who send FIN here are gone (nginx and Go take it so at once): the
   * exchange gets `timeouts.halfClose` to begin its answer. One that has begun needs no clock: writing to a client that is
   * gone brings a reset.
   */
  #nothingMoreComes(): void {
    if (this.#phase === Phase.body && this.#held.empty) this.#leave("closed within its request body");
    else if (this.#phase === Phase.answer && this.exchange.unanswered && !this.outbox.blocked) {
      if (this.exchange.cancellable) this.#arm(this.#state.current.plan.timeouts.halfClose);
    }
  }

  /** The client is as good as gone, and sees that its request was given up. */
  #leave(cause: string): void {
    this.exchange.clientGone("client-gone", cause);
    this.#connection.reset();
    this.#die();
  }

  /** Returns the position after the head, or 0 when it is incomplete or was refused. */
  #readHead(bytes: Uint8Array, from: number, to: number): number {
    const head = this.#context.requestHead;
    const { limits, plan } = this.#state.current;
    const next = parseRequestHead(bytes, from, to, limits, head, plan.underscores);
    if (next === 0) {
      // The clock of a head starts with its first byte, not again with each.
      if (!this.#partial) this.#arm(plan.timeouts.headers);
      this.#partial = true;
      return 0;
    }
    this.#partial = false;
    this.#requests++;
    if (next < 0) {
      const violation = violations[-next];
      this.#refuseUnread((violation?.fault ?? "request-malformed") as FaultCode, violation?.text ?? "");
      return 0;
    }
    const most = plan.limits.requestsPerConnection;
    this.#keepAlive = head.keepAlive && (most === 0 || this.#requests < most);
    this.#saidLast = !head.keepAlive;
    this.#writer.begin(head.method, head.minor, head.acceptsTrailers);
    this.#body.begin(head, limits);
    if (this.#body.done) {
      this.#phase = Phase.answer;
      this.#context.wheel.disarm(this.#timer);
    } else {
      this.#phase = Phase.body;
      this.#awaitBody();
    }
    this.exchange.begin(bytes, head);
    this.#body.limit(this.exchange.route?.maxBodyBytes ?? 0);
    return next;
  }

  #refuseUnread(code: FaultCode, cause: string): void {
    this.#partial = false;
    this.#writer.begin(Method.other, 1, false);
    this.#phase = Phase.answer;
    this.#closeAfter = true;
    this.exchange.refuseUnread(code, cause);
  }

  // Answering

  /** Whether the connection ends with this answer; asked when its head is written. */
  #lastAnswer(): boolean {
    const nothingFollows = this.#peerEnded && this.#held.empty && !this.#reading;
    if (!this.#keepAlive || this.#state.closing || nothingFollows) this.#closeAfter = true;
    return this.#closeAfter;
  }

  /** The answer is complete: on to the next request, or to the end. */
  #answered(): void {
    if (this.#closeAfter || this.#phase === Phase.body) {
      this.#close();
      return;
    }
    this.#phase = Phase.head;
    this.#unsent = -1;
    this.#idleSince = this.#context.wheel.now;
    this.#awaitHead();
    if (this.#reading) return;
    this.outbox.flush();
    if (this.outbox.blocked) {
      this.#watchReader();
      return;
    }
    this.#readHeld();
    this.#awaitNext();
  }

  /**
   * Puts the client on the clock for its next request. After a large answer it is looked at early: all of it may lie in the kernel, whose
   * memory is everybody's, while the client takes nothing.
   */
  #awaitHead(): void {
    const { timeouts } = this.#state.current.plan;
    if (!this.#held.empty) this.#arm(timeouts.headers);
    else this.#arm(this.exchange.bytesOut > mostUnseen ? Math.min(timeouts.body, timeouts.idle) : timeouts.idle);
  }

  /** What was held back is used up: more is read if more can come. */
  #awaitNext(): void {
    if (this.#phase === Phase.body) {
      // Its beginning waited behind other requests, and its endpoint took all of it: nobody else will ask for the rest.
      if (this.#held.empty && this.exchange.wantsBody) this.#resume();
      return;
    }
    if (this.#phase !== Phase.head || this.outbox.blocked) return;
    if (this.#peerEnded) this.#close();
    else this.#resume();
  }

  /**
   * Ends the connection in order: everything out first. The transport reads on for a while (RFC 9112 §9.6), unless all has
   * come of a request that its client called the last.
   */
  #close(): void {
    this.outbox.flush();
    if (!this.#held.empty || this.#reading || this.#phase === Phase.body) this.#saidLast = false;
    this.#held.clear();
    if (this.outbox.blocked) {
      this.#phase = Phase.closing;
      this.#resume();
      this.#watchReader();
      return;
    }
    this.#connection.close(this.#saidLast);
    this.#die();
  }

  #die(): void {
    if (this.#phase === Phase.dead) return;
    this.#phase = Phase.dead;
    this.prefaces.close();
    this.#held.clear();
    this.outbox.clear();
    this.#context.wheel.disarm(this.#timer);
    this.#state.remove(this);
    this.#context.cells[this.#state.cells + ListenerCell.open]!--;
  }

  // Time and flow

  #expired(): void {
    if (this.outbox.blocked) this.#readerStalled();
    else if (this.#phase === Phase.body) this.exchange.refuse("request-body-timeout", "");
    else if (this.#phase === Phase.head && !this.#held.empty) {
      this.#requests++;
      this.#refuseUnread("request-head-timeout", "");
    } else if (this.#phase === Phase.head && this.#connection.unsent() > 0) {
      // It asks nothing because it has not even its last answer, all of which went into the kernel's queue.
      this.#readerStalled();
    } else if (this.#phase === Phase.head) {
      const left =
        this.#requests === 0 || this.#closeAfter
          ? 0
          : this.#idleSince + this.#state.current.plan.timeouts.idle - this.#context.wheel.now;
      if (left > aboutNow) this.#arm(left);
      else {
        // Nothing was asked: an idle connection ends without a word.
        this.#connection.close();
        this.#die();
      }
    } else if (this.#peerEnded && this.exchange.unanswered) {
      this.#leave(`closed its side, and no answer came within ${this.#state.current.plan.timeouts.halfClose} ms`);
    }
    settle();
  }

  /**
   * The client took nothing for a whole interval as far as we see. The kernel may have megabytes of its own to send before
   * it asks for more, so a client at 1 KB/s looks idle for minutes: what counts is by how much its queue got shorter. One that
   * takes a byte now and then would hold its endpoint's connection for days.
   */
  #readerStalled(): void {
    const { limits, timeouts } = this.#state.current.plan;
    const unsent = this.#connection.unsent();
    const taken = this.#unsent - unsent;
    // The first look, and the others; at the second it is known what went since.
    if (unsent >= 0 && (this.#unsent < 0 || (taken > 0 && taken * 1000 >= limits.minReadRate * timeouts.body))) {
      this.#unsent = unsent;
      this.#arm(timeouts.body);
      return;
    }
    const cause = unsent >= 0 && taken > 0 ? `less than ${limits.minReadRate} bytes a second` : "";
    this.exchange.clientGone("client-read-timeout", cause);
    this.outbox.clear();
    this.#connection.reset();
    this.#die();
  }

  /** Puts the client on the clock for taking its answer. */
  #watchReader(): void {
    if (this.#phase !== Phase.body) this.#arm(this.#state.current.plan.timeouts.body);
  }

  /** Puts the client on the clock for its body; not while it is not read, because its endpoint does not take what it sent. */
  #awaitBody(): void {
    if (this.#paused) this.#context.wheel.disarm(this.#timer);
    else this.#arm(this.#state.current.plan.timeouts.body);
  }

  #arm(ms: number): void {
    this.#context.wheel.arm(this.#timer, ms);
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    // A body that waits for a slow endpoint is not the client's fault.
    if (this.#phase === Phase.body) {
      this.#body.paused();
      this.#context.wheel.disarm(this.#timer);
    }
    this.#connection.pause();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#phase === Phase.body) {
      this.#awaitBody();
      this.#pace(0);
    }
    this.#connection.resume();
  }
}
