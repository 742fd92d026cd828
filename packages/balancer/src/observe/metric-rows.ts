// Metrics that are one cell each, a line for each: of a listener, a pool, an endpoint. What is more than that is in prometheus.ts.
import type { Type } from "./metrics-page.ts";
import { EndpointCell, ListenerCell, PoolCell } from "./table.ts";

/** Its name, what it is, its cell. */
type Row = readonly [name: string, type: Type, help: string, cell: number];

export const listenerRows: readonly Row[] = [
  ["plimsoll_listener_connections_total", "counter", "Connections accepted.", ListenerCell.accepted],
  ["plimsoll_listener_connections_open", "gauge", "Connections open now.", ListenerCell.open],
  [
    "plimsoll_listener_connections_refused_total",
    "counter",
    "Connections closed at once: over the listener's limit.",
    ListenerCell.refused,
  ],
  ["plimsoll_listener_requests_total", "counter", "Requests received.", ListenerCell.requests],
  [
    "plimsoll_listener_received_bytes_total",
    "counter",
    "Bytes received from clients, heads included.",
    ListenerCell.bytesIn,
  ],
  ["plimsoll_listener_sent_bytes_total", "counter", "Bytes sent to clients, heads included.", ListenerCell.bytesOut],
  [
    "plimsoll_listener_datagrams_received_total",
    "counter",
    "Datagrams received from clients.",
    ListenerCell.datagramsIn,
  ],
  ["plimsoll_listener_datagrams_sent_total", "counter", "Datagrams sent to clients.", ListenerCell.datagramsOut],
  [
    "plimsoll_listener_datagrams_dropped_total",
    "counter",
    "Datagrams of either direction that were not passed on: no endpoint, no room, or more answer than is allowed.",
    ListenerCell.datagramsDropped,
  ],
  [
    "plimsoll_listener_flows_evicted_total",
    "counter",
    "Flows that were forgotten to make room for others.",
    ListenerCell.flowsEvicted,
  ],
];

export const poolRows: readonly Row[] = [
  ["plimsoll_pool_requests_total", "counter", "Requests sent to the pool.", PoolCell.requests],
  ["plimsoll_pool_queued", "gauge", "Requests waiting for room now.", PoolCell.queued],
  ["plimsoll_pool_queue_timeouts_total", "counter", "Requests that waited too long.", PoolCell.queueTimeouts],
  ["plimsoll_pool_queue_overflows_total", "counter", "Requests that found the queue full.", PoolCell.queueOverflows],
  ["plimsoll_pool_retries_total", "counter", "Further tries.", PoolCell.retries],
  [
    "plimsoll_pool_retries_denied_total",
    "counter",
    "Further tries that the budget did not allow.",
    PoolCell.retriesDenied,
  ],
  ["plimsoll_pool_unusable_total", "counter", "Requests that found no usable endpoint.", PoolCell.unusable],
  ["plimsoll_pool_fail_open_total", "counter", "Requests sent although no endpoint was ready.", PoolCell.failOpen],
  ["plimsoll_pool_hedges_total", "counter", "Second tries sent while the first went on.", PoolCell.hedges],
  ["plimsoll_pool_hedges_won_total", "counter", "Hedges whose answer came first.", PoolCell.hedgesWon],
  [
    "plimsoll_pool_cancelled_total",
    "counter",
    "Exchanges given up at the endpoint because the client had gone.",
    PoolCell.cancelled,
  ],
  ["plimsoll_pool_mirrored_total", "counter", "Copies of requests sent to this pool.", PoolCell.mirrored],
  [
    "plimsoll_pool_sticky_hits_total",
    "counter",
    "Answers from the endpoint that the client belongs to.",
    PoolCell.stickyHits,
  ],
  ["plimsoll_pool_sticky_new_total", "counter", "Answers to clients that belonged nowhere.", PoolCell.stickyNew],
  [
    "plimsoll_pool_sticky_moved_total",
    "counter",
    "Answers to clients whose endpoint could not take them.",
    PoolCell.stickyMoved,
  ],
  [
    "plimsoll_pool_sticky_refused_total",
    "counter",
    "Answers to clients whose sticky cookie was not believed, or had expired.",
    PoolCell.stickyRefused,
  ],
];

export const endpointRows: readonly Row[] = [
  ["plimsoll_endpoint_in_flight", "gauge", "Exchanges in flight now.", EndpointCell.inFlight],
  ["plimsoll_endpoint_idle_connections", "gauge", "Idle keep-alive connections.", EndpointCell.idle],
  [
    "plimsoll_endpoint_tunnels",
    "gauge",
    "Open tunnels (WebSocket and other upgrades) and connections of layer 4.",
    EndpointCell.tunnels,
  ],
  [
    "plimsoll_endpoint_connections_total",
    "counter",
    "Connections of layer 4 on which the endpoint said something.",
    EndpointCell.connections,
  ],
  ["plimsoll_endpoint_requests_total", "counter", "Tries sent.", EndpointCell.requests],
  ["plimsoll_endpoint_connects_total", "counter", "Connections opened.", EndpointCell.connects],
  [
    "plimsoll_endpoint_connect_failures_total",
    "counter",
    "Connections that could not be opened.",
    EndpointCell.connectFailures,
  ],
  [
    "plimsoll_endpoint_reuses_total",
    "counter",
    "Exchanges on a connection that had carried one before.",
    EndpointCell.reuses,
  ],
  ["plimsoll_endpoint_failures_total", "counter", "Exchanges that ended in an upstream fault.", EndpointCell.failures],
  [
    "plimsoll_endpoint_retries_total",
    "counter",
    "Tries that came here because another endpoint failed.",
    EndpointCell.retries,
  ],
  [
    "plimsoll_endpoint_resets_total",
    "counter",
    "Tries that the endpoint broke off or answered with nonsense; the keep-alive race is not counted.",
    EndpointCell.resets,
  ],
  [
    "plimsoll_endpoint_timeouts_total",
    "counter",
    "Tries not answered in time, or not to the end.",
    EndpointCell.timeouts,
  ],
  [
    "plimsoll_endpoint_sent_bytes_total",
    "counter",
    "Bytes sent to the endpoint, heads included.",
    EndpointCell.bytesUp,
  ],
  [
    "plimsoll_endpoint_received_bytes_total",
    "counter",
    "Bytes received from the endpoint, heads included.",
    EndpointCell.bytesDown,
  ],
  [
    "plimsoll_endpoint_drain_closed_tunnels_total",
    "counter",
    "Tunnels that a drain closed in good order.",
    EndpointCell.tunnelsClosed,
  ],
];
