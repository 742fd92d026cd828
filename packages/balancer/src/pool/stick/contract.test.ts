// What every way of sticking must keep to. A new one is tested here once it says how a client speaks to it.
import { describe, expect, test } from "bun:test";
import { SharedTable } from "../../observe/table.ts";
import { endpointPlan, makeWorker, poolPlan, seeded } from "../fixtures.ts";
import { Endpoint } from "../endpoint.ts";
import type { StickName, StickyPlan } from "../plan.ts";
import { cookiePlan, stickyPlan, visitor } from "./fixtures.ts";
import { Carried, newVisit, resetVisit, type Stick, type StickyRequest, type Visit } from "./stick.ts";
import { sticks } from "./table.ts";

/** A worker's view of a pool under one stick. */
function stage(by: StickName, ids: readonly string[], over: Partial<StickyPlan> = {}, table = tableOf()) {
  const worker = makeWorker(table);
  const plan = poolPlan({ sticky: stickyPlan(by, over) });
  const load = { own: 0, others: 0 };
  const endpoints = ids.map((id) => {
    // A slot is the same in all workers: "a" has 0.
    const slot = id.charCodeAt(0) - 97;
    return new Endpoint(plan, endpointPlan(slot, { id, stableId: id }), worker, load);
  });
  const out = new Set<Endpoint>();
  const stick = sticks[by].build(stickyPlan(by, over), {
    table,
    slot: 0,
    endpoints,
    weights: endpoints.map(() => 1),
    inRotation: (endpoint) => !out.has(endpoint),
  });
  return { endpoints, out, stick, worker };
}

function tableOf(): SharedTable {
  return SharedTable.local({ workers: 2, endpoints: 16, pools: 1, listeners: 1, sessions: 1024 });
}

function read(stick: Stick, request: StickyRequest, now = 1_000_000): Visit {
  const visit = newVisit();
  stick.read(request, now, visit);
  return visit;
}

const ids = ["a", "b", "c", "d"];
const names = Object.keys(sticks) as StickName[];

