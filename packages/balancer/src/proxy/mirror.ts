// A copy of an exchange's request to a second pool. Its answer is read and thrown away, and nothing that happens to it
// reaches the client: no waiting, no fault, no more than a bounded buffer.
import type { AnswerHead } from "@plimsoll/wire/http1";
import { copyBytes, copyOf } from "../base/bytes.ts";
import { EndpointCell, PoolCell } from "../observe/table.ts";
import type { Endpoint } from "../pool/endpoint.ts";
import type { AnswerSink } from "./answer-sink.ts";
import type { EngineContext } from "./engine-context.ts";
import type { Destination } from "./folded-route.ts";
import type { HeadBuffer } from "./head-buffer.ts";
import type { Preface } from "./preface.ts";
import type { UpstreamSession } from "./upstream-session.ts";
import { takeUpstream } from "./upstream-try.ts";

/** Body bytes kept for a mirror that cannot take them yet; beyond that the copy is given up. */
const mostKept = 64 * 1024;

export class Mirror implements AnswerSink {
  readonly #endpoint: Endpoint;
  readonly #method: number;
  #upstream: UpstreamSession | null;
  #kept: Uint8Array;
  #keptTo: number;
  #open = false;
  #ended = false;

  /** Begins a copy; null when the pool has nobody to take it. */
  static begin(
    context: EngineContext,
    destination: Destination,
    head: HeadBuffer,
    method: number,
    preface: Preface | null,
  ): Mirror | null {
    const endpoint = destination.pool.pick(0, null);
    if (endpoint === null) return null;
    destination.pool.count(PoolCell.mirrored);
    return new Mirror(context, destination, endpoint, head, method, preface);
  }

  private constructor(
    context: EngineContext,
    destination: Destination,
    endpoint: Endpoint,
    head: HeadBuffer,
    method: number,
    preface: Preface | null,
  ) {
    this.#endpoint = endpoint;
    this.#method = method;
    // The exchange's own is the next request's as soon as this one is answered.
    this.#kept = copyOf(head.bytes, 0, head.length);
    this.#keptTo = head.length;
    endpoint.begin();
    endpoint.count(EndpointCell.requests);
    this.#upstream = takeUpstream(context, destination, endpoint, this, "yes", preface);
    if (this.#upstream.open) this.opened();
  }

  /** Body bytes as they went to the real endpoint. */
  data(bytes: Uint8Array, from: number, to: number): void {
    const upstream = this.#upstream;
    if (upstream === null) return;
    if (this.#open) {
      upstream.outbox.append(bytes, from, to);
      upstream.outbox.flush();
      if (upstream.outbox.waiting > mostKept) this.#giveUp();
      return;
    }
    const length = to - from;
    if (this.#keptTo + length > mostKept) {
      this.#giveUp();
      return;
    }
    if (this.#keptTo + length > this.#kept.length) {
      const grown = Buffer.allocUnsafeSlow(mostKept);
      copyBytes(grown, 0, this.#kept, 0, this.#keptTo);
      this.#kept = grown;
    }
    this.#keptTo = copyBytes(this.#kept, this.#keptTo, bytes, from, to);
  }

  /** The request is complete. */
  end(): void {
    this.#ended = true;
    if (this.#open) this.#upstream?.requestSent();
  }

  /** The exchange it copies is over: a request that was not complete by then never will be. */
  exchangeEnded(): void {
    if (!this.#ended) this.#giveUp();
  }

  opened(): void {
    this.#open = true;
    const upstream = this.#upstream as UpstreamSession;
    upstream.sendHead(this.#kept, this.#keptTo, this.#method, false);
    if (this.#ended) upstream.requestSent();
  }

  informational(_bytes: Uint8Array, _head: AnswerHead): void {}
  answerHead(_bytes: Uint8Array, _head: AnswerHead): void {}
  answerData(_bytes: Uint8Array, _from: number, _to: number): void {}
  answerEnd(_trailers: Uint8Array, _length: number): void {
    this.#done();
  }
  switched(_bytes: Uint8Array, _head: AnswerHead, _from: number, _to: number): void {
    this.#giveUp();
  }
  drained(): void {}
  failed(): void {
    this.#endpoint.count(EndpointCell.failures);
    this.#done();
  }
  congested(): boolean {
    return false;
  }

  #giveUp(): void {
    const upstream = this.#upstream;
    if (upstream === null) return;
    this.#done();
    upstream.abandon();
  }

  #done(): void {
    if (this.#upstream === null) return;
    this.#upstream = null;
    this.#endpoint.end();
  }
}
