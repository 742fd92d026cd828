// An answer that nobody hears: its client went away but the work must not be cancelled, or it is of a status that is tried
// again elsewhere. It is read to its end, so that its connection can be used again and the endpoint's load stays true.
import type { AnswerHead } from "@plimsoll/wire/http1";
import type { Endpoint } from "../pool/endpoint.ts";
import type { Pool } from "../pool/pool.ts";
import type { AnswerSink } from "./answer-sink.ts";
import type { UpstreamSession } from "./upstream-session.ts";

/** Reading on is cheaper than a new connection up to about here. */
export const mostUnheard = 64 * 1024;

export class Unheard implements AnswerSink {
  readonly #upstream: UpstreamSession;
  readonly #endpoint: Endpoint;
  readonly #pool: Pool;
  #room: number;
  #over = false;

  /** Takes over `upstream`, whose exchange has begun at `endpoint`; after more than `most` bytes it is cut. */
  constructor(upstream: UpstreamSession, endpoint: Endpoint, pool: Pool, most: number) {
    this.#upstream = upstream;
    this.#endpoint = endpoint;
    this.#pool = pool;
    this.#room = most;
    upstream.sink = this;
    upstream.resume();
  }

  opened(): void {}
  informational(_bytes: Uint8Array, _head: AnswerHead): void {}
  answerHead(_bytes: Uint8Array, _head: AnswerHead): void {}

  answerData(_bytes: Uint8Array, from: number, to: number): void {
    this.#room -= to - from;
    if (this.#room < 0) this.#cut();
  }

  answerEnd(_trailers: Uint8Array, _length: number): void {
    this.#done();
  }

  switched(_bytes: Uint8Array, _head: AnswerHead, _from: number, _to: number): void {
    this.#cut();
  }

  drained(): void {}

  failed(): void {
    this.#done();
  }

  congested(): boolean {
    return false;
  }

  #cut(): void {
    this.#upstream.abandon();
    this.#done();
  }

  #done(): void {
    if (this.#over) return;
    this.#over = true;
    this.#endpoint.end();
    this.#pool.wake();
  }
}
