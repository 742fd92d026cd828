import { expect, test } from "bun:test";
import fc from "fast-check";
import { EndpointState, SharedTable, StateCell } from "../observe/table.ts";
import type { EndpointPlan, PoolPlan } from "../pool/plan.ts";
import { EndpointStates, type AskedState, type Verdict } from "./endpoint-states.ts";

function endpoint(slot: number): EndpointPlan {
  return {
    slot,
    id: `e${slot}`,
    stableId: `e${slot}`,
    address: { kind: "tcp", host: "10.0.0.1", port: slot + 1 },
    weight: 1,
    zone: "",
    backup: false,
  };
}

/** Only what states look at. */
function pool(slots: readonly number[], probed = true): PoolPlan {
  const readiness = probed ? {} : null;
  return { name: "app", failOpen: true, readiness, endpoints: slots.map(endpoint) } as unknown as PoolPlan;
}

function setting() {
  const table = SharedTable.local({ workers: 1, endpoints: 4, pools: 1, listeners: 1 });
  const events: string[] = [];
  const texts: string[] = [];
  const drains: string[] = [];
  let now = 1000;
  const states = new EndpointStates(
    table,
    { now: () => now, wall: () => now },
    {
      event: (_, name, text) => {
        events.push(name);
        texts.push(text);
      },
    },
    {
      begin: (_, { id }, window) => {
        drains.push(`begin ${id}`);
        return window ?? 0;
      },
      end: (_, { id }) => void drains.push(`end ${id}`),
      leave: () => {},
    },
  );
  const cell = (slot: number, which: number) => table.cells[table.state(slot) + which];
  return {
    states,
    events,
    texts,
    /** Drains begun and ended, from the first one on. */
    get drains(): readonly string[] {
      return drains.slice(
        Math.max(
          0,
          drains.findIndex((one) => one.startsWith("begin")),
        ),
      );
    },
    pass: (ms: number) => (now += ms),
    state: (slot: number) =>
      Object.entries(EndpointState).find(([, value]) => value === cell(slot, StateCell.state))?.[0],
    since: (slot: number) => cell(slot, StateCell.since),
    warmFrom: (slot: number) => cell(slot, StateCell.warmFrom),
  };
}

test("a verdict is written for all workers, with its time and its reason", () => {
  const at = setting();
  at.states.apply([pool([0, 1])]);
  expect(at.state(0)).toBe("unknown");
  at.pass(500);
  at.states.judge("app", endpoint(0), "ready", "a probe passed: status 200");
  expect([at.state(0), at.since(0)]).toEqual(["ready", 1500]);
  expect(at.states.find("app", "e0")?.reason).toBe("a probe passed: status 200");
  at.states.judge("app", endpoint(0), "ready", "again");
  expect(at.events).toEqual(["endpoint.ready"]);
});

test("an operator's word stands above the probes', until it is taken back", () => {
  const at = setting();
  at.states.apply([pool([0])]);
  at.states.judge("app", endpoint(0), "ready", "passed");
  expect(at.states.ask("app", "e0", "draining", "deploy")).toBe("");
  expect(at.state(0)).toBe("draining");
  at.states.judge("app", endpoint(0), "unready", "failed");
  expect(at.state(0)).toBe("draining");
  expect(at.states.find("app", "e0")?.reason).toBe("deploy");
  expect(at.states.ask("app", "e0", "ready", "deploy is over")).toBe("");
  expect(at.state(0)).toBe("unready");
  expect(at.states.find("app", "e0")?.reason).toBe("failed");
  expect(at.states.ask("app", "e9", "ready", "")).toBe("pool app has no endpoint e9; it has e0");
  expect(at.states.ask("api", "e0", "ready", "")).toBe(
    "there is no endpoint in a pool called api; pools with endpoints are app",
  );
});

test("states outlive a reload, but mean nothing once nobody probes; a new probe takes nobody out", () => {
  const at = setting();
  at.states.apply([pool([0, 1])]);
  at.states.judge("app", endpoint(0), "unready", "failed");
  at.states.ask("app", "e1", "disabled", "broken");
  at.states.apply([pool([0, 1, 2])]);
  expect([at.state(0), at.state(1), at.state(2)]).toEqual(["unready", "disabled", "unknown"]);
  at.states.apply([pool([0, 1, 2], false)]);
  expect([at.state(0), at.state(1)]).toEqual(["unknown", "disabled"]);
  at.states.apply([pool([0, 1, 2])]);
  expect([at.state(0), at.state(1), at.state(2)]).toEqual(["ready", "disabled", "ready"]);
  // Gone and back: what an operator said about the old one is forgotten with it.
  at.states.apply([pool([0])]);
  at.states.apply([pool([0, 1])]);
  expect(at.state(1)).toBe("unknown");
});

