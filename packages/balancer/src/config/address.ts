// Addresses as they are written: where endpoints are and where listeners accept.
import { parseIpAddress } from "@plimsoll/wire/ip-address";
import type { Misread } from "../base/units.ts";
import type { Address } from "../net/transport.ts";

/** Where an endpoint is: an address that can be connected to, or a name that discovery resolves again and again. */
export type EndpointAddress =
  | { readonly kind: "address"; readonly id: string; readonly address: Address }
  | { readonly kind: "name"; readonly id: string; readonly name: string; readonly port: number }
  | { readonly kind: "srv"; readonly id: string; readonly name: string };

/** Where a listener accepts. Port 0 lets the system choose. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** sun_path holds 108 bytes with its closing zero on Linux, 104 on macOS: the smaller, so that a file works on both. */
const longestUnixPath = 103;

const endpointExamples =
  "write an address and a port: 127.0.0.1:3000, [::1]:3000, app.internal:3000, unix:/run/app.sock";

/** Reads `127.0.0.1:3001`, `[::1]:80`, `unix:/path`, `app.internal:3000`, `localhost:3000`, `srv+_http._tcp.name`. */
export function parseEndpoint(text: string): EndpointAddress | Misread {
  const stray = strayPart(text);
  if (stray !== null) return stray;
  if (text.startsWith("unix:")) return unixEndpoint(text);
  if (text.startsWith("srv+")) return srvEndpoint(text);
  const parts = splitPort(text);
  if ("reason" in parts) return { reason: parts.reason, hint: parts.hint ?? endpointExamples };
  const { host, port } = parts;
  if (port === 0) return { reason: "nothing listens on port 0", hint: endpointExamples };
  if (host === "" || host === "*") {
    return { reason: "it does not say which host", hint: `write 127.0.0.1:${port} for this machine` };
  }
  // RFC 6761 §6.3: localhost is this machine whatever a name server says. IPv4, as most programs listen there too.
  if (host.toLowerCase() === "localhost") return tcpEndpoint(text, "127.0.0.1", port);
  if (isIP(host) !== 0) {
    if (host === "0.0.0.0" || host === "::") {
      return {
        reason: `${host} is where a program listens, not where it can be reached`,
        hint: `write 127.0.0.1:${port} for this machine`,
      };
    }
    return tcpEndpoint(formatHostPort(host, port), canonicalIp(host), port);
  }
  const refused = refuseName(host);
  if (refused !== null) return refused;
  const name = host.toLowerCase();
  return { kind: "name", id: `${name}:${port}`, name, port };
}

/** Reads `127.0.0.1:8080`, `[::]:443`, `localhost:8080`; `:8080` listens on all IPv4 addresses, as nginx and HAProxy do. */
export function parseListen(text: string): ListenAddress | Misread {
  const stray = strayPart(text);
  if (stray !== null) return stray;
  if (text.startsWith("unix:")) {
    return { reason: "listening on a Unix socket is not available yet", hint: "listen on 127.0.0.1 and a port" };
  }
  const parts = splitPort(text);
  if ("reason" in parts)
    return {
      reason: parts.reason,
      hint: parts.hint ?? "write an address and a port: 127.0.0.1:8080, [::]:8080, or :8080 for all IPv4 addresses",
    };
  const { host, port } = parts;
  if (host === "" || host === "*") return { host: "0.0.0.0", port };
  if (host.toLowerCase() === "localhost") return { host: "127.0.0.1", port };
  if (isIP(host) === 0) {
    return {
      reason: `a listener needs an IP address, and "${host}" is a name`,
      hint: `write 127.0.0.1:${port} for this machine alone, :${port} for every address`,
    };
  }
  return { host: canonicalIp(host), port };
}

/** 4 or 6 for an IP address, 0 for anything else. */
export function isIP(text: string): 0 | 4 | 6 {
  if (parseIpAddress(text) === null) return 0;
  return text.includes(":") ? 6 : 4;
}

