// One request and its answer, between a client side and an upstream session of whatever protocols: choosing the route, the
// pool and the endpoint, trying again where that is safe, and the books. One object per HTTP/1.1 connection, used again for
// each of its requests.
import { type AnswerHead, Framing, Method, type RequestHead } from "@plimsoll/wire/http1";
import { text } from "../base/bytes.ts";
import { type FaultCode, faults } from "../base/fault.ts";
import { EndpointCell, ListenerCell, PoolCell } from "../observe/table.ts";
import type { Endpoint } from "../pool/endpoint.ts";
import type { Waiter } from "../pool/pool.ts";
import type { Stick, Visit } from "../pool/stick/stick.ts";
import type { TryRecord } from "../observe/access-record.ts";
import type { AnswerSink } from "./answer-sink.ts";
import { type LoggedText, logExchange, noTries, rememberText } from "./books.ts";
import type { ClientSide } from "./client-side.ts";
import { countFault, type EngineContext } from "./engine-context.ts";
import { type ClockOwner, ExchangeClock } from "./exchange-clock.ts";
import type { Destination, FoldedRoute } from "./folded-route.ts";
import { believedSource, ForwardingLines } from "./forwarding.ts";
import { type HeadBuffer, releaseHead, takeHead } from "./head-buffer.ts";
import { hashKey } from "./hash-key.ts";
import { Hedge, type HedgeOwner } from "./hedge.ts";
import type { ListenerSnapshot, ListenerState } from "./listener-state.ts";
import { Mirror } from "./mirror.ts";
import { settle } from "./outbox.ts";
import { faultAnswer, sentLength, type OwnAnswer } from "./own-answer.ts";
import { buildRequestHead, requestIdFrom, requestIdTo } from "./request-head.ts";
import { nextRequestId } from "./request-id.ts";
import { maxForwards, shapeRequest } from "./request-shape.ts";
import { isIdempotent, isRetriable } from "./retry.ts";
import type { HeaderEdits } from "./steps/header-edits.ts";
import { readVisit, stickyLine } from "./stickiness.ts";
import { isStream } from "./streaming.ts";
import { mostUnheard, Unheard } from "./unheard.ts";
import type { UpstreamSession } from "./upstream-session.ts";
import { sendTry, takeUpstream } from "./upstream-try.ts";

/** Where the exchange stands. */
export const Stage = { none: 0, queued: 1, connecting: 2, sending: 3, answering: 4, tunnel: 5 } as const;

const nothing = new Uint8Array(0);
/** To an OPTIONS whose Max-Forwards is used up. */
const forwardedFarEnough: OwnAnswer = { status: 200, lines: nothing, body: nothing };

/** What a connection tells of its client. */
export interface ClientAddress {
  readonly address: string;
  readonly scheme: "http" | "https";
}

export class Exchange implements AnswerSink, Waiter, ClockOwner, HedgeOwner {
  stage: number = Stage.none;
  // Waiter
  queuedAt = 0;
  next: Waiter | null = null;
  prev: Waiter | null = null;
  queue: Waiter["queue"] = null;
  key = 0;

  route: FoldedRoute | null = null;
  listener: ListenerSnapshot | null = null;
  endpoint: Endpoint | null = null;
  attempts = 0;
  /** What became of each try, kept from the first failure on where there is a log. */
  tries: TryRecord[] = noTries;
  fault: FaultCode | "" = "";
  cause = "";
  status = 0;
  method = 0;
  minor = 1;
  bytesIn = 0;
  bytesOut = 0;
  startedAt = 0;
  sentAt = 0;
  firstByteAt = 0;
  connectMs = -1;
  queueMs = -1;
  reused = false;
  /** Strings for the log, made at the start when there is a log; else "". */
  logged: LoggedText | null = null;
  source = "";
  requestId = "";

