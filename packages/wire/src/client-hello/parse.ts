// Reads the message itself (RFC 8446 §4.1.2, and RFC 5246 §7.4.1.2 for clients without extensions).
import type { ClientHello } from "./client-hello.ts";
import { readAlpn, readServerName, readVersions } from "./extensions.ts";
import { HelloViolation } from "./violations.ts";

/** Chrome sends 18, others up to 25 or so; each costs a look at those before it. */
const mostExtensions = 64;
const Extension = { serverName: 0, alpn: 16, earlyData: 42, versions: 43, ech: 0xfe0d } as const;

/** Parses the body [from, to) of a whole ClientHello message. Returns 0 or a violation. */
export function parseHello(bytes: Uint8Array, from: number, to: number, hello: ClientHello): number {
  hello.serverName = "";
  hello.alpn = [];
  hello.ech = hello.earlyData = false;
  if (to - from < 35) return HelloViolation.short;
  const version = uint16(bytes, from);
  if (version < 0x0301) return HelloViolation.version;
  hello.versions = [version];
  let p = from + 34;

  const sessionId = bytes[p]!;
  if (sessionId > 32) return HelloViolation.sessionId;
  p += 1 + sessionId;
  if (p + 2 > to) return HelloViolation.short;
  const suites = uint16(bytes, p);
  if (suites < 2 || suites % 2 !== 0) return HelloViolation.cipherSuites;
  p += 2 + suites;
  if (p + 1 > to) return HelloViolation.short;
  const methods = bytes[p]!;
  if (p + 1 + methods > to) return HelloViolation.short;
  if (!bytes.subarray(p + 1, p + 1 + methods).includes(0)) return HelloViolation.compression;
  p += 1 + methods;
  // TLS 1.2 and before may end here.
  if (p === to) return 0;
  if (p + 2 > to) return HelloViolation.short;
  if (p + 2 + uint16(bytes, p) !== to) return HelloViolation.extensionForm;
  return readExtensions(bytes, p + 2, to, hello);
}

function readExtensions(bytes: Uint8Array, from: number, to: number, hello: ClientHello): number {
  const types = new Uint16Array(mostExtensions);
  let count = 0;
  for (let p = from; p < to;) {
    if (p + 4 > to) return HelloViolation.extensionForm;
    const type = uint16(bytes, p);
    const start = p + 4;
    const end = start + uint16(bytes, p + 2);
    if (end > to) return HelloViolation.extensionForm;
    if (count === mostExtensions) return HelloViolation.extensionsTooMany;
    for (let i = 0; i < count; i++) if (types[i] === type) return HelloViolation.extensionTwice;
    types[count++] = type;
    const violation = readExtension(bytes, type, start, end, hello);
    if (violation !== 0) return violation;
    p = end;
  }
  return 0;
}

function readExtension(bytes: Uint8Array, type: number, start: number, end: number, hello: ClientHello): number {
  switch (type) {
    case Extension.serverName:
      return readServerName(bytes, start, end, hello);
    case Extension.alpn:
      return readAlpn(bytes, start, end, hello);
    case Extension.versions:
      return readVersions(bytes, start, end, hello);
    case Extension.earlyData:
      hello.earlyData = true;
      return 0;
    case Extension.ech:
      // RFC 9849 §5: 0 is outer; an inner hello never travels in the clear.
      if (start === end || bytes[start] !== 0) return HelloViolation.ech;
      hello.ech = true;
      return 0;
    default:
      return 0;
  }
}

function uint16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
