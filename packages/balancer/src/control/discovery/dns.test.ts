import { expect, test } from "bun:test";
import type { NamePlan } from "../../config/plan.ts";
import type { Timers } from "../../net/clock.ts";
import type { Resolved, Resolver, SrvRecord, Unresolved } from "../../net/resolver.ts";
import type { Log } from "../../observe/log.ts";
import { createDiscovery } from "./dns.ts";

type Reply = Resolved<string | SrvRecord> | Unresolved;

const none: Unresolved = { failure: "no such record", kind: "empty" };
const lost: Unresolved = { failure: "no answer within 5 s", kind: "timeout" };
const records = (list: readonly (string | SrvRecord)[], ttl = 60): Reply => ({ records: list, ttl });

/** Discovery over a name server that is a map, in time that the test lets pass. */
function setting() {
  const zone = new Map<string, Reply>();
  const events: string[] = [];
  const asked: string[] = [];
  let changes = 0;
  let waiting: { at: number; run: () => void }[] = [];
  let now = 0;
  const timers: Timers = {
    every: () => () => {},
    after(ms, run) {
      const timer = { at: now + ms, run };
      waiting.push(timer);
      return () => void (waiting = waiting.filter((each) => each !== timer));
    },
  };
  const resolver = {
    resolve: (name: string, type: string) => {
      asked.push(`${name} ${type}`);
      return Promise.resolve(zone.get(`${name} ${type}`) ?? none);
    },
    close: () => {},
  } as unknown as Resolver;
  const log: Log = { event: (_, name) => void events.push(name) };
  const discovery = createDiscovery({ log, onChange: () => void changes++, resolver, timers, random: () => 0.5 });
  return {
    zone,
    events,
    asked,
    discovery,
    changes: () => changes,
    /** Waits until promises have settled. */
    settle: () => Bun.sleep(0),
    async pass(ms: number) {
      now += ms;
      for (;;) {
        const due = waiting.find((timer) => timer.at <= now);
        if (due === undefined) break;
        waiting = waiting.filter((timer) => timer !== due);
        due.run();
        await Bun.sleep(0);
      }
    },
    /** Ms until the next look-up. */
    next: () => Math.min(...waiting.map((timer) => timer.at)) - now,
  };
}

function name(id: string, over: Partial<NamePlan> = {}): NamePlan {
  return { id, kind: "address", name: id, port: 80, weight: 1, zone: "", backup: false, ...over };
}

const hosts = (of: ReturnType<typeof setting>, id: string) =>
  of.discovery.answers
    .get(id)
    ?.map((each) => `${each.host}:${each.port}${each.backup ? " backup" : ""} x${each.weight}`);

test("A and AAAA together, in an order that does not depend on the answer's", async () => {
  const at = setting();
  at.zone.set("app A", records(["10.0.0.2", "10.0.0.1"], 30));
  at.zone.set("app AAAA", records(["2001:db8::1"], 20));
  await at.discovery.watch([name("app")], 5000);
  expect(hosts(at, "app")).toEqual(["10.0.0.1:80 x1", "10.0.0.2:80 x1", "2001:db8::1:80 x1"]);
  // The first answer is waited for, not told.
  expect(at.changes()).toBe(0);
  expect(at.next()).toBe(20_000);
  at.zone.set("app A", records(["10.0.0.1", "10.0.0.2"], 30));
  await at.pass(20_000);
  expect(at.changes()).toBe(0);
  at.zone.set("app A", records(["10.0.0.1", "10.0.0.3"], 30));
  await at.pass(20_000);
  expect(at.changes()).toBe(1);
  expect(hosts(at, "app")?.[1]).toBe("10.0.0.3:80 x1");
});

