// Metrics in the Prometheus text format 0.0.4, rendered from the shared table when somebody asks: counting costs the data
// plane one addition, and nothing is kept twice.
import { faultCodes, faults } from "../base/fault.ts";
import {
  EndpointCell,
  EndpointState,
  latencyBuckets,
  ListenerCell,
  PoolCell,
  StateCell,
  WorkerCell,
  type SharedTable,
  tlsFailureReasons,
} from "./table.ts";

/** What the numbers belong to. */
export interface MetricsView {
  readonly table: SharedTable;
  readonly version: string;
  /** Wall-clock ms of the supervisor's start. */
  readonly started: number;
  /** Whether the balancer calls itself ready for traffic. */
  readonly ready: boolean;
  /** `tls`: whether it speaks TLS. */
  readonly listeners: readonly {
    readonly name: string;
    readonly slot: number;
    readonly tls?: object | boolean | null;
  }[];
  readonly pools: readonly {
    readonly name: string;
    readonly slot: number;
    readonly endpoints: readonly { readonly id: string; readonly slot: number }[];
  }[];
  readonly workers: {
    readonly serving: readonly boolean[];
    readonly restarts: number;
  };
  readonly reloads: {
    readonly applied: number;
    readonly refused: number;
    /** Wall-clock ms of the last one that was applied; the start counts. */
    readonly lastApplied: number;
    /** Whether the last attempt was applied. */
    readonly lastOk: boolean;
  };
  /** What is ordered from an authority. Times in wall-clock ms. */
  readonly acme?: {
    readonly issued: number;
    readonly failed: number;
    readonly certificates: readonly {
      readonly names: readonly string[];
      /** 0 = there is none yet. */
      readonly notAfter: number;
      readonly failures: number;
    }[];
  };
}

/** The content type that goes with `renderMetrics`. */
export const metricsContentType = "text/plain; version=0.0.4; charset=utf-8";

type Labels = readonly (readonly [string, string])[];
type Type = "counter" | "gauge" | "histogram";

/** All metrics. Each family is written whole, as the format demands. */
export function renderMetrics(view: MetricsView): string {
  const page = new Page();
  program(page, view);
  if (view.acme !== undefined && view.acme.certificates.length > 0) certificates(page, view.acme);
  workers(page, view);
  listeners(page, view);
  handshakes(page, view);
  pools(page, view);
  endpoints(page, view);
  page.family("plimsoll_faults_total", "counter", "Exchanges that ended in a fault, by its code.");
  faultCodes.forEach((code, index) => {
    const labels: Labels = [
      ["code", code],
      ["side", faults[code].side],
    ];
    page.sample("plimsoll_faults_total", labels, view.table.sum(view.table.worker(0) + WorkerCell.faults + index));
  });
  return page.text;
}

function program(page: Page, view: MetricsView): void {
  page.single("plimsoll_info", "gauge", "The running version.", 1, [["version", view.version]]);
  page.single("plimsoll_start_time_seconds", "gauge", "When the program started.", view.started / 1000);
  page.single(
    "plimsoll_ready",
    "gauge",
    "1 while the balancer wants traffic, 0 while it starts or stops.",
    view.ready ? 1 : 0,
  );
  page.family("plimsoll_reloads_total", "counter", "Changes of the configuration, by their result.");
  page.sample("plimsoll_reloads_total", [["result", "applied"]], view.reloads.applied);
  page.sample("plimsoll_reloads_total", [["result", "refused"]], view.reloads.refused);
  page.single(
    "plimsoll_last_reload_ok",
    "gauge",
    "1 if the last change was applied, 0 if it was refused.",
    view.reloads.lastOk ? 1 : 0,
  );
  page.single(
    "plimsoll_last_reload_applied_seconds",
    "gauge",
    "When the running configuration was applied.",
    view.reloads.lastApplied / 1000,
  );
}

