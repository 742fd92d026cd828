// Hashing for placement (rings, tables, keys), not for secrets: MurmurHash3 x86 32-bit, which has good avalanche, needs no
// table and runs at about a byte a nanosecond. Whoever can choose keys can choose collisions; nothing here guards against it.

const encoder = new TextEncoder();

/** Finaliser of MurmurHash3: spreads every bit of a 32-bit number over all others. A bijection. Returns an unsigned number. */
export function mix(h: number): number {
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  h ^= h >>> 16;
  return h >>> 0;
}

function block(h: number, k: number): number {
  k = Math.imul(k, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  h ^= Math.imul(k, 0x1b873593);
  h = (h << 13) | (h >>> 19);
  return (Math.imul(h, 5) + 0xe6546b64) | 0;
}

function tail(h: number, k: number): number {
  k = Math.imul(k, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  return h ^ Math.imul(k, 0x1b873593);
}

/** Hash of bytes [from, to). Unsigned 32 bits; the same on every machine, worker and release. */
export function hashBytes(bytes: Uint8Array, from: number, to: number, seed = 0): number {
  let h = seed | 0;
  let at = from;
  for (const end = to - 3; at < end; at += 4) {
    h = block(h, bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
  }
  let k = 0;
  switch (to - at) {
    case 3:
      k = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
      break;
    case 2:
      k = bytes[at]! | (bytes[at + 1]! << 8);
      break;
    case 1:
      k = bytes[at]!;
      break;
    default:
      break;
  }
  if (at < to) h = tail(h, k);
  return mix(h ^ (to - from));
}

/** Hash of a text's UTF-8 bytes: equal to `hashBytes` of them, without encoding when it is ASCII. */
export function hashString(text: string, seed = 0): number {
  const length = text.length;
  let h = seed | 0;
  let at = 0;
  let seen = 0;
  for (const end = length - 3; at < end; at += 4) {
    const a = text.charCodeAt(at);
    const b = text.charCodeAt(at + 1);
    const c = text.charCodeAt(at + 2);
    const d = text.charCodeAt(at + 3);
    seen |= a | b | c | d;
    h = block(h, a | (b << 8) | (c << 16) | (d << 24));
  }
  let k = 0;
  for (let shift = 0, i = at; i < length; i++, shift += 8) {
    const code = text.charCodeAt(i);
    seen |= code;
    k |= code << shift;
  }
  if (seen > 0x7f) {
    const bytes = encoder.encode(text);
    return hashBytes(bytes, 0, bytes.length, seed);
  }
  if (at < length) h = tail(h, k);
  return mix(h ^ length);
}
