// Metrics in the Prometheus text format, rendered from the shared table when somebody asks: counting costs the data plane one
// addition, and nothing is kept twice.
import { faultCodes, faults } from "../base/fault.ts";
import { endpointRows, listenerRows, poolRows } from "./metric-rows.ts";
import { type Labels, MetricsPage } from "./metrics-page.ts";
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

/** All metrics. */
export function renderMetrics(view: MetricsView): string {
  const page = new MetricsPage();
  program(page, view);
  if (view.acme !== undefined && view.acme.certificates.length > 0) certificates(page, view.acme);
  workers(page, view);
  listeners(page, view);
  pools(page, view);
  endpoints(page, view);
  const first = view.table.worker(0) + WorkerCell.faults;
  page.split("plimsoll_faults_total", "counter", "Exchanges that ended in a fault, by its code.", whole, () =>
    faultCodes.map((code, index) => [
      [
        ["code", code],
        ["side", faults[code].side],
      ],
      view.table.sum(first + index),
    ]),
  );
  return page.text;
}

/** For samples that are of the program itself. */
const whole: readonly { readonly labels: Labels }[] = [{ labels: [] }];

function program(page: MetricsPage, { version, started, ready, reloads }: MetricsView): void {
  page.single("plimsoll_info", "gauge", "The running version.", 1, [["version", version]]);
  page.single("plimsoll_start_time_seconds", "gauge", "When the program started.", started / 1000);
  page.single(
    "plimsoll_ready",
    "gauge",
    "1 while the balancer wants traffic, 0 while it starts or stops.",
    ready ? 1 : 0,
  );
  page.split("plimsoll_reloads_total", "counter", "Changes of the configuration, by their result.", whole, () => [
    [[["result", "applied"]], reloads.applied],
    [[["result", "refused"]], reloads.refused],
  ]);
  page.single(
    "plimsoll_last_reload_ok",
    "gauge",
    "1 if the last change was applied, 0 if it was refused.",
    reloads.lastOk ? 1 : 0,
  );
  page.single(
    "plimsoll_last_reload_applied_seconds",
    "gauge",
    "When the running configuration was applied.",
    reloads.lastApplied / 1000,
  );
}

function certificates(page: MetricsPage, { issued, failed, certificates }: NonNullable<MetricsView["acme"]>): void {
  page.split(
    "plimsoll_acme_orders_total",
    "counter",
    "Certificates ordered from an authority, by their result.",
    whole,
    () => [
      [[["result", "issued"]], issued],
      [[["result", "failed"]], failed],
    ],
  );
  const all = certificates.map((one) => ({ ...one, labels: [["names", one.names.join(",")]] as const }));
  page.each(
    "plimsoll_acme_certificate_expiry_seconds",
    "gauge",
    "When the certificate ends; 0 while there is none and a self-signed one is shown.",
    all,
    ({ notAfter }) => notAfter / 1000,
  );
  page.each(
    "plimsoll_acme_failures",
    "gauge",
    "Tries in a row that brought no certificate.",
    all,
    ({ failures }) => failures,
  );
}

