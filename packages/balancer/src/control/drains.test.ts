import { describe, expect, test } from "bun:test";
import { VirtualTime } from "@plimsoll/testbed/virtual-time";
import { EndpointCell, EndpointState, PoolCell, SharedTable, StateCell } from "../observe/table.ts";
import { endpointPlan, poolPlan, readiness } from "../pool/fixtures.ts";
import { drainWindow } from "./drain-window.ts";
import { counted, Drains } from "./drains.ts";
import { EndpointStates } from "./endpoint-states.ts";

/** States and drains of one pool with two endpoints, over two workers, in time that the test moves. */
function setting(window: number | "auto" = 10_000) {
  const table = SharedTable.local({ workers: 2, endpoints: 8, pools: 2, listeners: 1 });
  const time = new VirtualTime();
  const events: { name: string; text: string }[] = [];
  const log = { event: (_: unknown, name: string, text: string) => void events.push({ name, text }) };
  const worker = { reviewed: Number.POSITIVE_INFINITY };
  const drains = new Drains({ table, clock: time, timers: time, log, reviewed: () => worker.reviewed });
  const states = new EndpointStates(table, time, log, drains);
  const [one, two] = [endpointPlan(0), endpointPlan(1)];
  const pool = poolPlan({ endpoints: [one, two], drain: { window } });
  states.apply([pool]);
  return {
    table,
    time,
    drains,
    states,
    worker,
    pool,
    one,
    two,
    events,
    names: () => events.map((event) => event.name),
    told: (name: string) => events.find((event) => event.name === name)?.text,
    cells: (slot = 0) => [
      table.cells[table.state(slot) + StateCell.drainFrom],
      table.cells[table.state(slot) + StateCell.drainUntil],
    ],
    put(cell: keyof typeof EndpointCell, value: number, row = 0, slot = 0) {
      table.cells[table.endpoint(row, slot) + EndpointCell[cell]] = value;
    },
  };
}