test("a pool in which nobody is ready is told once, and once when it is over", () => {
  const at = setting();
  at.states.apply([pool([0, 1])]);
  at.states.judge("app", endpoint(0), "unready", "failed");
  expect(at.events).not.toContain("pool.unready");
  at.states.judge("app", endpoint(1), "unready", "failed");
  at.states.apply([pool([0, 1])]);
  at.states.judge("app", endpoint(0), "ready", "passed");
  expect(at.events.filter((name) => name.startsWith("pool."))).toEqual(["pool.unready", "pool.ready"]);
  at.pass(10_000);
  // Draining the last ready one is an operator's doing, and still what somebody must know.
  at.states.ask("app", "e0", "draining", "deploy");
  expect(at.events.at(-1)).toBe("pool.unready");
});

test("of a pool that fails open it is told how many are asked: primaries, backups only where there are none", () => {
  const at = setting();
  const three = pool([0, 1, 2]);
  const [a, b, c] = three.endpoints as [EndpointPlan, EndpointPlan, EndpointPlan];
  const backup = { ...c, backup: true };
  at.states.apply([{ ...three, endpoints: [a, b, backup] }]);
  for (const one of [a, b, backup]) at.states.judge("app", one, "unready", "status 503");
  expect(at.texts.at(-1)).toContain("requests go to 2 that are not known to be ready");
});

test("a pool that comes and goes is not told of each time, but never left wrongly told", () => {
  const at = setting();
  at.states.apply([pool([0])]);
  const flip = (verdict: Verdict) => at.states.judge("app", endpoint(0), verdict, "");
  const told = () => at.events.filter((name) => name.startsWith("pool."));
  flip("unready");
  for (let i = 0; i < 20; i++) {
    flip("ready");
    flip("unready");
  }
  expect(told()).toEqual(["pool.unready", "pool.ready"]);
  expect(at.states.failsOpen("app")).toBe(true);
  at.states.remind();
  expect(told().length).toBe(2);
  at.pass(10_000);
  at.states.remind();
  at.states.remind();
  expect(told()).toEqual(["pool.unready", "pool.ready", "pool.unready"]);
  expect(at.texts.at(-1)).toEndWith("it came and went 20 times since it was last told");
  flip("ready");
  expect(told().at(-1)).toBe("pool.ready");
  expect(at.states.failsOpen("app")).toBe(false);
});

test("an endpoint that asks for it drains, and an operator's word is above that", () => {
  const at = setting();
  at.states.apply([pool([0, 1])]);
  for (const slot of [0, 1]) at.states.judge("app", endpoint(slot), "ready", "passed");
  at.states.judge("app", endpoint(0), "draining", "asked");
  expect([at.state(0), at.drains]).toEqual(["draining", ["begin e0"]]);
  at.states.judge("app", endpoint(0), "ready", "passed");
  expect([at.state(0), at.drains]).toEqual(["ready", ["begin e0", "end e0"]]);
  at.states.ask("app", "e0", "draining", "deploy");
  at.states.judge("app", endpoint(0), "draining", "asked");
  at.states.judge("app", endpoint(0), "ready", "passed");
  expect([at.state(0), at.states.find("app", "e0")?.reason]).toEqual(["draining", "deploy"]);
  at.states.ask("app", "e0", "ready", "");
  expect(at.state(0)).toBe("ready");
});

test("where nobody else is ready, who asks to be drained is asked all the same, until somebody is", () => {
  const at = setting();
  at.states.apply([pool([0, 1])]);
  for (const slot of [0, 1]) at.states.judge("app", endpoint(slot), "ready", "passed");
  at.states.judge("app", endpoint(0), "draining", "asked");
  at.states.judge("app", endpoint(1), "draining", "asked");
  expect([at.state(0), at.state(1)]).toEqual(["unready", "unready"]);
  expect(at.states.failsOpen("app")).toBe(true);
  expect(at.states.find("app", "e0")?.reason).toBe("asked to be drained, but nobody else is ready; asked");
  at.states.judge("app", endpoint(1), "ready", "passed");
  expect([at.state(0), at.state(1)]).toEqual(["draining", "ready"]);
  expect(at.states.failsOpen("app")).toBe(false);
  // What an operator took out stays out, also when that leaves nobody.
  at.states.ask("app", "e1", "disabled", "broken");
  at.states.ask("app", "e0", "disabled", "broken");
  expect(at.states.failsOpen("app")).toBe(false);
  // And without fail open nobody is asked who would rather not be.
  at.states.apply([{ ...pool([0, 1]), failOpen: false }]);
  at.states.ask("app", "e0", "ready", "");
  expect(at.state(0)).toBe("draining");
});

