// IP addresses as text, strictly: what two readers could take for two addresses is none.

/** The 16 bytes of an address, IPv4 as ::ffff:a.b.c.d; a zone ("%eth0") is ignored. null if it is not an address. */
export function parseIpAddress(text: string): Uint8Array | null {
  const bytes = new Uint8Array(16);
  if (text.includes(":")) return parse6(text, bytes) ? bytes : null;
  const value = parseIpv4(text, 0, text.length);
  if (value < 0) return null;
  bytes[10] = 0xff;
  bytes[11] = 0xff;
  put4(bytes, 12, value);
  return bytes;
}

/** Whether 16 bytes are an IPv4 address in IPv6's clothes (RFC 4291 §2.5.5.2). */
export function isIpv4Mapped(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

/** Four decimal numbers without leading zeros (which some readers take for octal); -1 if it is not that. */
export function parseIpv4(text: string, from: number, to: number): number {
  if (to - from < 7 || to - from > 15) return -1;
  let value = 0;
  let parts = 0;
  let part = 0;
  let digits = 0;
  for (let i = from; i <= to; i++) {
    const c = i < to ? text.charCodeAt(i) : 0x2e;
    if (c === 0x2e) {
      if (digits === 0 || part > 255) return -1;
      value = value * 256 + part;
      parts++;
      part = 0;
      digits = 0;
    } else {
      if (c < 0x30 || c > 0x39 || (digits > 0 && part === 0) || digits === 3) return -1;
      part = part * 10 + (c - 0x30);
      digits++;
    }
  }
  return parts === 4 ? value : -1;
}

/** RFC 4291 §2.2: eight groups, "::" once for a run of zeros, the last two groups perhaps as IPv4. */
function parse6(text: string, bytes: Uint8Array): boolean {
  const zone = text.indexOf("%");
  if (zone === text.length - 1) return false;
  const to = zone < 0 ? text.length : zone;
  let at = 0; // bytes written
  let gap = -1; // where "::" stood
  let i = 0;
  if (text.startsWith("::")) {
    gap = 0;
    i = 2;
  }
  while (i < to) {
    if (at === 16) return false;
    let end = i;
    let group = 0;
    while (end < to) {
      const digit = hexDigit(text.charCodeAt(end));
      if (digit < 0) break;
      group = (group << 4) | digit;
      end++;
      if (end - i > 4) return false;
    }
    if (end < to && text.charCodeAt(end) === 0x2e) {
      const value = parseIpv4(text, i, to);
      if (value < 0 || at > 12) return false;
      put4(bytes, at, value);
      at += 4;
      break;
    }
    if (end === i) return false;
    bytes[at] = group >> 8;
    bytes[at + 1] = group;
    at += 2;
    if (end === to) break;
    if (text.charCodeAt(end) !== 0x3a || end + 1 === to) return false;
    i = end + 1;
    if (text.charCodeAt(i) === 0x3a) {
      if (gap >= 0) return false;
      gap = at;
      i++;
    }
  }
  if (gap < 0) return at === 16;
  if (at > 14) return false; // "::" stands for at least one group
  bytes.copyWithin(16 - (at - gap), gap, at);
  bytes.fill(0, gap, 16 - (at - gap));
  return true;
}

function hexDigit(c: number): number {
  if (c >= 0x30 && c <= 0x39) return c - 0x30;
  const lower = c | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function put4(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
