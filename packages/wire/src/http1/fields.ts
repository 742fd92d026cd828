// Field names that the codec or the engine must recognise, and the table of fields that a parse fills.
import { nameTable, sameName } from "./octets.ts";

/** Ids of known fields; 0 is any other. */
export const Field = {
  other: 0,
  connection: 1,
  keepAlive: 2,
  proxyConnection: 3,
  te: 4,
  trailer: 5,
  transferEncoding: 6,
  upgrade: 7,
  contentLength: 8,
  host: 9,
  expect: 10,
  forwarded: 11,
  xForwardedFor: 12,
  xForwardedProto: 13,
  xForwardedHost: 14,
  xForwardedPort: 15,
  via: 16,
  xRequestId: 17,
  cookie: 18,
  setCookie: 19,
  date: 20,
  server: 21,
  accept: 22,
  userAgent: 23,
  referer: 24,
  authorization: 25,
  traceparent: 26,
  proxyAuthenticate: 27,
  proxyAuthorization: 28,
  contentType: 29,
  cacheControl: 30,
  retryAfter: 31,
  proxyStatus: 32,
  http2Settings: 33,
  idempotencyKey: 34,
  xRealIp: 35,
  xPlimsollAttempt: 36,
} as const;

/** The highest id below which fields say something about the message itself; the judges skip all others. */
export const lastJudged: number = Field.expect;

/** What a parse notes about a field line. */
export const FieldFlag = {
  /**
   * Must not be forwarded: Connection, Keep-Alive, Proxy-Connection, TE, Upgrade (RFC 9110 §7.6.1), Trailer and
   * HTTP2-Settings (they speak of this hop's framing), Proxy-Authenticate and Proxy-Authorization (meant for a proxy, and
   * we are the last one), every field named by Connection unless protected (see hop.ts), and names with "_" under "drop".
   */
  hop: 1,
  /** Content-Length or Transfer-Encoding: never forwarded as received. */
  framing: 2,
  /** The name has "_", which CGI-like applications cannot tell from "-". */
  underscore: 4,
  /**
   * The line is exactly `name: value\r\n`. Runs of such lines can be copied as one block: a line begins at its nameStart
   * and ends at valueEnd + 2, where the next one begins.
   */
  plain: 8,
} as const;

/** The registered spelling of each id, lower case. */
const names: Readonly<Record<Exclude<keyof typeof Field, "other">, string>> = {
  connection: "connection",
  keepAlive: "keep-alive",
  proxyConnection: "proxy-connection",
  te: "te",
  trailer: "trailer",
  transferEncoding: "transfer-encoding",
  upgrade: "upgrade",
  contentLength: "content-length",
  host: "host",
  expect: "expect",
  forwarded: "forwarded",
  xForwardedFor: "x-forwarded-for",
  xForwardedProto: "x-forwarded-proto",
  xForwardedHost: "x-forwarded-host",
  xForwardedPort: "x-forwarded-port",
  via: "via",
  xRequestId: "x-request-id",
  cookie: "cookie",
  setCookie: "set-cookie",
  date: "date",
  server: "server",
  accept: "accept",
  userAgent: "user-agent",
  referer: "referer",
  authorization: "authorization",
  traceparent: "traceparent",
  proxyAuthenticate: "proxy-authenticate",
  proxyAuthorization: "proxy-authorization",
  contentType: "content-type",
  cacheControl: "cache-control",
  retryAfter: "retry-after",
  proxyStatus: "proxy-status",
  http2Settings: "http2-settings",
  idempotencyKey: "idempotency-key",
  xRealIp: "x-real-ip",
  xPlimsollAttempt: "x-plimsoll-attempt",
};

/** FNV-1a over lower-case bytes: cheap enough to compute while scanning. Equal hashes are always checked byte by byte. */
export const hashSeed = 0x811c9dc5 | 0;
export const hashPrime = 0x01000193;

/** The hash of a field name given as bytes in any case. */
export function fieldHash(bytes: Uint8Array, from: number, to: number): number {
  let hash = hashSeed;
  for (let p = from; p < to; p++) hash = Math.imul(hash ^ nameTable[bytes[p]!]!, hashPrime);
  return hash;
}

/** The hash of a lower-case field name given as text; the same as `fieldHash` of its bytes. */
export function hashName(lowerCaseName: string): number {
  let hash = hashSeed;
  for (let i = 0; i < lowerCaseName.length; i++) {
    hash = Math.imul(hash ^ nameTable[lowerCaseName.charCodeAt(i) & 0xff]!, hashPrime);
  }
  return hash;
}

const slots = 512;
const slotIds = new Uint8Array(slots);
const nameBytes: Uint8Array[] = [new Uint8Array(0)];
const nameHashes = new Int32Array(Object.keys(Field).length);
for (const [key, name] of Object.entries(names) as [keyof typeof names, string][]) {
  const id = Field[key];
  nameBytes[id] = new TextEncoder().encode(name);
  nameHashes[id] = hashName(name);
  let slot = nameHashes[id]! & (slots - 1);
  while (slotIds[slot] !== 0) slot = (slot + 1) & (slots - 1);
  slotIds[slot] = id;
}

/** The id of the name at [from, to), whose hash is known already. */
export function fieldIdOfHash(bytes: Uint8Array, from: number, to: number, hash: number): number {
  let slot = hash & (slots - 1);
  for (;;) {
    const id = slotIds[slot]!;
    if (id === 0) return 0;
    if (nameHashes[id] === hash && sameName(bytes, from, to, nameBytes[id]!)) return id;
    slot = (slot + 1) & (slots - 1);
  }
}

/** The id of the field name at [from, to) in any case, or `Field.other`. */
export function fieldId(bytes: Uint8Array, from: number, to: number): number {
  return fieldIdOfHash(bytes, from, to, fieldHash(bytes, from, to));
}

/** Fields of one head as positions into the bytes that were parsed. Reused from message to message. */
export class Fields {
  count = 0;
  /** Four per field: nameStart, nameEnd, valueStart, valueEnd; the value without white space around it. */
  at: Int32Array;
  /** `Field` ids. */
  ids: Uint8Array;
  hashes: Int32Array;
  /** `FieldFlag` bits. */
  flags: Uint8Array;

  constructor(capacity = 32) {
    this.at = new Int32Array(capacity * 4);
    this.ids = new Uint8Array(capacity);
    this.hashes = new Int32Array(capacity);
    this.flags = new Uint8Array(capacity);
  }

  /** Makes room for `capacity` fields; what is there stays. */
  grow(capacity: number): void {
    const { at, ids, hashes, flags } = this;
    if (capacity <= ids.length) return;
    (this.at = new Int32Array(capacity * 4)).set(at);
    (this.ids = new Uint8Array(capacity)).set(ids);
    (this.hashes = new Int32Array(capacity)).set(hashes);
    (this.flags = new Uint8Array(capacity)).set(flags);
  }

  /** Index of the first field from `from` on with this name (lower case, with its hash), or -1. */
  find(bytes: Uint8Array, lowerName: Uint8Array, hash: number, from = 0): number {
    const { at, hashes, count } = this;
    for (let i = from; i < count; i++) {
      if (hashes[i] === hash && sameName(bytes, at[i * 4]!, at[i * 4 + 1]!, lowerName)) return i;
    }
    return -1;
  }
}
