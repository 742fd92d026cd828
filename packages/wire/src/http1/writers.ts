// Writers into a caller's buffer. Each returns the position after what it wrote; room is the caller's business.
import { CR, LF } from "./octets.ts";

export const CRLF: Uint8Array = new Uint8Array([CR, LF]);

/** The end of a chunked body without trailers. */
export const LAST_CHUNK: Uint8Array = new TextEncoder().encode("0\r\n\r\n");

const hexDigits = new TextEncoder().encode("0123456789abcdef");

/** Bytes that `writeChunkHead` needs for this size. */
export function chunkHeadLength(size: number): number {
  let length = 3;
  for (let rest = size; rest >= 16; rest = Math.floor(rest / 16)) length++;
  return length;
}

/** Writes a chunk's size in hexadecimal and CRLF. Sizes up to 2^53 - 1; 0 would end the body. */
export function writeChunkHead(out: Uint8Array, at: number, size: number): number {
  const end = at + chunkHeadLength(size);
  let rest = size;
  for (let p = end - 3; p >= at; p--) {
    out[p] = hexDigits[rest % 16]!;
    rest = Math.floor(rest / 16);
  }
  out[end - 2] = CR;
  out[end - 1] = LF;
  return end;
}

/** Writes a whole number from 0 to 2^53 - 1 in decimal. */
export function writeDecimal(out: Uint8Array, at: number, n: number): number {
  let length = 1;
  for (let rest = n; rest >= 10; rest = Math.floor(rest / 10)) length++;
  let rest = n;
  for (let p = at + length - 1; p >= at; p--) {
    out[p] = 48 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  return at + length;
}

/** Writes text of ASCII or Latin-1 characters, one byte each. Not meant for text that came from outside unchecked. */
export function writeAscii(out: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) out[at + i] = text.charCodeAt(i);
  return at + text.length;
}

/** Above this many bytes the runtime's own copy is faster than a loop, its view object included. */
const longCopy = 64;

/** Copies bytes [from, to). */
export function copy(out: Uint8Array, at: number, bytes: Uint8Array, from: number, to: number): number {
  const length = to - from;
  if (length > longCopy) {
    if (out === bytes) out.copyWithin(at, from, to);
    else out.set(bytes.subarray(from, to), at);
  } else if (out === bytes && at > from) {
    for (let i = length - 1; i >= 0; i--) out[at + i] = bytes[from + i]!;
  } else {
    for (let i = 0; i < length; i++) out[at + i] = bytes[from + i]!;
  }
  return at + length;
}
