// Reads the answers on one upstream connection, strictly: head, body in its own framing, end. What it finds it tells the
// session, which owns the connection; after a fault or an end it reads nothing more until `begin`.
import {
  type AnswerHead,
  answerLimits,
  ChunkedReader,
  Framing,
  mayComplete,
  parseAnswerHead,
  violations,
} from "@plimsoll/wire/http1";
import type { FaultCode } from "../base/fault.ts";
import type { AnswerSink } from "./answer-sink.ts";
import { HeldBytes } from "./held-bytes.ts";

/** What the session is told. */
export interface AnswerEvents {
  /** Who gets the answer; null as soon as nobody wants it any more. */
  readonly sink: AnswerSink | null;
  /** A final head was read; the sink is told next. */
  bodyBegins(head: AnswerHead): void;
  /** The answer ended where it said it would; `excess` bytes came after it. */
  complete(trailers: Uint8Array, trailerLength: number, excess: number): void;
  switching(bytes: Uint8Array, head: AnswerHead, from: number, to: number): void;
  fault(code: FaultCode, cause: string): void;
}

const noTrailers = new Uint8Array(0);
/** More informational answers than this before the final one are a loop (RFC 9110 §15.2 sets no number). */
const mostInformational = 16;

const Stage = { head: 0, body: 1, over: 2 } as const;

export class AnswerReader {
  /** Whether any byte of the current answer came. */
  begun = false;
  readonly #events: AnswerEvents;
  /** Shared by the worker: filled and used up within one call. */
  readonly #head: AnswerHead;
  readonly #held = new HeldBytes();
  #stage: number = Stage.over;
  #method = 0;
  #upgradeAsked = false;
  #informational = 0;
  #framing = 0;
  #remaining = 0;
  #chunked: ChunkedReader | null = null;

  constructor(events: AnswerEvents, head: AnswerHead) {
    this.#events = events;
    this.#head = head;
  }

  /** Whether the head was read and the body is not at its end. */
  get inBody(): boolean {
    return this.#stage === Stage.body;
  }

  /** Whether only the end of the connection ends the body. */
  get untilClose(): boolean {
    return this.#stage === Stage.body && this.#framing === Framing.untilClose;
  }

  /** The next answer is to a request of this method. */
  begin(method: number, upgradeAsked: boolean): void {
    this.begun = false;
    this.#stage = Stage.head;
    this.#method = method;
    this.#upgradeAsked = upgradeAsked;
    this.#informational = 0;
    this.#held.clear();
  }

  read(bytes: Uint8Array): void {
    this.begun = true;
    if (this.#held.empty) {
      this.#read(bytes, 0, bytes.length);
      return;
    }
    // An endpoint that trickles its head byte by byte must not have it parsed again for each.
    const worth = mayComplete(bytes, 0, bytes.length);
    this.#held.add(bytes, 0, bytes.length);
    if (!worth && this.#held.length < answerLimits.headBytes) return;
    const held = this.#held.take();
    this.#read(held, this.#held.from, this.#held.to);
  }

  /** Nothing more is wanted. */
  stop(): void {
    this.#stage = Stage.over;
    this.#held.clear();
  }

  #read(bytes: Uint8Array, from: number, to: number): void {
    let at = from;
    while (this.#stage === Stage.head) {
      at = this.#readHead(bytes, at, to);
      if (at < 0 || at === to) return;
    }
    if (this.#stage === Stage.body) this.#readBody(bytes, at, to);
  }

  /** Returns the position after the head, or -1 when there is no going on. */
  #readHead(bytes: Uint8Array, from: number, to: number): number {
    const events = this.#events;
    const head = this.#head;
    const next = parseAnswerHead(bytes, from, to, answerLimits, head, this.#method);
    if (next === 0) {
      if (from < to) this.#held.add(bytes, from, to);
      return -1;
    }
    if (next < 0) {
      const violation = violations[-next];
      events.fault((violation?.fault ?? "answer-malformed") as FaultCode, violation?.text ?? "");
      return -1;
    }
    if (head.status >= 200) return this.#begins(bytes, head, next, to);
    if (head.status === 101) {
      if (this.#upgradeAsked && head.upgrade) events.switching(bytes, head, next, to);
      else events.fault("answer-upgrade-unasked", "status 101");
      return -1;
    }
    if (++this.#informational > mostInformational) {
      events.fault("answer-malformed", "too many informational answers");
      return -1;
    }
    events.sink?.informational(bytes, head);
    return events.sink === null ? -1 : next;
  }

  #begins(bytes: Uint8Array, head: AnswerHead, at: number, to: number): number {
    const events = this.#events;
    this.#stage = Stage.body;
    this.#framing = head.framing;
    this.#remaining = head.contentLength;
    if (head.framing === Framing.chunked) {
      this.#chunked ??= new ChunkedReader("answer");
      this.#chunked.reset(head.fields.count, 0);
    }
    events.bodyBegins(head);
    events.sink?.answerHead(bytes, head);
    if (events.sink === null) return -1;
    if (this.#framing === Framing.none || (this.#framing === Framing.length && this.#remaining === 0)) {
      this.#end(noTrailers, 0, to - at);
      return -1;
    }
    return at;
  }

  #readBody(bytes: Uint8Array, from: number, to: number): void {
    const { sink } = this.#events;
    if (sink === null) return;
    if (this.#framing === Framing.chunked) {
      this.#readChunks(bytes, from, to);
      return;
    }
    if (this.#framing === Framing.untilClose) {
      sink.answerData(bytes, from, to);
      return;
    }
    const end = Math.min(to, from + this.#remaining);
    this.#remaining -= end - from;
    sink.answerData(bytes, from, end);
    if (this.#remaining === 0 && this.#events.sink !== null) this.#end(noTrailers, 0, to - end);
  }

  #readChunks(bytes: Uint8Array, from: number, to: number): void {
    const events = this.#events;
    const reader = this.#chunked as ChunkedReader;
    let at = from;
    while (at < to) {
      at = reader.step(bytes, at, to);
      if (reader.violation !== 0) {
        events.fault("answer-truncated", violations[reader.violation]?.text ?? "badly chunked");
        return;
      }
      if (reader.dataEnd > reader.dataStart) events.sink?.answerData(bytes, reader.dataStart, reader.dataEnd);
      if (events.sink === null) return;
      if (reader.done) {
        this.#end(reader.trailers, reader.trailerLength, to - at);
        return;
      }
    }
  }

  #end(trailers: Uint8Array, length: number, excess: number): void {
    this.#stage = Stage.over;
    this.#events.complete(trailers, length, excess);
  }
}
