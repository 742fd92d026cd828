// Reads the head of a request: one strict pass over the bytes, then a judgement over the fields it found. RFC 9112 §3, §6.
import { Field, FieldFlag, lastJudged } from "./fields.ts";
import type { Underscores } from "./field-lines.ts";
import { scanFieldLines } from "./field-lines.ts";
import { Framing, judgeCoding, readLength } from "./framing.ts";
import { namedTooMany, namesHttp, namesTrailers, Option, readConnection } from "./hop.ts";
import { hostEndOf, sameAuthority } from "./host.ts";
import type { HeadLimits } from "./limits.ts";
import { readMethod } from "./method.ts";
import { CR, LF, nameTable, sameName, SP, targetTable } from "./octets.ts";
import type { RequestHead } from "./request-head.ts";
import { judgeTarget, TargetForm, targetViolation } from "./target.ts";
import { readVersion } from "./version.ts";
import { Violation } from "./violations.ts";

const continueExpectation = new TextEncoder().encode("100-continue");

/** RFC 9112 §2.2 asks for at least one; clients of old send a CRLF after a POST's body. */
const maxEmptyLines = 4;

/**
 * Parses the request head that begins at `from`. Called with the whole head so far on every try: returns the position
 * after the head, 0 while it is incomplete, or minus a violation number. Limits are checked in the order of the bytes and
 * every decision needs only bytes before it, so the outcome does not depend on where the stream was split.
 */
export function parseRequestHead(
  bytes: Uint8Array,
  from: number,
  to: number,
  limits: HeadLimits,
  head: RequestHead,
  underscores: Underscores = "drop",
): number {
  const headLimit = from + limits.headBytes;
  const stop = to < headLimit ? to : headLimit;
  const incomplete = to < headLimit ? 0 : -Violation.headTooLarge;

  let p = from;
  while (p < stop && bytes[p] === CR) {
    if (p + 1 >= stop) return incomplete;
    if (bytes[p + 1] !== LF) return -Violation.bareCr;
    p += 2;
    if (p - from > maxEmptyLines * 2) return -Violation.emptyLines;
  }

  const start = p;
  while (p < stop && nameTable[bytes[p]!] !== 0) p++;
  if (p >= stop) return incomplete;
  if (bytes[p] !== SP || p === start) {
    return p === start && bytes[p] === 0x16 ? -Violation.tlsHandshake : -Violation.methodByte;
  }
  head.start = start;
  head.methodEnd = p;
  head.method = readMethod(bytes, start, p);
  p++;

  const targetStart = p;
  const targetLimit = p + limits.targetBytes;
  const targetStop = targetLimit < stop ? targetLimit : stop;
  while (p < targetStop && targetTable[bytes[p]!] === 1) p++;
  const pathEnd = p;
  while (p < targetStop && targetTable[bytes[p]!] !== 0) p++;
  if (p >= stop) return incomplete;
  if (bytes[p] !== SP || p === targetStart) return -targetViolation(bytes[p]!, p === targetStart);
  head.targetStart = targetStart;
  head.targetEnd = p;
  head.pathStart = targetStart;
  head.pathEnd = pathEnd;
  head.queryEnd = p;
  p++;

  const minor = readVersion(bytes, p, stop);
  if (minor < 0) return minor;
  if (minor > 1) return incomplete;
  head.minor = minor;
  p += 8;
  if (p >= stop) return incomplete;
  if (bytes[p] !== CR) return bytes[p] === LF ? -Violation.bareLf : -Violation.versionMalformed;
  if (p + 1 >= stop) return incomplete;
  if (bytes[p + 1] !== LF) return -Violation.bareCr;
  p += 2;

  const misfit = judgeTarget(bytes, head);
  if (misfit !== 0) return -misfit;
  const end = scanFieldLines(bytes, p, stop, incomplete, limits, head.fields, underscores);
  if (end <= 0) return end;
  head.end = end;
  const violation = judgeRequest(bytes, head, limits);
  return violation === 0 ? end : -violation;
}