  readonly #context: EngineContext;
  readonly #client: ClientSide;
  readonly #state: ListenerState;
  readonly #peer: ClientAddress;
  readonly #forwarding = new ForwardingLines();
  #destination: Destination | null = null;
  #upstream: UpstreamSession | null = null;
  #mirror: Mirror | null = null;
  #hedge: Hedge | null = null;
  /** Made for the first exchange of this connection that has times of its own. */
  #clock: ExchangeClock | null = null;
  /** Made for the first exchange of this connection whose pool is sticky. */
  #visit: Visit | null = null;
  #head: HeadBuffer | null = null;
  #idFrom = 0;
  #idTo = 0;
  /** The request may be worked on twice. */
  #safe = false;
  /** Body bytes are kept for another try. */
  #keeping = false;
  /** Body bytes went out that were not kept. */
  #bodyLost = false;
  /** The keep-alive race was met at the client's own endpoint, which was then asked again. That try is one more. */
  #raced = false;
  /** What goes on at the endpoint is no longer counted here. */
  #handedOver = false;
  /** An informational answer went to the client. */
  #answered = false;
  #requestDone = false;
  #upgrade = false;
  /** The answer goes on for as long as somebody listens. */
  #streams = false;
  #answerEdits: HeaderEdits | null = null;
  #triedAt = 0;

  constructor(context: EngineContext, client: ClientSide, state: ListenerState, peer: ClientAddress) {
    this.#context = context;
    this.#client = client;
    this.#state = state;
    this.#peer = peer;
  }

  get active(): boolean {
    return this.stage !== Stage.none;
  }

