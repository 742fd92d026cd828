import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { poolPlan } from "../../pool/fixtures.ts";
import type { DeclaredPlan, PoolPlan, PoolTimeouts, RetryOn, RetryPlan } from "../../pool/plan.ts";
import type { RoutePlan } from "../../proxy/plan.ts";
import {
  changesOf,
  hierarchyOf,
  judge,
  mendAll,
  mendsOf,
  noChanges,
  stepOf,
  type Violation,
  worstOf,
} from "./judge.ts";
import { longestAnswer, longestWork, roomForApp } from "./reckon.ts";
import { type Compared, rules, type RuleId } from "./rules.ts";
import { valuesOf, type Values, type Way } from "./settings.ts";
import { waysOf, type HierarchyPlan } from "./ways.ts";

const second = 1000;
const undeclared: DeclaredPlan = { client: 0, app: 0, downstream: 0, keepAlive: 0, stopGrace: 0 };

interface Parts {
  readonly pool?: Partial<PoolPlan>;
  readonly declared?: Partial<DeclaredPlan>;
  readonly timeouts?: Partial<PoolTimeouts>;
  readonly retry?: Partial<RetryPlan>;
  readonly routes?: readonly Partial<RoutePlan>[];
  readonly protocol?: HierarchyPlan["listeners"][number]["protocol"];
  readonly shutdown?: Partial<HierarchyPlan["shutdown"]>;
}

function planOf(parts: Parts): HierarchyPlan {
  const base = poolPlan();
  const pool: PoolPlan = {
    ...base,
    ...parts.pool,
    name: "api",
    declared: { ...undeclared, ...parts.declared },
    timeouts: { ...base.timeouts, ...parts.timeouts },
    retry: { ...base.retry, ...parts.retry },
  };
  const routes = (parts.routes ?? [{}]).map((route, index) => routeOf(index, route));
  return {
    listeners: [{ name: "web", protocol: parts.protocol ?? "http", routes }],
    pools: [pool],
    shutdown: { lag: 2 * second, window: 30 * second, stopGrace: 0, ...parts.shutdown },
  };
}

function routeOf(index: number, route: Partial<RoutePlan>): RoutePlan {
  const own = {
    name: `web.routes[${index}]`,
    action: { kind: "pool", pool: "api" },
    timeouts: {},
    retry: null,
    declared: {},
  };
  return { ...own, ...route } as RoutePlan;
}

function broken(plan: HierarchyPlan): string[] {
  return judge(waysOf(plan)).map(({ way, rule, severity }) => `${severity} ${way.path.at(-1)} ${rule.id}`);
}

function valuesFor(parts: Parts): Values {
  return valuesOf(waysOf(planOf(parts))[0] as Way, noChanges);
}

describe("the longest wait of a client", () => {
  test("tries that may each wait in vain", () => {
    const values = valuesFor({ retry: { on: ["connect", "timeout"] }, timeouts: { connect: 3 * second } });
    expect(longestAnswer(values)).toEqual({
      ms: 126 * second,
      capped: false,
      tries: [
        {
          count: 2,
          parts: [
            { setting: "connect", ms: 3 * second },
            { setting: "firstByte", ms: 60 * second },
          ],
        },
      ],
    });
  });

  test("an application that keeps to its limit has answered or broken off by then", () => {
    expect(longestAnswer(valuesFor({ declared: { app: 30 * second } })).ms).toBe((33 + 63) * second);
    expect(longestAnswer(valuesFor({})).ms).toBe((63 + 63) * second);
  });

  test("only failed connects are repeated", () => {
    expect(longestAnswer(valuesFor({ retry: { on: ["connect"], attempts: 3 } })).ms).toBe((3 + 3 + 63) * second);
  });

  test("a status that is tried again is an answer of the application", () => {
    expect(longestAnswer(valuesFor({ retry: { on: [503] }, declared: { app: second } })).ms).toBe((4 + 63) * second);
  });

  test("per try ends every try, and each may wait in the queue again", () => {
    const limits = { inFlight: 8, queue: 10, queueTimeout: second };
    const values = valuesFor({ timeouts: { perTry: 10 * second }, pool: { limits }, retry: { attempts: 3 } });
    expect(longestAnswer(values).ms).toBe(3 * (1 + 3 + 10) * second);
    expect(longestAnswer(valuesFor({ pool: { limits: { ...limits, queue: 0 } } })).ms).toBe(126 * second);
    expect(longestAnswer(valuesFor({ pool: { limits: { ...limits, inFlight: 0 } } })).ms).toBe(126 * second);
  });

  test("total ends it all", () => {
    expect(longestAnswer(valuesFor({ timeouts: { total: 50 * second } }))).toMatchObject({ ms: 50_000, capped: true });
    expect(longestAnswer(valuesFor({ timeouts: { total: 500 * second } }))).toMatchObject({
      ms: 126_000,
      capped: false,
    });
  });
});

