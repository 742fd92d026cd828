// What is said of a client before the first byte of an upstream connection: a PROXY protocol header. A connection that has
// said it belongs to that client for good, so who speaks so keeps the connections of each client apart.
import { type ProxyExtras, writeProxyHeader, writeProxyLine } from "@plimsoll/wire/proxy-protocol";
import { latin1 } from "../base/bytes.ts";
import type { TlsFacts } from "../net/tls.ts";
import type { Connection } from "../net/transport.ts";
import type { Endpoint } from "../pool/endpoint.ts";
import type { IdleConnection } from "../pool/idle.ts";
import type { PoolPlan } from "../pool/plan.ts";
import { nextRequestId } from "./request-id.ts";

/** An upstream connection that waits for its client's next exchange. */
interface KeptConnection extends IdleConnection {
  readonly endpoint: Endpoint;
}

/** The header for one client connection, and the idle upstream connections that begin with it. */
export class Preface {
  readonly bytes: Uint8Array;
  /** The client is gone: nothing is kept for it. */
  over = false;
  readonly #kept: KeptConnection[] = [];

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  keep(connection: KeptConnection): void {
    this.#kept.push(connection);
  }

  /** No matter if it is not here. */
  forget(connection: KeptConnection): void {
    const at = this.#kept.indexOf(connection);
    if (at >= 0) this.#kept.splice(at, 1);
  }

  /** The connection to `endpoint` that was used last; null without one that is younger than `maxAge` ms. */
  take(endpoint: Endpoint, now: number, maxAge: number): KeptConnection | null {
    for (let i = this.#kept.length - 1; i >= 0; i--) {
      const kept = this.#kept[i] as KeptConnection;
      if (kept.endpoint !== endpoint || now - kept.idleSince >= maxAge) continue;
      this.#kept.splice(i, 1);
      endpoint.idle.remove(kept);
      return kept;
    }
    return null;
  }

  /** The client is gone. */
  close(): void {
    this.over = true;
    for (const kept of this.#kept.splice(0)) kept.retire();
  }
}

/** The prefaces of one client connection: one for each version that a pool asks for. */
export class Prefaces {
  readonly #client: Connection;
  #line: Preface | null = null;
  #binary: Preface | null = null;

  constructor(client: Connection) {
    this.#client = client;
  }

  /** What is said first on connections to a pool that is planned so; null = nothing. */
  of({ proxyProtocol }: Pick<PoolPlan, "proxyProtocol">): Preface | null {
    if (proxyProtocol === "off") return null;
    const client = this.#client;
    return proxyProtocol === "v1"
      ? (this.#line ??= new Preface(writeProxyLine(addressesOf(client))))
      : (this.#binary ??= new Preface(proxyHeaderFor(client)));
  }

  close(): void {
    this.#line?.close();
    this.#binary?.close();
  }
}

/**
 * The version 2 header that speaks for `client`: its addresses, and what is known of its TLS: what our own side of it found,
 * else what the proxy in front of us said. `known` is what was learned otherwise, and goes first.
 */
export function proxyHeaderFor(client: Connection, known: Partial<ProxyExtras> = {}): Uint8Array {
  const said = client.proxied;
  const found = client.tls === null ? (said ?? nothing) : extrasOf(client.tls);
  return writeProxyHeader(addressesOf(client), {
    alpn: known.alpn ?? found.alpn,
    authority: known.authority ?? found.authority,
    tls: known.tls ?? found.tls,
    uniqueId: said?.uniqueId ?? latin1(nextRequestId()),
  });
}

type Known = Pick<ProxyExtras, "alpn" | "authority" | "tls">;

const nothing: Known = { alpn: "", authority: "", tls: null };

function extrasOf({ alpn, serverName, version, cipher, peer }: TlsFacts): Known {
  const certificate = peer !== null;
  // Bytes of UTF-8, one character each as everywhere in wire/ (PROXY protocol §2.2.6), without the backslashes of the text form.
  const named = /^CN=(.*)$/m.exec(peer?.subject ?? "")?.[1] ?? "";
  const commonName = Buffer.from(named.replaceAll(/\\(.)/g, "$1"), "utf8").toString("latin1");
  // An invalid certificate would not have got this far.
  const shown = { certificate, verified: certificate, commonName };
  const tls = { spoken: true, version, cipher, ...shown, signatureAlgorithm: "", keyAlgorithm: "" };
  return { alpn, authority: serverName, tls };
}

function addressesOf(client: Connection) {
  return {
    source: client.remoteAddress,
    sourcePort: client.remotePort,
    destination: client.localAddress,
    destinationPort: client.localPort,
  };
}