describe.each(names)("%s", (by) => {
  test("goes by the name it has in the table, and says how it goes", () => {
    expect(sticks[by].name).toBe(by);
    expect(stage(by, ids).stick.name).toBe(by);
    expect(sticks[by].how).toMatch(/^by .{8,60}[^.]$/);
  });

  test("a client that carries nothing belongs nowhere", () => {
    const { stick } = stage(by, ids);
    const visit = read(stick, { header: () => undefined, cookie: () => undefined, source: () => "" });
    expect([visit.endpoint, visit.carried, visit.stale]).toEqual([null, Carried.nothing, false]);
  });

  test("a client stays where it is, request after request", () => {
    const { stick, endpoints } = stage(by, ids);
    for (let i = 0; i < 40; i++) {
      const client = visitor(by, i);
      client.visit(stick, endpoints[i % 4]!);
      const home = read(stick, client.request()).endpoint;
      expect(home).not.toBeNull();
      for (let again = 0; again < 3; again++) expect(read(stick, client.request()).endpoint).toBe(home);
    }
  });

  test("it is the same in another worker, after a reload in another order, and beside endpoints that come and go", () => {
    const table = tableOf();
    const here = stage(by, ids, {}, table);
    const there = stage(by, [...ids, "e"].toReversed(), {}, table);
    const elsewhere = new Map(there.endpoints.map((endpoint) => [endpoint.stableId, endpoint]));
    let same = 0;
    for (let i = 0; i < 200; i++) {
      const client = visitor(by, i);
      client.visit(here.stick, here.endpoints[i % 4]!);
      const home = read(here.stick, client.request()).endpoint!;
      if (read(there.stick, client.request()).endpoint === elsewhere.get(home.stableId)) same++;
    }
    // A hash gives the newcomer its fifth; who is remembered stays.
    expect(same).toBeGreaterThanOrEqual(by === "cookie" || by === "appCookie" ? 200 : 130);
  });

  test("balancers that share nothing but the configuration agree", () => {
    const [here, there] = [stage(by, ids), stage(by, ids.toReversed())];
    for (let i = 0; i < 100; i++) {
      const client = visitor(by, i);
      // The application's cookie is learned by nobody here.
      if (by === "cookie") client.visit(here.stick, here.endpoints[i % 4]!);
      const [one, other] = [read(here.stick, client.request()), read(there.stick, client.request())];
      expect(one.endpoint).not.toBeNull();
      expect(other.endpoint?.stableId).toBe(one.endpoint?.stableId);
    }
  });

  test("clients are spread over all endpoints by what they carry", () => {
    if (by === "cookie") return; // the pool's algorithm spreads them
    const { stick, endpoints } = stage(by, ids);
    const counts = new Map(endpoints.map((endpoint) => [endpoint, 0]));
    for (let i = 0; i < 2000; i++) {
      const { endpoint } = read(stick, visitor(by, i).request());
      counts.set(endpoint!, counts.get(endpoint!)! + 1);
    }
    for (const count of counts.values()) expect(count).toBeGreaterThan(300);
  });

  test("does not fall over whatever a client sends", () => {
    const { stick } = stage(by, ids);
    const random = seeded(5);
    for (let i = 0; i < 2000; i++) {
      const length = Math.floor(random() * 80);
      const junk = Array.from({ length }, () => String.fromCharCode(Math.floor(random() * 256))).join("");
      const visit = newVisit();
      stick.read(
        { header: () => junk, cookie: (_, nth = 0) => (nth < 9 ? junk : undefined), source: () => junk },
        i,
        visit,
      );
      if (by === "cookie") expect(visit.endpoint).toBeNull();
    }
  });

  test("an empty pool has nobody", () => {
    const { stick } = stage(by, []);
    const { stick: other, endpoints } = stage(by, ids);
    const client = visitor(by, 1);
    client.visit(other, endpoints[0]!);
    expect(read(stick, client.request()).endpoint).toBeNull();
  });

  test("a visit is filled anew", () => {
    const { stick, endpoints } = stage(by, ids);
    const client = visitor(by, 3);
    client.visit(stick, endpoints[1]!);
    const visit = newVisit();
    stick.read(client.request(), 1_000_000, visit);
    expect(visit.carried).toBeGreaterThanOrEqual(Carried.known);
    resetVisit(visit);
    expect([visit.endpoint, visit.carried, visit.stale, visit.waitsFor]).toEqual([null, Carried.nothing, false, null]);
  });

  test("what it writes is one whole field line", () => {
    const { stick, endpoints } = stage(by, ids, by === "cookie" ? { cookie: cookiePlan({ maxAge: 60_000 }) } : {});
    for (const secure of [false, true]) {
      const line = stick.write({ ...newVisit(), secure }, endpoints[0]!, 1_000_000);
      if (line !== null)
        expect(Buffer.from(line).toString("latin1")).toMatch(/^[A-Za-z-]+: [\x21-\x7e][\x20-\x7e]*\r\n$/);
    }
  });
});

describe.each(["header", "source"] as const)("%s", (by) => {
  test("when one is out, its clients find the same other one, nobody else moves, and they come back", () => {
    const { stick, endpoints, out } = stage(by, ids);
    const homes = Array.from({ length: 400 }, (_, i) => read(stick, visitor(by, i).request()).endpoint);
    out.add(endpoints[2]!);
    for (const [i, home] of homes.entries()) {
      const now = read(stick, visitor(by, i).request()).endpoint;
      expect(now).not.toBe(endpoints[2]!);
      if (home !== endpoints[2]) expect(now).toBe(home);
      else expect(read(stick, visitor(by, i).request()).endpoint).toBe(now);
    }
    out.clear();
    for (const [i, home] of homes.entries()) expect(read(stick, visitor(by, i).request()).endpoint).toBe(home);
  });
});
