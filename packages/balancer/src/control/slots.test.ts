import { expect, test } from "bun:test";
import fc from "fast-check";
import type { EndpointPlan, PoolPlan } from "../pool/plan.ts";
import type { EnginePlan } from "../proxy/assemble.ts";
import type { ListenerPlan } from "../proxy/plan.ts";
import { endpointKey, Slots, type SlotClaim, type SlotUse } from "./slots.ts";

function endpoint(port: number, id = `127.0.0.1:${port}`): EndpointPlan {
  return {
    slot: -1,
    id,
    stableId: id,
    address: { kind: "tcp", host: "127.0.0.1", port },
    weight: 1,
    zone: "",
    backup: false,
  };
}

/** Only what slots look at. */
function plan(pools: Record<string, readonly number[]>, listeners: readonly string[] = []): EnginePlan {
  return {
    listeners: listeners.map((name) => ({ name, slot: -1 }) as ListenerPlan),
    pools: Object.entries(pools).map(
      ([name, ports]) => ({ name, slot: -1, endpoints: ports.map((port) => endpoint(port)) }) as unknown as PoolPlan,
    ),
  };
}

const idle: SlotUse = { busy: () => false, clear: () => {} };

function claimed(slots: Slots, wanted: EnginePlan, now = 0): SlotClaim {
  const claim = slots.claim(wanted, now);
  if ("problem" in claim) throw new Error(claim.problem);
  return claim;
}

function apply(slots: Slots, wanted: EnginePlan, now = 0): EnginePlan {
  const claim = claimed(slots, wanted, now);
  claim.commit(now);
  return claim.plan;
}

/** Slots by key. */
function endpointSlots(of: EnginePlan): Map<string, number> {
  return new Map(of.pools.flatMap((pool) => pool.endpoints.map((each) => [endpointKey(pool.name, each), each.slot])));
}

const shape = { workers: 1, endpoints: 5, pools: 2, listeners: 2 };

test("what stays keeps its slot; what is given up took none", () => {
  const slots = new Slots(shape, idle);
  const first = apply(slots, plan({ a: [1, 2], b: [1] }, ["web"]));
  claimed(slots, plan({ a: [9] }));
  const second = apply(slots, plan({ b: [1], a: [2, 3] }, ["other", "web"]));
  const before = endpointSlots(first);
  for (const [key, slot] of endpointSlots(second)) {
    if (before.has(key)) expect(slot).toBe(before.get(key) ?? -1);
    else expect([...before.values()]).not.toContain(slot);
  }
  expect(second.listeners[1]?.slot).toBe(first.listeners[0]?.slot ?? -1);
  expect(second.pools[1]?.slot).toBe(first.pools[0]?.slot ?? -1);
});

test("the same endpoint in two pools has two slots; another address under the same id has another", () => {
  const slots = new Slots(shape, idle);
  const made = apply(slots, plan({ a: [1], b: [1] }));
  expect(new Set(endpointSlots(made).values()).size).toBe(2);
  expect(endpointKey("a", endpoint(1, "x"))).not.toBe(endpointKey("a", endpoint(2, "x")));
});

test("a slot that was given back rests, waits for what is in flight, and is cleared before it is reused", () => {
  let busy = true;
  const cleared: number[] = [];
  const slots = new Slots(
    { ...shape, endpoints: 1 },
    { busy: () => busy, clear: (kind, slot) => void (kind === "endpoint" && cleared.push(slot)) },
  );
  apply(slots, plan({ a: [1] }));
  apply(slots, plan({ a: [] }), 1000);
  cleared.length = 0;
  expect(slots.claim(plan({ a: [2] }), 2000)).toEqual({ problem: expect.stringContaining("room for 1 endpoints") });
  expect(slots.claim(plan({ a: [2] }), 100_000)).toHaveProperty("problem");
  busy = false;
  expect(slots.claim(plan({ a: [2] }), 2000)).toHaveProperty("problem");
  expect(apply(slots, plan({ a: [2] }), 100_000).pools[0]?.endpoints[0]?.slot).toBe(0);
  expect(cleared).toEqual([0]);
});

test("an endpoint that comes back finds its numbers again", () => {
  const cleared: number[] = [];
  const slots = new Slots(shape, { busy: () => false, clear: (_, slot) => void cleared.push(slot) });
  const before = endpointSlots(apply(slots, plan({ a: [1, 2] })));
  apply(slots, plan({ a: [2] }), 10);
  cleared.length = 0;
  expect(endpointSlots(apply(slots, plan({ a: [1, 2] }), 20))).toEqual(before);
  expect(cleared).toEqual([]);
});

test("over any history no two things share a slot, and none lies outside the table", () => {
  const ports = fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { maxLength: 8 });
  const step = fc.record({ a: ports, b: ports, wait: fc.constantFrom(0, 30_000, 70_000), commit: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const slots = new Slots({ ...shape, endpoints: 12 }, idle);
      let now = 0;
      let last = new Map<string, number>();
      for (const { a, b, wait, commit } of steps) {
        now += wait;
        const claim = slots.claim(plan({ a, b }), now);
        if ("problem" in claim) continue;
        const given = endpointSlots(claim.plan);
        expect(new Set(given.values()).size).toBe(a.length + b.length);
        for (const [key, slot] of given) {
          expect(slot).toBeGreaterThanOrEqual(0);
          expect(slot).toBeLessThan(12);
          if (last.has(key)) expect(slot).toBe(last.get(key) ?? -1);
        }
        if (!commit) continue;
        claim.commit(now);
        last = given;
      }
    }),
    { numRuns: 300 },
  );
});
