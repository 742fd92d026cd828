// Which session takes a new connection, by what its listener speaks: one line for each protocol. Datagrams have none.
import type { Connection, ConnectionHandler } from "../net/transport.ts";
import { ClientSession } from "./client-session.ts";
import type { EngineContext } from "./engine-context.ts";
import type { ListedSession, ListenerState } from "./listener-state.ts";
import type { ListenerProtocol } from "./plan.ts";

/** Takes a connection that was just accepted; from then on it is listed with its listener until it is over. */
export type OpenSession = (
  context: EngineContext,
  state: ListenerState,
  connection: Connection,
) => ConnectionHandler & ListedSession;

export const sessions: Readonly<Record<ListenerProtocol, OpenSession | null>> = {
  http: (context, state, connection) => new ClientSession(context, state, connection, "http"),
  tcp: null,
  tls: null,
  udp: null,
};