  /** Whether request body bytes can go on now; otherwise `ClientSide.requestWanted` tells when. */
  get wantsBody(): boolean {
    return this.stage >= Stage.sending && (this.#upstream === null || !this.#upstream.outbox.blocked);
  }

  /** Whether the request waits for its answer to begin. */
  get unanswered(): boolean {
    return this.stage !== Stage.none && this.stage < Stage.answering;
  }

  /** Whether it ends with its client. */
  get cancellable(): boolean {
    return this.route === null || this.route.plan.cancel;
  }

  /** Longest silence of a tunnel that grows out of it, ms. */
  get tunnelIdle(): number {
    return this.#destination?.timeouts.tunnelIdle ?? 0;
  }

  /** Takes a parsed request. By the time it returns, the answer may already be complete. */
  begin(bytes: Uint8Array, head: RequestHead): void {
    const context = this.#context;
    const listener = this.#state.current;
    this.#reset(head, listener);
    context.cells[this.#state.cells + ListenerCell.requests]!++;
    const { request } = context;
    request.set(bytes, head, this.#peer.address);
    const trusted = listener.trusted !== null && listener.trusted.contains(this.#peer.address);
    this.source = trusted ? believedSource(this.#peer.address, listener.trusted, request) : this.#peer.address;
    if (trusted) request.set(bytes, head, this.source);
    if (context.log !== null) this.logged = rememberText(request);
    if (head.method === Method.connect) {
      this.refuse("request-method-unsupported", "CONNECT");
      return;
    }
    const { only } = listener.table;
    const index = only >= 0 ? only : listener.table.match(request);
    const route = index < 0 ? undefined : listener.routes[index];
    if (route === undefined) {
      this.refuse("route-not-found", "");
      return;
    }
    this.route = route;
    if (route.maxBodyBytes > 0 && head.framing === Framing.length && head.contentLength > route.maxBodyBytes) {
      this.refuse("request-body-too-large", `Content-Length ${head.contentLength}`);
      return;
    }
    if (route.fixed !== null || route.redirect !== null) {
      this.#answerAlone(route, route.fixed ?? route.redirect?.(request, this.#peer.scheme, this.#state.port));
      return;
    }
    if (maxForwards(head.method, request) === 0) {
      // It ends here (RFC 9110 §7.6.2). We reflect nothing: a TRACE would show what proxies before us added.
      if (head.method === Method.trace) this.refuse("request-method-unsupported", "TRACE, Max-Forwards 0");
      else this.#answerAlone(route, forwardedFarEnough);
      return;
    }
    const destination = route.split === null ? route.destination : route.split(request, context.clock.wall());
    if (destination === null) {
      this.refuse("internal-error", "a route without a destination");
      return;
    }
    this.#destination = destination;
    const { pool } = destination;
    pool.count(PoolCell.requests);
    if (pool.needsKey) this.key = hashKey(pool.plan.hashKey, request);
    if (pool.stick !== null) this.#readVisit(pool.stick, trusted);
    this.#planTries(destination);
    if (destination.timed && !this.#startClock(destination, trusted)) return;
    this.#buildHead(bytes, head, listener, route, trusted);
    if (route.mirror !== null)
      this.#mirror = Mirror.begin(context, route.mirror, this.#head as HeadBuffer, head.method);
    if (this.#requestDone) this.#mirror?.end();
    this.#dispatch(null);
  }

  /** Body bytes, as they are: [from, to) of `bytes`. Only while `wantsBody`. */
  requestData(bytes: Uint8Array, from: number, to: number): void {
    if (!this.#keeping) this.#bodyLost = true;
    else if (this.#head !== null && !this.#head.keep(bytes, from, to)) {
      this.#keeping = false;
      this.#bodyLost = true;
    }
    this.#upstream?.outbox.append(bytes, from, to);
    this.#mirror?.data(bytes, from, to);
  }

  /** After a read's worth of body bytes: hands them over and puts a slow endpoint on the clock. */
  requestFlush(): void {
    const upstream = this.#upstream;
    if (upstream === null) return;
    upstream.outbox.flush();
    upstream.watchUpload();
  }

  /** The request is complete. */
  requestEnd(): void {
    this.#requestDone = true;
    this.#mirror?.end();
    if (this.stage < Stage.sending) return;
    this.sentAt = this.#context.clock.now();
    this.#upstream?.requestSent();
    if (this.unanswered) this.#clock?.limitTry((this.#destination as Destination).timeouts.perTry);
  }

  /** Ends it with an answer of our own, or by cutting the connection when an answer already began. */
  refuse(code: FaultCode, cause: string): void {
    if (this.stage === Stage.queued) this.#destination?.pool.leave(this);
    const begun = this.stage === Stage.answering;
    const upstream = this.#upstream;
    this.#upstream = null;
    if (upstream !== null) upstream.abandon();
    this.fault = code;
    this.cause = cause;
    countFault(this.#context, code);
    const { side, status } = faults[code];
    if (side === "upstream") this.endpoint?.count(EndpointCell.failures);
    const client = this.#client;
    if (begun || status === 0) {
      this.#finish();
      client.cut();
      return;
    }
    this.status = status;
    const listener = this.listener ?? this.#state.current;
    const answer = faultAnswer(code, { accept: this.#accept(), requestId: this.#id() }, listener.errorPages);
    this.bytesOut = sentLength(answer, this.method);
    const close = side === "client" || !this.#requestDone;
    this.#finish();
    client.ownAnswer(answer, close);
  }

  /** A request that could not be read: there is nothing to route, only an answer to give. */
  refuseUnread(code: FaultCode, cause: string): void {
    const { requestHead, request } = this.#context;
    // What an earlier request left in it is not this one's.
    requestHead.fields.count = 0;
    requestHead.method = Method.other;
    requestHead.minor = 1;
    request.set(nothing, requestHead, this.#peer.address);
    this.#reset(requestHead, this.#state.current);
    this.#requestDone = false;
    this.source = this.#peer.address;
    this.logged = null;
    this.refuse(code, cause);
  }

  /** The client's connection is gone: nothing can be answered. */
  clientGone(code: FaultCode, cause: string): void {
    if (this.stage === Stage.none) return;
    if (this.stage === Stage.queued) this.#destination?.pool.leave(this);
    this.fault = code;
    this.cause = cause;
    countFault(this.#context, code);
    const upstream = this.#upstream;
    this.#upstream = null;
    if (upstream !== null && !this.#workOn(upstream)) {
      this.#destination?.pool.count(PoolCell.cancelled);
      upstream.abandon();
    }
    this.#finish();
  }

  /** The client caught up with its answer. */
  clientDrained(): void {
    this.#upstream?.resume();
  }

  /** A tunnel that grew out of this exchange is over. */
  tunnelEnded(code: FaultCode | "", up: number, down: number): void {
    this.fault = code;
    if (code !== "") countFault(this.#context, code);
    this.bytesIn += up;
    this.bytesOut += down;
    this.endpoint?.count(EndpointCell.tunnels, -1);
    this.#finish();
  }

  // Waiter

  ready(endpoint: Endpoint): void {
    this.#leftQueue();
    this.#send(endpoint);
    // Whoever waited holds its body back; on a reused connection no `opened` will ask for it.
    if (this.stage === Stage.sending) this.#client.requestWanted();
  }

  timedOut(): void {
    this.#leftQueue();
    this.refuse("pool-queue-timeout", "");
  }

  // ClockOwner

  timeOver(fault: FaultCode): void {
    const queued = this.stage === Stage.queued;
    if (queued) {
      this.#destination?.pool.leave(this);
      this.#leftQueue();
    }
    if (this.endpoint !== null) this.#tookAtLeast(this.endpoint, this.#triedAt);
    this.refuse(queued && fault === "deadline-exceeded" ? "deadline-exceeded-queued" : fault, "");
    settle();
  }

  tryOver(): void {
    const upstream = this.#upstream;
    if (upstream === null || !this.unanswered) return;
    const cause = `no answer within the ${(this.#destination as Destination).timeouts.perTry} ms of one try`;
    if (!upstream.open) {
      // Nothing was sent: what failed is the connection, and the endpoint is judged by that.
      upstream.fault("connect-timeout", cause);
      return;
    }
    this.#upstream = null;
    upstream.abandon();
    this.endpoint?.tryFailed("try-timeout", false);
    this.#tryFailed("try-timeout", cause, false);
    settle();
  }

  hedgeDue(): void {
    const { pool, retry } = this.#destination as Destination;
    const first = this.endpoint;
    if (!this.unanswered || first === null || this.#upstream === null || this.attempts >= retry.attempts) return;
    if (this.#belongsTo(first)) return;
    const endpoint = pool.pick(this.key, first);
    if (endpoint === null || endpoint === first || !pool.retryAllowed(retry.budget)) return;
    pool.count(PoolCell.hedges);
    this.attempts++;
    const request = { head: this.#head as HeadBuffer, method: this.method, attempt: this.attempts };
    this.#hedge = new Hedge(this.#context, this.#destination as Destination, endpoint, request, this);
    settle();
  }

  // HedgeOwner

  tryLines(attempt: number): string {
    const lines = attempt > 1 ? `X-Plimsoll-Attempt: ${attempt}\r\n` : "";
    const left = this.#clock?.left ?? -1;
    const field = left < 0 ? null : (this.#destination as Destination).deadline;
    return field === null ? lines : lines + field.line(left);
  }

  hedgeAnswered(bytes: Uint8Array, head: AnswerHead): void {
    const hedge = this.#hedge as Hedge;
    const first = this.endpoint as Endpoint;
    const { pool, retry } = this.#destination as Destination;
    if (retry.statuses?.includes(head.status) === true) {
      // The first may still do better.
      this.#hedge = null;
      countAnswer(hedge.endpoint, head.status, this.#context.clock.now() - hedge.sentAt);
      this.#note(hedge.endpoint, "", head.status, hedge.startedAt);
      void new Unheard(hedge.upstream, hedge.endpoint, pool, mostUnheard);
      return;
    }
    pool.count(PoolCell.hedgesWon);
    this.#note(first, "cancelled", 0, this.#triedAt);
    this.#tookAtLeast(first, this.#triedAt);
    this.#upstream?.abandon();
    first.end();
    this.#adopt(hedge);
    this.answerHead(bytes, head);
  }

  hedgeFailed(code: FaultCode): void {
    const hedge = this.#hedge as Hedge;
    this.#hedge = null;
    this.#note(hedge.endpoint, code, 0, hedge.startedAt);
  }

  // AnswerSink

  opened(): void {
    this.connectMs = this.#context.clock.now() - this.#triedAt;
    this.#sendHead();
    this.#client.requestWanted();
  }

  informational(bytes: Uint8Array, head: AnswerHead): void {
    this.#answered = true;
    this.#client.informational(bytes, head);
  }

  answerHead(bytes: Uint8Array, head: AnswerHead): void {
    const now = this.#context.clock.now();
    const endpoint = this.endpoint as Endpoint;
    countAnswer(endpoint, head.status, now - this.sentAt);
    if ((this.#destination as Destination).retry.statuses !== null && this.#goesElsewhere(head.status)) return;
    this.stage = Stage.answering;
    this.status = head.status;
    this.firstByteAt = now;
    this.#clock?.answered();
    this.#streams = isStream(bytes, head);
    if (this.#hedge !== null) this.#dropHedge();
    this.#keeping = false;
    if (this.#head !== null && this.#mirror === null) this.#dropHead();
    this.#client.answerHead(bytes, head, this.#answerEdits, this.#stickyLine(endpoint, bytes, head));
  }

  answerData(bytes: Uint8Array, from: number, to: number): void {
    this.bytesOut += to - from;
    this.#client.answerData(bytes, from, to);
  }

  answerEnd(trailers: Uint8Array, length: number): void {
    this.#upstream = null;
    const client = this.#client;
    this.#finish();
    client.answerEnd(trailers, length);
  }

  switched(bytes: Uint8Array, head: AnswerHead, from: number, to: number): void {
    const upstream = this.#upstream as UpstreamSession;
    this.#upstream = null;
    this.#clock?.clear();
    this.stage = Stage.tunnel;
    this.status = 101;
    this.firstByteAt = this.#context.clock.now();
    this.endpoint?.count(EndpointCell.tunnels);
    this.#dropHead();
    const own = this.endpoint === null ? null : this.#stickyLine(this.endpoint, bytes, head);
    this.#client.tunnel(bytes, head, from, to, upstream, own);
  }

  drained(): void {
    this.#client.requestWanted();
  }

  failed(code: FaultCode, cause: string): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    const raced = upstream !== null && upstream.reused && (code === "upstream-closed" || code === "upstream-reset");
    this.#tryFailed(code, cause, raced);
  }

  congested(): boolean {
    return this.#client.congested();
  }

  #reset(head: RequestHead, listener: ListenerSnapshot): void {
    this.stage = Stage.connecting;
    this.listener = listener;
    this.route = null;
    this.endpoint = null;
    this.#destination = null;
    this.attempts = 0;
    this.fault = "";
    this.cause = "";
    this.status = 0;
    this.method = head.method;
    this.minor = head.minor;
    this.bytesIn = this.bytesOut = 0;
    this.startedAt = this.#context.clock.now();
    this.sentAt = this.startedAt;
    this.firstByteAt = 0;
    this.connectMs = this.queueMs = -1;
    this.#streams = false;
    this.reused = false;
    this.requestId = "";
    this.#bodyLost = this.#answered = this.#safe = this.#keeping = this.#handedOver = this.#raced = false;
    this.tries = noTries;
    this.#requestDone = head.framing === Framing.none || (head.framing === Framing.length && head.contentLength === 0);
    this.key = 0;
  }

  /** Whether the request can be sent more than once, and what has to be kept for that. */
  #planTries({ retry }: Destination): void {
    const keyed = retry.idempotencyKey && (this.#context.request.header("idempotency-key") ?? "") !== "";
    this.#safe = isIdempotent(this.method) || keyed;
    this.#keeping = this.#safe && retry.attempts > 1 && !this.#requestDone;
  }

  #readVisit(stick: Stick, trusted: boolean): void {
    const { clock, request } = this.#context;
    this.#visit = readVisit(stick, this.#visit, request, clock.wall());
    this.#visit.secure =
      this.#peer.scheme === "https" || (trusted && request.header("x-forwarded-proto")?.toLowerCase() === "https");
  }

  /** Tells the client where it belongs, where that is new. */
  #stickyLine(endpoint: Endpoint, bytes: Uint8Array, head: AnswerHead): Uint8Array | null {
    const { pool } = this.#destination as Destination;
    const { stick } = pool;
    if (stick === null || this.#visit === null) return null;
    return stickyLine(pool, stick, this.#visit, endpoint, bytes, head, this.#context.clock.wall());
  }

  /** Whether the client has something at this endpoint that no other one has. */
  #belongsTo(endpoint: Endpoint): boolean {
    return this.#destination?.pool.stick !== null && this.#visit?.endpoint === endpoint;
  }

  /** Starts the times of the exchange itself; false when its client's time is over already. */
  #startClock({ timeouts, deadline }: Destination, trusted: boolean): boolean {
    const clock = (this.#clock ??= new ExchangeClock(this.#context.wheel, this));
    if (timeouts.total > 0) clock.limit(timeouts.total, "total-timeout");
    const given = deadline !== null && trusted ? this.#context.request.header(deadline.name) : undefined;
    const ms = given === undefined ? -1 : (deadline?.read(given) ?? -1);
    if (ms > 0) clock.limit(ms, "deadline-exceeded");
    if (ms === 0) this.refuse("deadline-exceeded", "nothing was left of it on arrival");
    return ms !== 0;
  }

  #answerAlone(route: FoldedRoute, made: OwnAnswer | undefined): void {
    const { request } = this.#context;
    if (made === undefined) {
      this.refuse("internal-error", "a route without an action");
      return;
    }
    const { answerEdits } = route;
    if (answerEdits !== null || this.#context.log !== null) this.requestId = nextRequestId();
    const answer =
      answerEdits === null
        ? made
        : answerEdits.prepare(request, this.#peer.scheme, this.source, this.requestId).applyTo(made);
    this.status = answer.status;
    this.bytesOut = sentLength(answer, this.method);
    const client = this.#client;
    const close = !this.#requestDone;
    this.#finish();
    client.ownAnswer(answer, close);
  }

  #buildHead(
    bytes: Uint8Array,
    head: RequestHead,
    listener: ListenerSnapshot,
    route: FoldedRoute,
    trusted: boolean,
  ): void {
    const context = this.#context;
    const { address, scheme } = this.#peer;
    const peer = { address, scheme, port: this.#state.port, trusted, source: this.source };
    const shape = shapeRequest(context, head, listener, route, peer, this.#forwarding);
    const { pool } = this.#destination as Destination;
    shape.close = pool.plan.keepAlive.maxIdle === 0;
    shape.ownCookie = pool.stick === null ? "" : pool.stick.ownCookie;
    this.#upgrade = shape.upgrade;
    const built = takeHead();
    this.#head = built;
    buildRequestHead(bytes, head, shape, built);
    this.#idFrom = requestIdFrom;
    this.#idTo = requestIdTo;
    const edits = route.answerEdits;
    if (edits !== null || context.log !== null) this.requestId = text(built.bytes, requestIdFrom, requestIdTo);
    this.#answerEdits = edits === null ? null : edits.prepare(context.request, scheme, this.source, this.requestId);
  }

  #dispatch(avoid: Endpoint | null): void {
    const { pool } = this.#destination as Destination;
    const visit = pool.stick === null ? null : this.#visit;
    const endpoint = visit === null ? pool.pick(this.key, avoid) : pool.pickSticky(visit, this.key, avoid);
    if (endpoint !== null) {
      this.#send(endpoint);
      return;
    }
    if (pool.refusal === "unusable") {
      this.refuse("pool-unusable", "");
      return;
    }
    this.stage = Stage.queued;
    if (!pool.wait(this, visit === null ? null : visit.waitsFor)) {
      this.stage = Stage.connecting;
      this.refuse("pool-queue-full", "");
    }
  }

  #send(endpoint: Endpoint): void {
    const destination = this.#destination as Destination;
    this.stage = Stage.connecting;
    this.endpoint = endpoint;
    endpoint.begin();
    endpoint.count(this.attempts === 0 ? EndpointCell.requests : EndpointCell.retries);
    this.attempts++;
    this.#triedAt = this.#context.clock.now();
    if (destination.timed) this.#limitTry(destination);
    // A retry after the keep-alive race must not meet it again: only the first try reuses a connection.
    const reuse = this.attempts > 1 ? "no" : this.#safe && !this.#bodyLost ? "yes" : "checked";
    const upstream = takeUpstream(this.#context, destination, endpoint, this, reuse);
    this.#upstream = upstream;
    this.reused = upstream.reused;
    if (upstream.open) this.#sendHead();
  }

  #sendHead(): void {
    const upstream = this.#upstream as UpstreamSession;
    const destination = this.#destination as Destination;
    this.stage = Stage.sending;
    const plain = this.attempts === 1 && !destination.timed;
    sendTry(upstream, this.#head as HeadBuffer, this.method, this.#upgrade, plain ? "" : this.tryLines(this.attempts));
    if (!this.#requestDone) {
      // While the body is under way, its own rungs watch over it.
      this.#clock?.limitTry(0);
      return;
    }
    this.sentAt = this.#triedAt;
    upstream.requestSent();
  }

  #limitTry({ timeouts, retry }: Destination): void {
    const clock = this.#clock as ExchangeClock;
    clock.limitTry(timeouts.perTry);
    const hedged = this.attempts === 1 && this.#requestDone && !this.#upgrade && isHedged(this.method);
    clock.hedgeIn(hedged ? retry.hedge : 0);
  }

  /** A try is over without an answer: another one, or the end. `raced`: by the keep-alive race, as far as can be seen. */
  #tryFailed(code: FaultCode, cause: string, raced: boolean): void {
    const endpoint = this.endpoint;
    const { pool } = this.#destination as Destination;
    if (this.stage !== Stage.answering && endpoint !== null) {
      const hedge = this.#hedge;
      if (hedge !== null || this.#mayRetry(code)) {
        if (raced) pool.count(PoolCell.staleRetried);
        endpoint.count(EndpointCell.failures);
        this.#note(endpoint, code, 0, this.#triedAt);
        endpoint.end();
        if (hedge !== null) this.#adopt(hedge);
        else if (raced && !this.#raced && this.#belongsTo(endpoint)) {
          // Only the connection was old: the client stays, and the endpoint has not yet shown that it cannot.
          this.#raced = true;
          this.#tryAgain(null);
        } else this.#tryAgain(endpoint);
        return;
      }
    }
    if (raced) pool.count(PoolCell.staleFailed);
    endpoint?.observe(this.#context.clock.now() - this.#triedAt, true);
    this.refuse(code, cause);
  }

  #mayRetry(code: FaultCode): boolean {
    const { retry, pool } = this.#destination as Destination;
    if (this.attempts >= retry.attempts + (this.#raced ? 1 : 0)) return false;
    const failed = { code, safe: this.#safe, bodyLost: this.#bodyLost, answered: this.#answered };
    return isRetriable(retry, failed) && pool.retryAllowed(retry.budget);
  }

  #tryAgain(avoid: Endpoint | null): void {
    this.endpoint = null;
    this.stage = Stage.connecting;
    this.#dispatch(avoid);
  }

  /** Whether an answer of this status is thrown away for another try; then that has begun. */
  #goesElsewhere(status: number): boolean {
    const { retry, pool } = this.#destination as Destination;
    if (retry.statuses?.includes(status) !== true) return false;
    const hedge = this.#hedge;
    const whole = this.#safe && !this.#bodyLost && !this.#answered && this.#requestDone;
    if (hedge === null && !(whole && this.attempts < retry.attempts && pool.retryAllowed(retry.budget))) return false;
    const endpoint = this.endpoint as Endpoint;
    this.#note(endpoint, "", status, this.#triedAt);
    void new Unheard(this.#upstream as UpstreamSession, endpoint, pool, mostUnheard);
    this.#upstream = null;
    if (hedge === null) this.#tryAgain(endpoint);
    else this.#adopt(hedge);
    return true;
  }

  /** The hedge takes the place of the first try, which has let go of its endpoint. */
  #adopt(hedge: Hedge): void {
    this.#hedge = null;
    this.endpoint = hedge.endpoint;
    this.#upstream = hedge.upstream;
    hedge.upstream.sink = this;
    this.#triedAt = hedge.startedAt;
    this.sentAt = hedge.sentAt;
    this.connectMs = hedge.connectMs;
    this.reused = hedge.upstream.reused;
    this.stage = hedge.upstream.open ? Stage.sending : Stage.connecting;
    this.#limitTry(this.#destination as Destination);
  }

  #dropHedge(): void {
    const hedge = this.#hedge as Hedge;
    this.#hedge = null;
    this.#note(hedge.endpoint, "cancelled", 0, hedge.startedAt);
    hedge.cancel();
  }

  /** Lets a request that its client left go on at its endpoint, where the route wants that and all of it is there. */
  #workOn(upstream: UpstreamSession): boolean {
    if (this.cancellable || !this.#requestDone || this.stage < Stage.sending) return false;
    const { pool } = this.#destination as Destination;
    void new Unheard(upstream, this.endpoint as Endpoint, pool, Number.POSITIVE_INFINITY);
    this.#handedOver = true;
    return true;
  }

  #leftQueue(): void {
    this.queueMs = this.#context.clock.now() - this.queuedAt;
    this.stage = Stage.connecting;
  }

  /** An answer that was not waited for any longer is evidence only if it took longer than is usual there. */
  #tookAtLeast(endpoint: Endpoint, since: number): void {
    const now = this.#context.clock.now();
    if (now - since > endpoint.latency(now)) endpoint.observe(now - since, false);
  }

  /** Keeps for the log what became of a try. */
  #note(endpoint: Endpoint, fault: string, status: number, since: number): void {
    if (this.#context.log === null) return;
    if (this.tries === noTries) this.tries = [];
    this.tries.push({ endpoint: endpoint.id, fault, status, ms: this.#context.clock.now() - since });
  }

  #finish(): void {
    const context = this.#context;
    const { cells } = context;
    const now = context.clock.now();
    const endpoint = this.endpoint;
    const kind = (this.status / 100) | 0;
    if (kind > 0) cells[this.#state.cells + ListenerCell.answers1xx + kind - 1]!++;
    const tunnel = this.stage === Stage.tunnel;
    this.stage = Stage.none;
    this.#mirror?.exchangeEnded();
    this.#mirror = null;
    if (this.#hedge !== null) this.#dropHedge();
    this.#clock?.clear();
    if (endpoint !== null && this.tries !== noTries) this.#note(endpoint, this.fault, this.status, this.#triedAt);
    if (context.log !== null) logExchange(context, this, this.#state.name, now);
    if (this.#head !== null) this.#dropHead();
    const destination = this.#destination;
    this.#destination = null;
    if (destination === null) return;
    if (!tunnel) {
      destination.pool.observeLatency(now - this.startedAt);
      if (this.fault === "" && !this.#streams) destination.pool.observeLongest(now - this.#triedAt);
    }
    if (endpoint === null || this.#handedOver) return;
    endpoint.end();
    destination.pool.wake();
  }

  #dropHead(): void {
    const head = this.#head;
    this.#head = null;
    if (head !== null) releaseHead(head);
  }

  /** The id for a fault's answer: the one that went upstream, or one of its own for what never did. */
  #id(): string {
    if (this.requestId === "") {
      const head = this.#head;
      this.requestId = head === null ? nextRequestId() : text(head.bytes, this.#idFrom, this.#idTo);
    }
    return this.requestId;
  }

  /** The request's Accept, found in what is left of its head. */
  #accept(): string {
    const head = this.#head;
    if (head === null) return this.#context.request.header("accept") ?? "";
    return /\r\naccept: *([^\r]*)/i.exec(text(head.bytes, 0, head.length))?.[1] ?? "";
  }
}

/** One answer of an endpoint's: its class, and how long it took to begin. */
function countAnswer(endpoint: Endpoint, status: number, ms: number): void {
  const kind = (status / 100) | 0;
  endpoint.count(EndpointCell.answers2xx + kind - 2);
  endpoint.observe(ms, kind === 5);
}

/** Methods that only ask. */
function isHedged(method: number): boolean {
  return method === Method.get || method === Method.head;
}
