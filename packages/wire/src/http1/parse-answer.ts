// Reads the head of an answer, as strict towards the upstream as the request parser is towards the client. RFC 9112 §4, §6.3.
import { scanFieldLines } from "./field-lines.ts";
import type { AnswerHead } from "./answer-head.ts";
import { Field, lastJudged } from "./fields.ts";
import { Framing, judgeCoding, readLength } from "./framing.ts";
import { namedTooMany, Option, readConnection } from "./hop.ts";
import type { HeadLimits } from "./limits.ts";
import { Method } from "./method.ts";
import { CR, EQUALS, COMMA, HTAB, LF, sameName, SP, valueTable } from "./octets.ts";
import { readVersion } from "./version.ts";
import { inAnswer, Violation } from "./violations.ts";

/**
 * Parses the answer head that begins at `from`: like `parseRequestHead`. `requestMethod` is the `Method` of the request
 * it answers, since HEAD and CONNECT change where the answer ends.
 */
export function parseAnswerHead(
  bytes: Uint8Array,
  from: number,
  to: number,
  limits: HeadLimits,
  head: AnswerHead,
  requestMethod: number,
): number {
  const position = scanAnswer(bytes, from, to, limits, head, requestMethod);
  return position < 0 ? -inAnswer(-position) : position;
}

function scanAnswer(
  bytes: Uint8Array,
  from: number,
  to: number,
  limits: HeadLimits,
  head: AnswerHead,
  requestMethod: number,
): number {
  const headLimit = from + limits.headBytes;
  const stop = to < headLimit ? to : headLimit;
  const incomplete = to < headLimit ? 0 : -Violation.headTooLarge;

  const minor = readVersion(bytes, from, stop);
  if (minor < 0) return minor;
  if (minor > 1) return incomplete;
  head.minor = minor;
  let p = from + 8;
  if (p >= stop) return incomplete;
  if (bytes[p] !== SP) return -Violation.statusLine;
  p++;
  let status = 0;
  for (let i = 0; i < 3; i++, p++) {
    if (p >= stop) return incomplete;
    const digit = bytes[p]! - 48;
    if (digit < 0 || digit > 9) return -Violation.statusLine;
    status = status * 10 + digit;
  }
  if (status < 100 || status > 599) return -Violation.statusRange;
  head.status = status;
  if (p >= stop) return incomplete;
  // The space is due even without a reason, but many leave it out, and nothing can be misread by that.
  if (bytes[p] === SP) p++;
  else if (bytes[p] !== CR) return -Violation.statusLine;
  head.reasonStart = p;
  while (p < stop && valueTable[bytes[p]!] !== 0) p++;
  if (p >= stop) return incomplete;
  head.reasonEnd = p;
  if (bytes[p] !== CR) return bytes[p] === LF ? -Violation.bareLf : -Violation.reasonByte;
  if (p + 1 >= stop) return incomplete;
  if (bytes[p + 1] !== LF) return -Violation.bareCr;

  const end = scanFieldLines(bytes, p + 2, stop, incomplete, limits, head.fields, "pass");
  if (end <= 0) return end;
  head.end = end;
  const violation = judgeAnswer(bytes, head, limits, requestMethod);
  return violation === 0 ? end : -violation;
}

/** What the fields mean together. Returns 0 or a violation number. */
function judgeAnswer(bytes: Uint8Array, head: AnswerHead, limits: HeadLimits, requestMethod: number): number {
  const { fields, status } = head;
  const { at, ids, count } = fields;
  let length = -1;
  let coding = -1;
  let upgrades = 0;
  let options = 0;
  head.keepAliveTimeout = -1;
  for (let i = 0; i < count; i++) {
    const id = ids[i]!;
    if (id === 0 || id > lastJudged) continue;
    const valueStart = at[i * 4 + 2]!;
    const valueEnd = at[i * 4 + 3]!;
    switch (id) {
      case Field.contentLength:
        if (length >= 0) return coding >= 0 ? Violation.lengthAndCoding : Violation.lengthTwice;
        length = i;
        break;
      case Field.transferEncoding:
        if (coding >= 0) return Violation.codingTwice;
        coding = i;
        break;
      case Field.connection:
        options = readConnection(bytes, valueStart, valueEnd, fields, options, limits.fields);
        break;
      case Field.keepAlive:
        head.keepAliveTimeout = readTimeout(bytes, valueStart, valueEnd);
        break;
      case Field.upgrade:
        upgrades++;
        head.upgradeStart = valueStart;
        head.upgradeEnd = valueEnd;
        break;
      default:
        break;
    }
  }

  if (namedTooMany(options, limits.fields)) return Violation.connectionTooMany;
  head.contentLength = -1;
  if (length >= 0) {
    if (coding >= 0) return Violation.lengthAndCoding;
    head.contentLength = readLength(bytes, at[length * 4 + 2]!, at[length * 4 + 3]!);
    if (head.contentLength < 0) return Violation.lengthMalformed;
  }
  if (coding >= 0) {
    if (head.minor === 0) return Violation.codingOldVersion;
    const unknown = judgeCoding(bytes, at[coding * 4 + 2]!, at[coding * 4 + 3]!);
    if (unknown !== 0) return unknown;
  }
  const bodiless =
    status < 200 ||
    status === 204 ||
    status === 304 ||
    requestMethod === Method.head ||
    (requestMethod === Method.connect && status < 300);
  if (bodiless) head.framing = Framing.none;
  else if (coding >= 0) head.framing = Framing.chunked;
  else head.framing = length >= 0 ? Framing.length : Framing.untilClose;
  head.keepAlive =
    head.framing !== Framing.untilClose &&
    (options & Option.close) === 0 &&
    (head.minor === 1 || (options & Option.keepAlive) !== 0);
  head.upgrade =
    status === 101 && upgrades === 1 && (options & Option.upgrade) !== 0 && head.upgradeEnd > head.upgradeStart;
  return 0;
}

const timeout = new TextEncoder().encode("timeout");

/** Seconds of the element `timeout=N` of a Keep-Alive value, -1 if there is none of up to 9 digits. */
function readTimeout(bytes: Uint8Array, from: number, to: number): number {
  let p = from;
  while (p < to) {
    while (p < to && (bytes[p] === COMMA || bytes[p] === SP || bytes[p] === HTAB)) p++;
    const start = p;
    while (p < to && bytes[p] !== EQUALS && bytes[p] !== COMMA) p++;
    if (p < to && bytes[p] === EQUALS && sameName(bytes, start, p, timeout)) {
      p++;
      const digits = p;
      let seconds = 0;
      while (p < to && p - digits < 9 && bytes[p]! >= 48 && bytes[p]! <= 57) seconds = seconds * 10 + bytes[p++]! - 48;
      return p === digits || (p < to && bytes[p] !== COMMA && bytes[p] !== SP && bytes[p] !== HTAB) ? -1 : seconds;
    }
    while (p < to && bytes[p] !== COMMA) p++;
  }
  return -1;
}
