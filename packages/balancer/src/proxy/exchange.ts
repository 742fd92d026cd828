// One request and its answer, between a client side and an upstream session of whatever protocols: the route, the head that
// goes upstream, the bodies of both, faults, and the books; who is asked, and how often, is up to its tries. One object per
// HTTP/1.1 connection, used again for each of its requests.
import { type AnswerHead, Framing, Method, type RequestHead } from "@plimsoll/wire/http1";
import { text } from "../base/bytes.ts";
import { type FaultCode, faults } from "../base/fault.ts";
import type { TlsFacts } from "../net/tls.ts";
import { EndpointCell, ListenerCell, PoolCell } from "../observe/table.ts";
import type { Pool } from "../pool/pool.ts";
import type { Stick } from "../pool/stick/stick.ts";
import { type LoggedText, logExchange, rememberText } from "./books.ts";
import type { ClientSide } from "./client-side.ts";
import { countFault, type EngineContext } from "./engine-context.ts";
import { Stage } from "./exchange-stage.ts";
import { withFailedOpen } from "./failing-open.ts";
import type { FoldedRoute } from "./folded-route.ts";
import { believedSource, ForwardingLines } from "./forwarding.ts";
import { type HeadBuffer, takeHead } from "./head-buffer.ts";
import { hashKey } from "./hash-key.ts";
import type { ListenerSnapshot, ListenerState } from "./listener-state.ts";
import { Mirror } from "./mirror.ts";
import { faultAnswer, readyAnswer, sentLength, stoppingAnswer, type OwnAnswer } from "./own-answer.ts";
import type { Preface } from "./preface.ts";
import { buildRequestHead, requestIdFrom, requestIdTo } from "./request-head.ts";
import { nextRequestId } from "./request-id.ts";
import { maxForwards, shapeRequest } from "./request-shape.ts";
import type { HeaderEdits } from "./steps/header-edits.ts";
import { readVisit, stickyLine } from "./stickiness.ts";
import { isStream } from "./streaming.ts";
import { Tries, type TryOwner } from "./tries.ts";
import type { UpstreamSession } from "./upstream-session.ts";

const nothing = new Uint8Array(0);
/** To an OPTIONS whose Max-Forwards is used up. */
const forwardedFarEnough: OwnAnswer = { status: 200, lines: nothing, body: nothing };

/** What a connection tells of its client. */
export interface ClientAddress {
  readonly address: string;
  readonly scheme: "http" | "https";
  /** The port that it connected to, where a proxy in front says so; 0: the listener's. */
  readonly port: number;
  /** null = plain text. */
  readonly tls: TlsFacts | null;
  /** Lines that tell an endpoint of the client's certificate; "" = it has none. */
  readonly certificate: string;
}

export class Exchange implements TryOwner {
  stage: number = Stage.none;
  route: FoldedRoute | null = null;
  listener: ListenerSnapshot | null = null;
  fault: FaultCode | "" = "";
  cause = "";
  status = 0;
  method = 0;
  minor = 1;
  bytesIn = 0;
  bytesOut = 0;
  startedAt = 0;
  firstByteAt = 0;
  /** Whether the request has arrived whole. */
  requestDone = false;
  /** Strings for the log, made at the start when there is a log; else "". */
  logged: LoggedText | null = null;
  source = "";
  requestId = "";
  readonly tries: Tries;

  readonly #context: EngineContext;
  readonly #client: ClientSide;
  readonly #state: ListenerState;
  readonly #peer: ClientAddress;
  readonly #forwarding = new ForwardingLines();
  #mirror: Mirror | null = null;
  #idFrom = 0;
  #idTo = 0;
  /** The answer goes on for as long as somebody listens. */
  #streams = false;
  #answerEdits: HeaderEdits | null = null;

  constructor(context: EngineContext, client: ClientSide, state: ListenerState, peer: ClientAddress) {
    this.#context = context;
    this.#client = client;
    this.#state = state;
    this.#peer = peer;
    this.tries = new Tries(context, this);
  }

