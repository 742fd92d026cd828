// Which session takes a new connection, by what its listener speaks: one line for each protocol. Datagrams have none.
import type { FaultCode } from "../base/fault.ts";
import type { Connection, ConnectionHandler } from "../net/transport.ts";
import { ListenerCell } from "../observe/table.ts";
import { ClientSession } from "./client-session.ts";
import { countFault, type EngineContext } from "./engine-context.ts";
import type { ListedSession, ListenerState } from "./listener-state.ts";
import { logConnection } from "./layer4/books.ts";
import { StreamSession } from "./layer4/stream-session.ts";
import type { ListenerProtocol } from "./plan.ts";

/** Takes a connection that was just accepted; from then on it is listed with its listener until it is over. */
export type OpenSession = (
  context: EngineContext,
  state: ListenerState,
  connection: Connection,
) => ConnectionHandler & ListedSession;

export const sessions: Readonly<Record<ListenerProtocol, OpenSession | null>> = {
  http: (context, state, connection) => new ClientSession(context, state, connection, schemeOf(connection)),
  tcp: (context, state, connection) => new StreamSession(context, state, connection),
  tls: (context, state, connection) => new StreamSession(context, state, connection),
  udp: null,
};

/** Ends a connection that gets no session, for what its first bytes were or were not; and counts why. */
export type RefuseConnection = (
  context: EngineContext,
  state: ListenerState,
  connection: Connection,
  code: FaultCode,
  cause: string,
) => void;

const resetIt: RefuseConnection = (context, state, connection, code) => {
  const { cells } = context;
  countFault(context, code);
  cells[state.cells + ListenerCell.refused]!++;
  cells[state.cells + ListenerCell.open]!--;
  if (context.log !== null) {
    const now = context.clock.now();
    const { protocol } = state.current.plan;
    const nothing = { name: "", route: null, dial: null, firstByteAt: 0, bytesIn: 0, bytesOut: 0, ended: "" };
    const booked = { ...nothing, startedAt: now, protocol, source: connection.remoteAddress, fault: code };
    logConnection(context, booked, state.name);
  }
  connection.reset();
};

/** By what the listener speaks: where there are words for it, the peer is told. */
export const refusals: Readonly<Record<ListenerProtocol, RefuseConnection>> = {
  http: (context, state, connection, code, cause) => {
    // Within TLS there would be words, before it there are none.
    if (state.current.tls !== null) return resetIt(context, state, connection, code, cause);
    const session = new ClientSession(context, state, connection, "http");
    connection.handler = session;
    session.refuse(code, cause);
  },
  tcp: resetIt,
  tls: resetIt,
  udp: resetIt,
};

/** A trusted proxy that ended TLS for the client tells that it did. */
function schemeOf(connection: Connection): "http" | "https" {
  return connection.tls !== null || connection.proxied?.tls?.spoken === true ? "https" : "http";
}
