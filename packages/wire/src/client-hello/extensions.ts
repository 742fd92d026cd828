// The extensions that a router reads. Each returns 0 or a violation; [start, end) is the extension's data.
import type { ClientHello } from "./client-hello.ts";
import { HelloViolation } from "./violations.ts";

/** More protocols than any client has; each becomes a string. */
const mostProtocols = 32;

/** RFC 6066 §3: a list that holds one name of the one type there is. */
export function readServerName(bytes: Uint8Array, start: number, end: number, hello: ClientHello): number {
  // The list's length, the type, the name's length.
  if (end - start < 5 || start + 2 + uint16(bytes, start) !== end) return HelloViolation.serverName;
  const at = start + 5;
  if (bytes[start + 2] !== 0 || at + uint16(bytes, start + 3) !== end || at === end) return HelloViolation.serverName;
  if (end - at > 253) return HelloViolation.serverNameByte;
  let name = "";
  for (let p = at; p < end; p++) {
    let byte = bytes[p]!;
    if (byte >= 0x41 && byte <= 0x5a) byte |= 0x20;
    const dot = byte === 0x2e;
    // No empty label, so no dot at either end (§3: "without a trailing dot").
    if (dot ? p === at || p === end - 1 || bytes[p - 1] === 0x2e : !isLabelByte(byte))
      return HelloViolation.serverNameByte;
    name += String.fromCharCode(byte);
  }
  hello.serverName = name;
  return 0;
}

/** RFC 7301 §3.1: one name at least, none empty. */
export function readAlpn(bytes: Uint8Array, start: number, end: number, hello: ClientHello): number {
  if (end - start < 4 || start + 2 + uint16(bytes, start) !== end) return HelloViolation.alpn;
  const names: string[] = [];
  for (let p = start + 2; p < end;) {
    const next = p + 1 + bytes[p]!;
    if (next === p + 1 || next > end || names.length === mostProtocols) return HelloViolation.alpn;
    let name = "";
    for (let i = p + 1; i < next; i++) name += String.fromCharCode(bytes[i]!);
    names.push(name);
    p = next;
  }
  hello.alpn = names;
  return 0;
}

/** RFC 8446 §4.2.1. */
export function readVersions(bytes: Uint8Array, start: number, end: number, hello: ClientHello): number {
  const length = end - start - 1;
  if (length < 2 || length % 2 !== 0 || bytes[start] !== length) return HelloViolation.versions;
  const versions: number[] = [];
  for (let p = start + 1; p < end; p += 2) versions.push(uint16(bytes, p));
  hello.versions = versions;
  return 0;
}

/** Letters in lower case, digits, "-", and the "_" that many internal names have. */
function isLabelByte(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte === 0x2d || byte === 0x5f;
}

function uint16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
