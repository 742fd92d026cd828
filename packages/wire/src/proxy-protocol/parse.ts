// Reads a PROXY protocol header of either version (haproxy.org/download/3.4/doc/proxy-protocol.txt).
import type { ProxyHeader } from "./header.ts";
import { parseBinary } from "./parse-binary.ts";
import { parseLine } from "./parse-line.ts";
import { signature1, signature2 } from "./signature.ts";
import { ProxyViolation } from "./violations.ts";

/**
 * Longest header taken unless another limit is given. Version 2 could hold 65,551 bytes; AWS, HAProxy and Envoy send a
 * few hundred, and a client certificate among the TLVs some 2,000.
 */
export const proxyHeaderLimit = 4096;

/**
 * Parses the header that begins at `from`. Called with all bytes so far on every try: returns the position after the header,
 * 0 while it is incomplete, or minus a violation. `-ProxyViolation.absent` says that the connection begins with
 * something else, and comes with the first byte that no header has there. Every decision needs only bytes before it, and
 * nothing beyond the header is looked at, so the outcome does not depend on where the stream was split.
 */
export function parseProxyHeader(
  bytes: Uint8Array,
  from: number,
  to: number,
  header: ProxyHeader,
  maxBytes: number = proxyHeaderLimit,
): number {
  if (from >= to) return 0;
  const signature = bytes[from] === signature1[0] ? signature1 : signature2;
  const length = Math.min(to - from, signature.length);
  for (let i = 0; i < length; i++) if (bytes[from + i] !== signature[i]) return -ProxyViolation.absent;
  if (length < signature.length) return 0;
  return signature === signature1 ? parseLine(bytes, from, to, header) : parseBinary(bytes, from, to, maxBytes, header);
}
