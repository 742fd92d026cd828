// Handshakes of a listener's clients, on the books: what the transport is told of how to make them, and what it tells.
import type { HandshakeFailure, ServerTls, TlsFacts } from "../net/tls.ts";
import { latin1 } from "../base/bytes.ts";
import { ListenerCell, tlsFailureReasons } from "../observe/table.ts";
import { takePlace } from "./client-admission.ts";
import type { FoldedTls } from "./listener-tls.ts";
import type { ListenerState } from "./listener-state.ts";

/** Protocols that are spoken within TLS. */
const alpn = ["http/1.1", "http/1.0"];

const sentence = "This port speaks HTTPS: ask again with https:// in front.\n";
/** To whoever speaks HTTP without TLS. The bytes of the request are never looked at. */
const plainAnswer = latin1(
  `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: ${sentence.length}\r\nConnection: close\r\n\r\n${sentence}`,
);

/**
 * What a listener tells the transport; its handshakes are counted in the listener's cells. `accepted`: the connections were, before
 * their handshakes. Who shakes hands has a place among its client's connections, which goes over to the session behind it.
 */
export function serverTlsOf(
  cells: Float64Array,
  state: ListenerState,
  tls: FoldedTls,
  told: (listener: string, failure: HandshakeFailure) => void,
  accepted = false,
): ServerTls {
  return {
    ...tls,
    alpn,
    plainAnswer,
    handshakeTimeout: state.current.plan.timeouts.handshake,
    begins(connection) {
      const most = state.current.plan.limits.maxConnections;
      const full = most > 0 && state.open + state.shaking >= most;
      if (full || !takePlace(state, connection, connection)) {
        if (!accepted) cells[state.cells + ListenerCell.accepted]!++;
        cells[state.cells + ListenerCell.refused]!++;
        return false;
      }
      state.shaking++;
      return true;
    },
    over(connection) {
      state.shaking--;
      state.clients.leave(connection);
    },
    failed(failure) {
      cells[state.cells + ListenerCell.tlsFailures + tlsFailureReasons.indexOf(failure.reason)]!++;
      told(state.name, failure);
    },
  };
}

/** Counts a handshake that is over. */
export function countHandshake(cells: Float64Array, state: ListenerState, { version, resumed }: TlsFacts): void {
  const newest = version === "TLSv1.3";
  const cell = resumed
    ? newest
      ? ListenerCell.tlsResumed13
      : ListenerCell.tlsResumed12
    : newest
      ? ListenerCell.tlsFull13
      : ListenerCell.tlsFull12;
  cells[state.cells + cell]!++;
}
