import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { faultCodes } from "../base/fault.ts";
import {
  EndpointCell,
  latencyBuckets,
  ListenerCell,
  PoolCell,
  SharedTable,
  StateCell,
  WorkerCell,
  type TableShape,
} from "./table.ts";

const folder = mkdtempSync(join(tmpdir(), "plimsoll-table-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
const path = () => join(folder, `table${files++}`);
const shape: TableShape = { workers: 2, endpoints: 3, pools: 2, listeners: 1 };

test("no two things share a cell, and none lies outside", () => {
  const small = fc.integer({ min: 0, max: 5 });
  fc.assert(
    fc.property(fc.record({ workers: small, endpoints: small, pools: small, listeners: small }), (any) => {
      const table = SharedTable.local(any);
      const taken = new Set<number>(Array.from({ length: 8 }, (_, i) => i));
      const take = (first: number, size: number) => {
        for (let at = first; at < first + size; at++) {
          expect(taken.has(at)).toBe(false);
          taken.add(at);
        }
      };
      for (let e = 0; e < any.endpoints; e++) take(table.state(e), StateCell.size);
      for (let w = 0; w <= table.earlier; w++) {
        take(table.worker(w), WorkerCell.size);
        for (let e = 0; e < any.endpoints; e++) take(table.endpoint(w, e), EndpointCell.size);
        for (let p = 0; p < any.pools; p++) take(table.pool(w, p), PoolCell.size);
        for (let l = 0; l < any.listeners; l++) take(table.listener(w, l), ListenerCell.size);
      }
      expect(taken.size).toBe(table.cells.length);
      expect(Math.max(...taken)).toBe(table.cells.length - 1);
    }),
    { numRuns: 60 },
  );
});

test("every fault code and every latency bucket has a cell", () => {
  expect(WorkerCell.faults + faultCodes.length).toBeLessThanOrEqual(WorkerCell.size);
  expect(PoolCell.latency + latencyBuckets.length + 1).toBeLessThanOrEqual(PoolCell.size);
});

test("what one process writes, another sees", async () => {
  const file = path();
  const table = SharedTable.create(file, shape, 42);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const at = table.endpoint(1, 2) + EndpointCell.requests;
  const child = Bun.spawnSync([
    process.execPath,
    "-e",
    `import { SharedTable } from ${JSON.stringify(join(import.meta.dir, "table.ts"))};
     const table = SharedTable.open(${JSON.stringify(file)});
     if (table.owner !== 42) throw new Error("owner");
     table.cells[table.endpoint(1, 2) + ${EndpointCell.requests}] = 7;`,
  ]);
  expect(child.stderr.toString()).toBe("");
  expect(table.cells[at]).toBe(7);
  expect(table.sum(table.endpoint(0, 2) + EndpointCell.requests)).toBe(7);
});

test("what is not such a table is refused", () => {
  const file = path();
  SharedTable.create(file, shape);
  expect(() => SharedTable.create(file, shape)).toThrow("EEXIST");
  expect(SharedTable.open(file, shape).shape).toEqual(shape);
  expect(() => SharedTable.open(file, { ...shape, pools: 9 })).toThrow("another shape");
  truncateSync(file, 2048);
  expect(() => SharedTable.open(file)).toThrow("cells where");
  writeFileSync(file, "hello");
  expect(() => SharedTable.open(file)).toThrow("not a Plimsoll table");
  writeFileSync(file, "x".repeat(4096));
  expect(() => SharedTable.open(file)).toThrow("not a Plimsoll table");
  const other = path();
  const table = SharedTable.create(other, shape);
  const version = table.cells[1] ?? 0;
  table.cells[1] = 99;
  expect(() => SharedTable.open(other)).toThrow("version 99");
  table.cells[1] = version;
  table.cells[2] = -1;
  expect(() => SharedTable.open(other)).toThrow("-1 workers");
});

test("a dead worker's gauges are cleared and its counters kept; other rows are not touched", () => {
  const table = SharedTable.local(shape);
  table.cells.fill(5, 8);
  table.clearGauges(0);
  const at = table.endpoint(0, 1);
  expect(table.cells[at + EndpointCell.inFlight]).toBe(0);
  expect(table.cells[at + EndpointCell.idle]).toBe(0);
  expect(table.cells[at + EndpointCell.requests]).toBe(5);
  expect(table.cells[table.pool(0, 1) + PoolCell.queued]).toBe(0);
  expect(table.cells[table.listener(0, 0) + ListenerCell.open]).toBe(0);
  expect(table.cells[table.listener(0, 0) + ListenerCell.accepted]).toBe(5);
  expect(table.cells[table.worker(0) + WorkerCell.heartbeat]).toBe(0);
  expect(table.cells[table.worker(0) + WorkerCell.faults]).toBe(5);
  const second = table.cells.subarray(table.worker(1), table.worker(1) + table.stride);
  expect(second.every((cell) => cell === 5)).toBe(true);
});

test("a slot is cleared in every row, its neighbours are not", () => {
  const table = SharedTable.local(shape);
  table.cells.fill(5, 8);
  table.clearEndpoint(1);
  table.clearPool(1);
  table.clearListener(0);
  const zeros = table.cells.reduce((sum, cell) => sum + (cell === 0 ? 1 : 0), 0);
  expect(zeros).toBe(
    2 + StateCell.size + (shape.workers + 1) * (EndpointCell.size + PoolCell.size + ListenerCell.size),
  );
  expect(table.cells[table.endpoint(1, 1)]).toBe(0);
  expect(table.cells[table.endpoint(1, 2)]).toBe(5);
  expect(table.cells[table.pool(1, 0)]).toBe(5);
});

test("no two things are counted in the same cell, and all of them have room", () => {
  for (const cells of [EndpointCell, PoolCell, ListenerCell, WorkerCell, StateCell]) {
    const { size, ...places } = cells;
    const taken: number[] = Object.values(places);
    if (cells === PoolCell) for (let i = 1; i <= latencyBuckets.length; i++) taken.push(PoolCell.latency + i);
    expect(new Set(taken).size).toBe(taken.length);
    expect(Math.max(...taken)).toBeLessThan(size);
  }
  expect(WorkerCell.faults + faultCodes.length).toBeLessThanOrEqual(WorkerCell.size);
});

test("sessions have cells of their own behind everything else, and another number of them is another shape", () => {
  const table = SharedTable.local({ workers: 2, endpoints: 3, pools: 2, listeners: 1, sessions: 64 });
  expect(table.sessions).toBe(table.listener(table.earlier, 0) + ListenerCell.size);
  expect(table.cells.length).toBe(table.sessions + 64);
});
