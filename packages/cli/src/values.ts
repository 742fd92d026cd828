// Turns option values into numbers, ports and addresses, with a sentence for whoever mistyped.
import { parseDuration } from "@plimsoll/balancer/src/base/units.ts";
import { UsageError } from "./spec.ts";

/** A whole number within [least, most]. */
export function wholeNumber(what: string, least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= least && value <= most)) {
      throw new UsageError(`${what} must be a whole number from ${least} to ${most}, not "${text}".`);
    }
    return value;
  };
}

/** A TCP port; 0 lets the system choose. */
export const port = wholeNumber("A port", 0, 65535);

/** An IP address and port. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Reads "127.0.0.1:9090", "[::1]:9090", ":9090" and "9090"; what has no host means this machine only. */
export function hostPort(text: string): HostPort {
  const match = /^(?:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(text);
  const number = Number(match?.[3]);
  if (match === null || number > 65535) {
    throw new UsageError(`An address is written like 127.0.0.1:9090 or [::1]:9090, not "${text}".`);
  }
  const host = match[1] ?? match[2] ?? "";
  return { host: host === "" || host === "localhost" ? "127.0.0.1" : host, port: number };
}

/** Writes an address the way a URL wants it. */
export function showHostPort(address: HostPort): string {
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** A length of time as the configuration writes it: "500ms", "30s", "1m30s"; in milliseconds. */
export function duration(text: string): number {
  const reading = parseDuration(text);
  if (typeof reading === "number") return reading;
  throw new UsageError(`"${text}": ${reading.reason}; ${reading.hint}.`);
}

/** "k:v" or "k: v" as a pair, the name in lower case. */
export function headerPair(text: string): readonly [string, string] {
  const colon = text.indexOf(":");
  const name = text.slice(0, colon).trim();
  if (colon < 1 || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
    throw new UsageError(`A header is written like "x-tenant: acme", not "${text}".`);
  }
  return [name.toLowerCase(), text.slice(colon + 1).trim()];
}
