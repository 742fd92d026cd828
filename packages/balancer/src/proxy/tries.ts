// How an exchange gets its answer: which endpoint is asked, on which connection, when another one is asked instead or as
// well, and what is kept for that. From the first byte of an answer's head on it only holds the connection; what comes then
// goes straight to the exchange.
import { type AnswerHead, Method } from "@plimsoll/wire/http1";
import { type FaultCode, faults } from "../base/fault.ts";
import type { TryRecord } from "../observe/access-record.ts";
import { EndpointCell, PoolCell } from "../observe/table.ts";
import type { Endpoint } from "../pool/endpoint.ts";
import type { Avoided, Pool, Waiter } from "../pool/pool.ts";
import type { Visit } from "../pool/stick/stick.ts";
import type { AnswerSink } from "./answer-sink.ts";
import { noTries } from "./books.ts";
import type { EngineContext } from "./engine-context.ts";
import { type ClockOwner, ExchangeClock } from "./exchange-clock.ts";
import { Stage } from "./exchange-stage.ts";
import type { Destination } from "./folded-route.ts";
import { type HeadBuffer, releaseHead } from "./head-buffer.ts";
import { Hedge, type HedgeOwner } from "./hedge.ts";
import { settle } from "./outbox.ts";
import type { Preface } from "./preface.ts";
import { isIdempotent, isRetriable } from "./retry.ts";
import { mostUnheard, Unheard } from "./unheard.ts";
import type { UpstreamSession } from "./upstream-session.ts";
import { sendTry, takeUpstream } from "./upstream-try.ts";

/** The exchange, as its tries know it. */
export interface TryOwner extends AnswerSink {
  /** A Method of the codec. */
  readonly method: number;
  /** Whether the request has arrived whole. */
  readonly requestDone: boolean;
  stage: number;
  /** What is said of the client first on connections to this pool. */
  preface(pool: Pool): Preface | null;
  /** It ends here: no try is left, or its time is over. */
  refuse(code: FaultCode, cause: string): void;
  /** The endpoint can take body bytes. */
  requestWanted(): void;
}

export class Tries implements AnswerSink, Waiter, ClockOwner, HedgeOwner {
  // Waiter
  queuedAt = 0;
  next: Waiter | null = null;
  prev: Waiter | null = null;
  queue: Waiter["queue"] = null;
  key = 0;

  destination: Destination | null = null;
  /** Where the present try is; after the end of all, where the last one was. */
  endpoint: Endpoint | null = null;
  upstream: UpstreamSession | null = null;
  /** The request's head and what is kept of its body, until the answer begins. */
  head: HeadBuffer | null = null;
  /** Where the client belongs, where its pool is sticky. */
  visit: Visit | null = null;
  attempts = 0;
  /** What became of each, kept from the first failure on where there is a log. */
  records: TryRecord[] = noTries;
  /** Start of the present try, and when its request was sent; of the clock. */
  startedAt = 0;
  sentAt = 0;
  connectMs = -1;
  queueMs = -1;
  reused = false;
  /** The endpoint was picked although nobody knew it to be ready. */
  failedOpen = false;

  readonly #context: EngineContext;
  readonly #owner: TryOwner;
  #hedge: Hedge | null = null;
  /** Made for the first exchange of a connection that has times of its own. */
  #clock: ExchangeClock | null = null;
  /** Where it failed before. */
  #avoid: Avoided = null;
  #upgrade = false;
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
  /** An informational answer that belongs to one try (103) went to the client. */
  #informed = false;
  /** The client was told to send its body (100). */
  #continued = false;

  constructor(context: EngineContext, owner: TryOwner) {
    this.#context = context;
    this.#owner = owner;
  }

  /** Another exchange, which begins `now`. */
  reset(now: number): void {
    this.destination = null;
    this.endpoint = null;
    this.attempts = 0;
    this.records = noTries;
    this.sentAt = this.startedAt = now;
    this.connectMs = this.queueMs = -1;
    this.reused = false;
    this.key = 0;
    this.#avoid = null;
    this.#bodyLost = this.#informed = this.#continued = false;
    this.#safe = this.#keeping = this.#handedOver = this.#raced = false;
  }