/** What the fields mean together. Returns 0 or a violation number. */
function judgeRequest(bytes: Uint8Array, head: RequestHead, limits: HeadLimits): number {
  const { fields } = head;
  const { at, ids, count } = fields;
  let length = -1;
  let coding = -1;
  let host = -1;
  let upgrades = 0;
  let options = 0;
  let expect = -1;
  head.acceptsTrailers = false;
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
      case Field.host:
        if (host >= 0) return Violation.hostTwice;
        host = i;
        break;
      case Field.connection:
        options = readConnection(bytes, valueStart, valueEnd, fields, options, limits.fields);
        break;
      case Field.te:
        if (namesTrailers(bytes, valueStart, valueEnd)) head.acceptsTrailers = head.minor === 1;
        break;
      case Field.upgrade:
        upgrades++;
        head.upgradeStart = valueStart;
        head.upgradeEnd = valueEnd;
        break;
      case Field.expect:
        if (expect >= 0) return Violation.expectation;
        expect = i;
        break;
      default:
        break;
    }
  }

  if (namedTooMany(options, limits.fields)) return Violation.connectionTooMany;
  const unframed = judgeFraming(bytes, head, length, coding);
  if (unframed !== 0) return unframed;
  const unhosted = judgeHost(bytes, head, host);
  if (unhosted !== 0) return unhosted;

  head.keepAlive = (options & Option.close) === 0 && (head.minor === 1 || (options & Option.keepAlive) !== 0);
  head.upgrade =
    upgrades === 1 &&
    head.minor === 1 &&
    (options & Option.upgrade) !== 0 &&
    head.upgradeEnd > head.upgradeStart &&
    !namesHttp(bytes, head.upgradeStart, head.upgradeEnd);
  head.expectContinue = false;
  if (expect >= 0) {
    if (!sameName(bytes, at[expect * 4 + 2]!, at[expect * 4 + 3]!, continueExpectation)) return Violation.expectation;
    // A 1.0 client could not read the 100 that the upstream would send (RFC 9110 §10.1.1).
    if (head.minor === 0) fields.flags[expect] = fields.flags[expect]! | FieldFlag.hop;
    else head.expectContinue = head.framing === Framing.chunked || head.contentLength > 0;
  }
  return 0;
}

function judgeFraming(bytes: Uint8Array, head: RequestHead, length: number, coding: number): number {
  const { at } = head.fields;
  head.contentLength = -1;
  if (coding >= 0) {
    if (length >= 0) return Violation.lengthAndCoding;
    if (head.minor === 0) return Violation.codingOldVersion;
    head.framing = Framing.chunked;
    return judgeCoding(bytes, at[coding * 4 + 2]!, at[coding * 4 + 3]!);
  }
  head.framing = Framing.none;
  if (length < 0) return 0;
  head.contentLength = readLength(bytes, at[length * 4 + 2]!, at[length * 4 + 3]!);
  head.framing = Framing.length;
  return head.contentLength < 0 ? Violation.lengthMalformed : 0;
}

function judgeHost(bytes: Uint8Array, head: RequestHead, host: number): number {
  const { at } = head.fields;
  const absolute = head.form === TargetForm.absolute || head.form === TargetForm.authority;
  head.hostIndex = host;
  if (host < 0) {
    head.hostStart = absolute ? head.authorityStart : 0;
    head.hostEnd = absolute ? head.authorityEnd : 0;
    return head.minor === 1 ? Violation.hostMissing : 0;
  }
  const hostStart = (head.hostStart = at[host * 4 + 2]!);
  const hostEnd = (head.hostEnd = at[host * 4 + 3]!);
  if (hostEndOf(bytes, hostStart, hostEnd) < 0) {
    return bytes.subarray(hostStart, hostEnd).includes(0x40) ? Violation.hostUserinfo : Violation.hostMalformed;
  }
  if (!absolute) return 0;
  const same = sameAuthority(bytes, hostStart, hostEnd, head.authorityStart, head.authorityEnd, head.defaultPort);
  return same ? 0 : Violation.hostContradicts;
}
