// How long a body is: Content-Length and Transfer-Encoding, read with no tolerance at all.
import { COMMA, HTAB, nameTable, sameName, SP } from "./octets.ts";
import { Violation } from "./violations.ts";

/** How the end of a body is found. */
export const Framing = {
  /** There is no body. */
  none: 0,
  /** `contentLength` bytes. */
  length: 1,
  chunked: 2,
  /** Answers only: all until the upstream closes. */
  untilClose: 3,
} as const;

const chunked = new TextEncoder().encode("chunked");

/** A Content-Length value of 1 to 15 digits, or -1. Fifteen digits stay far below 2^53: nothing wraps or rounds. */
export function readLength(bytes: Uint8Array, from: number, to: number): number {
  if (to === from || to - from > 15) return -1;
  let length = 0;
  for (let p = from; p < to; p++) {
    const digit = bytes[p]! - 48;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
}

/** 0 if a Transfer-Encoding value is exactly `chunked`, else the violation. */
export function judgeCoding(bytes: Uint8Array, from: number, to: number): number {
  if (sameName(bytes, from, to, chunked)) return 0;
  // Unknown codings are 501; what cannot be read as a list of codings that ends at most once in `chunked` is 400
  // (RFC 9112 §6.1, §6.3).
  let p = from;
  let ended = false;
  for (;;) {
    while (p < to && (bytes[p] === SP || bytes[p] === HTAB)) p++;
    const start = p;
    while (p < to && nameTable[bytes[p]!] !== 0) p++;
    if (p === start || ended) return Violation.codingMalformed;
    ended = sameName(bytes, start, p, chunked);
    while (p < to && (bytes[p] === SP || bytes[p] === HTAB)) p++;
    if (p === to) return Violation.codingUnsupported;
    if (bytes[p] !== COMMA) return Violation.codingMalformed;
    p++;
  }
}
