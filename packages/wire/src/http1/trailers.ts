// Which trailer fields may pass: those that nobody decides anything by before the body is there.
import { fieldHash, hashName } from "./fields.ts";
import { sameName } from "./octets.ts";

// RFC 9110 §6.5.1 forbids in trailers whatever is for framing, routing, request modifiers, authentication, caching or
// content handling. A receiver that merges trailers into the head would otherwise be told a second Host or Cookie.
const forbidden =
  "age authorization cache-control connection content-disposition content-encoding content-language content-length " +
  "content-location content-range content-type cookie date expect expires forwarded host http2-settings " +
  "idempotency-key if-match if-modified-since if-none-match if-range if-unmodified-since keep-alive location " +
  "max-forwards origin pragma proxy-authenticate proxy-authentication-info proxy-authorization proxy-connection " +
  "proxy-status range referer retry-after server set-cookie strict-transport-security te trailer traceparent tracestate " +
  "transfer-encoding upgrade user-agent vary via warning www-authenticate x-forwarded-for x-forwarded-host " +
  "x-forwarded-port x-forwarded-proto x-real-ip x-request-id";

const byHash = new Map<number, Uint8Array[]>();
for (const name of forbidden.split(" ")) {
  const list = byHash.get(hashName(name)) ?? [];
  list.push(new TextEncoder().encode(name));
  byHash.set(hashName(name), list);
}

/** Whether the trailer named by [from, to) may be passed on. Names with "_" are not, as in heads by default. */
export function mayTrail(bytes: Uint8Array, from: number, to: number): boolean {
  const names = byHash.get(fieldHash(bytes, from, to));
  if (names !== undefined) {
    for (const name of names) if (sameName(bytes, from, to, name)) return false;
  }
  for (let p = from; p < to; p++) if (bytes[p] === 0x5f) return false;
  return true;
}
