// The second try of a hedged request, at another endpoint while the first goes on (docs/retries.md). Until its answer begins
// it is a guest of its exchange; then, or when the first fails, it takes the first one's place.
import type { AnswerHead } from "@plimsoll/wire/http1";
import { type FaultCode, faults } from "../base/fault.ts";
import { EndpointCell } from "../observe/table.ts";
import type { Endpoint } from "../pool/endpoint.ts";
import type { AnswerSink } from "./answer-sink.ts";
import type { EngineContext } from "./engine-context.ts";
import type { Destination } from "./folded-route.ts";
import type { HeadBuffer } from "./head-buffer.ts";
import type { Preface } from "./preface.ts";
import type { UpstreamSession } from "./upstream-session.ts";
import { sendTry, takeUpstream } from "./upstream-try.ts";

/** The exchange, as its hedge knows it. */
export interface HedgeOwner {
  /** Lines of its own in its head: which try it is, and what is left for one that began at `startedAt`. */
  hedgeLines(attempt: number, startedAt: number): string;
  /** Its answer begins. */
  hedgeAnswered(bytes: Uint8Array, head: AnswerHead): void;
  /** It is over without an answer, and has let go of its endpoint. */
  hedgeFailed(code: FaultCode): void;
}

export class Hedge implements AnswerSink {
  readonly endpoint: Endpoint;
  /** Which try of the exchange it is. */
  readonly attempt: number;
  readonly startedAt: number;
  readonly upstream: UpstreamSession;
  readonly #context: EngineContext;
  readonly #owner: HedgeOwner;
  readonly #head: HeadBuffer;
  readonly #method: number;
  connectMs = -1;
  /** 0 until it was sent. */
  sentAt = 0;

  constructor(
    context: EngineContext,
    destination: Destination,
    endpoint: Endpoint,
    request: {
      readonly head: HeadBuffer;
      readonly method: number;
      readonly attempt: number;
      readonly preface: Preface | null;
    },
    owner: HedgeOwner,
  ) {
    this.#context = context;
    this.endpoint = endpoint;
    this.attempt = request.attempt;
    this.#head = request.head;
    this.#method = request.method;
    this.#owner = owner;
    this.startedAt = context.clock.now();
    endpoint.begin();
    endpoint.count(EndpointCell.requests);
    endpoint.count(EndpointCell.retries);
    this.upstream = takeUpstream(context, destination, endpoint, this, "yes", request.preface);
    if (this.upstream.open) this.#send();
  }

  /** Its answer is not wanted any more. */
  cancel(): void {
    this.upstream.abandon();
    this.endpoint.end();
  }

  opened(): void {
    this.connectMs = this.#context.clock.now() - this.startedAt;
    this.#send();
  }

  informational(_bytes: Uint8Array, _head: AnswerHead): void {}

  answerHead(bytes: Uint8Array, head: AnswerHead): void {
    this.#owner.hedgeAnswered(bytes, head);
  }

  // Nothing of an answer comes before its head, and then this is no longer the sink.
  answerData(_bytes: Uint8Array, _from: number, _to: number): void {}
  answerEnd(_trailers: Uint8Array, _length: number): void {}
  switched(_bytes: Uint8Array, _head: AnswerHead, _from: number, _to: number): void {}
  drained(): void {}

  failed(code: FaultCode): void {
    if (faults[code].side === "upstream") this.endpoint.count(EndpointCell.failures);
    this.endpoint.end();
    this.#owner.hedgeFailed(code);
  }

  congested(): boolean {
    return false;
  }

  #send(): void {
    this.sentAt = this.#context.clock.now();
    sendTry(this.upstream, this.#head, this.#method, false, this.#owner.hedgeLines(this.attempt, this.startedAt));
    this.upstream.requestSent();
  }
}
