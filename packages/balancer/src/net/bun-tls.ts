// TLS on raw Bun sockets: the options that Bun takes, the events of a handshake on either side, and what they mean.
//
// What Bun 1.4 does that one would not guess (pinned in tests/integration/runtime/tls.test.ts and tls-upgrade.test.ts):
// - `handshake` comes once, with (true, error) also where no certificate was asked for: the error then means nothing.
// - When it comes with false the descriptor is still open, so that a last plain word can be sent.
// - `serverName` is not called for clients that send none: they get the listener's own context.
// - Versions, suites, groups and whether a certificate is asked for are those of the context that the socket began with;
//   the one that `serverName` returns brings certificates and authorities only.

import { checkServerIdentity } from "node:tls";
import type { Accept, CloseReason } from "./transport.ts";
import type { ClientTls, HandshakeReason, ServerTls, TlsFacts } from "./tls.ts";
import {
  BunConnection,
  nobody,
  socketEvents,
  type ConnectionHost,
  type PendingHandshake,
  type RawSocket,
} from "./bun-connection.ts";
import { Handshakes } from "./handshakes.ts";
import { sendOnce } from "./libc.ts";

/** What Bun's types do not know of a TLS socket. */
interface TlsSocket {
  readonly fd: number;
  readonly alpnProtocol: string | false | null;
  getTLSVersion(): string;
  getCipher(): { readonly standardName?: string; readonly name?: string } | undefined;
  getServername(): string | undefined;
  isSessionReused(): boolean;
  getPeerX509Certificate(): TlsFacts["peer"] | undefined;
  getPeerCertificate(): Parameters<typeof checkServerIdentity>[1];
  setSession(session: Uint8Array): void;
}

type HandshakeError = (Error & { readonly code?: string }) | null | undefined;

const ofTls = (socket: RawSocket): TlsSocket => socket as unknown as TlsSocket;

/** Connections that listen for handshakes: who is told, under which settings. */
export interface TlsAcceptor {
  tls: ServerTls;
  readonly accept: Accept;
  readonly handshakes: Handshakes<BunConnection>;
}

/** Ends handshakes that take too long. One for each listener, or for each length of time. */
export function pendingHandshakes(): Handshakes<BunConnection> {
  return new Handshakes((connection) => {
    const { shaking } = connection;
    if (!(shaking instanceof ServerHandshake)) return;
    shaking.fail(connection, "timeout", `not over within ${shaking.tls.handshakeTimeout} ms`);
    connection.abandon("reset", "handshake timeout");
  });
}

/** A handshake that a client has begun with us. */
class ServerHandshake implements PendingHandshake {
  readonly tls: ServerTls;
  readonly acceptor: TlsAcceptor;
  /** Its end was told: what still comes is nothing new. */
  over = false;

  constructor(acceptor: TlsAcceptor) {
    this.tls = acceptor.tls;
    this.acceptor = acceptor;
  }

  /** It is no longer under way. */
  settle(connection: BunConnection): void {
    this.over = true;
    this.acceptor.handshakes.delete(connection);
    this.tls.over(connection);
  }

  fail(connection: BunConnection, reason: HandshakeReason, detail: string): void {
    this.settle(connection);
    const { socket, remoteAddress } = connection;
    const serverName = socket === null ? "" : nameOf(ofTls(socket));
    this.tls.failed({ reason, detail, remoteAddress, serverName });
  }

  brokenOff(connection: BunConnection, cause: string): boolean {
    if (!this.over) this.fail(connection, "gone", cause === "" ? "closed by the client" : cause);
    return true;
  }
}

/** A handshake that we have begun. */
class ClientHandshake implements PendingHandshake {
  readonly tls: ClientTls;

  constructor(tls: ClientTls) {
    this.tls = tls;
  }

  brokenOff(): boolean {
    return false;
  }
}

// The accepting side.

/** Bun's `tls` for a side that accepts. */
export function serverOptions({ context, alpn, clientCertificates }: ServerTls): object {
  return {
    secureContext: context.native,
    requestCert: clientCertificates !== "off",
    // Judged in `shaken`: Bun would end it without an alert, and could not let those in that have none.
    rejectUnauthorized: false,
    ...(alpn.length === 0
      ? {}
      : { ALPNProtocols: alpn.map((name) => String.fromCharCode(name.length) + name).join("") }),
  };
}

/** Whether both are the same to Bun, so that a listener need not be made anew. */
export function sameOptions(a: ServerTls, b: ServerTls): boolean {
  return a.context === b.context && a.clientCertificates === b.clientCertificates && a.alpn.join() === b.alpn.join();
}

/** What BoringSSL says when `serverName` found nothing to show. It then sends nothing at all. */
const nameRefused = "CONNECTION_REJECTED";
/** A fatal alert, unrecognized_name (RFC 6066 §3). Nothing is encrypted yet when the name is read, in any version. */
const unrecognizedName = Uint8Array.of(21, 3, 3, 0, 2, 2, 112);

