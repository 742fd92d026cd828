// Whether the client of a connection has as many as one may have: looked at as soon as it is known who the client is, and so before
// a handshake, or a header that is waited for, has cost anything.
import { parseCidr } from "../base/cidr.ts";
import type { Connection, ConnectionHandler } from "../net/transport.ts";
import { ListenerCell } from "../observe/table.ts";
import type { EngineContext } from "./engine-context.ts";
import type { ListedSession, ListenerState } from "./listener-state.ts";
import type { OpenSession } from "./sessions.ts";

/**
 * Opens a session for a connection that is counted as open, or resets it and returns null: its client has as many as one may. A
 * trusted proxy that speaks for many clients is not one.
 */
export function admit(
  context: EngineContext,
  state: ListenerState,
  connection: Connection,
  open: OpenSession,
): (ConnectionHandler & ListedSession) | null {
  const client = countedClient(state, connection);
  if (!hasRoom(state, client)) {
    turnAway(context, state, connection);
    return null;
  }
  const session = open(context, state, connection);
  // It may have been refused already; one that lives was just put at the head of the list.
  if (client !== "" && state.first === session) state.clients.enter(session, client);
  return session;
}

/** Gives `holder` the place of a connection, until `state.clients` is told that it leaves; false where there is none. */
export function takePlace(
  state: ListenerState,
  holder: object,
  connection: Pick<Connection, "remoteAddress">,
): boolean {
  const client = countedClient(state, connection);
  if (!hasRoom(state, client)) return false;
  if (client !== "") state.clients.enter(holder, client);
  return true;
}

/** Ends a connection that is counted as open and has no place. */
export function turnAway({ cells }: EngineContext, state: ListenerState, connection: Connection): void {
  cells[state.cells + ListenerCell.refused]!++;
  cells[state.cells + ListenerCell.open]!--;
  connection.reset();
}

/** As whose a connection counts; "" = nobody's: there is no limit, or it is a trusted proxy's own, which speaks for many. */
function countedClient(state: ListenerState, connection: Pick<Connection, "remoteAddress">): string {
  const { plan, trusted } = state.current;
  if (plan.limits.connectionsPerClient === 0) return "";
  const address = connection.remoteAddress;
  return address === "" || trusted?.contains(address) === true ? "" : clientOf(address);
}

function hasRoom(state: ListenerState, client: string): boolean {
  return client === "" || state.clients.of(client) < state.current.plan.limits.connectionsPerClient;
}

/** The address, or of IPv6 the network of 64 bits: who has one address there has all of them (RFC 6177 §2). */
function clientOf(address: string): string {
  if (!address.includes(":")) return address;
  const network = parseCidr(`${address}/64`);
  return network === null ? address : [...network.bytes.subarray(0, 8)].join(".");
}