function workers(page: MetricsPage, { table, workers: state }: MetricsView): void {
  const all = state.serving.map((up, row) => ({
    labels: [["worker", String(row)]] as const,
    up,
    cell: (cell: number) => table.cells[table.worker(row) + cell] ?? 0,
  }));
  page.each("plimsoll_worker_up", "gauge", "1 while the worker serves.", all, ({ up }) => (up ? 1 : 0));
  page.each("plimsoll_worker_resident_bytes", "gauge", "Resident memory of the worker.", all, ({ cell }) =>
    cell(WorkerCell.rss),
  );
  page.each(
    "plimsoll_worker_accept_paused",
    "gauge",
    "1 while the worker accepts nothing, because its descriptors are used up.",
    all,
    ({ cell }) => (cell(WorkerCell.shortSince) > 0 ? 1 : 0),
  );
  page.each(
    "plimsoll_worker_memory_full",
    "gauge",
    "1 while the worker accepts nothing, because the memory of all workers together is used up.",
    all,
    ({ cell }) => (cell(WorkerCell.fullSince) > 0 ? 1 : 0),
  );
  page.each(
    "plimsoll_worker_accept_pauses_total",
    "counter",
    "Times that the worker stopped accepting, because its descriptors were used up.",
    all,
    ({ cell }) => cell(WorkerCell.shortages),
  );
  page.single(
    "plimsoll_worker_restarts_total",
    "counter",
    "Workers replaced because they exited or hung.",
    state.restarts,
  );
  const sum = (cell: number) => table.sum(table.worker(0) + cell);
  page.single("plimsoll_access_log_lines_total", "counter", "Lines of the access log taken.", sum(WorkerCell.logTaken));
  page.single(
    "plimsoll_access_log_dropped_total",
    "counter",
    "Lines of the access log dropped because its destination could not follow.",
    sum(WorkerCell.logDropped),
  );
}

/** Classes of status with their cells, which lie one after the other. */
function classes(table: SharedTable, lowest: number, first: number): [Labels, number][] {
  return Array.from({ length: 6 - lowest }, (_, index) => [
    [["class", `${lowest + index}xx`]],
    table.sum(first + index),
  ]);
}

function listeners(page: MetricsPage, { table, listeners }: MetricsView): void {
  const all = listeners.map(({ name, slot, tls }) => ({
    labels: [["listener", name]] as const,
    first: table.listener(0, slot),
    tls,
  }));
  for (const [name, type, help, cell] of listenerRows) {
    page.each(name, type, help, all, ({ first }) => table.sum(first + cell));
  }
  page.split("plimsoll_listener_answers_total", "counter", "Answers sent, by class of status.", all, ({ first }) =>
    classes(table, 1, first + ListenerCell.answers1xx),
  );
  const secure = all.filter(({ tls }) => tls);
  page.split(
    "plimsoll_tls_handshakes_total",
    "counter",
    "TLS handshakes with clients, by version and resumption.",
    secure,
    ({ first }) =>
      handshakes.map(([version, resumed, cell]) => [
        [
          ["version", version],
          ["resumed", resumed],
        ],
        table.sum(first + cell),
      ]),
  );
  page.split(
    "plimsoll_tls_handshake_failures_total",
    "counter",
    "TLS handshakes with clients that failed, by reason.",
    secure,
    ({ first }) =>
      tlsFailureReasons.map((reason, index) => [
        [["reason", reason]],
        table.sum(first + ListenerCell.tlsFailures + index),
      ]),
  );
}

const handshakes = [
  ["1.2", "no", ListenerCell.tlsFull12],
  ["1.2", "yes", ListenerCell.tlsResumed12],
  ["1.3", "no", ListenerCell.tlsFull13],
  ["1.3", "yes", ListenerCell.tlsResumed13],
] as const;

/** What became of requests that met, or would have met, a connection that its endpoint was closing. */
const staleResults = [
  ["avoided", PoolCell.staleAvoided],
  ["retried", PoolCell.staleRetried],
  ["failed", PoolCell.staleFailed],
] as const;