describe("what is left to the application", () => {
  test("is the nearest of three limits, two of which run while the try connects", () => {
    expect(roomForApp(valuesFor({}))).toMatchObject({ ms: 60_000, limit: "firstByte" });
    expect(roomForApp(valuesFor({ timeouts: { perTry: 20_000 } }))).toMatchObject({ ms: 17_000, limit: "perTry" });
    const limits = { inFlight: 1, queue: 1, queueTimeout: 500 };
    expect(roomForApp(valuesFor({ timeouts: { total: 20_000 }, pool: { limits } }))).toMatchObject({
      ms: 16_500,
      limit: "total",
    });
  });
});

describe("the ways of a plan", () => {
  test("routes that set nothing otherwise share their pool's", () => {
    const ways = waysOf(planOf({ routes: [{}, { timeouts: { firstByte: 1 } }, {}, { declared: { app: 5 } }] }));
    expect(ways.map(({ path, routes }) => [path.join("."), routes])).toEqual([
      ["pools.api", ["web.routes[0]", "web.routes[2]"]],
      ["listeners.web.routes.1", ["web.routes[1]"]],
      ["listeners.web.routes.3", ["web.routes[3]"]],
    ]);
    expect(valuesOf(ways[1] as Way, noChanges).firstByte).toBe(1);
    expect(valuesOf(ways[2] as Way, noChanges)).toMatchObject({ app: 5, firstByte: 60_000 });
  });

  test("a pool that no route takes as it is has no way of its own, one without routes has", () => {
    const own = { declared: { app: 5 } };
    expect(waysOf(planOf({ routes: [own] })).map(({ path }) => path[0])).toEqual(["listeners"]);
    expect(waysOf(planOf({ routes: [] })).map(({ path }) => path[0])).toEqual(["pools"]);
  });

  test("redirects and parts of weight 0 lead nowhere", () => {
    const away = { action: { kind: "redirect", to: "/", status: 307 }, declared: { app: 5 } } as const;
    const unused = { action: { kind: "split", parts: [{ pool: "api", weight: 0 }] }, declared: { app: 5 } } as const;
    expect(waysOf(planOf({ routes: [away, unused] })).map(({ path }) => path[0])).toEqual(["pools"]);
  });
});

