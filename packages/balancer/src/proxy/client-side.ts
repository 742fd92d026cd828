// What an exchange needs of whoever asked, whatever protocol that speaks. HTTP/1.1 has one implementation
// (client-session.ts); an HTTP/2 stream will be another.
import type { AnswerHead } from "@plimsoll/wire/http1";
import type { OwnAnswer } from "./own-answer.ts";
import type { Prefaces } from "./preface.ts";
import type { HeaderEdits } from "./steps/header-edits.ts";
import type { UpstreamSession } from "./upstream-session.ts";

export interface ClientSide {
  /** What is said of it to pools that want to know. */
  readonly prefaces: Prefaces;
  /** A 100, 103 or other informational answer. */
  informational(bytes: Uint8Array, head: AnswerHead): void;
  /** The final head, with lines of our `own`; the body follows in `answerData`, the end in `answerEnd`. */
  answerHead(bytes: Uint8Array, head: AnswerHead, edits: HeaderEdits | null, own: Uint8Array | null): void;
  answerData(bytes: Uint8Array, from: number, to: number): void;
  /** `trailers[0..length)` are canonical field lines. */
  answerEnd(trailers: Uint8Array, length: number): void;
  /** A whole answer of our own; with `close`, no further request on this connection. */
  ownAnswer(answer: OwnAnswer, close: boolean): void;
  /** Destroys the connection, so that the client sees an incomplete message. */
  cut(): void;
  /** The upstream can take request bytes (again). */
  requestWanted(): void;
  /** The upstream switched protocols: from here on bytes pass untouched. */
  tunnel(
    bytes: Uint8Array,
    head: AnswerHead,
    from: number,
    to: number,
    upstream: UpstreamSession,
    own: Uint8Array | null,
  ): void;
  /** Whether the client does not keep up. */
  congested(): boolean;
}