function pools(page: MetricsPage, { table, pools }: MetricsView): void {
  const all = pools.map(({ name, slot }) => ({
    labels: [["pool", name]] as const,
    slot,
    first: table.pool(0, slot),
  }));
  for (const [name, type, help, cell] of poolRows) {
    page.each(name, type, help, all, ({ first }) => table.sum(first + cell));
  }
  page.split(
    "plimsoll_pool_stale_reuses_total",
    "counter",
    "Idle connections that were too old: not reused, or reused and the request retried or lost.",
    all,
    ({ first }) => staleResults.map(([result, cell]) => [[["result", result]], table.sum(first + cell)]),
  );
  page.each(
    "plimsoll_pool_longest_request_seconds",
    "gauge",
    "Longest answered request of the last half hour to hour; no streams, no tunnels.",
    all,
    ({ slot }) => {
      let seen = 0;
      for (let row = 0; row < table.shape.workers; row++) {
        const at = table.pool(row, slot);
        seen = Math.max(seen, table.cells[at + PoolCell.longest] ?? 0, table.cells[at + PoolCell.longestBefore] ?? 0);
      }
      return seen / 1000;
    },
  );
  const name = "plimsoll_pool_duration_seconds";
  page.family(name, "histogram", "From the request's first byte to the answer's last.");
  for (const { labels, first } of all) {
    let total = 0;
    for (let index = 0; index <= latencyBuckets.length; index++) {
      const bound = latencyBuckets[index];
      total += table.sum(first + PoolCell.latency + index);
      page.sample(`${name}_bucket`, [...labels, ["le", bound === undefined ? "+Inf" : String(bound / 1000)]], total);
    }
    page.sample(`${name}_sum`, labels, table.sum(first + PoolCell.latencySum) / 1000);
    page.sample(`${name}_count`, labels, total);
  }
}

const cutKinds = [
  ["request", EndpointCell.cutExchanges],
  ["tunnel", EndpointCell.cutTunnels],
] as const;

function endpoints(page: MetricsPage, { table, pools }: MetricsView): void {
  const all = pools.flatMap((pool) =>
    pool.endpoints.map(({ id, slot }) => ({
      labels: [
        ["pool", pool.name],
        ["endpoint", id],
      ] as const,
      slot,
      first: table.endpoint(0, slot),
    })),
  );
  const state = (slot: number, cell: number) => table.cells[table.state(slot) + cell] ?? 0;
  for (const [name, type, help, cell] of endpointRows) {
    page.each(name, type, help, all, ({ first }) => table.sum(first + cell));
  }
  page.each(
    "plimsoll_endpoint_keep_alive_seconds",
    "gauge",
    "Rest after which a connection is not used again, as learned; the least of all workers', 0 if unknown.",
    all,
    ({ slot }) => {
      let least = 0;
      for (let row = 0; row < table.shape.workers; row++) {
        const learned = table.cells[table.endpoint(row, slot) + EndpointCell.keepAlive] ?? 0;
        if (learned > 0 && (least === 0 || learned < least)) least = learned;
      }
      return least / 1000;
    },
  );
  page.split(
    "plimsoll_endpoint_answers_total",
    "counter",
    "Answers of the endpoint, by class of status.",
    all,
    ({ first }) => classes(table, 2, first + EndpointCell.answers2xx),
  );
  page.split(
    "plimsoll_endpoint_drain_cut_total",
    "counter",
    "What the end of a drain's window cut.",
    all,
    ({ first }) => cutKinds.map(([kind, cell]) => [[["kind", kind]], table.sum(first + cell)]),
  );
  page.each(
    "plimsoll_endpoint_drain_end_seconds",
    "gauge",
    "When the window of the endpoint's drain ends; 0 for none.",
    all,
    ({ slot }) => state(slot, StateCell.drainUntil) / 1000,
  );
  page.each("plimsoll_endpoint_ejected", "gauge", "1 while the endpoint is ejected as an outlier.", all, ({ slot }) =>
    state(slot, StateCell.ejectedUntil) > 0 ? 1 : 0,
  );
  page.each(
    "plimsoll_endpoint_ejections_total",
    "counter",
    "Times the endpoint was ejected as an outlier.",
    all,
    ({ slot }) => state(slot, StateCell.ejections),
  );
  page.split(
    "plimsoll_endpoint_state",
    "gauge",
    "1 for the state the endpoint is in, 0 for the others.",
    all,
    ({ slot }) =>
      Object.entries(EndpointState).map(([name, value]) => [
        [["state", name]],
        state(slot, StateCell.state) === value ? 1 : 0,
      ]),
  );
}