describe("rules", () => {
  test("nothing declared, nothing broken", () => expect(broken(planOf({}))).toEqual([]));

  /** Everything declared and in order; each case breaks one rung. */
  const good = {
    declared: { client: 100, app: 30, downstream: 20, keepAlive: 5, stopGrace: 50 },
    shutdown: { lag: 2_000, window: 45_000, stopGrace: 48_000 },
    timeouts: { perTry: 40_000, total: 95_000 },
    pool: { drain: { window: 40_000 } },
  };
  const inOrder = (): Parts => ({
    ...good,
    declared: Object.fromEntries(Object.entries(good.declared).map(([key, value]) => [key, value * second])),
  });
  const withDeclared = (declared: Partial<DeclaredPlan>): Parts => {
    const parts = inOrder();
    return { ...parts, declared: { ...parts.declared, ...declared } };
  };

  test("all declared and in order", () => expect(broken(planOf(inOrder()))).toEqual([]));

  const cases: readonly [name: string, parts: Parts, broken: readonly string[]][] = [
    ["client", withDeclared({ client: 86 * second }), ["error api client"]],
    [
      "client, equal",
      { ...withDeclared({ client: 86 * second }), timeouts: { perTry: 40_000, total: 86_000 } },
      ["error api client"],
    ],
    ["first byte", { ...inOrder(), timeouts: { ...good.timeouts, firstByte: 30_000 } }, ["error api firstByte"]],
    ["per try", { ...inOrder(), timeouts: { ...good.timeouts, perTry: 33_000 } }, ["error api perTry"]],
    [
      "total",
      { ...inOrder(), timeouts: { ...good.timeouts, total: 33_000 } },
      ["error api total", "warning api tries"],
    ],
    ["app", withDeclared({ downstream: 30 * second }), ["error api app"]],
    ["drain", { ...inOrder(), pool: { drain: { window: 29_000 } } }, ["error api drain"]],
    ["drain, equal", { ...inOrder(), pool: { drain: { window: 30_000 } } }, ["warning api drain"]],
    ["perTry and total", { timeouts: { perTry: 10_000, total: 10_000 } }, ["warning api tries"]],
    ["stop grace", withDeclared({ stopGrace: 40 * second }), ["error api stopGrace"]],
    ["keep-alive", withDeclared({ keepAlive: 4 * second }), ["error api keepAlive"]],
    ["own window and work", { ...inOrder(), shutdown: { window: 29_000 } }, ["error api shutdown"]],
    ["own window and drain", { ...inOrder(), shutdown: { window: 39_000 } }, ["warning api shutdownDrain"]],
    ["own grace", { ...inOrder(), shutdown: { ...good.shutdown, stopGrace: 47_000 } }, ["error api ownGrace"]],
  ];
  for (const [name, parts, expected] of cases) {
    test(`one rung: ${name}`, () => expect(broken(planOf(parts))).toEqual([...expected]));
  }

  test("partial declarations are held against what is known", () => {
    expect(broken(planOf({ declared: { client: 60 * second } }))).toEqual(["error api client"]);
    expect(broken(planOf({ declared: { downstream: 60 * second } }))).toEqual([
      "error api firstByte",
      "error api drain",
      "error api shutdown",
    ]);
    expect(broken(planOf({ declared: { app: 20 * second } }))).toEqual([]);
  });

  test("an auto drain is held against its longest window", () => {
    const timeouts = { firstByte: 900_000 };
    const pool = { drain: { window: "auto" } } as const;
    const shutdown = { window: 900_000 };
    expect(broken(planOf({ pool, timeouts, shutdown, declared: { app: 299_000, stopGrace: 300_000 } }))).toEqual([]);
    const parts = { pool, timeouts, shutdown, declared: { app: 301_000, stopGrace: 301_000 } };
    expect(broken(planOf(parts))).toEqual(["error api drain", "error api stopGrace"]);
  });

  test("what several ways share is said once, of the worst", () => {
    const routes = [{}, { declared: { app: 50_000 } }, { declared: { app: 40_000 } }];
    const worst = worstOf(judge(waysOf(planOf({ routes, declared: { app: 35_000 } }))));
    expect(worst.map(({ rule, way }) => `${rule.id} ${way.path.at(-1)}`)).toEqual(["drain 1", "shutdown 1"]);
  });

  test("each rule has a sentence for what it prevents", () => {
    for (const { why, say } of rules) {
      expect(why.length).toBeGreaterThan(40);
      expect(why).not.toMatch(/\.$/);
      expect(say(valuesFor(inOrder()))).toMatch(/\d+(s|m)/);
    }
    expect(new Set(rules.map(({ id }) => id)).size).toBe(rules.length);
  });
});

/** Any values, those that no one would write included; 0 = not said. */
const time = fc.oneof(
  fc.integer({ min: 1, max: 120 }).map((seconds) => seconds * second),
  fc.integer({ min: 1, max: 400_000 }),
);
const orNothing = fc.oneof({ weight: 1, arbitrary: fc.constant(0) }, { weight: 3, arbitrary: time });
const anyRetry = fc.record({
  attempts: fc.integer({ min: 1, max: 5 }),
  on: fc.subarray<RetryOn>(["connect", "reset", "timeout", 503]),
});
const optional = <T>(value: fc.Arbitrary<T>, key: string) =>
  fc.option(value, { nil: undefined }).map((found) => (found === undefined ? {} : { [key]: found }));
const anyRoute = fc
  .tuple(
    optional(time, "firstByte"),
    optional(time, "connect"),
    optional(orNothing, "perTry"),
    optional(time, "client"),
    optional(time, "app"),
    optional(time, "downstream"),
    fc.option(anyRetry),
  )
  .map(([firstByte, connect, perTry, client, app, downstream, retry]): Partial<RoutePlan> => ({
    timeouts: { ...firstByte, ...connect, ...perTry },
    declared: { ...client, ...app, ...downstream },
    retry: retry === null ? null : { ...poolPlan().retry, ...retry },
  }));
const anyPlan = fc
  .record({
    declared: fc.record({
      client: orNothing,
      app: orNothing,
      downstream: orNothing,
      keepAlive: orNothing,
      stopGrace: orNothing,
    }),
    timeouts: fc.record({ connect: time, firstByte: time, perTry: orNothing, total: orNothing }),
    retry: anyRetry,
    inFlight: fc.integer({ min: 0, max: 1 }),
    queueTimeout: time,
    window: fc.oneof(time, fc.constant("auto" as const)),
    idle: time,
    shutdown: fc.record({ lag: orNothing, window: time, stopGrace: orNothing }),
    routes: fc.array(anyRoute, { maxLength: 3 }),
  })
  .map(({ declared, timeouts, retry, inFlight, queueTimeout, window, idle, shutdown, routes }) =>
    planOf({
      declared,
      timeouts,
      retry,
      shutdown,
      routes: [{}, ...routes],
      pool: {
        limits: { inFlight, queue: 10, queueTimeout },
        drain: { window },
        keepAlive: { maxIdle: 4, idle, maxRequests: 0 },
      },
    }),
  );

