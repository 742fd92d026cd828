// What the engine knows of sockets. One implementation speaks Bun (bun-transport.ts); another may replace it without the
// engine noticing. Bytes handed to a handler are borrowed: they are valid until the handler returns, so whoever needs
// them later copies them. Encrypted connections look like plain ones: they are handed over once their handshake is done.

import type { ClientTls, ServerTls, TlsFacts } from "./tls.ts";

import type { ProxyHeader } from "@plimsoll/wire/proxy-protocol";

/** Where to listen or connect: an IP address (never a name) and port, or the path of a Unix socket. */
export type Address =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** Why a connection ended. */
export type CloseReason =
  | "closed" // both sides ended in order, or we closed it
  | "reset" // the peer reset it, or the network lost it
  | "refused" // connect: nobody listens there
  | "unreachable" // connect: no way there, or no local port or descriptor left
  // connect with TLS, before onOpen:
  | "handshake" // no version or suite in common, no TLS at all, or the peer broke it off
  | "untrusted" // the peer's certificate is not valid: unknown authority, revoked, not yet valid
  | "expired" // it was valid once
  | "misnamed"; // it is valid, for other names

/**
 * What a connection tells its owner. Each call runs to its end before the next, and none comes from inside a call of
 * ours to the connection; none may throw (if one does, its connection is reset and the defect is reported).
 */
export interface ConnectionHandler {
  /** A connection that was asked for with `connect` is open. Never called on accepted ones. */
  onOpen(): void;
  /** Bytes arrived; `bytes` is borrowed. */
  onData(bytes: Uint8Array): void;
  /** After a short write: room again. Write what was kept back, then go on. */
  onDrain(): void;
  /** The peer will send no more (FIN). Writing is still possible. */
  onEnd(): void;
  /**
   * Called exactly once, last: also after our own `close` and `reset` (reason "closed"), soon after they returned. A
   * reset is told also while paused; it is never mistaken for an end.
   */
  onClose(reason: CloseReason, cause: string): void;
}

/** One byte stream. */
export interface Connection {
  /** Who is told; may be exchanged at any time between calls (a session that becomes a tunnel). */
  handler: ConnectionHandler;
  /**
   * Hands bytes [from, to) to the kernel at once. Returns how many were accepted, from 0; fewer than asked means: keep
   * the rest, stop producing, wait for `onDrain`. On a dead connection all bytes count as accepted and `onClose` follows.
   */
  write(bytes: Uint8Array, from: number, to: number): number;

  /**
   * Like `write`, for what another write follows at once, in this same call of the handler: the kernel may wait with it, so that
   * both leave in one packet. A head before its body, above all.
   */
  writeAhead(bytes: Uint8Array, from: number, to: number): number;
  /** Stops reading: the peer's TCP window fills. Idempotent. */
  pause(): void;
  resume(): void;
  /** From now on a silent peer is asked now and then whether it is still there; one that is not is told as a reset. */
  keepAlive(): void;
  /** Sends FIN after what was accepted; reading goes on. */
  shutdown(): void;
  /**
   * Bytes that the kernel took and the peer has not acknowledged yet (our FIN counts as one); -1 if unknown or closed. A
   * system call: not per request.
   */
  unsent(): number;
  /** Whether the peer's end (FIN or RST) has arrived although no handler was told yet. Costs a system call. */
  ending(): boolean;
  /**
   * Closes both directions in order. What the peer still sends is read and dropped for a while, so that it gets to
   * read what we wrote (RFC 9112 §9.6). On a connection that is not open yet: gives it up at once.
   *
   * `nothingFollows`: the peer has said that it sends no more, so there may be nothing to wait for. If that proves false when
   * it is looked at, or the connection is encrypted (which has a last word of its own), it is not believed.
   */
  close(nothingFollows?: boolean): void;
  /** Closes with RST, so that the peer sees that something is missing. */
  reset(): void;
  /**
   * What a PROXY protocol header said of this connection, null without one. Set before the connection has its session; from
   * then on the four below are what the header says, if it says any.
   */
  proxied: ProxyHeader | null;
  /** The peer's IP address as text (IPv4-mapped IPv6 as IPv4); "" for Unix sockets. Costs a string: cache it. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** What the handshake found; null on plain connections, and before it is over. */
  readonly tls: TlsFacts | null;
  /**
   * For an accepted plain connection whose owner has read what stood in front of TLS: what comes now is a handshake, of which
   * `ahead` was read already (borrowed). This connection's handler is let go of without another call; when the handshake is over
   * `accept` gets the encrypted connection (another object), and nobody hears more if it fails: `tls.failed` is told.
   */
  startTls(tls: ServerTls, ahead: Uint8Array, accept: Accept): void;
}

/** Returns the handler of a new connection. */
export type Accept = (connection: Connection) => ConnectionHandler;

/** A listening socket. */
export interface Listener {
  readonly port: number;
  /**
   * Stops accepting; accepted connections go on. Connections that wait in the socket's queue are still accepted, for a moment
   * if need be: closed under them they would be reset.
   */
  close(): void;
  /** Whether connections may still be accepted: until `close`, and while those that waited then are. */
  readonly open: boolean;
  /** How connections from now on speak TLS; null = not at all. No connection is touched, none that waits is lost. */
  secure(tls: ServerTls | null): void;
}

/** Where to accept: a fresh socket, or one inherited from the supervisor. */
export interface ListenOptions {
  readonly address: Address;
  /** An inherited listening descriptor; `address` then only names it. It belongs to the listener, which closes it. */
  readonly fd?: number;
  readonly reusePort?: boolean;
  /** Connections are handed to `accept` once their handshake is over. */
  readonly tls?: ServerTls;
}

/** The door to the network. */
export interface Transport {
  /** Begins to accept; `accept` returns the handler of each new connection. Throws an Error with `.code` if it cannot. */
  listen(options: ListenOptions, accept: Accept): Listener;
  /**
   * Begins to connect, and to shake hands if `tls` is given; `handler.onOpen` or `handler.onClose` follows, never before this
   * returns. `preface` goes first, in plain text also where `tls` follows; it must not change.
   */
  connect(address: Address, handler: ConnectionHandler, tls?: ClientTls, preface?: Uint8Array | null): Connection;
}
