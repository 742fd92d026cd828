// The transport on raw `Bun.listen` and `Bun.connect`. Sockets are made by libc and handed to Bun as descriptors:
// listening ones so that accepting can stop without refusing anybody (the kernel goes on queueing), connecting ones so
// that a connect that takes too long can be given up at once (Bun hands out no socket before it is open).

import type {
  Accept,
  Address,
  Connection,
  ConnectionHandler,
  Listener,
  ListenOptions,
  Transport,
} from "./transport.ts";
import type { ClientTls, ServerTls } from "./tls.ts";
import { BunConnection, nobody, socketEvents, type ConnectionHost, type RawSocket } from "./bun-connection.ts";
import {
  beginClient,
  beginServer,
  clientOptions,
  clientTlsEvents,
  encrypt,
  pendingHandshakes,
  sameOptions,
  serverOptions,
  serverTlsEvents,
  type TlsAcceptor,
  upgrade,
} from "./bun-tls.ts";
import { AcceptWatch } from "./accept-watch.ts";
import { startConnect, whyNoSocket } from "./connecting-socket.ts";
import { type DescriptorAccount, DescriptorGate, type DescriptorUse } from "./descriptor-gate.ts";
import { closeFd, connectionsWait, duplicate, errno, errnoName, systemError } from "./libc.ts";
import { Lingering } from "./lingering.ts";
import { listeningPort, openListeningSocket, removeSocketFile } from "./listening-socket.ts";
import { boundUnsent } from "./narrow-window.ts";
import { addressText } from "./socket-address.ts";
import { Turnstile } from "./turnstile.ts";

/** What a transport can be built with. */
export interface BunTransportOptions {
  /** How many connections may be open at once. Default: the descriptor limit, less what the process itself needs. */
  readonly maxConnections?: number;
  /** Told of a handler that threw: a defect of ours; its connection is reset, the process goes on. */
  readonly onDefect?: (error: unknown) => void;
  /** Told when accepting pauses for want of descriptors, and when it goes on. */
  readonly onDescriptors?: (use: DescriptorUse) => void;
}

/** The transport of a process that may have to keep its doors shut for a while. */
export interface BunTransport extends Transport {
  /** Stops accepting on all listeners, or goes on. Meanwhile the kernel queues new clients; open connections are not touched. */
  hold(held: boolean): void;
  readonly descriptors: DescriptorAccount;
}

/** Makes the transport of one process. */
export function createBunTransport(options: BunTransportOptions = {}): BunTransport {
  const onDefect =
    options.onDefect ?? ((error: unknown) => console.error("plimsoll: a connection handler failed:", error));
  const lingering = new Lingering();
  const gate = new DescriptorGate(options.maxConnections, undefined, options.onDescriptors, whyNoSocket);
  const watch = new AcceptWatch(() => gate.starve());
  const host: ConnectionHost = {
    freed: (client) => gate.freed(client),
    linger: (connection) => lingering.add(connection),
    lingered: (connection) => lingering.delete(connection),
    defect: onDefect,
    encrypt,
    upgrade: (connection, tls, ahead, accept) =>
      upgrade(connection, host, { tls, accept, handshakes: handshakesOf(tls.handshakeTimeout) }, ahead),
  };
  // In order of their begin, and so of their end only where all have the same time.
  const byTimeout = new Map<number, ReturnType<typeof pendingHandshakes>>();
  const handshakesOf = (timeout: number): ReturnType<typeof pendingHandshakes> => {
    const known = byTimeout.get(timeout) ?? pendingHandshakes();
    byTimeout.set(timeout, known);
    return known;
  };
  const connectEvents = {
    ...socketEvents,
    open(socket: RawSocket): void {
      // No setNoDelay: Bun 1.4 sets it on every socket itself (tests/integration/runtime/sockets.test.ts holds it to that).
      socket.data.socket = socket;
    },
    // Only for descriptors that Bun will not take, which is a defect of ours; without it the promise would be unhandled.
    connectError(socket: RawSocket, error: Error): void {
      socket.data?.closed(error);
    },
  };

  return {
    hold: (held) => gate.hold(held),
    descriptors: gate,

    listen(listenOptions, accept): Listener {
      return listen(host, gate, watch, lingering, listenOptions, accept);
    },

    connect(address: Address, handler: ConnectionHandler, tls?: ClientTls, preface?: Uint8Array | null): Connection {
      const connection = new BunConnection(host, handler, null, address.kind === "tcp" ? address : unixTarget);
      if (gate.isFull) {
        lingering.clear();
        if (gate.isFull) {
          connection.abandon("unreachable", "EMFILE: no file descriptor left; raise `ulimit -n`");
          return connection;
        }
      }
      const started = startConnect(address);
      if (typeof started !== "number") {
        if (started.cause === "ENFILE") gate.starve();
        connection.abandon(started.refused ? "refused" : "unreachable", started.cause);
        return connection;
      }
      gate.taken(false);
      try {
        // `open` runs inside this call, before the connection is made; the first `drain` says that it is.
        const common = { fd: started, allowHalfOpen: true, data: connection };
        if (preface !== undefined && preface !== null) connection.first = { preface, tls };
        if (tls === undefined || connection.first !== null) {
          void Bun.connect({ ...common, socket: connectEvents } as never);
        } else {
          beginClient(connection, tls);
          void Bun.connect({ ...common, tls: clientOptions(tls), socket: clientTlsEvents } as never);
        }
      } catch (error) {
        onDefect(error);
        closeFd(started);
        gate.freed(false);
        connection.abandon("unreachable", String(error));
      }
      return connection;
    },
  };
}

