// What the endpoint is told about the client: X-Forwarded-*, Forwarded (RFC 7239) and Via (RFC 9110 §7.6.3). Whatever an
// untrusted peer sent of these was dropped, so the lines depend on the connection and the Host alone: they are made once
// per connection and copied for each request.
import { parseIpAddress } from "@plimsoll/wire/ip-address";
import type { RequestHead } from "@plimsoll/wire/http1";
import { latin1, sameBytes, text } from "../base/bytes.ts";
import type { CidrSet } from "../base/cidr.ts";
import type { CurrentRequest } from "./current-request.ts";

/** Who sent the request, as its connection tells. */
export interface Sender {
  /** "" where there is none to tell (a Unix socket). */
  readonly address: string;
  readonly scheme: "http" | "https";
  /** The listener's port, or the one that a proxy in front says was connected to. */
  readonly port: number;
  /** Lines about its certificate, from client-certificate.ts. */
  readonly certificate: string;
}

const hostName = "X-Forwarded-Host: ";

/** The fields of one connection, ready to be copied. */
export class ForwardingLines {
  #lines: Uint8Array | null = null;
  /** Where the Host that they were made for stands in them. */
  #hostAt = 0;
  #hostLength = 0;
  #minor = 1;

  /** The lines for the Host and version of `head`, from the cache when the last request had the same. */
  lines(bytes: Uint8Array, head: RequestHead, sender: Sender): Uint8Array {
    const { hostStart, hostEnd, minor } = head;
    const cached = this.#lines;
    if (cached !== null && minor === this.#minor) {
      const at = this.#hostAt;
      if (sameBytes(bytes, hostStart, hostEnd, cached, at, at + this.#hostLength)) return cached;
    }
    const host = text(bytes, hostStart, hostEnd);
    const { address, scheme, port, certificate } = sender;
    const made = render(address, scheme, host, String(port), "", element(address, scheme, host), minor);
    this.#minor = minor;
    this.#hostLength = host.length;
    this.#hostAt = made.indexOf(hostName) + hostName.length;
    return (this.#lines = latin1(made + certificate));
  }
}

/** The same for a peer that is trusted: what it said is kept and added to. */
export function linesOfTrusted(request: CurrentRequest, { address, scheme, port, certificate }: Sender): Uint8Array {
  // An empty value says nothing, and an empty list element would make the list malformed.
  const said = (name: string): string => request.header(name) ?? "";
  const host = said("x-forwarded-host") || request.authority();
  const proto = said("x-forwarded-proto") || scheme;
  const forwarded = said("forwarded");
  const own = element(address, scheme, request.authority());
  return latin1(
    render(
      address,
      proto,
      host,
      said("x-forwarded-port") || String(port),
      said("x-forwarded-for"),
      forwarded === "" ? own : `${forwarded}, ${own}`,
      request.head?.minor ?? 1,
    ) + certificate,
  );
}

/**
 * The client's address as far as it can be believed: from the right of X-Forwarded-For, past every trusted proxy, to the
 * first address that is none. Counting from the left would believe whatever a client chose to send. What is no address
 * ("unknown", an obfuscated name) ends the walk too: nothing left of it can be believed.
 */
export function believedSource(peer: string, trusted: CidrSet | null, request: CurrentRequest): string {
  if (trusted === null || !trusted.contains(peer)) return peer;
  const chain = request.header("x-forwarded-for");
  if (chain === undefined) return peer;
  let believed = peer;
  const hops = chain.split(",");
  for (let i = hops.length - 1; i >= 0; i--) {
    const hop = bareAddress((hops[i] as string).trim());
    if (parseIpAddress(hop) === null) break;
    believed = hop;
    if (!trusted.contains(hop)) break;
  }
  return believed;
}

/** Some proxies write a port behind the address ("192.0.2.1:4711", "[2001:db8::1]:4711"). */
function bareAddress(hop: string): string {
  if (hop.startsWith("[")) return /^\[([^\]]*)\](?::[0-9]+)?$/.exec(hop)?.[1] ?? "";
  const colon = hop.indexOf(":");
  return colon >= 0 && colon === hop.lastIndexOf(":") ? hop.slice(0, colon) : hop;
}

function render(
  peer: string,
  proto: string,
  host: string,
  port: string,
  chain: string,
  forwarded: string,
  minor: number,
): string {
  const client = peer === "" ? "unknown" : peer;
  return (
    `X-Forwarded-For: ${chain === "" ? client : `${chain}, ${client}`}\r\n` +
    `X-Forwarded-Proto: ${proto}\r\n` +
    (host === "" ? "" : `${hostName}${host}\r\n`) +
    `X-Forwarded-Port: ${port}\r\n` +
    `Forwarded: ${forwarded}\r\n` +
    // The version that was received, which for HTTP/1.0 is not the one that is sent on.
    `Via: 1.${minor} plimsoll\r\n`
  );
}

/** One element of RFC 7239 §4; IPv6 addresses and anything that is no token are quoted (§6). */
function element(peer: string, scheme: string, host: string): string {
  const node = peer === "" ? "unknown" : peer.includes(":") ? `"[${peer}]"` : peer;
  const quotedHost = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]*$/.test(host) ? host : `"${host.replaceAll(/["\\]/g, "\\$&")}"`;
  return `for=${node}${host === "" ? "" : `;host=${quotedHost}`};proto=${scheme}`;
}
