// http1/ turns bytes into HTTP/1.1 messages and back: heads, chunked bodies, and the writers for both.
// It must not know sockets, clocks, routes or what a balancer does; it is fed bytes and answers with positions.
// This file is the door for other packages; files in here import each other directly.
export { AnswerHead } from "./answer-head.ts";
export { ChunkedReader } from "./chunked-reader.ts";
export type { Underscores } from "./field-lines.ts";
export { Field, FieldFlag, fieldHash, fieldId, Fields, hashName } from "./fields.ts";
export { Framing } from "./framing.ts";
export type { HeadLimits } from "./limits.ts";
export { answerLimits, requestLimits } from "./limits.ts";
export { Method } from "./method.ts";
export { mayComplete } from "./octets.ts";
export { parseAnswerHead } from "./parse-answer.ts";
export { parseRequestHead } from "./parse-request.ts";
export { RequestHead } from "./request-head.ts";
export { TargetForm } from "./target.ts";
export type { ViolationKind, WireFault } from "./violations.ts";
export { violations } from "./violations.ts";
export { chunkHeadLength, copy, CRLF, LAST_CHUNK, writeAscii, writeChunkHead, writeDecimal } from "./writers.ts";
