// What the transport and its owners say to each other about TLS: contexts, how a listening side and a connecting side are to
// behave, what a finished handshake tells, and why one fails. Plain data and callbacks; nothing here knows the runtime.
import type { X509Certificate } from "node:crypto";
import type { tlsFailureReasons } from "../observe/table.ts";

/** Certificates, keys and protocol settings, ready for handshakes. Made by tls-context.ts; opaque to everybody else. */
export interface TlsContext {
  readonly native: unknown;
}

/** What is known of an encrypted connection once its handshake is over. */
export interface TlsFacts {
  /** "TLSv1.3". */
  readonly version: string;
  /** The suite by its IANA name: "TLS_AES_128_GCM_SHA256". */
  readonly cipher: string;
  /** Protocol that both sides agreed on; "" = none was. */
  readonly alpn: string;
  /** Name that the client asked for, in lower case; "" = it named none. */
  readonly serverName: string;
  readonly resumed: boolean;
  /** The other side's certificate, if it was asked for, was sent and is valid; null on connections of ours. */
  readonly peer: X509Certificate | null;
}

/** Why a handshake with a client failed. */
export type HandshakeReason = (typeof tlsFailureReasons)[number];

export interface HandshakeFailure {
  readonly reason: HandshakeReason;
  /** For a person: "UNSUPPORTED_PROTOCOL", "CERT_HAS_EXPIRED: certificate has expired". */
  readonly detail: string;
  readonly remoteAddress: string;
  /** In lower case; "" if none was seen. */
  readonly serverName: string;
}

/** Whether clients are asked for a certificate. An invalid one is refused in either case. */
export type ClientCertificates = "off" | "optional" | "required";

/** A connection while its client shakes hands: the same object in all that is told of it. */
export interface Shaking {
  /** The peer's IP address as text, or what a PROXY protocol header said it is. Costs a string. */
  readonly remoteAddress: string;
}

/** How a listening side speaks TLS. */
export interface ServerTls {
  /** For clients that name nothing; its versions, ciphers, groups and authorities hold for all. */
  readonly context: TlsContext;
  /** The context for a name in lower case; null refuses the handshake. */
  choose(serverName: string): TlsContext | null;
  /** Protocols that are spoken; a client that offers others only is refused (RFC 7301 §3.2). Empty: ALPN is ignored. */
  readonly alpn: readonly string[];
  readonly clientCertificates: ClientCertificates;
  /** Ms from the first byte that may come to the end of the handshake. */
  readonly handshakeTimeout: number;
  /** What is sent, unencrypted, to whoever speaks HTTP without TLS; null = nothing. */
  readonly plainAnswer: Uint8Array | null;
  /** A client connected; false closes the connection at once. */
  begins(connection: Shaking): boolean;
  /** Follows each `begins` that was true, before the owner hears of the connection or `failed` is called. */
  over(connection: Shaking): void;
  failed(failure: HandshakeFailure): void;
}

/** How a connecting side speaks TLS. The object is kept for all connections to one endpoint: it remembers the session. */
export interface ClientTls {
  readonly context: TlsContext;
  /** Sent as SNI; "" sends none (an address is no server name, RFC 6066 §3). */
  readonly serverName: string;
  /** Name or address that the certificate must be valid for. */
  readonly verifyName: string;
  /** Whether the certificate must be valid at all. */
  readonly verify: boolean;
  /** The last session that the other side offered, to be resumed by the next connection. */
  session: Uint8Array | null;
}
