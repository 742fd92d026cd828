// Who gets an answer as an upstream session reads it: an exchange, or a mirror that throws it away.
import type { AnswerHead } from "@plimsoll/wire/http1";
import type { FaultCode } from "../base/fault.ts";

/** After `answerEnd`, `switched` or `failed` the session has let go of its sink. */
export interface AnswerSink {
  /** A new connection is open: send the request now. */
  opened(): void;
  informational(bytes: Uint8Array, head: AnswerHead): void;
  answerHead(bytes: Uint8Array, head: AnswerHead): void;
  answerData(bytes: Uint8Array, from: number, to: number): void;
  /** `trailers[0..length)` are canonical field lines. */
  answerEnd(trailers: Uint8Array, length: number): void;
  /** 101 came, and it was asked for; bytes [from, to) already belong to the new protocol. */
  switched(bytes: Uint8Array, head: AnswerHead, from: number, to: number): void;
  /** The endpoint took what was waiting. */
  drained(): void;
  failed(code: FaultCode, cause: string): void;
  /** Whether reading on would only pile up bytes. */
  congested(): boolean;
}
