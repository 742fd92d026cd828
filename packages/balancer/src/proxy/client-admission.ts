// The last look at a connection before a session takes it: whether its client has as many as one may have.
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
  const { plan, trusted } = state.current;
  const most = plan.limits.connectionsPerClient;
  const address = most === 0 ? "" : connection.remoteAddress;
  if (address === "" || trusted?.contains(address) === true) return open(context, state, connection);
  const client = clientOf(address);
  if (state.clients.of(client) >= most) {
    context.cells[state.cells + ListenerCell.refused]!++;
    context.cells[state.cells + ListenerCell.open]!--;
    connection.reset();
    return null;
  }
  const session = open(context, state, connection);
  // It may have been refused already; one that lives was just put at the head of the list.
  if (state.first === session) state.clients.enter(session, client);
  return session;
}

/** The address, or of IPv6 the network of 64 bits: who has one address there has all of them (RFC 6177 §2). */
export function clientOf(address: string): string {
  if (!address.includes(":")) return address;
  const network = parseCidr(`${address}/64`);
  return network === null ? address : [...network.bytes.subarray(0, 8)].join(".");
}