test("the last good answer stays, whatever goes wrong, and is asked for again sooner and sooner less", async () => {
  const at = setting();
  at.zone.set("app A", records(["10.0.0.1"]));
  await at.discovery.watch([name("app")], 5000);
  for (const failure of [lost, none, { failure: "no such name", kind: "nxdomain" } as const]) {
    at.zone.set("app A", failure);
    await at.pass(at.next());
    expect(hosts(at, "app")).toEqual(["10.0.0.1:80 x1"]);
  }
  expect(at.next()).toBe(4000);
  expect(at.events.filter((event) => event === "discovery.failed").length).toBe(1);
  for (let i = 0; i < 6; i++) await at.pass(at.next());
  expect(at.next()).toBe(30_000);
  at.zone.set("app A", records(["10.0.0.1"]));
  await at.pass(30_000);
  expect(at.events.at(-1)).toBe("discovery.recovered");
  expect(at.changes()).toBe(0);
});

test("one family that cannot be asked for takes none of its addresses away; one that is gone does", async () => {
  const at = setting();
  at.zone.set("app A", records(["10.0.0.1"]));
  at.zone.set("app AAAA", records(["2001:db8::1"]));
  await at.discovery.watch([name("app")], 5000);
  at.zone.set("app AAAA", lost);
  await at.pass(at.next());
  expect(hosts(at, "app")?.length).toBe(2);
  at.zone.set("app AAAA", none);
  await at.pass(at.next());
  expect(hosts(at, "app")).toEqual(["10.0.0.1:80 x1"]);
});

test("SRV: the best priority is the first tier, weights are kept, a lost target keeps the whole answer", async () => {
  const at = setting();
  const srv = name("srv+_http._tcp.app", { kind: "srv", name: "_http._tcp.app", port: 0 });
  at.zone.set(
    "_http._tcp.app SRV",
    records([
      { target: "a", port: 8001, priority: 10, weight: 3 },
      { target: "b", port: 8002, priority: 10, weight: 0 },
      { target: "c", port: 8003, priority: 20, weight: 5 },
    ]),
  );
  at.zone.set("a A", records(["10.0.0.1"], 10));
  at.zone.set("b A", records(["10.0.0.2"]));
  at.zone.set("c A", records(["10.0.0.3"]));
  await at.discovery.watch([srv], 5000);
  const all = ["10.0.0.1:8001 x3", "10.0.0.2:8002 x1", "10.0.0.3:8003 backup x5"];
  expect(hosts(at, srv.id)).toEqual(all);
  expect(at.next()).toBe(10_000);
  at.zone.set("b A", lost);
  await at.pass(at.next());
  expect(hosts(at, srv.id)).toEqual(all);
  at.zone.set("b A", { failure: "gone", kind: "nxdomain" });
  await at.pass(at.next());
  expect(hosts(at, srv.id)).toEqual([all[0] ?? "", all[2] ?? ""]);
  at.zone.set("_http._tcp.app SRV", records([{ target: ".", port: 0, priority: 0, weight: 0 }]));
  await at.pass(at.next());
  expect(hosts(at, srv.id)).toEqual([all[0] ?? "", all[2] ?? ""]);
});

test("TTLs are kept within bounds", async () => {
  const at = setting();
  at.zone.set("app A", records(["10.0.0.1"], 0));
  await at.discovery.watch([name("app")], 5000);
  expect(at.next()).toBe(1000);
  at.zone.set("app A", records(["10.0.0.1"], 86_400));
  await at.pass(1000);
  expect(at.next()).toBe(300_000);
});

test("a name that is no longer watched is not asked for, and one that is slow does not hold up the start", async () => {
  const at = setting();
  at.zone.set("app A", records(["10.0.0.1"]));
  at.zone.set("other A", records(["10.0.0.9"]));
  await at.discovery.watch([name("app"), name("other")], 5000);
  await at.discovery.watch([name("app")], 0);
  expect(hosts(at, "other")).toBeUndefined();
  at.asked.length = 0;
  await at.pass(60_000);
  expect(at.asked).toEqual(["app A", "app AAAA"]);
  // An answer that comes after the wait is told.
  const before = at.changes();
  await at.discovery.watch([name("app"), name("other")], 0);
  await at.settle();
  expect(at.changes()).toBe(before + 1);
  // The same name with another port is another question.
  await at.discovery.watch([name("app", { port: 81 })], 5000);
  expect(hosts(at, "app")).toEqual(["10.0.0.1:81 x1"]);
});