describe("a drain that an operator asks for", () => {
  test("its clock is in the table before the state is, and it is told when it is empty", () => {
    const at = setting();
    const began = at.time.wall();
    at.put("inFlight", 2);
    at.put("inFlight", 1, 1);
    at.put("tunnels", 1, 1);
    expect(at.states.ask("app", at.one.id, "draining", "deploy")).toBe("");
    expect(at.cells()).toEqual([began, began + 10_000]);
    expect(at.table.cells[at.table.state(0)]).toBe(EndpointState.draining);
    expect(at.told("endpoint.draining")).toBe(`app/${at.one.id} is draining: deploy; what is in flight has 10s`);
    at.time.advance(2_000);
    at.put("oldest", at.time.wall() - 5_000, 1);
    at.put("oldest", at.time.wall() - 300);
    expect(at.drains.underWay(at.one)).toEqual({ exchanges: 2, tunnels: 1, oldest: 5_000 });
    expect(at.drains.of("app", at.one)).toMatchObject({ empty: false, cut: { exchanges: 0, tunnels: 0 } });
    for (const row of [0, 1]) for (const cell of ["inFlight", "tunnels", "oldest"] as const) at.put(cell, 0, row);
    at.time.advance(100);
    expect(at.told("endpoint.drained")).toBe(`app/${at.one.id} is empty after 2s100ms`);
    expect(at.drains.of("app", at.one)).toMatchObject({ empty: true });
    expect(at.time.pending).toBe(0);
    at.time.advance(60_000);
    expect(at.names().filter((name) => name.startsWith("endpoint.d"))).toEqual([
      "endpoint.draining",
      "endpoint.drained",
    ]);
  });

  test("nobody is believed to be empty before every worker knows", () => {
    const at = setting();
    at.worker.reviewed = at.time.wall() - 5;
    at.states.ask("app", at.one.id, "draining", "deploy");
    at.time.advance(500);
    expect(at.told("endpoint.drained")).toBeUndefined();
    at.worker.reviewed = at.time.wall();
    at.time.advance(100);
    expect(at.told("endpoint.drained")).toBeDefined();
    // A worker that hangs is not waited for.
    at.worker.reviewed = 0;
    at.states.ask("app", at.two.id, "draining", "deploy");
    at.time.advance(1_100);
    expect(at.names().filter((name) => name === "endpoint.drained").length).toBe(2);
  });

  test("what the window's end cuts is told by name and number", () => {
    const at = setting();
    at.put("cutExchanges", 40); // of an earlier drain
    at.put("inFlight", 3);
    at.states.ask("app", at.one.id, "draining", "deploy", 2_000);
    at.time.advance(2_000);
    at.put("cutExchanges", 42);
    at.put("cutTunnels", 1, 1);
    at.put("inFlight", 0);
    at.time.advance(200);
    expect(at.told("endpoint.cut")).toBe(
      `app/${at.one.id}: 2 requests and 1 tunnel cut at the end of its window of 2s`,
    );
    expect(at.names().slice(-2)).toEqual(["endpoint.cut", "endpoint.drained"]);
    expect(at.drains.of("app", at.one)?.cut).toEqual({ exchanges: 2, tunnels: 1 });
  });

  test("asked again with a window it gets that one; without, or once taken back, as one would think", () => {
    const at = setting();
    const began = at.time.wall();
    at.put("inFlight", 1);
    at.states.ask("app", at.one.id, "draining", "deploy");
    at.time.advance(1_000);
    at.states.ask("app", at.one.id, "draining", "deploy");
    expect(at.cells()).toEqual([began, began + 10_000]);
    at.states.ask("app", at.one.id, "draining", "hurry", 500);
    expect(at.cells()).toEqual([began, began + 1_500]);
    at.states.ask("app", at.one.id, "ready", "not today");
    expect(at.cells()).toEqual([0, 0]);
    expect(at.drains.of("app", at.one)).toBe(null);
    at.time.advance(60_000);
    expect(at.told("endpoint.drained")).toBeUndefined();
    expect(at.time.pending).toBe(0);
  });

  test("disabling has no window: what is in flight finishes by itself", () => {
    const at = setting();
    at.put("inFlight", 1);
    at.states.ask("app", at.one.id, "draining", "deploy");
    at.states.ask("app", at.one.id, "disabled", "broken");
    expect(at.cells()).toEqual([0, 0]);
    expect(at.table.cells[at.table.state(0)]).toBe(EndpointState.disabled);
  });

  test("a reload changes nothing about it", () => {
    const at = setting();
    at.put("inFlight", 1);
    at.states.ask("app", at.one.id, "draining", "deploy");
    const before = at.cells();
    at.time.advance(300);
    at.states.apply([{ ...at.pool, drain: { window: 1_000 } }]);
    at.states.letGo();
    expect(at.cells()).toEqual(before);
  });
});

