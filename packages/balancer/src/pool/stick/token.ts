// What stands in the balancer's cookie:
//
//   v1.<tag>                     until the browser closes
//   v1.<tag>.<issued>.<mac>      with a maxAge
//
// `tag` is an HMAC of the endpoint's stable id: it tells nobody an address, nobody without the secret can make one, and every
// balancer with the same secret makes the same one, today and after a restart. `issued` is when it was renewed, in seconds
// since 1970 in base 36, and `mac` signs tag and time together. Each HMAC-SHA256 is cut to 96 bits (RFC 2104 §5), and each of
// the two says first what it is for, so that neither can stand for the other.
import { createHmac } from "node:crypto";

const version = "v1.";
/** Characters of 96 bits in base64url. */
const macLength = 16;
const plainLength = version.length + macLength;

/** What a timed token says. Whether it is true, `timeMac` tells. */
export interface TimedToken {
  readonly tag: string;
  /** Seconds since 1970. */
  readonly issued: number;
  readonly mac: string;
}

export function endpointTag(secret: string, stableId: string): string {
  return mac(secret, `plimsoll sticky v1 endpoint\0${stableId}`);
}

export function timeMac(secret: string, tag: string, issued: number): string {
  return mac(secret, `plimsoll sticky v1 time\0${tag}.${issued}`);
}

export function plainToken(tag: string): string {
  return version + tag;
}

export function timedToken(secret: string, tag: string, issued: number): string {
  return `${version}${tag}.${issued.toString(36)}.${timeMac(secret, tag, issued)}`;
}

/** The tag of a token without time; "" if it is no such token. */
export function tagOfPlain(value: string): string {
  return value.length === plainLength && value.startsWith(version) ? value.slice(version.length) : "";
}

/** A token with time, not yet believed; null if it does not look like one. */
export function readTimed(value: string): TimedToken | null {
  const issuedEnd = value.length - macLength - 1;
  if (issuedEnd <= plainLength + 1 || issuedEnd > plainLength + 10 || !value.startsWith(version)) return null;
  if (value[plainLength] !== "." || value[issuedEnd] !== ".") return null;
  const written = value.slice(plainLength + 1, issuedEnd);
  const issued = parseInt(written, 36);
  // One way to write each time: a second spelling would be a second cookie for the same thing.
  if (issued.toString(36) !== written) return null;
  return { tag: value.slice(version.length, plainLength), issued, mac: value.slice(issuedEnd + 1) };
}

/** Compares without telling by its time how much was right. */
export function sameMac(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let different = 0;
  for (let i = 0; i < a.length; i++) different |= a.charCodeAt(i) ^ b.charCodeAt(i);
  return different === 0;
}

function mac(secret: string, message: string): string {
  return createHmac("sha256", secret).update(message).digest("base64url").slice(0, macLength);
}