/** Puts a connection that was just accepted into its handshake; false when there is no room for it. */
export function beginServer(connection: BunConnection, acceptor: TlsAcceptor): boolean {
  const shaking = new ServerHandshake(acceptor);
  connection.shaking = shaking;
  shaking.over = !shaking.tls.begins(connection);
  if (!shaking.over) acceptor.handshakes.add(connection, shaking.tls.handshakeTimeout);
  return !shaking.over;
}

/** Bun's events for sockets that begin with a handshake, the same functions for all of them. */
export const serverTlsEvents = {
  ...socketEvents,
  open(socket: RawSocket): void {
    socket.data.socket = socket;
  },
  handshake: shakenServer,
  error: failed,
  // The first argument is the listener's data, not the socket's.
  serverName(_: unknown, name: string, socket: RawSocket): unknown {
    const shaking = socket.data?.shaking;
    if (!(shaking instanceof ServerHandshake)) return false;
    const chosen = shaking.tls.choose(name.toLowerCase());
    return chosen === null ? false : chosen.native;
  },
};

function shakenServer(socket: RawSocket, success: boolean, error: HandshakeError): void {
  const connection = socket.data;
  const { shaking } = connection;
  // Over its limit or too late: told already.
  if (!(shaking instanceof ServerHandshake) || shaking.over) return;
  const { tls, acceptor } = shaking;
  const side = ofTls(socket);
  if (!success) {
    const detail = wordsOf(error);
    const reason = reasonOf(detail, error?.code ?? "", tls, side);
    if (reason === "plain-http" && tls.plainAnswer !== null) sendOnce(side.fd, tls.plainAnswer);
    if (detail === nameRefused) sendOnce(side.fd, unrecognizedName);
    // Bun closes it by itself, in order, so that an alert or the plain answer arrives.
    shaking.fail(connection, reason, detail);
    return;
  }
  const peer = tls.clientCertificates === "off" ? null : (side.getPeerX509Certificate() ?? null);
  if (tls.clientCertificates !== "off" && (peer === null ? tls.clientCertificates === "required" : error)) {
    shaking.fail(connection, "certificate", peer === null ? "the client sent no certificate" : wordsOf(error));
    socket.terminate();
    return;
  }
  shaking.settle(connection);
  connection.shaking = null;
  connection.tls = factsOf(side, peer);
  connection.accepted();
  connection.handler = acceptor.accept(connection);
}

/** What our own handlers throw comes here, and what the other side's alerts say after the handshake. */
function failed(socket: RawSocket, error: Error & { readonly code?: string }): void {
  const connection = socket.data;
  if (connection === undefined) return;
  if (error.code === "EPROTO" && connection.tls !== null) connection.broken(wordsOf(error));
  else connection.failed(error);
}

function nameOf(side: TlsSocket): string {
  return side.getServername()?.toLowerCase() ?? "";
}

function reasonOf(detail: string, code: string, tls: ServerTls, side: TlsSocket): HandshakeReason {
  if (code === "ECONNRESET") return "gone";
  if (detail === "HTTP_REQUEST") return "plain-http";
  if (detail.startsWith("PEER_DID_NOT_RETURN_A_CERTIFICATE")) return "certificate";
  // Alerts about certificates: 42 to 46 and 48.
  if (/ALERT_(?:BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA)/.test(detail)) return "rejected";
  if (detail === nameRefused) return "name";
  // Nothing to show for a client that named nobody, when every name must be known.
  if (/^NO_(?:CERTIFICATE_SET|CERTIFICATE_ASSIGNED|SHARED_CIPHER)$/.test(detail) && nameOf(side) === "") {
    return tls.choose("") === null ? "name" : "protocol";
  }
  return "protocol";
}

/** "error:1000009c:SSL routines:OPENSSL_internal:HTTP_REQUEST" -> "HTTP_REQUEST"; anything else with its code. */
function wordsOf(error: HandshakeError): string {
  if (error === null || error === undefined) return "no reason was given";
  const { message, code } = error;
  const name = /OPENSSL_internal:(\w+)/.exec(message)?.[1];
  if (name !== undefined) return name;
  return code === undefined || message.includes(code) ? message : `${code}: ${message}`;
}

function factsOf(side: TlsSocket, peer: TlsFacts["peer"]): TlsFacts {
  const cipher = side.getCipher();
  const { alpnProtocol } = side;
  return {
    version: side.getTLSVersion(),
    cipher: cipher?.standardName ?? cipher?.name ?? "",
    alpn: typeof alpnProtocol === "string" ? alpnProtocol : "",
    serverName: nameOf(side),
    resumed: side.isSessionReused(),
    peer,
  };
}

// A plain connection that goes on in TLS.

