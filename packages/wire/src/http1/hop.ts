// What belongs to this hop only: the lists in Connection, TE and Upgrade, and which fields a Connection may have removed.
import type { Fields } from "./fields.ts";
import { Field, FieldFlag, fieldIdOfHash, hashPrime, hashSeed } from "./fields.ts";
import { COMMA, HTAB, nameTable, sameName, SP } from "./octets.ts";

/** Flags that a field has by its name alone. */
export const flagsOfId = new Uint8Array(64);
for (const id of [
  Field.connection,
  Field.keepAlive,
  Field.proxyConnection,
  Field.te,
  Field.trailer,
  Field.upgrade,
  Field.http2Settings,
  Field.proxyAuthenticate,
  Field.proxyAuthorization,
]) {
  flagsOfId[id] = FieldFlag.hop;
}
flagsOfId[Field.contentLength] = FieldFlag.framing;
flagsOfId[Field.transferEncoding] = FieldFlag.framing | FieldFlag.hop;

/**
 * 1 for a field that no Connection can have removed. RFC 9110 §7.6.1 lets a sender name any field, and forbids naming one
 * that is meant for every recipient. Careless proxies in front of us pass a client's Connection on: with
 * `Connection: x-forwarded-for, cookie, authorization` the client would then strip what that proxy added, and the
 * application would take it for an internal caller. So the fields that applications decide by stay.
 */
const protectedIds = new Uint8Array(64);
for (const id of [
  Field.host,
  Field.contentLength,
  Field.expect,
  Field.forwarded,
  Field.xForwardedFor,
  Field.xForwardedProto,
  Field.xForwardedHost,
  Field.xForwardedPort,
  Field.xRealIp,
  Field.via,
  Field.xRequestId,
  Field.traceparent,
  Field.cookie,
  Field.setCookie,
  Field.authorization,
  Field.contentType,
  Field.cacheControl,
  Field.date,
  Field.retryAfter,
  Field.idempotencyKey,
]) {
  protectedIds[id] = 1;
}

/** What Connection fields say, as bits; above them, in steps of `named`, how many other fields they name. */
export const Option = { close: 1, keepAlive: 2, upgrade: 4, named: 8 } as const;

const encoder = new TextEncoder();
const close = encoder.encode("close");
const trailers = encoder.encode("trailers");
const h2 = encoder.encode("h2");
const h2c = encoder.encode("h2c");
const httpSlash = encoder.encode("http");

/**
 * Reads one Connection value and marks the fields it names as hop. Takes what the Connection fields before it said and
 * returns the same with its own added, as `Option` bits. Elements that are no tokens are ignored: the field goes no
 * further than here. Stops when more than `most` other fields were named, since each costs a walk over all fields.
 */
export function readConnection(
  bytes: Uint8Array,
  from: number,
  to: number,
  fields: Fields,
  before: number,
  most: number,
): number {
  let options = before;
  let p = from;
  while (p < to) {
    // List elements may be empty, with white space around them (RFC 9110 §5.6.1).
    while (p < to && (bytes[p] === COMMA || bytes[p] === SP || bytes[p] === HTAB)) p++;
    const start = p;
    let hash = hashSeed;
    while (p < to) {
      const byte = nameTable[bytes[p]!]!;
      if (byte === 0) break;
      hash = Math.imul(hash ^ byte, hashPrime);
      p++;
    }
    const end = p;
    while (p < to && (bytes[p] === SP || bytes[p] === HTAB)) p++;
    if (p < to && bytes[p] !== COMMA) {
      while (p < to && bytes[p] !== COMMA) p++;
      continue;
    }
    if (end === start) continue;
    const id = fieldIdOfHash(bytes, start, end, hash);
    if (id === Field.keepAlive) options |= Option.keepAlive;
    else if (id === Field.upgrade) options |= Option.upgrade;
    else if (sameName(bytes, start, end, close)) options |= Option.close;
    else if ((flagsOfId[id]! & FieldFlag.hop) === 0 && protectedIds[id] === 0) {
      options += Option.named;
      if (namedTooMany(options, most)) return options;
      removeNamed(bytes, start, end, hash, fields);
    }
  }
  return options;
}

/** Whether Connection fields named more than `most` fields. */
export function namedTooMany(options: number, most: number): boolean {
  return options >= (most + 1) * Option.named;
}

function removeNamed(bytes: Uint8Array, start: number, end: number, hash: number, fields: Fields): void {
  const { at, hashes, flags, count } = fields;
  for (let i = 0; i < count; i++) {
    if (hashes[i] !== hash) continue;
    const nameStart = at[i * 4]!;
    if (at[i * 4 + 1]! - nameStart !== end - start) continue;
    let same = true;
    for (let k = 0; k < end - start && same; k++) {
      same = nameTable[bytes[nameStart + k]!] === nameTable[bytes[start + k]!];
    }
    if (same) flags[i] = flags[i]! | FieldFlag.hop;
  }
}

/** Whether a TE value has the element `trailers`. */
export function namesTrailers(bytes: Uint8Array, from: number, to: number): boolean {
  let p = from;
  while (p < to) {
    while (p < to && (bytes[p] === COMMA || bytes[p] === SP || bytes[p] === HTAB)) p++;
    const start = p;
    while (p < to && bytes[p] !== COMMA) p++;
    let end = p;
    while (end > start && (bytes[end - 1] === SP || bytes[end - 1] === HTAB)) end--;
    if (sameName(bytes, start, end, trailers)) return true;
  }
  return false;
}

/**
 * Whether an Upgrade value asks for HTTP itself in another version. Such a tunnel would carry requests past every route
 * and header edit (the "h2c smuggling" of 2020), RFC 9113 has dropped it, and ignoring an Upgrade is always allowed.
 */
export function namesHttp(bytes: Uint8Array, from: number, to: number): boolean {
  let p = from;
  while (p < to) {
    while (p < to && (bytes[p] === COMMA || bytes[p] === SP || bytes[p] === HTAB)) p++;
    const start = p;
    while (p < to && nameTable[bytes[p]!] !== 0) p++;
    if (sameName(bytes, start, p, h2c) || sameName(bytes, start, p, h2) || sameName(bytes, start, p, httpSlash))
      return true;
    while (p < to && bytes[p] !== COMMA) p++;
  }
  return false;
}
