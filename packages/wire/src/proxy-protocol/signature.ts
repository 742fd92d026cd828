// How the two versions begin, and the numbers of version 2 (specification §2.1, §2.2).

/** "PROXY " */
export const signature1 = Uint8Array.of(0x50, 0x52, 0x4f, 0x58, 0x59, 0x20);
/** CR LF CR LF NUL CR LF "QUIT" LF: no line of any text protocol. */
export const signature2 = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
/** The longest line of version 1 with its CRLF. */
export const longestLine = 107;
/** Signature, command, family and length of version 2. */
export const fixedLength = 16;

/** Types of version 2's TLVs. */
export const Tlv = {
  alpn: 0x01,
  authority: 0x02,
  crc32c: 0x03,
  noop: 0x04,
  uniqueId: 0x05,
  ssl: 0x20,
} as const;

/** Types within the SSL TLV. */
export const SslTlv = { version: 0x21, commonName: 0x22, cipher: 0x23, signature: 0x24, key: 0x25 } as const;

/** Bits of the SSL TLV's first byte. */
export const SslBit = { spoken: 1, connection: 2, session: 4 } as const;
