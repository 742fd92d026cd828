// An answer on its way to the client: its head, its body in a framing that this client understands, its end.
import { type AnswerHead, CRLF, Framing, LAST_CHUNK, Method, writeChunkHead } from "@plimsoll/wire/http1";
import { latin1 } from "../base/bytes.ts";
import { BodyFraming, Persistence, writeAnswerHead } from "./answer-head.ts";
import { dateLine } from "./http-date.ts";
import { Outbox } from "./outbox.ts";
import { type OwnAnswer, reasonPhrase } from "./own-answer.ts";
import type { HeaderEdits } from "./steps/header-edits.ts";

const closeLine = "Connection: close\r\n";
const keepAliveLine = "Connection: keep-alive\r\n";

export class AnswerWriter {
  readonly #outbox: Outbox;
  #framing = 0;
  #minor = 1;
  #method = 0;
  #trailers = false;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /** Who asked, and how: decides the framing. */
  begin(method: number, minor: number, acceptsTrailers: boolean): void {
    this.#method = method;
    this.#minor = minor;
    this.#trailers = acceptsTrailers && minor === 1;
  }

  /** Whether the body of this answer can only end with the connection: a client of HTTP/1.0 and no length. */
  needsClose(head: AnswerHead): boolean {
    return this.#minor === 0 && head.framing !== Framing.length && !this.#bodiless(head.status);
  }

  informational(bytes: Uint8Array, head: AnswerHead): void {
    if (this.#minor === 0) return; // RFC 9110 §15.2: never to an HTTP/1.0 client
    writeAnswerHead(bytes, head, this.#outbox, BodyFraming.none, -1, Persistence.silent, null, null);
    this.#outbox.flush();
  }

  switched(bytes: Uint8Array, head: AnswerHead, own: Uint8Array | null): void {
    writeAnswerHead(bytes, head, this.#outbox, BodyFraming.none, -1, Persistence.upgrade, null, own);
  }

  head(
    bytes: Uint8Array,
    head: AnswerHead,
    close: boolean,
    edits: HeaderEdits | null,
    own: Uint8Array | null = null,
  ): void {
    let framing: number = BodyFraming.untilClose;
    let length = -1;
    if (this.#bodiless(head.status)) {
      framing = BodyFraming.none;
      // The length of what a GET would have got (RFC 9110 §8.6); a 204 must say none.
      if (head.status !== 204) length = head.contentLength;
    } else if (head.framing === Framing.length) {
      framing = BodyFraming.length;
      length = head.contentLength;
    } else if (this.#minor === 1) framing = BodyFraming.chunked;
    this.#framing = framing;
    writeAnswerHead(bytes, head, this.#outbox, framing, length, this.#persistence(close), edits, own);
  }

  data(bytes: Uint8Array, from: number, to: number): void {
    const outbox = this.#outbox;
    if (this.#framing === BodyFraming.none) return;
    if (this.#framing !== BodyFraming.chunked) {
      outbox.append(bytes, from, to);
      return;
    }
    const at = outbox.reserve(18);
    outbox.wrote(writeChunkHead(Outbox.scratch, at, to - from));
    outbox.append(bytes, from, to);
    outbox.append(CRLF, 0, 2);
  }

  /** `trailers[0..length)` are canonical field lines; they pass only where the client said that it takes them. */
  end(trailers: Uint8Array, length: number): void {
    if (this.#framing !== BodyFraming.chunked) return;
    const outbox = this.#outbox;
    if (length === 0 || !this.#trailers) {
      outbox.append(LAST_CHUNK, 0, LAST_CHUNK.length);
      return;
    }
    outbox.append(LAST_CHUNK, 0, 3);
    outbox.append(trailers, 0, length);
    outbox.append(CRLF, 0, 2);
  }

  /** A whole answer of ours. */
  own({ status, lines, body }: OwnAnswer, close: boolean): void {
    const outbox = this.#outbox;
    const bodiless = status === 204 || status === 304;
    const persistence = this.#persistence(close);
    const head = latin1(
      `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n` +
        (bodiless ? "" : `Content-Length: ${body.length}\r\n`) +
        (persistence === Persistence.close ? closeLine : persistence === Persistence.keepAlive ? keepAliveLine : ""),
    );
    outbox.append(head, 0, head.length);
    outbox.append(dateLine, 0, dateLine.length);
    outbox.append(lines, 0, lines.length);
    outbox.append(CRLF, 0, 2);
    if (!this.#bodiless(status)) outbox.append(body, 0, body.length);
  }

  #bodiless(status: number): boolean {
    return this.#method === Method.head || status === 204 || status === 304;
  }

  #persistence(close: boolean): number {
    if (close) return Persistence.close;
    return this.#minor === 0 ? Persistence.keepAlive : Persistence.silent;
  }
}
