import { expect, test } from "bun:test";
import fc from "fast-check";
import { faultCodes } from "../base/fault.ts";
import { renderMetrics, type MetricsView } from "./prometheus.ts";
import { EndpointCell, EndpointState, ListenerCell, PoolCell, SharedTable, StateCell, WorkerCell } from "./table.ts";

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A strict reader of the text format 0.0.4: throws on anything that a scraper might take amiss. */
function parse(text: string): { samples: Sample[]; types: Map<string, string> } {
  expect(text.endsWith("\n")).toBe(true);
  const samples: Sample[] = [];
  const types = new Map<string, string>();
  const seen = new Set<string>();
  let family = "";
  let helped = "";
  for (const line of text.slice(0, -1).split("\n")) {
    const help = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (help !== null) {
      helped = help[1] ?? "";
      continue;
    }
    const type = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)$/.exec(line);
    if (type !== null) {
      family = type[1] ?? "";
      if (family !== helped) throw new Error(`TYPE without HELP: ${line}`);
      if (types.has(family)) throw new Error(`family twice: ${family}`);
      types.set(family, type[2] ?? "");
      if (type[2] === "counter" && !family.endsWith("_total")) throw new Error(`counter without _total: ${family}`);
      if (type[2] !== "counter" && family.endsWith("_total")) throw new Error(`_total is no counter: ${family}`);
      continue;
    }
    const sample = readSample(line);
    const base = types.get(family) === "histogram" ? sample.name.replace(/_(bucket|sum|count)$/, "") : sample.name;
    if (base !== family) throw new Error(`sample outside its family: ${line}`);
    const key = sample.name + JSON.stringify(Object.entries(sample.labels).sort());
    if (seen.has(key)) throw new Error(`series twice: ${line}`);
    seen.add(key);
    samples.push(sample);
  }
  return { samples, types };
}

function readSample(line: string): Sample {
  const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(line)?.[0];
  if (name === undefined) throw new Error(`no name: ${line}`);
  let at = name.length;
  const labels: Record<string, string> = {};
  if (line[at] === "{") {
    at++;
    while (line[at] !== "}") {
      const found = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"/.exec(line.slice(at));
      if (found === null) throw new Error(`bad label: ${line}`);
      if (Object.hasOwn(labels, found[1] ?? "")) throw new Error(`label twice: ${line}`);
      labels[found[1] ?? ""] = (found[2] ?? "").replace(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c));
      at += found[0].length;
      if (line[at] === ",") at++;
      else if (line[at] !== "}") throw new Error(`bad separator: ${line}`);
    }
    at++;
  }
  const value = /^ (NaN|[+-]Inf|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/.exec(line.slice(at))?.[1];
  if (value === undefined) throw new Error(`bad value: ${line}`);
  return { name, labels, value: Number(value.replace("Inf", "Infinity")) };
}

function view(over: Partial<MetricsView> = {}): MetricsView {
  return {
    table: SharedTable.local({ workers: 2, endpoints: 3, pools: 2, listeners: 2 }),
    version: "0.1.0",
    started: 1_700_000_000_500,
    ready: true,
    listeners: [{ name: "web", slot: 1 }],
    pools: [{ name: "api", slot: 1, endpoints: [{ id: "127.0.0.1:3001", slot: 2 }] }],
    workers: { serving: [true, false], restarts: 3 },
    reloads: { applied: 4, refused: 1, lastApplied: 1_700_000_001_000, lastOk: false },
    ...over,
  };
}

function value(samples: readonly Sample[], name: string, labels: Record<string, string> = {}): number {
  const found = samples.filter(
    (sample) => sample.name === name && Object.entries(labels).every(([key, want]) => sample.labels[key] === want),
  );
  expect(found.map((sample) => sample.name)).toEqual([name]);
  return found[0]?.value ?? NaN;
}

test("certificates that are ordered: their end, their failures, and nothing where none is", () => {
  expect(renderMetrics(view())).not.toContain("acme");
  const certificates = [
    { names: ["shop.example", "www.shop.example"], notAfter: 1_700_000_000_000, failures: 0 },
    { names: ["new.example"], notAfter: 0, failures: 3 },
  ];
  const { samples } = parse(renderMetrics(view({ acme: { issued: 2, failed: 5, certificates } })));
  expect(value(samples, "plimsoll_acme_orders_total", { result: "issued" })).toBe(2);
  expect(value(samples, "plimsoll_acme_orders_total", { result: "failed" })).toBe(5);
  const names = "shop.example,www.shop.example";
  expect(value(samples, "plimsoll_acme_certificate_expiry_seconds", { names })).toBe(1_700_000_000);
  expect(value(samples, "plimsoll_acme_certificate_expiry_seconds", { names: "new.example" })).toBe(0);
  expect(value(samples, "plimsoll_acme_failures", { names: "new.example" })).toBe(3);
});