  /**
   * Where the request that is being routed goes; its client's deadline is believed if `trusted`. False when it was refused,
   * because its time is over already.
   */
  plan(destination: Destination, trusted: boolean): boolean {
    const { retry } = destination;
    const owner = this.#owner;
    this.destination = destination;
    const keyed = retry.idempotencyKey && (this.#context.request.header("idempotency-key") ?? "") !== "";
    this.#safe = isIdempotent(owner.method) || keyed;
    this.#keeping = this.#safe && retry.attempts > 1 && !owner.requestDone;
    return !destination.timed || this.#startClock(destination, trusted);
  }

  /** Begins: `head`, which was built by now, goes to the first endpoint that takes it. */
  begin(upgrade: boolean): void {
    this.#upgrade = upgrade;
    this.#dispatch();
  }

  /** Body bytes, as they are sent: [from, to) of `bytes`. */
  data(bytes: Uint8Array, from: number, to: number): void {
    if (!this.#keeping) this.#bodyLost = true;
    else if (this.head !== null && !this.head.keep(bytes, from, to)) {
      this.#keeping = false;
      this.#bodyLost = true;
    }
    this.upstream?.outbox.append(bytes, from, to);
  }

  /** The last byte of the request was sent. */
  requestEnded(): void {
    this.sentAt = this.#context.clock.now();
    this.upstream?.requestSent();
    if (this.#owner.stage < Stage.answering) this.#clock?.limitTry((this.destination as Destination).timeouts.perTry);
  }

  /** Gives up whatever goes on or waits. */
  abandon(): void {
    if (this.#owner.stage === Stage.queued) this.destination?.pool.leave(this);
    const { upstream } = this;
    this.upstream = null;
    upstream?.abandon();
  }

  /** The client is gone. With `workOn`, a request that was sent whole is worked on at its endpoint all the same. */
  letGo(workOn: boolean): void {
    const { stage, requestDone } = this.#owner;
    const { upstream } = this;
    if (upstream !== null && workOn && requestDone && stage >= Stage.sending) {
      const { pool } = this.destination as Destination;
      this.upstream = null;
      void new Unheard(upstream, this.endpoint as Endpoint, pool, Number.POSITIVE_INFINITY);
      this.#handedOver = true;
      return;
    }
    if (upstream !== null) this.destination?.pool.count(PoolCell.cancelled);
    this.abandon();
  }

  /** The exchange is over, as it says: `fault` or `status`. Closes the books on its tries. */
  finish(fault: FaultCode | "", status: number): void {
    if (this.#hedge !== null) this.#dropHedge();
    this.#clock?.clear();
    if (this.endpoint !== null && this.records !== noTries) this.#note(this.endpoint, fault, status, this.startedAt);
  }

  /** After `finish` and the log: lets go of everything. */
  release(): void {
    this.dropHead();
    const { destination, endpoint } = this;
    this.destination = null;
    if (destination === null || endpoint === null || this.#handedOver) return;
    endpoint.end();
    destination.pool.wake();
  }

  dropHead(): void {
    const { head } = this;
    this.head = null;
    if (head !== null) releaseHead(head);
  }

  // Waiter

  ready(endpoint: Endpoint): void {
    this.#leftQueue();
    this.#send(endpoint);
    // Whoever waited holds its body back; on a reused connection no `opened` will ask for it.
    if (this.#owner.stage === Stage.sending) this.#owner.requestWanted();
  }

  timedOut(): void {
    this.#leftQueue();
    this.#owner.refuse("pool-queue-timeout", "");
  }

  // ClockOwner

  timeOver(fault: FaultCode): void {
    const queued = this.#owner.stage === Stage.queued;
    if (queued) {
      this.destination?.pool.leave(this);
      this.#leftQueue();
    }
    if (this.endpoint !== null) this.#tookAtLeast(this.endpoint, this.startedAt);
    this.#owner.refuse(queued && fault === "deadline-exceeded" ? "deadline-exceeded-queued" : fault, "");
    settle();
  }

  tryOver(): void {
    const { upstream } = this;
    if (upstream === null || this.#owner.stage >= Stage.answering) return;
    const cause = `no answer within the ${(this.destination as Destination).timeouts.perTry} ms of one try`;
    if (!upstream.open) {
      // Nothing was sent: what failed is the connection, and the endpoint is judged by that.
      upstream.fault("connect-timeout", cause);
      return;
    }
    this.upstream = null;
    upstream.abandon();
    this.endpoint?.tryFailed("try-timeout", false);
    this.#failed("try-timeout", cause, false);
    settle();
  }

  hedgeDue(): void {
    const { pool, retry } = this.destination as Destination;
    const first = this.endpoint;
    const waits = this.#owner.stage < Stage.answering && first !== null && this.upstream !== null;
    if (!waits || this.attempts >= retry.attempts || this.#belongsTo(first)) return;
    const endpoint = pool.pick(this.key, first);
    if (endpoint === null || endpoint === first || !pool.retryAllowed(retry.budget)) return;
    pool.count(PoolCell.hedges);
    this.attempts++;
    const { method } = this.#owner;
    const preface = this.#owner.preface(pool);
    const request = { head: this.head as HeadBuffer, method, attempt: this.attempts, preface };
    this.#hedge = new Hedge(this.#context, this.destination as Destination, endpoint, request, this);
    settle();
  }

  // HedgeOwner

  hedgeLines(attempt: number, startedAt: number): string {
    return this.#lines(attempt, (this.#clock as ExchangeClock).leftBeside(this.#leftOfTry(startedAt)));
  }

  hedgeAnswered(bytes: Uint8Array, head: AnswerHead): void {
    const hedge = this.#hedge as Hedge;
    const first = this.endpoint as Endpoint;
    const { pool, retry } = this.destination as Destination;
    if (retry.statuses?.includes(head.status) === true) {
      // The first may still do better.
      this.#hedge = null;
      countAnswer(hedge.endpoint, head.status, this.#context.clock.now() - hedge.sentAt);
      this.#note(hedge.endpoint, "", head.status, hedge.startedAt);
      void new Unheard(hedge.upstream, hedge.endpoint, pool, mostUnheard);
      return;
    }
    pool.count(PoolCell.hedgesWon);
    this.#note(first, "cancelled", 0, this.startedAt);
    this.#tookAtLeast(first, this.startedAt);
    this.upstream?.abandon();
    first.end();
    this.#adopt(hedge);
    this.answerHead(bytes, head);
  }

  hedgeFailed(code: FaultCode): void {
    const hedge = this.#hedge as Hedge;
    this.#hedge = null;
    this.#note(hedge.endpoint, code, 0, hedge.startedAt);
  }

  // AnswerSink, until the answer begins

  opened(): void {
    this.connectMs = this.#context.clock.now() - this.startedAt;
    this.#sendHead();
    this.#owner.requestWanted();
  }

  informational(bytes: Uint8Array, head: AnswerHead): void {
    // 100 says nothing of the answer, it only asks for the body (RFC 9110 §10.1.1), and that is kept for another try, which
    // need not ask again.
    if (head.status !== 100) this.#informed = true;
    else if (this.#continued && this.attempts > 1) return;
    else this.#continued = true;
    this.#owner.informational(bytes, head);
  }

  answerHead(bytes: Uint8Array, head: AnswerHead): void {
    const { retry } = this.destination as Destination;
    countAnswer(this.endpoint as Endpoint, head.status, this.#context.clock.now() - this.sentAt);
    if (retry.statuses !== null && this.#goesElsewhere(head.status)) return;
    this.#clock?.answered();
    if (this.#hedge !== null) this.#dropHedge();
    this.#keeping = false;
    const owner = this.#owner;
    (this.upstream as UpstreamSession).sink = owner;
    owner.answerHead(bytes, head);
  }

  // A body and its end come to the exchange itself.
  answerData(_bytes: Uint8Array, _from: number, _to: number): void {}
  answerEnd(_trailers: Uint8Array, _length: number): void {}

  switched(bytes: Uint8Array, head: AnswerHead, from: number, to: number): void {
    this.#clock?.clear();
    this.#owner.switched(bytes, head, from, to);
  }

  drained(): void {
    this.#owner.requestWanted();
  }

  failed(code: FaultCode, cause: string): void {
    const { upstream } = this;
    this.upstream = null;
    const raced = upstream !== null && upstream.reused && (code === "upstream-closed" || code === "upstream-reset");
    this.#failed(code, cause, raced);
  }

  congested(): boolean {
    return this.#owner.congested();
  }

  /** Starts the times of the exchange itself; false when its client's time is over already. */
  #startClock({ timeouts, deadline }: Destination, trusted: boolean): boolean {
    const clock = (this.#clock ??= new ExchangeClock(this.#context.wheel, this));
    if (timeouts.total > 0) clock.limit(timeouts.total, "total-timeout");
    const given = deadline !== null && trusted ? this.#context.request.header(deadline.name) : undefined;
    const ms = given === undefined ? -1 : (deadline?.read(given) ?? -1);
    if (ms > 0) clock.limit(ms, "deadline-exceeded");
    if (ms === 0) this.#owner.refuse("deadline-exceeded", "nothing was left of it on arrival");
    return ms !== 0;
  }

  #dispatch(): void {
    const { pool } = this.destination as Destination;
    const owner = this.#owner;
    const visit = pool.stick === null ? null : this.visit;
    const avoid = this.#avoid;
    const endpoint = visit === null ? pool.pick(this.key, avoid) : pool.pickSticky(visit, this.key, avoid);
    if (endpoint !== null) {
      this.#send(endpoint);
      return;
    }
    if (pool.refusal === "unusable") {
      owner.refuse("pool-unusable", "");
      return;
    }
    owner.stage = Stage.queued;
    if (!pool.wait(this, visit === null ? null : visit.waitsFor)) {
      owner.stage = Stage.connecting;
      owner.refuse("pool-queue-full", "");
    }
  }

  #send(endpoint: Endpoint): void {
    const destination = this.destination as Destination;
    this.#owner.stage = Stage.connecting;
    this.endpoint = endpoint;
    endpoint.begin();
    endpoint.count(EndpointCell.requests);
    if (this.attempts > 0) endpoint.count(EndpointCell.retries);
    this.attempts++;
    this.startedAt = this.#context.clock.now();
    if (destination.timed) this.#limitTry(destination);
    // A retry after the keep-alive race must not meet it again: only the first try reuses a connection.
    const reuse = this.attempts > 1 ? "no" : this.#safe && !this.#bodyLost ? "yes" : "checked";
    const preface = this.#owner.preface(destination.pool);
    const upstream = takeUpstream(this.#context, destination, endpoint, this, reuse, preface);
    this.upstream = upstream;
    this.reused = upstream.reused;
    this.failedOpen = destination.pool.failedOpen;
    if (upstream.open) this.#sendHead();
  }

  #sendHead(): void {
    const upstream = this.upstream as UpstreamSession;
    const owner = this.#owner;
    const destination = this.destination as Destination;
    owner.stage = Stage.sending;
    const plain = this.attempts === 1 && !destination.timed;
    const lines = plain ? "" : this.#lines(this.attempts, this.#clock?.left ?? -1);
    sendTry(upstream, this.head as HeadBuffer, owner.method, this.#upgrade, lines);
    if (!owner.requestDone) {
      // While the body is under way, its own rungs watch over it.
      this.#clock?.limitTry(0);
      return;
    }
    this.sentAt = this.startedAt;
    upstream.requestSent();
  }

  /** What only this try has in its head: which one it is, and the ms that are left for it (-1 = no limit). */
  #lines(attempt: number, left: number): string {
    const lines = attempt > 1 ? `X-Plimsoll-Attempt: ${attempt}\r\n` : "";
    const field = left < 0 ? null : (this.destination as Destination).deadline;
    return field === null ? lines : lines + field.line(left);
  }

  #limitTry({ timeouts, retry }: Destination): void {
    const clock = this.#clock as ExchangeClock;
    const { method, requestDone } = this.#owner;
    clock.limitTry(timeouts.perTry);
    const asks = method === Method.get || method === Method.head;
    clock.hedgeIn(asks && this.attempts === 1 && requestDone && !this.#upgrade ? retry.hedge : 0);
  }

  /** Ms that a try which began at `startedAt` has left for itself; 0 = it has no limit. */
  #leftOfTry(startedAt: number): number {
    const { perTry } = (this.destination as Destination).timeouts;
    return perTry === 0 ? 0 : Math.max(1, perTry - (this.#context.clock.now() - startedAt));
  }

  /** A try is over without an answer: another one, or the end. `raced`: by the keep-alive race, as far as can be seen. */
  #failed(code: FaultCode, cause: string, raced: boolean): void {
    const endpoint = this.endpoint as Endpoint;
    const { pool } = this.destination as Destination;
    const hedge = this.#hedge;
    if (hedge !== null || this.#mayRetry(code)) {
      if (raced) pool.count(PoolCell.staleRetried);
      if (faults[code].side === "upstream") endpoint.count(EndpointCell.failures);
      this.#note(endpoint, code, 0, this.startedAt);
      endpoint.end();
      if (hedge !== null) this.#adopt(hedge);
      else if (raced && !this.#raced && this.#belongsTo(endpoint)) {
        // Only the connection was old: the client stays, and the endpoint has not yet shown that it cannot.
        this.#raced = true;
        this.#tryAgain(null);
      } else this.#tryAgain(endpoint);
      return;
    }
    if (raced) pool.count(PoolCell.staleFailed);
    endpoint.observe(this.#context.clock.now() - this.startedAt, true);
    this.#owner.refuse(code, cause);
  }

  #mayRetry(code: FaultCode): boolean {
    const { retry, pool } = this.destination as Destination;
    if (this.attempts >= retry.attempts + (this.#raced ? 1 : 0)) return false;
    const sent = this.#owner.stage >= Stage.sending;
    const failed = { code, safe: this.#safe, sent, bodyLost: this.#bodyLost, answered: this.#informed };
    if (!isRetriable(retry, failed)) return false;
    // That its endpoint left says more than that nobody is left.
    if (code === "drain-window-over" && !pool.goesOn) return false;
    return pool.retryAllowed(retry.budget);
  }

  /** Another try, elsewhere than at `failed` if that can be. */
  #tryAgain(failed: Endpoint | null): void {
    const before = this.#avoid;
    if (failed !== null) this.#avoid = before === null ? failed : [failed].concat(before);
    this.endpoint = null;
    this.#owner.stage = Stage.connecting;
    this.#dispatch();
  }

  /** Whether an answer of this status is thrown away for another try; then that has begun. */
  #goesElsewhere(status: number): boolean {
    const { retry, pool } = this.destination as Destination;
    if (retry.statuses?.includes(status) !== true) return false;
    const hedge = this.#hedge;
    const whole = this.#safe && !this.#bodyLost && !this.#informed && this.#owner.requestDone;
    if (hedge === null && !(whole && this.attempts < retry.attempts && pool.retryAllowed(retry.budget))) return false;
    const endpoint = this.endpoint as Endpoint;
    this.#note(endpoint, "", status, this.startedAt);
    void new Unheard(this.upstream as UpstreamSession, endpoint, pool, mostUnheard);
    this.upstream = null;
    if (hedge === null) this.#tryAgain(endpoint);
    else this.#adopt(hedge);
    return true;
  }

  /** The hedge takes the place of the first try, which has let go of its endpoint. */
  #adopt(hedge: Hedge): void {
    const { upstream } = hedge;
    this.#hedge = null;
    this.endpoint = hedge.endpoint;
    this.upstream = upstream;
    upstream.sink = this;
    this.startedAt = hedge.startedAt;
    this.sentAt = hedge.sentAt;
    this.connectMs = hedge.connectMs;
    this.reused = upstream.reused;
    this.#owner.stage = upstream.open ? Stage.sending : Stage.connecting;
    this.#clock?.limitTry(this.#leftOfTry(hedge.startedAt));
  }

  #dropHedge(): void {
    const hedge = this.#hedge as Hedge;
    this.#hedge = null;
    this.#note(hedge.endpoint, "cancelled", 0, hedge.startedAt);
    hedge.cancel();
  }

  /** Whether the client has something at this endpoint that no other one has. */
  #belongsTo(endpoint: Endpoint): boolean {
    return this.destination?.pool.stick !== null && this.visit?.endpoint === endpoint;
  }

  #leftQueue(): void {
    this.queueMs = this.#context.clock.now() - this.queuedAt;
    this.#owner.stage = Stage.connecting;
  }

  /** An answer that was not waited for any longer is evidence only if it took longer than is usual there. */
  #tookAtLeast(endpoint: Endpoint, since: number): void {
    const now = this.#context.clock.now();
    if (now - since > endpoint.latency(now)) endpoint.observe(now - since, false);
  }

  /** Keeps for the log what became of a try. */
  #note(endpoint: Endpoint, fault: string, status: number, since: number): void {
    if (this.#context.log === null) return;
    if (this.records === noTries) this.records = [];
    this.records.push({ endpoint: endpoint.id, fault, status, ms: this.#context.clock.now() - since });
  }
}

/** One answer of an endpoint's: its class, and how long it took to begin. */
function countAnswer(endpoint: Endpoint, status: number, ms: number): void {
  const kind = (status / 100) | 0;
  endpoint.count(EndpointCell.answers2xx + kind - 2);
  endpoint.observe(ms, kind === 5);
}