/** Moves an accepted connection into a handshake; the connection that comes out of it is a new one. */
export function upgrade(from: BunConnection, host: ConnectionHost, acceptor: TlsAcceptor, ahead: Uint8Array): void {
  const socket = from.socket!;
  const connection = new BunConnection(host, nobody, null, undefined);
  connection.proxied = from.proxied;
  // Who it is can be asked before the handshake, which brings another one.
  connection.socket = socket;
  // The descriptor stays taken: what one side of the pair no longer counts, the other does.
  from.leave();
  // Bun hands the encrypted bytes to the plain side, too: nobody looks at them.
  socket.data = deaf;
  if (!beginServer(connection, acceptor)) {
    host.freed(true);
    socket.terminate();
    return;
  }
  const pair = (socket as unknown as Upgradable).upgradeTLS({
    isServer: true,
    data: connection,
    tls: serverOptions(acceptor.tls),
    socket: serverTlsEvents,
    ...(ahead.length === 0 ? {} : { initialData: ahead }),
  });
  if (pair !== undefined) pair[0].data = deaf;
  // Its descriptor is closed: the peer's reset came first.
  else connection.closed(undefined);
}

/** What Bun's types do not know of upgradeTLS. */
interface Upgradable {
  upgradeTLS(options: object): readonly [RawSocket, RawSocket] | undefined;
}

const dead = 3;

/** The plain side of an upgraded socket: hears what its encrypted side is the owner of, and says nothing. */
const deaf = {
  state: dead,
  reading: false,
  handler: nobody,
  unexpected() {},
  drained() {},
  finished() {},
  closed() {},
  failed() {},
} as unknown as BunConnection;

// The connecting side.

/** Puts a connection of ours into its handshake. */
export function beginClient(connection: BunConnection, tls: ClientTls): void {
  connection.shaking = new ClientHandshake(tls);
}

/** Begins the handshake of a connection of ours that stands, and on which something was said in plain text. */
export function encrypt(connection: BunConnection, tls: ClientTls): void {
  const socket = connection.socket!;
  beginClient(connection, tls);
  socket.data = deaf;
  const pair = (socket as unknown as Upgradable).upgradeTLS({
    data: connection,
    tls: clientOptions(tls),
    socket: clientTlsEvents,
  });
  if (pair !== undefined) pair[0].data = deaf;
  // Its descriptor is closed: the peer's reset came first.
  else connection.closed(undefined);
}

/** Bun's `tls` for a side that connects. */
export function clientOptions({ context, serverName }: ClientTls): object {
  return {
    secureContext: context.native,
    // Judged in `shakenClient`, where the reason can be told.
    rejectUnauthorized: false,
    ...(serverName === "" ? {} : { serverName }),
  };
}

export const clientTlsEvents = {
  ...socketEvents,
  open(socket: RawSocket): void {
    const connection = socket.data;
    connection.socket = socket;
    const { shaking } = connection;
    if (!(shaking instanceof ClientHandshake) || shaking.tls.session === null) return;
    ofTls(socket).setSession(shaking.tls.session);
  },
  connectError(socket: RawSocket, error: Error): void {
    socket.data?.closed(error);
  },
  handshake: shakenClient,
  error: failed,
  session(socket: RawSocket, session: Uint8Array): void {
    const { session: keep } = socket.data;
    if (keep !== null) keep.session = session;
  },
};

function shakenClient(socket: RawSocket, success: boolean, error: HandshakeError): void {
  const connection = socket.data;
  const { shaking } = connection;
  if (!(shaking instanceof ClientHandshake)) return;
  const { tls } = shaking;
  const side = ofTls(socket);
  // The other side went away; `close` follows.
  if (!success && error?.code === "ECONNRESET") return;
  // With a certificate that is not liked Bun says true and the error, or false when the name is wrong, too.
  if (!success && error?.code === "EPROTO") {
    tls.session = null;
    connection.abandon("handshake", wordsOf(error));
    return;
  }
  if (tls.verify) {
    const problem = problemOf(tls, side, error);
    if (problem !== null) {
      tls.session = null;
      connection.abandon(problem.reason, problem.detail);
      return;
    }
  }
  connection.shaking = null;
  connection.session = tls;
  connection.tls = factsOf(side, null);
  connection.opened();
}

/** What is wrong with the other side's certificate; null when nothing is. */
function problemOf(
  tls: ClientTls,
  side: TlsSocket,
  error: HandshakeError,
): { readonly reason: CloseReason; readonly detail: string } | null {
  // The name is looked at here: for an address Bun would look for another.
  if (error !== null && error !== undefined && error.code !== "ERR_TLS_CERT_ALTNAME_INVALID") {
    const reason = error.code === "CERT_HAS_EXPIRED" ? "expired" : "untrusted";
    return { reason, detail: wordsOf(error) };
  }
  const misnamed = checkServerIdentity(tls.verifyName, side.getPeerCertificate());
  return misnamed === undefined ? null : { reason: "misnamed", detail: misnamed.message };
}