describe("any plan", () => {
  test("is judged as the definition says", () => {
    fc.assert(
      fc.property(anyPlan, (plan) => {
        for (const way of waysOf(plan)) {
          const values = valuesOf(way, noChanges);
          const found = new Set(judge([way]).map(({ rule }) => rule.id));
          const { client, app, downstream, keepAlive, idle, drainWindow, shutdownWindow, ownGrace, shutdownLag } =
            values;
          const work = longestWork(values);
          const expected = new Map<RuleId, boolean>([
            ["client", client > 0 && client <= longestAnswer(values).ms],
            ["app", app > 0 && downstream > 0 && app <= downstream],
            ["drain", work > 0 && drainWindow <= work],
            ["keepAlive", keepAlive > 0 && keepAlive <= idle],
            ["shutdown", work > 0 && shutdownWindow < work],
            ["ownGrace", ownGrace > 0 && ownGrace <= shutdownLag + shutdownWindow],
          ]);
          for (const [rule, is] of expected) expect([rule, found.has(rule)]).toEqual([rule, is]);
          const short = found.has("firstByte") || found.has("perTry") || found.has("total");
          expect(short).toBe(work > 0 && roomForApp(values).ms <= work);
        }
      }),
    );
  });

  test("is mended by each mend that is offered, and nothing else is broken or made worse by it", () => {
    fc.assert(
      fc.property(anyPlan, (plan) => {
        const ways = waysOf(plan);
        const hierarchy = hierarchyOf(ways);
        const before = new Map(hierarchy.violations.map((each) => [name(each), each.compared]));
        for (const violation of worstOf(hierarchy.violations)) {
          const mends = mendsOf(violation, hierarchy);
          expect(mends.length).toBeGreaterThan(0);
          for (const mend of mends) {
            const after = judge(ways, changesOf(mend));
            expect(after.map(name)).not.toContain(name(violation));
            expect(after.filter((each) => isWorse(each, before)).map(name)).toEqual([]);
          }
        }
      }),
    );
  });

  test("is mended with the nearest values: a step less will not do", () => {
    fc.assert(
      fc.property(anyPlan, (plan) => {
        const ways = waysOf(plan);
        const hierarchy = hierarchyOf(ways);
        const before = new Map(hierarchy.violations.map((each) => [name(each), each.compared]));
        for (const violation of worstOf(hierarchy.violations)) {
          for (const mend of mendsOf(violation, hierarchy)) {
            const [first] = mend;
            if (first === undefined) continue;
            const now = violation.values[first.setting];
            const raised = now !== 0 || first.setting === violation.rule.lift ? first.value > now : false;
            const step = first.setting === "attempts" ? 1 : stepOf(first.value);
            const less = raised ? first.value - step : first.value + step;
            // Nearer by a step would be what it is now, or beyond.
            if (now !== 0 && (raised ? less <= now : less >= now)) continue;
            // The rest of the mend as it is, so that only the step counts.
            const after = judge(ways, new Map([...changesOf(mend), [first.key, less]]));
            const worse = after.some((each) => name(each) === name(violation) || isWorse(each, before));
            expect(worse).toBe(true);
          }
        }
      }),
    );
  });

  test("can be mended whole", () => {
    fc.assert(
      fc.property(anyPlan, (plan) => {
        const ways = waysOf(plan);
        const all = mendAll(hierarchyOf(ways));
        expect(all).not.toBeNull();
        expect(judge(ways, changesOf(all ?? []))).toEqual([]);
      }),
    );
  });
});

function isWorse(violation: Violation, before: ReadonlyMap<string, Compared>): boolean {
  const was = before.get(name(violation));
  const { lower, upper } = violation.compared;
  return was === undefined || lower - upper > was.lower - was.upper;
}

function name({ way, rule }: { readonly way: Way; readonly rule: { readonly id: string } }): string {
  return `${way.path.join(".")} ${rule.id}`;
}

test("a pool to which bytes alone are passed has no answers to wait for: what counts is connecting, and the windows", () => {
  const pool = { limits: { inFlight: 10, queue: 10, queueTimeout: second } };
  const [way] = waysOf(planOf({ pool, protocol: "tcp" }));
  expect(longestAnswer(valuesOf(way as Way, noChanges))).toEqual({
    ms: 8 * second,
    tries: [
      {
        count: 2,
        parts: [
          { setting: "queueTimeout", ms: second },
          { setting: "connect", ms: 3 * second },
        ],
      },
    ],
    capped: false,
  });
  const [read] = waysOf(planOf({ pool }));
  expect(longestAnswer(valuesOf(read as Way, noChanges)).ms).toBeGreaterThan(60 * second);
});