/** How often, about a millisecond apart, connections that wait are accepted before a socket is closed whatever waits. */
const closingTurns = 50;

const unixTarget = { host: "", port: 0 };

function listen(
  host: ConnectionHost,
  gate: DescriptorGate,
  watch: AcceptWatch,
  lingering: Lingering,
  options: ListenOptions,
  accept: Accept,
): Listener {
  const { address } = options;
  const inherited = options.fd !== undefined;
  const fd = options.fd ?? openListeningSocket(address, { reusePort: options.reusePort === true }).fd;
  if (address.kind === "tcp") boundUnsent(fd);
  const queue = { accepted: 0, waits: () => accepting !== undefined && connectionsWait(fd) };
  const full = (): void => {
    queue.accepted++;
    if (!gate.shouldPause) return;
    lingering.clear();
    if (gate.shouldPause) gate.pause();
  };
  let acceptor = acceptorOf(options.tls, accept);
  const acceptEvents = {
    ...socketEvents,
    open(socket: RawSocket): void {
      const connection = new BunConnection(host, nobody, socket, undefined);
      socket.data = connection;
      gate.taken(true);
      connection.handler = accept(connection);
      full();
    },
  };
  const turnstile = new Turnstile();
  const secureEvents = (own: TlsAcceptor): typeof serverTlsEvents => ({
    ...serverTlsEvents,
    open(socket: RawSocket): void {
      const connection = new BunConnection(host, nobody, null, undefined);
      socket.data = connection;
      connection.socket = socket;
      gate.taken(true);
      if (beginServer(connection, own)) turnstile.enter(connection);
      else socket.terminate();
      full();
    },
  });
  // Bun closes the descriptor that it accepts from when it stops, so it gets a second one of the same socket.
  let accepting: { stop(closeActive?: boolean): void } | undefined;
  const start = (): void => {
    const second = duplicate(fd);
    const failure = second < 0 ? errno() : 0;
    if (second < 0) {
      throw systemError(
        failure,
        `Cannot listen on ${addressText(address)}: the descriptor ${fd} is ${errnoName(failure)}.`,
      );
    }
    const how =
      acceptor === null
        ? { socket: acceptEvents }
        : { socket: secureEvents(acceptor), tls: serverOptions(acceptor.tls) };
    accepting = Bun.listen({ fd: second, allowHalfOpen: true, ...how } as never);
  };
  const stop = (): void => {
    accepting?.stop(false);
    accepting = undefined;
  };
  start();
  const door = { open: start, shut: stop };
  gate.add(door);
  watch.add(queue);
  let closing = false;
  let open = true;
  /** The queue is looked at once more after accepting has stopped, so that only one system call's time is left to chance. */
  const tryClose = (turnsLeft: number): void => {
    if (!connectionsWait(fd)) stop();
    if (turnsLeft > 0 && connectionsWait(fd)) {
      if (accepting === undefined) start();
      setTimeout(tryClose, 1, turnsLeft - 1);
      return;
    }
    stop();
    closeFd(fd);
    open = false;
  };
  return {
    port: listeningPort(fd),
    get open() {
      return open;
    },
    secure(tls: ServerTls | null): void {
      const same = acceptor === null ? tls === null : tls !== null && sameOptions(acceptor.tls, tls);
      if (acceptor !== null && tls !== null) acceptor.tls = tls;
      else acceptor = acceptorOf(tls ?? undefined, accept);
      // Bun takes a listener's context once. Another is opened on the same socket: the kernel goes on queueing.
      if (same || accepting === undefined) return;
      stop();
      start();
    },
    close(): void {
      if (closing) return;
      closing = true;
      gate.delete(door);
      watch.delete(queue);
      tryClose(accepting === undefined ? 0 : closingTurns);
      if (!inherited && address.kind === "unix") removeSocketFile(address.path);
    },
  };
}

function acceptorOf(tls: ServerTls | undefined, accept: Accept): TlsAcceptor | null {
  return tls === undefined ? null : { tls, accept, handshakes: pendingHandshakes() };
}
