// Close frames (RFC 6455 §5.5.1), as either side sends them.

/** "Going away" (§7.4.1): this endpoint leaves, come again and another will answer. */
export const goingAway = 1001;

/** A close frame as a server sends it: without a mask. */
export function serverCloseFrame(code: number): Uint8Array {
  return Uint8Array.of(0x88, 2, code >> 8, code & 0xff);
}

/** A close frame as a client sends it; `mask` is 32 bits that nobody can predict (§5.3). */
export function clientCloseFrame(code: number, mask: number): Uint8Array {
  const [a, b, c, d] = [(mask >>> 24) & 0xff, (mask >>> 16) & 0xff, (mask >>> 8) & 0xff, mask & 0xff];
  return Uint8Array.of(0x88, 0x80 | 2, a, b, c, d, ((code >> 8) & 0xff) ^ a, (code & 0xff) ^ b);
}
