// The version in a first line: exactly "HTTP/1." and a digit.
import { CR, LF } from "./octets.ts";
import { Violation } from "./violations.ts";

const prefix = new TextEncoder().encode("HTTP/");
const DOT = 0x2e;

function isDigit(byte: number): boolean {
  return byte >= 48 && byte <= 57;
}

/** Minor version 0 or 1 (for 1.1 to 1.9) of the 8 bytes at `from`, 2 if bytes are missing, or minus a violation. */
export function readVersion(bytes: Uint8Array, from: number, stop: number): number {
  const seven = from + 7;
  if (
    seven < stop &&
    bytes[seven] === 0x31 &&
    bytes[from + 5] === 0x31 &&
    bytes[from] === 0x48 &&
    bytes[from + 1] === 0x54 &&
    bytes[from + 2] === 0x54 &&
    bytes[from + 3] === 0x50 &&
    bytes[from + 4] === 0x2f &&
    bytes[from + 6] === DOT
  ) {
    return 1;
  }
  for (let i = 0; i < 8; i++) {
    if (from + i >= stop) return 2;
    const byte = bytes[from + i]!;
    if (i < 5 ? byte === prefix[i] : i === 6 ? byte === DOT : isDigit(byte)) continue;
    return i === 0 && (byte === CR || byte === LF) ? -Violation.versionMissing : -Violation.versionMalformed;
  }
  if (bytes[from + 5] !== 0x31) return -Violation.versionUnsupported;
  return bytes[seven] === 0x30 ? 0 : 1;
}