describe("an endpoint that leaves the configuration", () => {
  const without = (at: ReturnType<typeof setting>) => ({ ...at.pool, endpoints: [at.two] });

  test("is drained once every worker has let go of it, and told", () => {
    const at = setting();
    at.put("inFlight", 2);
    at.put("tunnels", 2);
    at.states.apply([without(at)]);
    expect(at.cells()).toEqual([0, 0]);
    at.states.letGo();
    expect(at.cells()).toEqual([at.time.wall(), at.time.wall() + 10_000]);
    expect(at.told("endpoint.leaving")).toBe(`app/${at.one.id} left the configuration; 2 tunnels there have 10s`);
    expect(at.drains.leaving()).toMatchObject([{ pool: "app", id: at.one.id, exchanges: 0, tunnels: 2 }]);
    at.put("inFlight", 0);
    at.put("tunnels", 0);
    at.time.advance(100);
    expect(at.names().at(-1)).toBe("endpoint.drained");
    expect(at.drains.leaving()).toEqual([]);
    expect(at.cells()).toEqual([0, 0]);
  });

  test("with nothing in flight is simply gone", () => {
    const at = setting();
    at.states.apply([without(at)]);
    at.states.letGo();
    expect(at.names()).toEqual([]);
    expect(at.cells()).toEqual([0, 0]);
  });

  test("one that drained already keeps its clock", () => {
    const at = setting();
    at.put("inFlight", 1);
    at.states.ask("app", at.one.id, "draining", "deploy", 4_000);
    const before = at.cells();
    at.time.advance(1_000);
    at.states.apply([without(at)]);
    at.states.letGo();
    expect(at.cells()).toEqual(before);
    expect(at.told("endpoint.leaving")).toBeUndefined();
    expect(at.drains.leaving()).toMatchObject([{ exchanges: 1, until: before[1] }]);
  });

  test("one that comes back is used as ever", () => {
    const at = setting();
    at.put("inFlight", 1);
    at.states.apply([without(at)]);
    at.states.letGo();
    at.states.apply([at.pool]);
    at.states.letGo();
    expect(at.cells()).toEqual([0, 0]);
    expect(at.drains.leaving()).toEqual([]);
  });

  test("a pool that goes away takes all of its endpoints along", () => {
    const at = setting();
    for (const slot of [0, 1]) at.put("inFlight", 1, 0, slot);
    at.states.apply([]);
    at.states.letGo();
    expect(at.drains.leaving().map((one) => one.id)).toEqual([at.one.id, at.two.id]);
  });
});

describe("the window", () => {
  const window = (configured: number | "auto", ...seen: number[]) => {
    const { table, pool } = setting(configured);
    seen.forEach((ms, index) => {
      const cell = index % 2 === 0 ? PoolCell.longest : PoolCell.longestBefore;
      table.cells[table.pool(index >> 1, pool.slot) + cell] = ms;
    });
    return drainWindow(table, pool);
  };

  test("is what is configured, whatever was seen", () => {
    expect(window(7_000, 90_000)).toEqual({ configured: 7_000, longestSeen: 90_000, window: 7_000 });
  });

  test("is one and a half times the longest request of any worker and either period, within bounds", () => {
    expect(window("auto").window).toBe(30_000);
    expect(window("auto", 20).window).toBe(5_000);
    expect(window("auto", 100, 200, 300, 12_345)).toEqual({
      configured: "auto",
      longestSeen: 12_345,
      window: 19_000,
    });
    expect(window("auto", 3_600_000).window).toBe(300_000);
  });
});

test("what is in flight, in words", () => {
  expect([counted(0, 0), counted(1, 0), counted(0, 1), counted(2, 3)]).toEqual([
    "nothing",
    "1 request",
    "1 tunnel",
    "2 requests and 3 tunnels",
  ]);
});

test("a probe's drain is the same drain; a reload that takes the probe away ends it", () => {
  const at = setting();
  const probed = { ...at.pool, readiness };
  at.states.apply([probed]);
  at.states.judge("app", at.one, "ready", "passed");
  at.states.judge("app", at.two, "ready", "passed");
  at.put("inFlight", 1);
  at.states.judge("app", at.one, "draining", "status 404");
  expect(at.cells()).toEqual([at.time.wall(), at.time.wall() + 10_000]);
  // An operator's window counts from when it is asked for.
  at.time.advance(1_000);
  at.states.ask("app", at.one.id, "draining", "hurry", 500);
  expect(at.cells()[1]).toBe(at.time.wall() + 500);
  at.states.ask("app", at.one.id, "ready", "leave it to the probe");
  expect(at.cells()[1]).toBe(at.time.wall() + 10_000);
  at.states.apply([at.pool]);
  expect(at.table.cells[at.table.state(0)]).toBe(EndpointState.unknown);
  expect(at.cells()).toEqual([0, 0]);
});
