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
  /** When the stretch over which its speed is judged began, clock ms (-1 = with the next bytes), and what it brought. */
  #since = -1;
  #brought = 0;

  /** A body as the head announces it. Its trailers get what the head has left of `limits`. */
  begin(head: RequestHead, limits: HeadLimits): void {
    this.#framing = head.framing;
    this.#remaining = head.contentLength;
    this.#limit = 0;
    this.#since = -1;
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

  /** Nobody reads it for a while: that time is not the client's. */
  paused(): void {
    this.#since = -1;
  }

  /** Takes note of `bytes` that came; whether they make a whole stretch of `stretch` ms with fewer than `rate` a second. */
  lags(bytes: number, now: number, rate: number, stretch: number): boolean {
    if (this.#since < 0) {
      this.#since = now;
      this.#brought = 0;
      return false;
    }
    this.#brought += bytes;
    const took = now - this.#since;
    if (took < stretch) return false;
    const lags = this.#brought * 1000 < rate * took;
    this.#since = now;
    this.#brought = 0;
    return lags;
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
