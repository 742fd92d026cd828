// The checksum of version 2 headers: CRC-32C (Castagnoli, RFC 3720 appendix B.4).

const table = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f63b78;
  table[byte] = crc;
}

/** The checksum of bytes [from, to), those in [blankFrom, blankFrom + 4) taken as zero; -1: none are. */
export function crc32c(bytes: Uint8Array, from: number, to: number, blankFrom = -1): number {
  let crc = 0xffffffff;
  for (let p = from; p < to; p++) {
    const byte = blankFrom >= 0 && p >= blankFrom && p < blankFrom + 4 ? 0 : bytes[p]!;
    crc = table[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}