test("over any history the table says what probes and operators said last", () => {
  const slot = fc.integer({ min: 0, max: 3 });
  const step = fc.oneof(
    fc.record({ kind: fc.constant("judge" as const), slot, verdict: fc.constantFrom<Verdict>("ready", "unready") }),
    fc.record({
      kind: fc.constant("ask" as const),
      slot,
      asked: fc.constantFrom<AskedState>("ready", "draining", "disabled"),
    }),
    fc.record({ kind: fc.constant("reload" as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const at = setting();
      at.states.apply([pool([0, 1, 2, 3])]);
      const verdicts: Verdict[] = ["unknown", "unknown", "unknown", "unknown"];
      const asked: AskedState[] = ["ready", "ready", "ready", "ready"];
      for (const each of steps) {
        if (each.kind === "judge") {
          at.states.judge("app", endpoint(each.slot), each.verdict, "seen");
          verdicts[each.slot] = each.verdict;
        } else if (each.kind === "ask") {
          at.states.ask("app", `e${each.slot}`, each.asked, "asked");
          asked[each.slot] = each.asked;
        } else at.states.apply([pool([0, 1, 2, 3])]);
        for (let i = 0; i < 4; i++) expect(at.state(i)).toBe(asked[i] === "ready" ? verdicts[i] : asked[i]);
      }
    }),
  );
});

test("what joins or comes back begins to warm up; the balancer's own start and reloads warm nobody", () => {
  const at = setting();
  at.states.apply([pool([0, 1, 2])]);
  at.states.judge("app", endpoint(0), "ready", "passed");
  at.states.judge("app", endpoint(1), "unready", "failed");
  at.states.apply([pool([0, 1, 2])]);
  at.pass(500);
  at.states.judge("app", endpoint(2), "ready", "passed");
  expect([at.warmFrom(0), at.warmFrom(1), at.warmFrom(2)]).toEqual([0, 0, 0]);
  // It was judged before: whatever made it fail is over only now.
  at.states.judge("app", endpoint(1), "ready", "passed");
  expect(at.warmFrom(1)).toBe(1500);
  at.pass(500);
  at.states.ask("app", "e0", "draining", "deploy");
  expect(at.warmFrom(0)).toBe(0);
  at.states.ask("app", "e0", "ready", "deploy is over");
  expect(at.warmFrom(0)).toBe(2000);
  at.pass(500);
  at.states.apply([pool([0, 1, 2, 3])]);
  expect(at.warmFrom(3)).toBe(0);
  at.states.judge("app", endpoint(3), "ready", "passed");
  expect(at.warmFrom(3)).toBe(2500);
  // Nobody is probed any more, then again: all of them have had work all the time.
  at.pass(500);
  at.states.apply([pool([0, 1, 2, 3], false)]);
  at.states.apply([pool([0, 1, 2, 3])]);
  expect([0, 1, 2, 3].map(at.warmFrom)).toEqual([2000, 1500, 0, 2500]);
});

test("an endpoint that joins a pool without probes warms up from that moment", () => {
  const at = setting();
  at.states.apply([pool([0], false)]);
  at.pass(500);
  at.states.apply([pool([0, 1], false)]);
  expect([at.warmFrom(0), at.warmFrom(1)]).toEqual([0, 1500]);
});

test("a change of one does not make the keys of all others anew: of a thousand that is 1.5 ms each time", () => {
  const { states } = setting();
  let read = 0;
  const one = pool([0, 1, 2, 3]);
  const watched = one.endpoints.map((each) =>
    Object.defineProperty({ ...each }, "address", { get: () => (read++, each.address), enumerable: true }),
  );
  states.apply([{ ...one, endpoints: watched }]);
  const reads = ["ready", "unready", "ready"].map((verdict) => {
    read = 0;
    states.judge("app", watched[2]!, verdict as Verdict, "seen");
    return read;
  });
  // The key of the one that changed is made three times at most; those of the others never.
  expect(Math.max(...reads)).toBeLessThanOrEqual(3);
  expect(states.of("app", watched[2]!)?.state).toBe("ready");
});
