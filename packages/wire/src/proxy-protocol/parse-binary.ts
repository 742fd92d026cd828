// Version 2: sixteen bytes, addresses, TLVs.
import { formatIpAddress, formatIpv4 } from "../ip-address/format.ts";
import { crc32c } from "./crc32c.ts";
import type { ProxyHeader, ProxyTls } from "./header.ts";
import { fixedLength, SslBit, SslTlv, Tlv } from "./signature.ts";
import { ProxyViolation } from "./violations.ts";

/** Bytes of addresses by family: unspecified, IPv4, IPv6, Unix. */
const addressLengths = [0, 12, 36, 216] as const;
const longestUniqueId = 128;
/** A DNS name at its longest. */
const longestAuthority = 255;

/** As `parseProxyHeader`, for bytes that begin with the signature of version 2. */
export function parseBinary(
  bytes: Uint8Array,
  from: number,
  to: number,
  maxBytes: number,
  header: ProxyHeader,
): number {
  const p = from + 12;
  if (p >= to) return 0;
  const command = bytes[p]!;
  if (command >> 4 !== 2) return -ProxyViolation.version;
  if ((command & 15) > 1) return -ProxyViolation.command;
  if (p + 1 >= to) return 0;
  const family = bytes[p + 1]! >> 4;
  const transport = bytes[p + 1]! & 15;
  if (family > 3 || transport > 2) return -ProxyViolation.family;
  if (p + 3 >= to) return 0;
  const end = from + fixedLength + readUint16(bytes, p + 2);
  if (end - from > maxBytes) return -ProxyViolation.tooLong;
  // LOCAL and an unspecified family are taken without a look at the rest (§2.2); only its length counts.
  const local = (command & 15) === 0;
  const unspecified = family === 0 || transport === 0;
  if (!local && !unspecified && end - from - fixedLength < addressLengths[family]!)
    return -ProxyViolation.addressLength;
  if (end > to) return 0;

  header.clear();
  header.local = local;
  if (local || unspecified) return end;
  header.datagram = transport === 2;
  const addressAt = from + fixedLength;
  if (family === 3) {
    header.family = "unix";
    header.source = readPath(bytes, addressAt);
    header.destination = readPath(bytes, addressAt + 108);
  } else {
    header.family = "ip";
    const size = family === 1 ? 4 : 16;
    const format = family === 1 ? formatIpv4 : formatIpAddress;
    header.source = format(bytes, addressAt);
    header.destination = format(bytes, addressAt + size);
    header.sourcePort = readUint16(bytes, addressAt + size * 2);
    header.destinationPort = readUint16(bytes, addressAt + size * 2 + 2);
  }
  const violation = readTlvs(bytes, from, addressAt + addressLengths[family]!, end, header);
  return violation === 0 ? end : -violation;
}

/** Reads the TLVs in [at, end) of the header that begins at `from`. Returns 0 or a violation. */
function readTlvs(bytes: Uint8Array, from: number, at: number, end: number, header: ProxyHeader): number {
  /** One bit for each known type that was there: what is said twice would depend on who reads it. */
  let seen = 0;
  for (let p = at; p < end;) {
    if (p + 3 > end) return ProxyViolation.tlvForm;
    const type = bytes[p]!;
    const valueAt = p + 3;
    const valueEnd = valueAt + readUint16(bytes, p + 1);
    if (valueEnd > end) return ProxyViolation.tlvForm;
    if (isKnown(type)) {
      const bit = type === Tlv.ssl ? 1 : 1 << type;
      if ((seen & bit) !== 0) return ProxyViolation.tlvTwice;
      seen |= bit;
      const violation = readTlv(bytes, from, end, type, valueAt, valueEnd, header);
      if (violation !== 0) return violation;
    }
    p = valueEnd;
  }
  return 0;
}

function isKnown(type: number): boolean {
  return type === Tlv.ssl || (type >= Tlv.alpn && type <= Tlv.uniqueId && type !== Tlv.noop);
}

function readTlv(
  bytes: Uint8Array,
  from: number,
  end: number,
  type: number,
  valueAt: number,
  valueEnd: number,
  header: ProxyHeader,
): number {
  const length = valueEnd - valueAt;
  switch (type) {
    case Tlv.alpn:
      if (length === 0 || length > 255) return ProxyViolation.alpn;
      header.alpn = readText(bytes, valueAt, valueEnd);
      return 0;
    case Tlv.authority:
      header.authority = readText(bytes, valueAt, valueEnd);
      return length > 0 && length <= longestAuthority && isPlain(header.authority) ? 0 : ProxyViolation.authority;
    case Tlv.crc32c: {
      if (length !== 4) return ProxyViolation.checksumForm;
      const said = readUint16(bytes, valueAt) * 0x10000 + readUint16(bytes, valueAt + 2);
      return crc32c(bytes, from, end, valueAt) === said ? 0 : ProxyViolation.checksum;
    }
    case Tlv.uniqueId:
      if (length > longestUniqueId) return ProxyViolation.uniqueId;
      // `slice` of a Buffer is no copy, and what these bytes lie in is the caller's.
      header.uniqueId = new Uint8Array(bytes.subarray(valueAt, valueEnd));
      return 0;
    default:
      return readTls(bytes, valueAt, valueEnd, header);
  }
}

function readTls(bytes: Uint8Array, at: number, end: number, header: ProxyHeader): number {
  if (end - at < 5) return ProxyViolation.tlsForm;
  const client = bytes[at]!;
  const verify = readUint16(bytes, at + 1) * 0x10000 + readUint16(bytes, at + 3);
  const values = new Map<number, string>();
  for (let p = at + 5; p < end;) {
    if (p + 3 > end) return ProxyViolation.tlsForm;
    const type = bytes[p]!;
    const valueEnd = p + 3 + readUint16(bytes, p + 1);
    if (valueEnd > end) return ProxyViolation.tlsForm;
    if (type >= SslTlv.version && type <= SslTlv.key) {
      if (values.has(type)) return ProxyViolation.tlvTwice;
      const value = readText(bytes, p + 3, valueEnd);
      if (!isPlain(value)) return ProxyViolation.tlsForm;
      values.set(type, value);
    }
    p = valueEnd;
  }
  const certificate = (client & (SslBit.connection | SslBit.session)) !== 0;
  header.tls = {
    spoken: (client & SslBit.spoken) !== 0,
    certificate,
    verified: certificate && verify === 0,
    version: values.get(SslTlv.version) ?? "",
    cipher: values.get(SslTlv.cipher) ?? "",
    commonName: values.get(SslTlv.commonName) ?? "",
    signatureAlgorithm: values.get(SslTlv.signature) ?? "",
    keyAlgorithm: values.get(SslTlv.key) ?? "",
  } satisfies ProxyTls;
  return 0;
}

function readUint16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** A path of 108 bytes, up to its first NUL; an abstract one begins with NUL and is written with "@". */
function readPath(bytes: Uint8Array, at: number): string {
  const abstract = bytes[at] === 0 && bytes[at + 1] !== 0;
  let end = at + (abstract ? 1 : 0);
  while (end < at + 108 && bytes[end] !== 0) end++;
  return abstract ? `@${readText(bytes, at + 1, end)}` : readText(bytes, at, end);
}

/** One character a byte. */
function readText(bytes: Uint8Array, from: number, to: number): string {
  let text = "";
  for (let p = from; p < to; p++) text += String.fromCharCode(bytes[p]!);
  return text;
}

/** No control characters: these values go into logs and header fields. */
function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) return false;
  }
  return true;
}
