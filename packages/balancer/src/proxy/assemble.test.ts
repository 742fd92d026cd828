import { describe, expect, test } from "bun:test";
import { makeTable, makeWorker } from "../pool/fixtures.ts";
import { assemble, type EnginePlan } from "./assemble.ts";
import { listenerPlan, poolPlan, routePlan } from "./fixtures/plans.ts";
import { answer, get, Stage } from "./fixtures/stage.ts";

const worker = makeWorker(makeTable(1, 32, 4));
const plan = (over: Partial<EnginePlan> = {}): EnginePlan => ({
  listeners: [listenerPlan()],
  pools: [poolPlan()],
  ...over,
});

describe("a snapshot", () => {
  test("keeps the very pools whose plan did not change, and makes the others anew", () => {
    const other = poolPlan(1, { name: "other", slot: 1 });
    const first = assemble(plan({ pools: [poolPlan(), other] }), null, worker);
    const second = assemble(plan({ pools: [poolPlan(1, { balance: "random" }), { ...other }] }), first, worker);
    expect(second.pools.get("other")).toBe(first.pools.get("other"));
    expect(second.pools.get("app")).not.toBe(first.pools.get("app"));
  });

  test("a route that names no pool of the plan is refused, wherever it names it", () => {
    const actions = [
      routePlan({ action: { kind: "pool", pool: "none" } }),
      routePlan({
        action: {
          kind: "split",
          parts: [
            { pool: "app", weight: 1 },
            { pool: "none", weight: 0 },
          ],
        },
      }),
      routePlan({ mirror: "none" }),
    ];
    for (const route of actions) {
      expect(() => assemble(plan({ listeners: [listenerPlan({ routes: [route] })] }), null, worker)).toThrow(
        "route all names the pool none, which does not exist",
      );
    }
  });

  test("a route's own times take the place of its pool's, one by one", () => {
    const route = routePlan({ timeouts: { firstByte: 5 } });
    const made = assemble(plan({ listeners: [listenerPlan({ routes: [route] })] }), null, worker);
    const timeouts = made.listeners.get("web")?.routes[0]?.destination?.timeouts;
    expect(timeouts).toMatchObject({ ...poolPlan().timeouts, firstByte: 5 });
  });

  test("nobody is trusted unless the plan says so", () => {
    expect(assemble(plan(), null, worker).listeners.get("web")?.trusted).toBeNull();
    const trusting = plan({ listeners: [listenerPlan({ trustedProxies: ["10.0.0.0/8"] })] });
    const trusted = assemble(trusting, null, worker).listeners.get("web")?.trusted;
    expect([trusted?.contains("10.1.1.1"), trusted?.contains("11.1.1.1")]).toEqual([true, false]);
  });
});

describe("swapping", () => {
  test("what cannot be built changes nothing and says why", () => {
    const stage = new Stage();
    const prepared = stage.engine.prepare(plan({ pools: [] }));
    expect(prepared).toEqual({ problem: "route all names the pool app, which does not exist" });
    stage.asking(get);
    expect(stage.connects).toBe(1);
  });

  test("an exchange ends on the snapshot it began with; the next one on its connection sees the new", () => {
    const stage = new Stage();
    const client = stage.asking(get);
    const action = { kind: "fixed", status: 200, contentType: "text/plain", body: "new" } as const;
    stage.run({ listeners: [listenerPlan({ routes: [routePlan({ action })] })] });
    stage.origin().send(answer("old"));
    expect(client.news()).toEndWith("old");
    client.send(get);
    expect(client.news()).toEndWith("new");
    expect(stage.connects).toBe(1);
  });

  test("an endpoint that stays keeps its idle connections", () => {
    const stage = new Stage();
    const client = stage.asking(get);
    stage.origin().send(answer());
    stage.run({ pools: [poolPlan(2, { balance: "first" })] });
    client.send(get);
    expect(stage.connects).toBe(1);
    expect(stage.endpointCell("reuses")).toBe(1);
  });
});