function certificates(page: Page, { issued, failed, certificates }: NonNullable<MetricsView["acme"]>): void {
  page.family("plimsoll_acme_orders_total", "counter", "Certificates ordered from an authority, by their result.");
  page.sample("plimsoll_acme_orders_total", [["result", "issued"]], issued);
  page.sample("plimsoll_acme_orders_total", [["result", "failed"]], failed);
  const label = (names: readonly string[]): Labels => [["names", names.join(",")]];
  page.family(
    "plimsoll_acme_certificate_expiry_seconds",
    "gauge",
    "When the certificate ends; 0 while there is none and a self-signed one is shown.",
  );
  for (const { names, notAfter } of certificates) {
    page.sample("plimsoll_acme_certificate_expiry_seconds", label(names), notAfter / 1000);
  }
  page.family("plimsoll_acme_failures", "gauge", "Tries in a row that brought no certificate.");
  for (const { names, failures } of certificates) page.sample("plimsoll_acme_failures", label(names), failures);
}

function workers(page: Page, { table, workers: state }: MetricsView): void {
  page.family("plimsoll_worker_up", "gauge", "1 while the worker serves.");
  state.serving.forEach((up, row) => page.sample("plimsoll_worker_up", [["worker", String(row)]], up ? 1 : 0));
  page.family("plimsoll_worker_resident_bytes", "gauge", "Resident memory of the worker.");
  state.serving.forEach((_, row) => {
    page.sample(
      "plimsoll_worker_resident_bytes",
      [["worker", String(row)]],
      table.cells[table.worker(row) + WorkerCell.rss] ?? 0,
    );
  });
  const each = (name: string, type: "counter" | "gauge", about: string, value: (own: number) => number) => {
    page.family(name, type, about);
    state.serving.forEach((_, row) => page.sample(name, [["worker", String(row)]], value(table.worker(row))));
  };
  each(
    "plimsoll_worker_accept_paused",
    "gauge",
    "1 while the worker accepts nothing, because its descriptors are used up.",
    (own) => ((table.cells[own + WorkerCell.shortSince] ?? 0) > 0 ? 1 : 0),
  );
  each(
    "plimsoll_worker_memory_full",
    "gauge",
    "1 while the worker accepts nothing, because the memory of all workers together is used up.",
    (own) => ((table.cells[own + WorkerCell.fullSince] ?? 0) > 0 ? 1 : 0),
  );
  each(
    "plimsoll_worker_accept_pauses_total",
    "counter",
    "Times that the worker stopped accepting, because its descriptors were used up.",
    (own) => table.cells[own + WorkerCell.shortages] ?? 0,
  );
  page.single(
    "plimsoll_worker_restarts_total",
    "counter",
    "Workers replaced because they exited or hung.",
    state.restarts,
  );
  const own = (cell: number) => table.sum(table.worker(0) + cell);
  page.single("plimsoll_access_log_lines_total", "counter", "Lines of the access log taken.", own(WorkerCell.logTaken));
  page.single(
    "plimsoll_access_log_dropped_total",
    "counter",
    "Lines of the access log dropped because its destination could not follow.",
    own(WorkerCell.logDropped),
  );
}

/** One line per metric: its name, what it is, its cell. */
type Row = readonly [name: string, type: Type, help: string, cell: number];

