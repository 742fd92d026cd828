// What is said of a client before the first byte of an upstream connection: a PROXY protocol header. A connection that has
// said it belongs to that client for good, so who speaks so keeps the connections of each client apart.
import { type ProxyExtras, writeProxyHeader, writeProxyLine } from "@plimsoll/wire/proxy-protocol";
import { latin1 } from "../base/bytes.ts";
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
    if (proxyProtocol === "v1") return (this.#line ??= new Preface(writeProxyLine(addressesOf(this.#client))));
    return (this.#binary ??= new Preface(proxyHeaderFor(this.#client)));
  }

  close(): void {
    this.#line?.close();
    this.#binary?.close();
  }
}

/**
 * The version 2 header that speaks for `client`: its addresses, and what the proxy in front of us said of it. `known` is
 * what we found out ourselves, which goes first.
 */
export function proxyHeaderFor(client: Connection, known: Partial<ProxyExtras> = {}): Uint8Array {
  const said = client.proxied;
  return writeProxyHeader(addressesOf(client), {
    alpn: known.alpn ?? said?.alpn ?? "",
    authority: known.authority ?? said?.authority ?? "",
    tls: known.tls ?? said?.tls ?? null,
    uniqueId: said?.uniqueId ?? latin1(nextRequestId()),
  });
}

function addressesOf(client: Connection) {
  return {
    source: client.remoteAddress,
    sourcePort: client.remotePort,
    destination: client.localAddress,
    destinationPort: client.localPort,
  };
}
