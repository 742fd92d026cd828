// Hosts as RFC 3986 §3.2 writes them: a name or IPv4 address, or an IPv6 address in brackets, and perhaps a port.
import { COLON, hexTable, regNameTable } from "./octets.ts";

const PERCENT = 0x25;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const DOT = 0x2e;

/**
 * Where the host of `host[:port]` at [from, to) ends (at its ":", or at `to`), or -1 if it is empty or malformed. A port is
 * up to 5 digits and no more than 65535; "host:" without digits is legal. IPvFuture and zones are refused: nobody uses
 * the one, and the other means something on one machine only.
 */
export function hostEndOf(bytes: Uint8Array, from: number, to: number): number {
  let p = from;
  if (bytes[p] === OPEN && p < to) {
    p++;
    const start = p;
    while (p < to && bytes[p] !== CLOSE) p++;
    if (p === to || !isIpv6(bytes, start, p)) return -1;
    p++;
  } else {
    for (;;) {
      while (p < to && regNameTable[bytes[p]!] !== 0) p++;
      if (p + 2 < to && bytes[p] === PERCENT && hexTable[bytes[p + 1]!]! < 16 && hexTable[bytes[p + 2]!]! < 16) p += 3;
      else break;
    }
  }
  if (p === from) return -1;
  if (p === to) return p;
  if (bytes[p] !== COLON) return -1;
  return readPort(bytes, p + 1, to) < 0 ? -1 : p;
}

/** The port written at [from, to), 0 if there are no digits, -1 if it is malformed. */
function readPort(bytes: Uint8Array, from: number, to: number): number {
  if (to - from > 5) return -1;
  let port = 0;
  for (let p = from; p < to; p++) {
    const digit = bytes[p]! - 48;
    if (digit < 0 || digit > 9) return -1;
    port = port * 10 + digit;
  }
  return port > 65535 ? -1 : port;
}

/** Whether [from, to) is an IPv6 address without brackets: 8 groups, one "::" for two or more, IPv4 in the last place. */
function isIpv6(bytes: Uint8Array, from: number, to: number): boolean {
  let groups = 0;
  let gap = false;
  let p = from;
  if (to - from >= 2 && bytes[p] === COLON && bytes[p + 1] === COLON) {
    gap = true;
    p += 2;
    if (p === to) return true;
  }
  for (;;) {
    const start = p;
    while (p < to && p - start < 4 && hexTable[bytes[p]!]! < 16) p++;
    if (p === start) return false;
    if (p < to && bytes[p] === DOT) {
      return isIpv4(bytes, start, to) && (gap ? groups + 2 <= 7 : groups + 2 === 8);
    }
    groups++;
    if (p === to) return gap ? groups <= 7 : groups === 8;
    if (bytes[p] !== COLON) return false;
    p++;
    if (p < to && bytes[p] === COLON) {
      if (gap) return false;
      gap = true;
      p++;
      if (p === to) return groups <= 7;
    }
  }
}

/** Whether [from, to) is a dotted quad without leading zeros. */
function isIpv4(bytes: Uint8Array, from: number, to: number): boolean {
  let p = from;
  for (let part = 0; part < 4; part++) {
    if (part > 0 && (p >= to || bytes[p++] !== DOT)) return false;
    const start = p;
    let value = 0;
    while (p < to && p - start < 3) {
      const digit = bytes[p]! - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      p++;
    }
    if (p === start || value > 255 || (p - start > 1 && bytes[start] === 48)) return false;
  }
  return p === to;
}

function lower(byte: number): number {
  return byte >= 65 && byte <= 90 ? byte + 32 : byte;
}

/**
 * Whether two valid `host[:port]` mean the same: hosts without regard to case, and no port, an empty one and the scheme's
 * default one being equal.
 */
export function sameAuthority(
  bytes: Uint8Array,
  from: number,
  to: number,
  otherFrom: number,
  otherTo: number,
  defaultPort: number,
): boolean {
  const end = hostEndOf(bytes, from, to);
  const otherEnd = hostEndOf(bytes, otherFrom, otherTo);
  if (end - from !== otherEnd - otherFrom) return false;
  for (let i = 0; i < end - from; i++) {
    if (lower(bytes[from + i]!) !== lower(bytes[otherFrom + i]!)) return false;
  }
  const port = to - end > 1 ? readPort(bytes, end + 1, to) : defaultPort;
  const otherPort = otherTo - otherEnd > 1 ? readPort(bytes, otherEnd + 1, otherTo) : defaultPort;
  return port === otherPort;
}
