import { expect, test } from "bun:test";
import type { PoolPlan, ReadinessPlan } from "../pool/plan.ts";
import type { Seen } from "../pool/probe/probe.ts";
import type { EnginePlan } from "../proxy/assemble.ts";
import type { Verdict } from "./endpoint-states.ts";
import { Probes } from "./probes.ts";

/** Probes in time that the test lets pass, of endpoints that answer when the test says so. */
function setting() {
  let now = 0;
  let waiting: { at: number; run: () => void }[] = [];
  const open: { port: number; signal: AbortSignal; answer: (seen: Seen) => void }[] = [];
  const verdicts: [number, Verdict, string][] = [];
  const port = (of: { address: unknown }) => (of.address as { port: number }).port;
  const probe = {
    name: "http" as const,
    run: (subject: { address: unknown }, _: ReadinessPlan, signal: AbortSignal) =>
      new Promise<Seen>((answer) => void open.push({ port: port(subject), signal, answer })),
  };
  const probes = new Probes({
    probes: {
      http: probe,
      tcp: { ...probe, name: "tcp" },
      tls: { ...probe, name: "tls" },
      command: { ...probe, name: "command" },
      script: { ...probe, name: "script" },
      postgres: { ...probe, name: "postgres" },
      redis: { ...probe, name: "redis" },
      mysql: { ...probe, name: "mysql" },
      smtp: { ...probe, name: "smtp" },
    },
    states: {
      judge: (_, endpoint, verdict, reason) => void verdicts.push([port(endpoint), verdict, reason]),
      of: () => undefined,
    },
    clock: { now: () => now, wall: () => now },
    timers: {
      every: () => () => {},
      after(ms, run) {
        const timer = { at: now + ms, run };
        waiting.push(timer);
        return () => void (waiting = waiting.filter((each) => each !== timer));
      },
    },
    random: () => 0.5,
  });
  return {
    probes,
    open,
    verdicts,
    waiting: () => waiting.length,
    async pass(ms: number) {
      now += ms;
      for (const timer of waiting.filter((each) => each.at <= now)) {
        waiting = waiting.filter((each) => each !== timer);
        timer.run();
      }
      await Bun.sleep(0);
    },
    async answer(ok: boolean) {
      for (const each of open.splice(0)) each.answer({ ok, detail: ok ? "status 200" : "status 503", took: 1 });
      await Bun.sleep(0);
    },
  };
}

const readiness = {
  probe: "http",
  method: "GET",
  path: "/readyz",
  interval: 1000,
  fastInterval: 200,
  timeout: 500,
  rise: 2,
  fall: 2,
} as ReadinessPlan;

function plan(ports: readonly number[], how: ReadinessPlan | null = readiness): EnginePlan {
  const endpoints = ports.map((port) => ({ slot: 0, id: `${port}`, address: { kind: "tcp", host: "10.0.0.1", port } }));
  return { listeners: [], pools: [{ name: "app", readiness: how, endpoints, tls: null } as unknown as PoolPlan] };
}

test("a pool is probed at once, one endpoint after another, then at its interval", async () => {
  const at = setting();
  at.probes.apply(plan([1, 2, 3]));
  await at.pass(5);
  expect(at.open.map((each) => each.port)).toEqual([1]);
  await at.pass(25);
  expect(at.open.map((each) => each.port)).toEqual([1, 2, 3]);
  await at.answer(true);
  expect(at.verdicts.map(([port, verdict]) => [port, verdict])).toEqual([
    [1, "ready"],
    [2, "ready"],
    [3, "ready"],
  ]);
  await at.pass(1200);
  expect(at.open.length).toBe(3);
});

test("never two probes of an endpoint at once, however slow it is", async () => {
  const at = setting();
  at.probes.apply(plan([1]));
  await at.pass(10);
  await at.pass(10_000);
  expect(at.open.length).toBe(1);
});

test("a reload keeps the rhythm and the count of what is probed as before", async () => {
  const at = setting();
  at.probes.apply(plan([1]));
  await at.pass(10);
  await at.answer(true);
  at.probes.apply(plan([1]));
  expect(at.waiting()).toBe(1);
  await at.pass(1200);
  await at.answer(false);
  at.probes.apply(plan([1]));
  await at.pass(1200);
  await at.answer(false);
  expect(at.verdicts.at(-1)?.slice(0, 2)).toEqual([1, "unready"]);
  expect(at.verdicts.at(-1)?.[2]).toContain("2 probes in a row failed");
});

test("other settings begin at once and count from nothing; what leaves is not heard any more", async () => {
  const at = setting();
  at.probes.apply(plan([1, 2]));
  await at.pass(30);
  const [first] = at.open.splice(0);
  at.probes.apply(plan([2], { ...readiness, interval: 500 }));
  expect(first?.signal.aborted).toBe(true);
  first?.answer({ ok: true, detail: "status 200", took: 1 });
  await Bun.sleep(0);
  expect(at.verdicts).toEqual([]);
  await at.pass(10);
  expect(at.open.map((each) => each.port)).toEqual([2]);
  at.probes.apply(plan([2], null));
  await at.answer(true);
  expect(at.verdicts).toEqual([]);
  expect(at.waiting()).toBe(0);
});

test("the first round is over when every endpoint was asked, or when patience is", async () => {
  const at = setting();
  at.probes.apply(plan([1, 2]));
  let over = 0;
  void at.probes.firstRound(1000).then(() => over++);
  await at.pass(30);
  expect(over).toBe(0);
  await at.answer(false);
  expect(over).toBe(1);
  // It says what a new endpoint is waiting for, although that decides nothing yet.
  expect(at.verdicts[0]).toEqual([1, "unknown", "no probe has passed yet: status 503 (GET /readyz)"]);
  const slow = setting();
  slow.probes.apply(plan([1]));
  void slow.probes.firstRound(1000).then(() => over++);
  await slow.pass(1000);
  expect(over).toBe(2);
  slow.probes.stop();
  expect(slow.open.every((each) => each.signal.aborted)).toBe(true);
  expect(slow.waiting()).toBe(0);
});

test("while a change is near, the next probe comes sooner; once it is decided, not", async () => {
  const at = setting();
  at.probes.apply(plan([1], { ...readiness, fall: 3 }));
  await at.pass(10);
  await at.answer(true);
  await at.pass(1200);
  await at.answer(false); // the first of three
  await at.pass(250);
  expect(at.open.length).toBe(1);
  await at.answer(false);
  await at.pass(250);
  await at.answer(false); // unready: nothing is near any more
  expect(at.verdicts.at(-1)?.[1]).toBe("unready");
  await at.pass(250);
  expect(at.open.length).toBe(0);
  await at.pass(950);
  await at.answer(true); // the first of two
  await at.pass(250);
  expect(at.open.length).toBe(1);
  await at.answer(true);
  expect(at.verdicts.at(-1)?.[1]).toBe("ready");
});

test("what the last probe saw can be looked up", async () => {
  const at = setting();
  const [endpoint] = plan([1]).pools[0]?.endpoints ?? [];
  if (endpoint === undefined) throw new Error("the plan has an endpoint");
  at.probes.apply(plan([1]));
  expect(at.probes.last("app", endpoint)).toBeNull();
  await at.pass(10);
  await at.answer(true);
  await at.pass(1200);
  await at.answer(true);
  expect(at.probes.last("app", endpoint)).toEqual({
    what: "GET /readyz",
    at: 1210,
    ok: true,
    detail: "status 200",
    took: 1,
    inRow: 2,
  });
  expect(at.probes.last("other", endpoint)).toBeNull();
});
