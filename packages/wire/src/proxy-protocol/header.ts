// What a PROXY protocol header says, read or to be written.

/** What the proxy in front knows of the TLS that it ended (specification §2.2.6). Empty strings: not said. */
export interface ProxyTls {
  /** The client spoke TLS to the proxy. */
  readonly spoken: boolean;
  /** The client showed a certificate on this connection, or when the session was made. */
  readonly certificate: boolean;
  /** It showed one and it was found valid. */
  readonly verified: boolean;
  /** "TLSv1.3" */
  readonly version: string;
  readonly cipher: string;
  /** The common name of the client's certificate. */
  readonly commonName: string;
  readonly signatureAlgorithm: string;
  readonly keyAlgorithm: string;
}

/** Type-length-values of version 2; null or empty: absent. */
export interface ProxyExtras {
  /** The protocol chosen by ALPN. */
  readonly alpn: string;
  /** The host name that the client asked for (SNI). */
  readonly authority: string;
  readonly uniqueId: Uint8Array | null;
  readonly tls: ProxyTls | null;
}

/** A header as it was found; filled anew by each parse and valid after success only. */
export class ProxyHeader implements ProxyExtras {
  version: 1 | 2 = 2;
  /** A connection of the proxy's own (a health check): nobody is spoken for. */
  local = false;
  /**
   * The addresses in `source` and `destination`: "none" for LOCAL, UNKNOWN and UNSPEC, where the connection's own addresses
   * hold; "unix" has paths and ports of 0.
   */
  family: "none" | "ip" | "unix" = "none";
  datagram = false;
  /** IP address in its canonical spelling (IPv4-mapped as IPv4), or a path. */
  source = "";
  sourcePort = 0;
  destination = "";
  destinationPort = 0;
  alpn = "";
  authority = "";
  uniqueId: Uint8Array | null = null;
  tls: ProxyTls | null = null;

  /** Forgets what was read before. */
  clear(): void {
    this.version = 2;
    this.local = this.datagram = false;
    this.family = "none";
    this.source = this.destination = this.alpn = this.authority = "";
    this.sourcePort = this.destinationPort = 0;
    this.uniqueId = null;
    this.tls = null;
  }
}