/** "[::1]:80", "10.0.0.1:80": the text form of an address and a port. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What belongs to a URL and not to an address. */
function strayPart(text: string): Misread | null {
  if (text === "") return { reason: "it is empty", hint: endpointExamples };
  if (/[\s\u0000-\u001f\u007f]/.test(text))
    return { reason: "it has white space or a control character in it", hint: endpointExamples };
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)/i.exec(text) ?? [];
  if (scheme === undefined || rest === undefined) {
    return /[/?#@]/.test(text) && !text.startsWith("unix:")
      ? { reason: "an address has no path, query or user", hint: endpointExamples }
      : null;
  }
  const port = scheme.toLowerCase() === "https" ? 443 : 80;
  const bare = /:\d+$/.test(rest) ? rest : `${rest || "127.0.0.1"}:${port}`;
  const secure =
    scheme.toLowerCase() === "https" ? "; TLS towards endpoints is the pool's `tls`, which is not available yet" : "";
  return { reason: "a URL is not an address", hint: `write ${bare}${secure}` };
}

interface HostPort {
  readonly host: string;
  readonly port: number;
}

function splitPort(text: string): HostPort | { readonly reason: string; readonly hint?: string } {
  if (isIP(text) === 6)
    return { reason: "the port is missing", hint: `write [${text}]:3000: an IPv6 address needs brackets` };
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:[\]]*)):([^:]*)$/.exec(text) ?? [];
  if (port === undefined) {
    if (/^\d+$/.test(text)) return { reason: "it is only a number", hint: `write 127.0.0.1:${text}` };
    if (/^[^:]*$|^\[[^\]]*\]$/.test(text))
      return { reason: "the port is missing", hint: `write ${text}:3000, with the right port` };
    return { reason: "it is not an address and a port" };
  }
  if (/^\d+-\d+$/.test(port))
    return { reason: "ranges of ports are not understood", hint: "write one entry for each port" };
  if (!/^\d+$/.test(port) || Number(port) > 65_535)
    return { reason: `"${port}" is not a port`, hint: "a port is a number from 1 to 65535" };
  if (bracketed !== undefined && isIP(bracketed) !== 6) {
    return { reason: `"${bracketed}" is not an IPv6 address`, hint: "brackets hold IPv6 addresses only: [::1]:3000" };
  }
  return { host: bracketed ?? plain ?? "", port: Number(port) };
}

function refuseName(name: string): Misread | null {
  if (/^[\d.]+$/.test(name))
    return { reason: `"${name}" is not an IPv4 address`, hint: "it has four numbers from 0 to 255: 127.0.0.1" };
  if (name.length > 253) return { reason: "the name is longer than 253 characters", hint: endpointExamples };
  const wrong = name
    .replace(/\.$/, "")
    .split(".")
    .find((label) => !/^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label));
  if (wrong === undefined) return null;
  return {
    reason: `"${name}" is not a DNS name`,
    hint: "letters, digits and hyphens, parts of 1 to 63 of them between dots; other scripts as punycode",
  };
}

function tcpEndpoint(id: string, host: string, port: number): EndpointAddress {
  return { kind: "address", id, address: { kind: "tcp", host, port } };
}

function unixEndpoint(text: string): EndpointAddress | Misread {
  const path = text.slice("unix:".length);
  if (!path.startsWith("/"))
    return { reason: "the path of a Unix socket begins with /", hint: "write unix:/run/app.sock" };
  if (Buffer.byteLength(path) > longestUnixPath) {
    return {
      reason: `the path of a Unix socket holds ${longestUnixPath} bytes at most`,
      hint: "choose a shorter path, such as one in /run",
    };
  }
  return { kind: "address", id: text, address: { kind: "unix", path } };
}

function srvEndpoint(text: string): EndpointAddress | Misread {
  const name = text.slice("srv+".length).toLowerCase();
  const hint = "write srv+_http._tcp.app.internal; an SRV record holds the port";
  if (name.includes(":")) return { reason: "an SRV name has no port", hint };
  if (!/^_[a-z0-9-]+\._(tcp|udp)\./.test(name)) return { reason: "an SRV name begins with _service._protocol", hint };
  return refuseName(name) ?? { kind: "srv", id: `srv+${name}`, name };
}

/** One text for each IPv6 address, so that doubles are found: "0:0::1" is "::1". The URL parser knows the rules. */
function canonicalIp(host: string): string {
  if (!host.includes(":")) return host;
  const bare = host.replace(/%.*$/, "");
  const url = URL.parse(`http://[${bare}]/`);
  return (url?.hostname.slice(1, -1) ?? bare) + host.slice(bare.length);
}
