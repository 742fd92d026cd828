// Heads written as text in tests: parses them and reads the result back as text.
import { AnswerHead } from "./answer-head.ts";
import type { Underscores } from "./field-lines.ts";
import type { Fields } from "./fields.ts";
import { FieldFlag } from "./fields.ts";
import { answerLimits, requestLimits } from "./limits.ts";
import { Method } from "./method.ts";
import { parseAnswerHead } from "./parse-answer.ts";
import { parseRequestHead } from "./parse-request.ts";
import { RequestHead } from "./request-head.ts";
import { violations } from "./violations.ts";

/** Latin-1 text as bytes. */
export function latin1(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}

/** Bytes [from, to) as Latin-1 text. */
export function textOf(bytes: Uint8Array, from = 0, to = bytes.length): string {
  return Buffer.from(bytes.subarray(from, to)).toString("latin1");
}

/** What a parse returned: the head's length, "incomplete", or `fault: text` of the violation. */
export function outcome(position: number): string | number {
  if (position === 0) return "incomplete";
  if (position > 0) return position;
  const kind = violations[-position]!;
  return `${kind.fault}: ${kind.text}`;
}

export interface Parsed<Head> {
  readonly outcome: string | number;
  readonly head: Head;
  readonly bytes: Uint8Array;
}

export function parseRequest(text: string, limits = requestLimits, underscores?: Underscores): Parsed<RequestHead> {
  const bytes = latin1(text);
  const head = new RequestHead();
  return { outcome: outcome(parseRequestHead(bytes, 0, bytes.length, limits, head, underscores)), head, bytes };
}

export function parseAnswer(text: string, method: number = Method.get, limits = answerLimits): Parsed<AnswerHead> {
  const bytes = latin1(text);
  const head = new AnswerHead();
  return { outcome: outcome(parseAnswerHead(bytes, 0, bytes.length, limits, head, method)), head, bytes };
}

/** Names and values of all fields, as received. */
export function pairsOf(fields: Fields, bytes: Uint8Array): [string, string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i < fields.count; i++) {
    const [nameStart, nameEnd, valueStart, valueEnd] = fields.at.subarray(i * 4, i * 4 + 4);
    pairs.push([textOf(bytes, nameStart, nameEnd), textOf(bytes, valueStart, valueEnd)]);
  }
  return pairs;
}

/** Names of the fields that have one of these flags. */
export function namesWith(fields: Fields, bytes: Uint8Array, flag: number): string[] {
  return pairsOf(fields, bytes)
    .filter((_, i) => (fields.flags[i]! & flag) !== 0)
    .map(([name]) => name);
}

/** Names of the fields that may be forwarded. */
export function forwardedOf(fields: Fields, bytes: Uint8Array): string[] {
  const kept = FieldFlag.hop | FieldFlag.framing;
  return pairsOf(fields, bytes)
    .filter((_, i) => (fields.flags[i]! & kept) === 0)
    .map(([name]) => name);
}
