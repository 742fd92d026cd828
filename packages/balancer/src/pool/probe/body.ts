// pool/probe/: asking an endpoint whether it is ready, one file per way of asking. A probe sees once and says what it saw;
// it must not know how often that makes an endpoint ready (threshold.ts), when to ask (schedule.ts), or who else asks.

// This file: the beginning of an answer's body, out of its framing, as far as a probe has to look into it.
import { type AnswerHead, ChunkedReader, Framing, violations } from "@plimsoll/wire/http1";

export class BodyStart {
  readonly #within: number;
  readonly #kept: Uint8Array;
  #length = 0;
  readonly #framing: number;
  #remaining: number;
  readonly #chunked: ChunkedReader | null;
  #complete = false;
  /** What is wrong with the framing; "" when nothing is. */
  problem = "";

  /** For the answer with this head; keeps the first `within` bytes. */
  constructor(head: AnswerHead, within: number) {
    this.#within = within;
    this.#kept = new Uint8Array(within);
    this.#framing = head.framing;
    this.#remaining = head.contentLength;
    this.#chunked = head.framing === Framing.chunked ? new ChunkedReader("answer") : null;
    this.#chunked?.reset(head.fields.count, 0);
    this.#complete = head.framing === Framing.none || (head.framing === Framing.length && head.contentLength === 0);
  }

  /** Whether nothing that is still to come matters. */
  get enough(): boolean {
    return this.#complete || this.problem !== "" || this.#length === this.#within;
  }

  take(bytes: Uint8Array, from: number): void {
    if (this.#chunked !== null) {
      this.#takeChunks(this.#chunked, bytes, from);
      return;
    }
    const counted = this.#framing === Framing.length;
    const to = counted ? Math.min(bytes.length, from + this.#remaining) : bytes.length;
    this.#keep(bytes, from, to);
    if (!counted) return;
    this.#remaining -= to - from;
    if (this.#remaining === 0) this.#complete = true;
  }

  /** The connection has ended. */
  end(): void {
    if (this.#framing === Framing.untilClose) this.#complete = true;
    else if (!this.#complete) this.problem = "answer ended within its body";
  }

  get text(): string {
    return new TextDecoder().decode(this.#kept.subarray(0, this.#length));
  }

  #takeChunks(reader: ChunkedReader, bytes: Uint8Array, from: number): void {
    let at = from;
    while (at < bytes.length && !this.enough) {
      at = reader.step(bytes, at, bytes.length);
      if (reader.violation !== 0) {
        this.problem = `invalid answer: ${violations[reader.violation]?.text ?? "badly chunked"}`;
        return;
      }
      this.#keep(bytes, reader.dataStart, reader.dataEnd);
      if (reader.done) this.#complete = true;
    }
  }

  #keep(bytes: Uint8Array, from: number, to: number): void {
    const room = Math.min(to - from, this.#within - this.#length);
    if (room <= 0) return;
    this.#kept.set(bytes.subarray(from, from + room), this.#length);
    this.#length += room;
  }
}