const listenerRows: readonly Row[] = [
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

function listeners(page: Page, { table, listeners: all }: MetricsView): void {
  const label = (name: string): Labels => [["listener", name]];
  for (const [name, type, help, cell] of listenerRows) {
    page.family(name, type, help);
    for (const one of all) page.sample(name, label(one.name), table.sum(table.listener(0, one.slot) + cell));
  }
  page.family("plimsoll_listener_answers_total", "counter", "Answers sent, by class of status.");
  for (const one of all) {
    for (let kind = 1; kind <= 5; kind++) {
      const at = table.listener(0, one.slot) + ListenerCell.answers1xx + kind - 1;
      page.sample("plimsoll_listener_answers_total", [...label(one.name), ["class", `${kind}xx`]], table.sum(at));
    }
  }
}

function handshakes(page: Page, { table, listeners: all }: MetricsView): void {
  const secure = all.filter(({ tls }) => tls);
  page.family("plimsoll_tls_handshakes_total", "counter", "TLS handshakes with clients, by version and resumption.");
  for (const { name, slot } of secure) {
    for (const [version, resumed, cell] of [
      ["1.2", "no", ListenerCell.tlsFull12],
      ["1.2", "yes", ListenerCell.tlsResumed12],
      ["1.3", "no", ListenerCell.tlsFull13],
      ["1.3", "yes", ListenerCell.tlsResumed13],
    ] as const) {
      const labels: Labels = [
        ["listener", name],
        ["version", version],
        ["resumed", resumed],
      ];
      page.sample("plimsoll_tls_handshakes_total", labels, table.sum(table.listener(0, slot) + cell));
    }
  }
  page.family(
    "plimsoll_tls_handshake_failures_total",
    "counter",
    "TLS handshakes with clients that failed, by reason.",
  );
  for (const { name, slot } of secure) {
    for (const [index, reason] of tlsFailureReasons.entries()) {
      const labels: Labels = [
        ["listener", name],
        ["reason", reason],
      ];
      const at = table.listener(0, slot) + ListenerCell.tlsFailures + index;
      page.sample("plimsoll_tls_handshake_failures_total", labels, table.sum(at));
    }
  }
}

const poolRows: readonly Row[] = [
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

/** What became of requests that met, or would have met, a connection that its endpoint was closing. */
const staleResults = [
  ["avoided", PoolCell.staleAvoided],
  ["retried", PoolCell.staleRetried],
  ["failed", PoolCell.staleFailed],
] as const;

function pools(page: Page, { table, pools: all }: MetricsView): void {
  for (const [name, type, help, cell] of poolRows) {
    page.family(name, type, help);
    for (const pool of all) page.sample(name, [["pool", pool.name]], table.sum(table.pool(0, pool.slot) + cell));
  }
  const stale = "plimsoll_pool_stale_reuses_total";
  page.family(
    stale,
    "counter",
    "Idle connections that were too old: not reused, or reused and the request retried or lost.",
  );
  for (const pool of all) {
    for (const [result, cell] of staleResults) {
      const labels: Labels = [
        ["pool", pool.name],
        ["result", result],
      ];
      page.sample(stale, labels, table.sum(table.pool(0, pool.slot) + cell));
    }
  }
  const longest = "plimsoll_pool_longest_request_seconds";
  page.family(longest, "gauge", "Longest answered request of the last half hour to hour; no streams, no tunnels.");
  for (const pool of all) {
    let seen = 0;
    for (let row = 0; row < table.shape.workers; row++) {
      const at = table.pool(row, pool.slot);
      seen = Math.max(seen, table.cells[at + PoolCell.longest] ?? 0, table.cells[at + PoolCell.longestBefore] ?? 0);
    }
    page.sample(longest, [["pool", pool.name]], seen / 1000);
  }
  const name = "plimsoll_pool_duration_seconds";
  page.family(name, "histogram", "From the request's first byte to the answer's last.");
  for (const pool of all) {
    const first = table.pool(0, pool.slot);
    let total = 0;
    latencyBuckets.forEach((bound, index) => {
      total += table.sum(first + PoolCell.latency + index);
      page.sample(
        `${name}_bucket`,
        [
          ["pool", pool.name],
          ["le", String(bound / 1000)],
        ],
        total,
      );
    });
    total += table.sum(first + PoolCell.latency + latencyBuckets.length);
    page.sample(
      `${name}_bucket`,
      [
        ["pool", pool.name],
        ["le", "+Inf"],
      ],
      total,
    );
    page.sample(`${name}_sum`, [["pool", pool.name]], table.sum(first + PoolCell.latencySum) / 1000);
    page.sample(`${name}_count`, [["pool", pool.name]], total);
  }
}

const endpointRows: readonly Row[] = [
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

const cutKinds = [
  ["request", EndpointCell.cutExchanges],
  ["tunnel", EndpointCell.cutTunnels],
] as const;

function endpoints(page: Page, { table, pools: all }: MetricsView): void {
  const each = (run: (labels: Labels, slot: number) => void) => {
    for (const pool of all)
      for (const one of pool.endpoints)
        run(
          [
            ["pool", pool.name],
            ["endpoint", one.id],
          ],
          one.slot,
        );
  };
  for (const [name, type, help, cell] of endpointRows) {
    page.family(name, type, help);
    each((labels, slot) => page.sample(name, labels, table.sum(table.endpoint(0, slot) + cell)));
  }
  const keepAlive = "plimsoll_endpoint_keep_alive_seconds";
  page.family(
    keepAlive,
    "gauge",
    "Rest after which a connection is not used again, as learned; the least of all workers', 0 if unknown.",
  );
  each((labels, slot) => {
    let least = 0;
    for (let row = 0; row < table.shape.workers; row++) {
      const learned = table.cells[table.endpoint(row, slot) + EndpointCell.keepAlive] ?? 0;
      if (learned > 0 && (least === 0 || learned < least)) least = learned;
    }
    page.sample(keepAlive, labels, least / 1000);
  });
  page.family("plimsoll_endpoint_answers_total", "counter", "Answers of the endpoint, by class of status.");
  each((labels, slot) => {
    for (let kind = 2; kind <= 5; kind++) {
      const at = table.endpoint(0, slot) + EndpointCell.answers2xx + kind - 2;
      page.sample("plimsoll_endpoint_answers_total", [...labels, ["class", `${kind}xx`]], table.sum(at));
    }
  });
  page.family("plimsoll_endpoint_drain_cut_total", "counter", "What the end of a drain's window cut.");
  each((labels, slot) => {
    const first = table.endpoint(0, slot);
    for (const [kind, cell] of cutKinds)
      page.sample("plimsoll_endpoint_drain_cut_total", [...labels, ["kind", kind]], table.sum(first + cell));
  });
  page.family(
    "plimsoll_endpoint_drain_end_seconds",
    "gauge",
    "When the window of the endpoint's drain ends; 0 for none.",
  );
  each((labels, slot) => {
    const until = table.cells[table.state(slot) + StateCell.drainUntil] ?? 0;
    page.sample("plimsoll_endpoint_drain_end_seconds", labels, until / 1000);
  });
  const stateCell = (slot: number, cell: number) => table.cells[table.state(slot) + cell] ?? 0;
  page.family("plimsoll_endpoint_ejected", "gauge", "1 while the endpoint is ejected as an outlier.");
  each((labels, slot) =>
    page.sample("plimsoll_endpoint_ejected", labels, stateCell(slot, StateCell.ejectedUntil) > 0 ? 1 : 0),
  );
  page.family("plimsoll_endpoint_ejections_total", "counter", "Times the endpoint was ejected as an outlier.");
  each((labels, slot) =>
    page.sample("plimsoll_endpoint_ejections_total", labels, stateCell(slot, StateCell.ejections)),
  );
  page.family("plimsoll_endpoint_state", "gauge", "1 for the state the endpoint is in, 0 for the others.");
  each((labels, slot) => {
    const now = table.cells[table.state(slot) + StateCell.state];
    for (const [state, value] of Object.entries(EndpointState)) {
      page.sample("plimsoll_endpoint_state", [...labels, ["state", state]], now === value ? 1 : 0);
    }
  });
}

/** The page being written. */
class Page {
  text = "";

  family(name: string, type: Type, help: string): void {
    this.text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
  }

  sample(name: string, labels: Labels, value: number): void {
    this.text += `${name}${labels.length === 0 ? "" : `{${labels.map(label).join(",")}}`} ${number(value)}\n`;
  }

  single(name: string, type: Type, help: string, value: number, labels: Labels = []): void {
    this.family(name, type, help);
    this.sample(name, labels, value);
  }
}

function label([name, value]: readonly [string, string]): string {
  return `${name}="${value.replace(/[\\"\n]/g, (found) => (found === "\n" ? "\\n" : `\\${found}`))}"`;
}

function number(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  return String(value);
}