  /** What the client's handshake found. */
  get tls(): TlsFacts | null {
    return this.#peer.tls;
  }

  get active(): boolean {
    return this.stage !== Stage.none;
  }

  /** Whether request body bytes can go on now; otherwise `ClientSide.requestWanted` tells when. */
  get wantsBody(): boolean {
    const { upstream } = this.tries;
    return this.stage >= Stage.sending && (upstream === null || !upstream.outbox.blocked);
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
    return this.tries.destination?.timeouts.tunnelIdle ?? 0;
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
    const { readyPath } = listener.plan;
    if (readyPath !== "" && request.path() === readyPath) {
      this.#answerAlone(null, this.#state.closing && !this.#state.replaced ? stoppingAnswer : readyAnswer);
      return;
    }
    const challenge = listener.challenges === null ? undefined : listener.challenges.get(request.path());
    if (challenge !== undefined) {
      this.#answerAlone(null, challenge);
      return;
    }
    const { table, routes } =
      listener.plain === null || this.#passesAsTls(listener, trusted) ? listener : listener.plain;
    const { only } = table;
    const index = only >= 0 ? only : table.match(request);
    const route = index < 0 ? undefined : routes[index];
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
      this.#answerAlone(route, route.fixed ?? route.redirect?.(request, this.#peer.scheme, this.#port));
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
    const { pool } = destination;
    const { tries } = this;
    pool.count(PoolCell.requests);
    if (pool.needsKey) tries.key = hashKey(pool.plan.hashKey, request);
    if (pool.stick !== null) this.#readVisit(pool.stick, trusted);
    if (!tries.plan(destination, trusted)) return;
    const upgrade = this.#buildHead(bytes, head, listener, route, pool, trusted);
    if (route.mirror !== null)
      this.#mirror = Mirror.begin(
        context,
        route.mirror,
        tries.head as HeadBuffer,
        head.method,
        this.preface(route.mirror.pool),
      );
    if (this.requestDone) this.#mirror?.end();
    tries.begin(upgrade);
  }

  /** Body bytes, as they are: [from, to) of `bytes`. Only while `wantsBody`. */
  requestData(bytes: Uint8Array, from: number, to: number): void {
    this.tries.data(bytes, from, to);
    this.#mirror?.data(bytes, from, to);
  }

  /** After a read's worth of body bytes: hands them over and puts a slow endpoint on the clock. */
  requestFlush(): void {
    const { upstream } = this.tries;
    if (upstream === null) return;
    upstream.outbox.flush();
    upstream.watchUpload();
  }

  /** The request is complete. */
  requestEnd(): void {
    this.requestDone = true;
    this.#mirror?.end();
    if (this.stage >= Stage.sending) this.tries.requestEnded();
  }

  /** Ends it with an answer of our own, or by cutting the connection when an answer already began. */
  refuse(code: FaultCode, cause: string): void {
    const begun = this.stage === Stage.answering;
    this.tries.abandon();
    this.fault = code;
    this.cause = cause;
    countFault(this.#context, code);
    const { side, status } = faults[code];
    if (side === "upstream") this.tries.endpoint?.count(EndpointCell.failures);
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
    const close = side === "client" || !this.requestDone;
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
    // It has an answer, so it was a request: else there would be more of the ones than of the others.
    this.#context.cells[this.#state.cells + ListenerCell.requests]!++;
    this.requestDone = false;
    this.source = this.#peer.address;
    this.logged = null;
    this.refuse(code, cause);
  }

  preface(pool: Pool): Preface | null {
    return this.#client.prefaces.of(pool.plan);
  }

  /** The client's connection is gone: nothing can be answered. */
  clientGone(code: FaultCode, cause: string): void {
    if (this.stage === Stage.none) return;
    this.fault = code;
    this.cause = cause;
    countFault(this.#context, code);
    this.tries.letGo(!this.cancellable);
    this.#finish();
  }

  /** The client caught up with its answer. */
  clientDrained(): void {
    this.tries.upstream?.resume();
  }

  /** A tunnel that grew out of this exchange is over. */
  tunnelEnded(code: FaultCode | "", up: number, down: number): void {
    this.fault = code;
    if (code !== "") countFault(this.#context, code);
    this.bytesIn += up;
    this.bytesOut += down;
    this.tries.endpoint?.count(EndpointCell.tunnels, -1);
    this.#finish();
  }

  /** The endpoint can take body bytes. */
  requestWanted(): void {
    this.#client.requestWanted();
  }

  // AnswerSink, from the first byte of the answer on

  opened(): void {}

  informational(bytes: Uint8Array, head: AnswerHead): void {
    this.#client.informational(bytes, head);
  }

  answerHead(bytes: Uint8Array, head: AnswerHead): void {
    this.stage = Stage.answering;
    this.status = head.status;
    this.firstByteAt = this.#context.clock.now();
    this.#streams = isStream(bytes, head);
    const { tries } = this;
    if (this.#mirror === null) tries.dropHead();
    this.#client.answerHead(bytes, head, this.#answerEdits, this.#ownLines(bytes, head));
  }

  answerData(bytes: Uint8Array, from: number, to: number): void {
    this.bytesOut += to - from;
    this.#client.answerData(bytes, from, to);
  }

  answerEnd(trailers: Uint8Array, length: number): void {
    this.tries.upstream = null;
    const client = this.#client;
    this.#finish();
    client.answerEnd(trailers, length);
  }

  switched(bytes: Uint8Array, head: AnswerHead, from: number, to: number): void {
    const { tries } = this;
    const upstream = tries.upstream as UpstreamSession;
    tries.upstream = null;
    this.stage = Stage.tunnel;
    this.status = 101;
    this.firstByteAt = this.#context.clock.now();
    tries.endpoint?.count(EndpointCell.tunnels);
    tries.dropHead();
    this.#client.tunnel(bytes, head, from, to, upstream, this.#ownLines(bytes, head));
  }

  drained(): void {
    this.#client.requestWanted();
  }

  failed(code: FaultCode, cause: string): void {
    const { tries } = this;
    tries.upstream = null;
    tries.endpoint?.observe(this.#context.clock.now() - tries.startedAt, true);
    this.refuse(code, cause);
  }

  congested(): boolean {
    return this.#client.congested();
  }

  #reset(head: RequestHead, listener: ListenerSnapshot): void {
    this.stage = Stage.connecting;
    this.listener = listener;
    this.route = null;
    this.fault = "";
    this.cause = "";
    this.status = 0;
    this.method = head.method;
    this.minor = head.minor;
    this.bytesIn = this.bytesOut = 0;
    this.startedAt = this.#context.clock.now();
    this.firstByteAt = 0;
    this.#streams = false;
    this.requestId = "";
    this.requestDone = head.framing === Framing.none || (head.framing === Framing.length && head.contentLength === 0);
    this.tries.reset(this.startedAt);
  }

  /** What the client takes for our port. */
  get #port(): number {
    return this.#peer.port === 0 ? this.#state.port : this.#peer.port;
  }

  /** Whether the client came by HTTPS, to us or to a trusted proxy in front. */
  #isSecure(trusted: boolean): boolean {
    if (this.#peer.scheme === "https") return true;
    return trusted && this.#context.request.header("x-forwarded-proto")?.toLowerCase() === "https";
  }

  /** Whether it gets the routes of those who speak TLS. Where each of them must show a certificate, nobody's word stands for one. */
  #passesAsTls({ tls }: ListenerSnapshot, trusted: boolean): boolean {
    return tls?.clientCertificates === "required" ? this.#peer.tls !== null : this.#isSecure(trusted);
  }

  #readVisit(stick: Stick, trusted: boolean): void {
    const visit = readVisit(stick, this.tries.visit, this.#context.request, this.#context.clock.wall());
    visit.secure = this.#isSecure(trusted);
    this.tries.visit = visit;
  }

  /** Tells the client where it belongs, where that is new. */
  #stickyLine(bytes: Uint8Array, head: AnswerHead): Uint8Array | null {
    const { destination, endpoint, visit } = this.tries;
    const pool = destination?.pool;
    if (pool === undefined || pool.stick === null || visit === null || endpoint === null) return null;
    return stickyLine(pool, pool.stick, visit, endpoint, bytes, head, this.#context.clock.wall());
  }

  /** Lines that the balancer adds to an answer by itself; null when there are none. */
  #ownLines(bytes: Uint8Array, head: AnswerHead): Uint8Array | null {
    const sticky = this.#stickyLine(bytes, head);
    return this.tries.failedOpen ? withFailedOpen(sticky) : sticky;
  }

  #answerAlone(route: FoldedRoute | null, made: OwnAnswer | undefined): void {
    const { request } = this.#context;
    if (made === undefined) {
      this.refuse("internal-error", "a route without an action");
      return;
    }
    const answerEdits = route?.answerEdits ?? null;
    if (answerEdits !== null || this.#context.log !== null) this.requestId = nextRequestId();
    const answer =
      answerEdits === null
        ? made
        : answerEdits.prepare(request, this.#peer.scheme, this.source, this.requestId).applyTo(made);
    this.status = answer.status;
    this.bytesOut = sentLength(answer, this.method);
    const client = this.#client;
    const close = !this.requestDone;
    this.#finish();
    client.ownAnswer(answer, close);
  }

  /** Writes the head that goes upstream and hands it to the tries; whether it asks for an upgrade. */
  #buildHead(
    bytes: Uint8Array,
    head: RequestHead,
    listener: ListenerSnapshot,
    route: FoldedRoute,
    pool: Pool,
    trusted: boolean,
  ): boolean {
    const context = this.#context;
    const { address, scheme, certificate } = this.#peer;
    const peer = { address, scheme, certificate, port: this.#port, trusted, source: this.source };
    const shape = shapeRequest(context, head, listener, route, peer, this.#forwarding);
    shape.close = pool.plan.keepAlive.maxIdle === 0;
    shape.ownCookie = pool.stick === null ? "" : pool.stick.ownCookie;
    const { upgrade } = shape;
    const built = takeHead();
    this.tries.head = built;
    buildRequestHead(bytes, head, shape, built);
    this.#idFrom = requestIdFrom;
    this.#idTo = requestIdTo;
    const edits = route.answerEdits;
    if (edits !== null || context.log !== null) this.requestId = text(built.bytes, requestIdFrom, requestIdTo);
    this.#answerEdits = edits === null ? null : edits.prepare(context.request, scheme, this.source, this.requestId);
    return upgrade;
  }

  #finish(): void {
    const context = this.#context;
    const { cells } = context;
    const now = context.clock.now();
    const { tries } = this;
    const kind = (this.status / 100) | 0;
    if (kind > 0) cells[this.#state.cells + ListenerCell.answers1xx + kind - 1]!++;
    const tunnel = this.stage === Stage.tunnel;
    this.stage = Stage.none;
    this.#mirror?.exchangeEnded();
    this.#mirror = null;
    tries.finish(this.fault, this.status);
    if (context.log !== null) logExchange(context, this, this.#state.name, now);
    const pool = tries.destination?.pool;
    if (pool !== undefined && !tunnel) {
      pool.observeLatency(now - this.startedAt);
      if (this.fault === "" && !this.#streams) pool.observeLongest(now - tries.startedAt);
    }
    tries.release();
  }

  /** The id for a fault's answer: the one that went upstream, or one of its own for what never did. */
  #id(): string {
    if (this.requestId === "") {
      const { head } = this.tries;
      this.requestId = head === null ? nextRequestId() : text(head.bytes, this.#idFrom, this.#idTo);
    }
    return this.requestId;
  }

  /** The request's Accept, found in what is left of its head. */
  #accept(): string {
    const { head } = this.tries;
    if (head === null) return this.#context.request.header("accept") ?? "";
    return /\r\naccept: *([^\r]*)/i.exec(text(head.bytes, 0, head.length))?.[1] ?? "";
  }
}
