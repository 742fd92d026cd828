// The four forms of a request target (RFC 9112 §3.2), and which method may have which.
import { hostEndOf } from "./host.ts";
import { Method } from "./method.ts";
import { COLON, CR, LF, QUESTION, SP, sameName, targetTable } from "./octets.ts";
import type { RequestHead } from "./request-head.ts";
import { Violation } from "./violations.ts";

/** Forms of a request target. */
export const TargetForm = { origin: 0, absolute: 1, asterisk: 2, authority: 3 } as const;

const SLASH = 0x2f;
const AT = 0x40;
const http = new TextEncoder().encode("http");
const https = new TextEncoder().encode("https");

/** Why the byte that ended a target cannot end one. */
export function targetViolation(byte: number, empty: boolean): number {
  if (byte === SP) return Violation.targetEmpty;
  if (byte === CR || byte === LF) return empty ? Violation.targetEmpty : Violation.versionMissing;
  if (byte === 0x23) return Violation.targetFragment;
  if (byte >= 0x80) return Violation.targetHighByte;
  return targetTable[byte] === 0 ? Violation.targetByte : Violation.targetTooLong;
}

/**
 * Finds the form of a request line whose bytes are all legal, and for the rarer forms where authority and path lie.
 * Returns 0 or a violation number.
 */
export function judgeTarget(bytes: Uint8Array, head: RequestHead): number {
  head.defaultPort = 80;
  if (head.method === Method.connect) return judgeAuthorityForm(bytes, head);
  const start = head.targetStart;
  if (bytes[start] === SLASH) {
    head.form = TargetForm.origin;
    return 0;
  }
  if (bytes[start] === 0x2a && head.targetEnd - start === 1) {
    head.form = TargetForm.asterisk;
    return head.method === Method.options ? 0 : Violation.targetForm;
  }
  return judgeAbsoluteForm(bytes, head);
}

function judgeAuthorityForm(bytes: Uint8Array, head: RequestHead): number {
  const { targetStart, targetEnd } = head;
  head.form = TargetForm.authority;
  head.authorityStart = targetStart;
  head.authorityEnd = targetEnd;
  head.pathStart = head.pathEnd = head.queryEnd = targetEnd;
  const hostEnd = hostEndOf(bytes, targetStart, targetEnd);
  // The port is not optional here.
  return hostEnd < 0 || targetEnd - hostEnd < 2 ? Violation.targetForm : 0;
}

function judgeAbsoluteForm(bytes: Uint8Array, head: RequestHead): number {
  const { targetStart, targetEnd } = head;
  let p = targetStart;
  while (p < targetEnd && bytes[p] !== COLON && bytes[p] !== SLASH && bytes[p] !== QUESTION) p++;
  if (p === targetEnd || bytes[p] !== COLON) return Violation.targetForm;
  if (sameName(bytes, targetStart, p, https)) head.defaultPort = 443;
  else if (!sameName(bytes, targetStart, p, http)) return Violation.targetScheme;
  if (p + 2 >= targetEnd || bytes[p + 1] !== SLASH || bytes[p + 2] !== SLASH) return Violation.targetScheme;
  p += 3;
  const authorityStart = p;
  while (p < targetEnd && bytes[p] !== SLASH && bytes[p] !== QUESTION) {
    if (bytes[p] === AT) return Violation.hostUserinfo;
    p++;
  }
  if (hostEndOf(bytes, authorityStart, p) < 0) return Violation.hostMalformed;
  head.form = TargetForm.absolute;
  head.authorityStart = authorityStart;
  head.authorityEnd = p;
  head.pathStart = p;
  while (p < targetEnd && bytes[p] !== QUESTION) p++;
  head.pathEnd = p;
  return 0;
}