test("cells of all workers are summed under the right names", () => {
  const all = view();
  const { table } = all;
  for (const row of [0, 1]) {
    table.cells[table.listener(row, 1) + ListenerCell.accepted] = 10 + row;
    table.cells[table.listener(row, 1) + ListenerCell.answers5xx] = 2;
    table.cells[table.pool(row, 1) + PoolCell.latency + 0] = 1;
    table.cells[table.pool(row, 1) + PoolCell.latency + 3] = 2;
    table.cells[table.pool(row, 1) + PoolCell.latency + 17] = 4;
    table.cells[table.pool(row, 1) + PoolCell.latencySum] = 250;
    table.cells[table.endpoint(row, 2) + EndpointCell.inFlight] = 5;
    table.cells[table.endpoint(row, 2) + EndpointCell.answers4xx] = 6;
    table.cells[table.worker(row) + WorkerCell.faults + faultCodes.indexOf("connect-refused")] = 8;
    table.cells[table.worker(row) + WorkerCell.logDropped] = 9;
  }
  table.cells[table.worker(1) + WorkerCell.rss] = 1e8;
  table.cells[table.state(2) + StateCell.state] = EndpointState.draining;
  table.cells[table.state(2) + StateCell.ejectedUntil] = 1_700_000_030_000;
  table.cells[table.state(2) + StateCell.ejections] = 3;
  const { samples } = parse(renderMetrics(all));
  expect(value(samples, "plimsoll_endpoint_ejected", { endpoint: "127.0.0.1:3001" })).toBe(1);
  expect(value(samples, "plimsoll_endpoint_ejections_total", { endpoint: "127.0.0.1:3001" })).toBe(3);
  const read = (name: string, labels?: Record<string, string>) => value(samples, name, labels);
  expect(read("plimsoll_listener_connections_total", { listener: "web" })).toBe(21);
  expect(read("plimsoll_listener_answers_total", { listener: "web", class: "5xx" })).toBe(4);
  expect(read("plimsoll_pool_duration_seconds_bucket", { pool: "api", le: "0.00025" })).toBe(2);
  expect(read("plimsoll_pool_duration_seconds_bucket", { pool: "api", le: "0.001" })).toBe(2);
  expect(read("plimsoll_pool_duration_seconds_bucket", { pool: "api", le: "0.0025" })).toBe(6);
  expect(read("plimsoll_pool_duration_seconds_bucket", { pool: "api", le: "60" })).toBe(6);
  expect(read("plimsoll_pool_duration_seconds_bucket", { pool: "api", le: "+Inf" })).toBe(14);
  expect(read("plimsoll_pool_duration_seconds_count")).toBe(14);
  expect(read("plimsoll_pool_duration_seconds_sum")).toBe(0.5);
  expect(read("plimsoll_endpoint_in_flight", { endpoint: "127.0.0.1:3001" })).toBe(10);
  expect(read("plimsoll_endpoint_answers_total", { class: "4xx" })).toBe(12);
  expect(read("plimsoll_endpoint_state", { state: "draining" })).toBe(1);
  expect(read("plimsoll_endpoint_state", { state: "ready" })).toBe(0);
  expect(read("plimsoll_faults_total", { code: "connect-refused", side: "upstream" })).toBe(16);
  expect(read("plimsoll_access_log_dropped_total")).toBe(18);
  expect(read("plimsoll_worker_up", { worker: "0" })).toBe(1);
  expect(read("plimsoll_worker_up", { worker: "1" })).toBe(0);
  expect(read("plimsoll_worker_resident_bytes", { worker: "1" })).toBe(1e8);
  expect(read("plimsoll_start_time_seconds")).toBe(1_700_000_000.5);
  expect(read("plimsoll_reloads_total", { result: "refused" })).toBe(1);
  expect(read("plimsoll_last_reload_ok")).toBe(0);
  expect(read("plimsoll_info", { version: "0.1.0" })).toBe(1);
});

test("the families and their types are a contract", () => {
  const { types } = parse(renderMetrics(view()));
  expect([...types].map(([name, type]) => `${name} ${type}`)).toMatchSnapshot();
});

test("whatever the names hold, the page reads back, cumulative and complete", () => {
  const name = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("\\", '"', "\n", 'a"},x="', "\\n"));
  fc.assert(
    fc.property(
      name,
      name,
      name,
      fc.array(fc.nat(1e6), { minLength: 18, maxLength: 18 }),
      (listener, pool, id, counts) => {
        const all = view({
          listeners: [{ name: listener, slot: 0 }],
          pools: [{ name: pool, slot: 0, endpoints: [{ id, slot: 0 }] }],
        });
        counts.forEach((count, index) => (all.table.cells[all.table.pool(1, 0) + PoolCell.latency + index] = count));
        const { samples } = parse(renderMetrics(all));
        expect(value(samples, "plimsoll_listener_requests_total", { listener })).toBe(0);
        expect(value(samples, "plimsoll_endpoint_requests_total", { pool, endpoint: id })).toBe(0);
        const buckets = samples.filter((sample) => sample.name === "plimsoll_pool_duration_seconds_bucket");
        expect(buckets.length).toBe(18);
        for (let i = 1; i < 18; i++) expect(buckets[i]?.value).toBeGreaterThanOrEqual(buckets[i - 1]?.value ?? NaN);
        expect(buckets[17]?.value).toBe(counts.reduce((sum, count) => sum + count, 0));
      },
    ),
    { numRuns: 200 },
  );
});
