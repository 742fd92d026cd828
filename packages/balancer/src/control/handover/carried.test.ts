import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Timers } from "../../net/clock.ts";
import { EndpointState, PoolCell, SharedTable, StateCell } from "../../observe/table.ts";
import { endpointPlan, poolPlan, readiness } from "../../pool/fixtures.ts";
import { LearnedSessions } from "../../pool/stick/learned.ts";
import type { PoolPlan } from "../../pool/plan.ts";
import { Drains } from "../drains.ts";
import { EndpointStates } from "../endpoint-states.ts";
import { Outliers } from "../outliers.ts";
import { copySessions, gather, restore } from "./carried.ts";

const folder = mkdtempSync(join(tmpdir(), "carried-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

const start = 1_700_000_000_000;
let wall = start;
const clock = { now: () => wall - start + 1_000, wall: () => wall };
const timers: Timers = { every: () => () => {}, after: () => () => {} };
const log = { event: () => {} } as unknown as ConstructorParameters<typeof EndpointStates>[2];

/** One program's books, on a table of its own. */
function program(name: string, pools: readonly PoolPlan[], sessions = 64) {
  const path = join(folder, name);
  const table = SharedTable.create(path, { workers: 1, endpoints: 16, pools: 4, listeners: 1, sessions });
  const drains = new Drains({ table, clock, timers, log, reviewed: () => Infinity });
  const states = new EndpointStates(table, clock, log, drains);
  const outliers = new Outliers({ table, clock, timers, log, pools: () => pools });
  const plan = { listeners: [], pools };
  return {
    path,
    table,
    drains,
    states,
    outliers,
    plan,
    cell: (slot: number, at: number) => table.cells[table.state(slot) + at],
  };
}

/** Endpoints a, b, c ... in slots from `first` on. */
function pool(first: number, ids = "abcd"): PoolPlan {
  const endpoints = [...ids].map((id, index) => ({
    ...endpointPlan(first + index),
    id,
    address: { kind: "tcp", host: "127.0.0.1", port: 3000 + id.charCodeAt(0) } as const,
  }));
  return poolPlan({
    name: "app",
    slot: 0,
    endpoints,
    readiness,
    outliers: { maxEjected: 0.5, base: 30_000, longest: 300_000, consecutive: 5, latency: 4 },
  });
}

function handOver(old: ReturnType<typeof program>, next: ReturnType<typeof program>) {
  const carried = gather(old, old.plan, old.path, new Map());
  // It travels as text.
  const told = JSON.parse(JSON.stringify(carried)) as typeof carried;
  restore(next, next.plan, told, clock);
  next.states.apply(next.plan.pools);
  return told;
}

describe("a program that takes over", () => {
  test("knows what probes said, what operators asked for and until when, whatever slots it gave out", () => {
    const old = program("old1", [pool(0)]);
    old.states.apply(old.plan.pools);
    const [a, b, c] = old.plan.pools[0]!.endpoints;
    for (const each of [a!, b!, c!]) old.states.judge("app", each, "ready", "a probe passed");
    old.states.ask("app", "a", "draining", "by hand", 60_000);
    old.states.ask("app", "b", "disabled", "by hand");
    wall += 10_000;
    const next = program("next1", [pool(5, "dcba")]);
    handOver(old, next);
    const state = (id: string) => next.states.find("app", id);
    expect([state("a")?.state, state("b")?.state, state("c")?.state, state("d")?.state]).toEqual([
      "draining",
      "disabled",
      "ready",
      "unknown",
    ]);
    expect(state("a")?.since).toBe(start);
    expect(next.cell(8, StateCell.state)).toBe(EndpointState.draining);
    expect(next.cell(8, StateCell.drainUntil)).toBe(start + 60_000);
    expect(next.cell(7, StateCell.state)).toBe(EndpointState.disabled);
    // The operator's word goes, the probe's is still there.
    expect(next.states.ask("app", "b", "ready", "by hand")).toBe("");
    expect(state("b")?.state).toBe("ready");
  });

  test("warms up who came new, and not who was there", () => {
    const old = program("old2", [pool(0, "ab")]);
    old.states.apply(old.plan.pools);
    for (const each of old.plan.pools[0]!.endpoints) old.states.judge("app", each, "ready", "a probe passed");
    const next = program("next2", [pool(0, "abx")]);
    handOver(old, next);
    next.states.judge("app", next.plan.pools[0]!.endpoints[2]!, "ready", "a probe passed");
    expect([0, 1, 2].map((slot) => (next.cell(slot, StateCell.warmFrom) ?? 0) > 0)).toEqual([false, false, true]);
  });

  test("goes on with a slow start, a mark of failed connects and an ejection, and counts on", () => {
    const old = program("old3", [pool(0)]);
    old.states.apply(old.plan.pools);
    const ejection = { from: wall - 1_000, until: wall + 29_000, reason: "9 tries in a row failed", times: 2 };
    const { cells } = old.table;
    old.outliers.inherit(old.plan.pools[0]!, old.plan.pools[0]!.endpoints[1]!, ejection);
    cells[old.table.state(0) + StateCell.warmFrom] = wall - 5_000;
    cells[old.table.state(0) + StateCell.passiveUntil] = wall + 3_000;
    cells[old.table.state(1) + StateCell.ejections] = 2;
    cells[old.table.pool(0, 0) + PoolCell.longest] = 4_321;
    const next = program("next3", [pool(4)]);
    handOver(old, next);
    expect(next.cell(4, StateCell.warmFrom)).toBe(wall - 5_000);
    expect(next.cell(4, StateCell.passiveUntil)).toBe(wall + 3_000);
    expect([next.cell(5, StateCell.ejectedUntil), next.cell(5, StateCell.ejections)]).toEqual([ejection.until, 2]);
    expect(next.table.cells[next.table.pool(0, 0) + PoolCell.longest]).toBe(4_321);
    next.outliers.review();
    expect(next.outliers.ejection("app", 5)).toEqual(ejection);
    wall = ejection.until + 1;
    next.outliers.review();
    expect(next.outliers.ejection("app", 5)).toBeNull();
    expect(next.cell(5, StateCell.ejectedUntil)).toBe(0);
  });

  test("a pool that was not probed and is now keeps its endpoints until a probe says otherwise", () => {
    const bare = { ...pool(0, "a"), readiness: null };
    const old = program("old4", [bare]);
    old.states.apply(old.plan.pools);
    const next = program("next4", [pool(0, "a")]);
    handOver(old, next);
    expect(next.states.find("app", "a")?.state).toBe("ready");
  });
});

describe("sessions", () => {
  test("are found at the same endpoint, in whatever slot it is; those of endpoints that are gone are not", () => {
    const old = program("old5", [pool(0)]);
    old.states.apply(old.plan.pools);
    const learned = new LearnedSessions(old.table);
    for (const session of [0, 1, 2, 3]) learned.remember(1000 + session, session, session);
    const next = program("next5", [pool(9, "dca")]);
    const carried = handOver(old, next);
    expect(copySessions(next.table, next.plan, carried)).toBe(3);
    const copy = new LearnedSessions(next.table);
    expect([0, 1, 2, 3].map((session) => copy.find(1000 + session, session))).toEqual([11, -1, 10, 9]);
    // Once more at the end, for what began meanwhile; what the new program learned itself stands.
    copy.remember(1000, 0, 9);
    learned.remember(2000, 7, 3);
    copySessions(next.table, next.plan, carried);
    expect([copy.find(1000, 0), copy.find(2000, 7)]).toEqual([9, 9]);
  });

  test("another layout, or a table that is gone, is nothing to fail for", () => {
    const old = program("old6", [pool(0)], 64);
    const next = program("next6", [pool(0)], 128);
    const carried = handOver(old, next);
    expect(copySessions(next.table, next.plan, carried)).toBe(0);
    expect(copySessions(next.table, next.plan, { ...carried, table: join(folder, "nowhere") })).toBe(0);
  });
});
