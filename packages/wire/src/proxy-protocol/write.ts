// Writes PROXY protocol headers of both versions. Once per connection, so nothing is reused.
import { formatIpAddress } from "../ip-address/format.ts";
import { isIpv4Mapped, parseIpAddress } from "../ip-address/parse.ts";
import { crc32c } from "./crc32c.ts";
import type { ProxyExtras, ProxyTls } from "./header.ts";
import { fixedLength, signature2, SslBit, SslTlv, Tlv } from "./signature.ts";

/** Who spoke to whom. */
export interface ProxyAddresses {
  /** IP addresses as text; what is none is written as UNKNOWN or UNSPEC. */
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
}

/** What a version 2 header may carry beyond addresses. */
export interface ProxyWriteOptions extends Partial<ProxyExtras> {
  /** The connection is one of datagrams. */
  readonly datagram?: boolean;
  /** Adds a CRC32C. */
  readonly checksum?: boolean;
}

/** A version 1 line. An address family for each side apart, which a line cannot say, becomes IPv6 on both. */
export function writeProxyLine(addresses: ProxyAddresses): Uint8Array {
  const pair = parsePair(addresses);
  if (pair === null) return ascii("PROXY UNKNOWN\r\n");
  const { sourcePort, destinationPort } = addresses;
  const name = pair.four ? "TCP4" : "TCP6";
  const [source, destination] = [pair.source, pair.destination].map((bytes) => {
    const text = formatIpAddress(bytes, 0);
    return pair.four || text.includes(":") ? text : `::ffff:${text}`;
  });
  return ascii(`PROXY ${name} ${source} ${destination} ${sourcePort} ${destinationPort}\r\n`);
}

/** A version 2 header that speaks for a client. */
export function writeProxyHeader(addresses: ProxyAddresses, options: ProxyWriteOptions = {}): Uint8Array {
  const pair = parsePair(addresses);
  const body: number[] = [];
  let family = 0;
  if (pair !== null) {
    const skip = pair.four ? 12 : 0;
    family = ((pair.four ? 1 : 2) << 4) | (options.datagram === true ? 2 : 1);
    body.push(...pair.source.subarray(skip), ...pair.destination.subarray(skip));
    pushUint16(body, addresses.sourcePort);
    pushUint16(body, addresses.destinationPort);
    pushExtras(body, options);
  }
  const checksumAt = options.checksum === true && pair !== null ? fixedLength + body.length + 3 : -1;
  if (checksumAt >= 0) pushTlv(body, Tlv.crc32c, [0, 0, 0, 0]);
  const header = assemble(0x21, family, body);
  if (checksumAt >= 0) new DataView(header.buffer).setUint32(checksumAt, crc32c(header, 0, header.length));
  return header;
}

/** A version 2 header for a connection of the sender's own, such as a probe's. */
export function writeProxyLocal(): Uint8Array {
  return assemble(0x20, 0, []);
}

function assemble(command: number, family: number, body: readonly number[]): Uint8Array {
  const header = new Uint8Array(fixedLength + body.length);
  header.set(signature2);
  header[12] = command;
  header[13] = family;
  header[14] = body.length >> 8;
  header[15] = body.length & 255;
  header.set(body, fixedLength);
  return header;
}

function parsePair({ source, destination }: ProxyAddresses) {
  const from = parseIpAddress(source);
  const to = parseIpAddress(destination);
  if (from === null || to === null) return null;
  return { source: from, destination: to, four: isIpv4Mapped(from) && isIpv4Mapped(to) };
}

function pushExtras(body: number[], { alpn, authority, uniqueId, tls }: ProxyWriteOptions): void {
  if (alpn !== undefined && alpn !== "") pushTlv(body, Tlv.alpn, latin1(alpn));
  if (authority !== undefined && authority !== "") pushTlv(body, Tlv.authority, latin1(authority));
  if (uniqueId !== undefined && uniqueId !== null) pushTlv(body, Tlv.uniqueId, uniqueId.subarray(0, 128));
  if (tls !== undefined && tls !== null) pushTlv(body, Tlv.ssl, tlsValue(tls));
}

function tlsValue(tls: ProxyTls): number[] {
  const value = [
    (tls.spoken ? SslBit.spoken : 0) | (tls.certificate ? SslBit.connection | SslBit.session : 0),
    ...[0, 0, 0, tls.verified ? 0 : 1],
  ];
  const parts: readonly (readonly [type: number, text: string])[] = [
    [SslTlv.version, tls.version],
    [SslTlv.commonName, tls.commonName],
    [SslTlv.cipher, tls.cipher],
    [SslTlv.signature, tls.signatureAlgorithm],
    [SslTlv.key, tls.keyAlgorithm],
  ];
  for (const [type, text] of parts) if (text !== "") pushTlv(value, type, latin1(text));
  return value;
}

function pushTlv(body: number[], type: number, value: ArrayLike<number>): void {
  const length = Math.min(value.length, longestValue);
  body.push(type);
  pushUint16(body, length);
  for (let i = 0; i < length; i++) body.push(value[i]!);
}

/** Keeps the whole within its 16 bits of length, and within what receivers take. */
const longestValue = 1024;

function pushUint16(body: number[], value: number): void {
  body.push((value >> 8) & 255, value & 255);
}

function latin1(text: string): number[] {
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i++) bytes.push(text.charCodeAt(i) & 255);
  return bytes;
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(latin1(text));
}
