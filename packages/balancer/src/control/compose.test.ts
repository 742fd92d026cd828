import { expect, test } from "bun:test";
import type { NamePlan, Plan } from "../config/plan.ts";
import type { EndpointPlan, PoolPlan } from "../pool/plan.ts";
import { describeChanges } from "./changes.ts";
import { compose, namesOf } from "./compose.ts";

function endpoint(id: string): EndpointPlan {
  const [host = "", port = ""] = id.split(":");
  return {
    slot: -1,
    id,
    stableId: id,
    address: { kind: "tcp", host, port: Number(port) },
    weight: 1,
    zone: "",
    backup: false,
  };
}

function name(id: string, over: Partial<NamePlan> = {}): NamePlan {
  return { id, kind: "address", name: id, port: 80, weight: 2, zone: "b", backup: false, ...over };
}

function plan(
  pools: Record<string, { endpoints?: readonly EndpointPlan[]; names?: readonly NamePlan[] }>,
  over: object = {},
): Plan {
  return {
    listeners: [],
    pools: Object.entries(pools).map(([pool, { endpoints = [], names = [] }]) => ({
      pool: { name: pool, slot: -1, endpoints } as unknown as PoolPlan,
      names,
    })),
    ...over,
  } as unknown as Plan;
}

const address = (host: string, port = 80, weight = 1, backup = false) => ({ host, port, weight, backup });
const ids = (of: ReturnType<typeof compose>, at = 0) => of.pools[at]?.endpoints.map((each) => each.id);

test("challenges that are open travel with what runs, and their coming and going is a change", () => {
  const proofs = [{ name: "shop.example", cert: "cert", key: "key" }];
  const issued = { challenges: [["token", "body"]] as const, proofs: [], certificatesFor: () => [] };
  const byTls = compose(plan({}), new Map(), new Map(), { ...issued, challenges: [], proofs });
  const [without, open] = [compose(plan({}), new Map(), new Map()), compose(plan({}), new Map(), new Map(), issued)];
  expect([without.challenges, open.challenges]).toEqual([undefined, [["token", "body"]]]);
  expect(describeChanges(without, open)).toEqual(["acme: challenges are answered"]);
  expect(describeChanges(open, without)).toEqual(["acme: no challenge is answered"]);
  expect(describeChanges(open, open)).toEqual([]);
  expect([without.proofs, byTls.proofs, byTls.challenges]).toEqual([undefined, proofs, undefined]);
  expect(describeChanges(without, byTls)).toEqual(["acme: challenges are answered"]);
  expect(describeChanges(byTls, without)).toEqual(["acme: no challenge is answered"]);
});

test("names become endpoints with ids that a person can read and that stay the same", () => {
  const srv = name("srv+_http._tcp.app", { kind: "srv", name: "_http._tcp.app", port: 0, backup: true });
  const made = compose(
    plan({ api: { endpoints: [endpoint("10.0.0.9:80")], names: [name("app:80"), srv, name("lost:80")] } }),
    new Map([
      ["app:80", [address("10.0.0.1"), address("2001:db8::1")]],
      [srv.id, [address("10.0.0.1", 8001, 3)]],
    ]),
    new Map(),
  );
  expect(ids(made)).toEqual([
    "10.0.0.9:80",
    "app:80@10.0.0.1",
    "app:80@[2001:db8::1]",
    "srv+_http._tcp.app@10.0.0.1:8001",
  ]);
  expect(made.pools[0]?.endpoints[3]).toEqual({
    slot: -1,
    id: "srv+_http._tcp.app@10.0.0.1:8001",
    stableId: "srv+_http._tcp.app@10.0.0.1:8001",
    address: { kind: "tcp", host: "10.0.0.1", port: 8001 },
    serverName: "app",
    weight: 6,
    zone: "b",
    backup: true,
  });
});

test("endpoints set at run time replace a pool's own, and only that pool's", () => {
  const configured = plan({ app: { endpoints: [endpoint("1.1.1.1:1")] }, api: { endpoints: [endpoint("2.2.2.2:2")] } });
  const made = compose(configured, new Map(), new Map([["app", [endpoint("3.3.3.3:3")]]]));
  expect([ids(made, 0), ids(made, 1)]).toEqual([["3.3.3.3:3"], ["2.2.2.2:2"]]);
});

test("a name in two pools is asked for once", () => {
  expect(
    namesOf(plan({ a: { names: [name("x")] }, b: { names: [name("x"), name("y")] } })).map((each) => each.id),
  ).toEqual(["x", "y"]);
});

test("a change is told in words: what came, went, moved and differs", () => {
  const listener = (over: object) => ({
    name: "web",
    slot: 0,
    address: { host: "::", port: 80 },
    routes: [],
    timeouts: {},
    ...over,
  });
  const pool = (over: object) => ({
    name: "api",
    slot: 0,
    balance: "p2c",
    endpoints: [endpoint("1.1.1.1:1")],
    ...over,
  });
  const engine = (listeners: object[], pools: object[]) => ({ listeners, pools }) as never;
  const before = engine([listener({})], [pool({})]);
  expect(describeChanges(before, engine([listener({})], [pool({})]))).toEqual([]);
  expect(describeChanges(before, engine([listener({ address: { host: "::", port: 81 } })], []))).toEqual([
    "listener web: moved from [::]:80 to [::]:81",
    "pool api removed",
  ]);
  const route = { name: "web.routes[0]", rewrite: null };
  const routed = engine([listener({ routes: [route] })], [pool({ balance: "random" }), pool({ name: "b" })]);
  expect(describeChanges(before, routed)).toEqual([
    "listener web: route web.routes[0] added",
    "pool api: settings changed",
    "pool b added",
  ]);
  const moved = [endpoint("2.2.2.2:2"), { ...endpoint("1.1.1.1:1"), weight: 9 }];
  expect(describeChanges(before, engine([listener({ timeouts: { idle: 1 } })], [pool({ endpoints: moved })]))).toEqual([
    "listener web: settings changed",
    "pool api: endpoint 2.2.2.2:2 added",
    "pool api: endpoint 1.1.1.1:1 changed",
  ]);
  const other = engine([listener({ routes: [{ ...route, rewrite: 1 }] })], [pool({})]);
  expect(describeChanges(engine([listener({ routes: [route] })], [pool({})]), other)).toEqual([
    "listener web: route web.routes[0] changed",
  ]);
});
