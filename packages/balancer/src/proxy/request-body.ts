// A request body on its way from the client: read strictly in its own framing, written in ours.
import {
  ChunkedReader,
  CRLF,
  Framing,
  type HeadLimits,
  LAST_CHUNK,
  type RequestHead,
  violations,
  writeChunkHead,
} from "@plimsoll/wire/http1";
import type { FaultCode } from "../base/fault.ts";

const chunkHead = new Uint8Array(32);

/** Who takes the body: an exchange, of whatever protocol. */
export interface BodySink {
  bytesIn: number;
  requestData(bytes: Uint8Array, from: number, to: number): void;
  refuse(code: FaultCode, cause: string): void;
}

export class RequestBody {
  /** Whether the end was read. */
  done = true;
  #framing = 0;
  #remaining = 0;
  #limit = 0;
  #chunked: ChunkedReader | null = null;
  #limits: HeadLimits | null = null;

  /** A body as the head announces it. Its trailers get what the head has left of `limits`. */
  begin(head: RequestHead, limits: HeadLimits): void {
    this.#framing = head.framing;
    this.#remaining = head.contentLength;
    this.#limit = 0;
    this.done = head.framing === Framing.none || (head.framing === Framing.length && head.contentLength === 0);
    if (head.framing !== Framing.chunked) return;
    if (this.#chunked === null || this.#limits !== limits) this.#chunked = new ChunkedReader("request", limits);
    this.#limits = limits;
    this.#chunked.reset(head.fields.count, head.end - head.start);
  }

  /** Most bytes that the route allows; 0 = any number. */
  limit(bytes: number): void {
    this.#limit = bytes;
  }

  /**
   * Reads of bytes [from, to) what belongs to the body and hands it to the exchange; returns the position after it. What is
   * wrong with it ends the exchange.
   */
  read(bytes: Uint8Array, from: number, to: number, exchange: BodySink): number {
    if (this.#framing === Framing.length) {
      const end = Math.min(to, from + this.#remaining);
      this.#remaining -= end - from;
      exchange.bytesIn += end - from;
      exchange.requestData(bytes, from, end);
      if (this.#remaining === 0) this.done = true;
      return end;
    }
    const reader = this.#chunked as ChunkedReader;
    const at = reader.step(bytes, from, to);
    if (reader.violation !== 0) {
      const violation = violations[reader.violation];
      exchange.refuse((violation?.fault ?? "request-body-malformed") as FaultCode, violation?.text ?? "");
      return at;
    }
    const { dataStart, dataEnd } = reader;
    if (dataEnd > dataStart) {
      exchange.bytesIn += dataEnd - dataStart;
      if (this.#limit > 0 && exchange.bytesIn > this.#limit) {
        exchange.refuse("request-body-too-large", `more than ${this.#limit} bytes`);
        return at;
      }
      exchange.requestData(chunkHead, 0, writeChunkHead(chunkHead, 0, dataEnd - dataStart));
      exchange.requestData(bytes, dataStart, dataEnd);
      exchange.requestData(CRLF, 0, 2);
    }
    if (reader.done) {
      // Trailers end here: an endpoint cannot say that it wants them (RFC 9110 §6.5.1).
      exchange.requestData(LAST_CHUNK, 0, LAST_CHUNK.length);
      this.done = true;
    }
    return at;
  }
}
