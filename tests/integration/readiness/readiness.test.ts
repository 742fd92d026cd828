// Readiness with real applications and workers: who is not ready gets nothing new, what it has it finishes, a pool that has
// nobody fails open and says so, and who asks for it is drained.
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { EndpointStatus } from "../../../packages/balancer/src/control/status.ts";
import { cleanUp, configFor, folder, later, run, type Running, until } from "../control/running.ts";
import { startApp, type App } from "./stage.ts";

setDefaultTimeout(60_000);
afterEach(cleanUp);

const readiness = { path: "/readyz", interval: "300ms", fastInterval: "100ms", timeout: "300ms", rise: 2, fall: 3 };

async function start(apps: readonly App[], pool: Record<string, unknown> = {}): Promise<[Running, string]> {
  const endpoints = apps.map(({ id }) => id);
  // Who comes back has a tenth of a share at first, and forty requests might miss it.
  const app = { endpoints, readiness, slowStart: "0s", ...pool };
  const program = await run(configFor(0, [], { pools: { app } }));
  return [program, `http://127.0.0.1:${await program.port()}`];
}

const of = async (program: Running, { id }: App): Promise<EndpointStatus | undefined> =>
  (await program.status()).pools[0]?.endpoints.find((one) => one.id === id);

const is = (program: Running, app: App, state: string) =>
  until(`${app.id} is ${state}`, async () => (await of(program, app))?.state === state);

/** Every worker has looked at the states (every 25 ms) and what was in their hands has left them. */
const settled = () => Bun.sleep(150);

/** Who answered, by pid, and with which Proxy-Status. */
async function ask(url: string, times = 40): Promise<{ pids: string[]; notes: string[]; statuses: number[] }> {
  const answers = await Promise.all(
    Array.from({ length: times }, async () => {
      const answer = await fetch(url, { keepalive: false });
      return { status: answer.status, note: answer.headers.get("proxy-status") ?? "", body: await answer.text() };
    }),
  );
  const distinct = <T>(all: readonly T[]) => [...new Set(all)].sort();
  return {
    pids: distinct(answers.map(({ body }) => body)),
    notes: distinct(answers.map(({ note }) => note)),
    statuses: distinct(answers.map(({ status }) => status)),
  };
}

const pids = (...apps: readonly App[]) => apps.map(({ pid }) => String(pid)).sort();

/** Keeps asking until stopped; every answer must be 200. */
function load(url: string) {
  let going = true;
  let answered = 0;
  const failures: string[] = [];
  const loops = Array.from({ length: 8 }, async () => {
    while (going) {
      try {
        const answer = await fetch(url);
        await answer.text();
        if (answer.status === 200) answered++;
        else failures.push(String(answer.status));
      } catch (error) {
        failures.push(String(error));
      }
      await Bun.sleep(1);
    }
  });
  const stop = async () => {
    going = false;
    await Promise.all(loops);
    return { answered, failures };
  };
  later(() => void (going = false));
  return stop;
}

test("503 on one of three: after fall times the interval nothing reaches it, and what it has it finishes", async () => {
  const apps = await Promise.all([startApp(), startApp(), startApp()]);
  const [one, two, three] = apps as [App, App, App];
  const [program, url] = await start(apps);
  expect((await ask(url)).pids).toEqual(pids(one, two, three));
  const slow = Array.from({ length: 60 }, async () => {
    const answer = await fetch(`${url}/slow/2500`);
    return `${answer.status} ${await answer.text()}`;
  });
  await until("each works at some of them", async () =>
    ((await program.status()).pools[0]?.endpoints ?? []).every(({ inFlight }) => inFlight > 5),
  );
  const stop = load(url);
  await one.become(503);
  await is(program, one, "unready");
  await settled();
  const before = (await one.seen()).asked;
  expect((await of(program, one))?.inFlight).toBeGreaterThan(5);
  expect((await ask(url)).pids).toEqual(pids(two, three));
  const done = await Promise.all(slow);
  expect(done.every((text) => text.startsWith("200 "))).toBe(true);
  expect(done).toContain(`200 ${one.pid}`);
  expect((await one.seen()).asked).toBe(before);
  const { answered, failures } = await stop();
  expect(failures).toEqual([]);
  expect(answered).toBeGreaterThan(100);
  const status = await of(program, one);
  expect(status?.reason).toBe("3 probes in a row failed, the last one: status 503, expected 200-299 (GET /readyz)");
  expect(status?.probe).toMatchObject({ what: "GET /readyz", ok: false, detail: "status 503, expected 200-299" });
  expect((await program.told("endpoint.unready")).text).toBe(`app/${one.id} is unready: ${status?.reason}`);
  await one.become(200);
  await is(program, one, "ready");
  await settled();
  expect((await ask(url)).pids).toEqual(pids(one, two, three));
});

test("all three unready: requests go to all of them, each answer says so, and it is told once", async () => {
  const apps = await Promise.all([startApp(), startApp(), startApp()]);
  const [program, url] = await start(apps);
  expect((await ask(url)).notes).toEqual([""]);
  const stop = load(url);
  for (const each of apps) await each.become(503);
  await until("the pool is unready", () => program.event("pool.unready"));
  await settled();
  const open = await ask(url);
  expect(open).toEqual({ pids: pids(...apps), notes: ['plimsoll; details="failed-open"'], statuses: [200] });
  expect((await program.status()).pools[0]?.failsOpen).toBe(true);
  expect(await program.told("pool.unready")).toMatchObject({
    level: "error",
    text: "no endpoint of pool app is ready; requests go to 3 that are not known to be ready rather than to nobody (fail open)",
  });
  const count = /plimsoll_pool_fail_open_total\{pool="app"\} (\d+)/.exec((await program.admin("GET", "/metrics")).text);
  expect(Number(count?.[1])).toBeGreaterThanOrEqual(40);
  await (apps[0] as App).become(200);
  await until("the pool is ready", () => program.event("pool.ready"));
  await settled();
  expect(await ask(url)).toEqual({ pids: pids(apps[0] as App), notes: [""], statuses: [200] });
  expect((await program.status()).pools[0]?.failsOpen).toBe(false);
  expect((await stop()).failures).toEqual([]);
  expect([program.count("pool.unready"), program.count("pool.ready")]).toEqual([1, 1]);
});

test("failOpen: false answers 503 instead; a backup goes before failing open", async () => {
  const apps = await Promise.all([startApp(), startApp()]);
  const [one, two] = apps as [App, App];
  const [program, url] = await start(apps, {
    endpoints: [one.id, { address: two.id, backup: true }],
    failOpen: false,
  });
  await one.become(503);
  await is(program, one, "unready");
  await settled();
  expect(await ask(url)).toEqual({ pids: pids(two), notes: [""], statuses: [200] });
  expect(program.event("pool.unready")).toBeUndefined();
  await two.become(503);
  await until("the pool is unready", () => program.event("pool.unready"));
  await settled();
  expect((await ask(url)).statuses).toEqual([503]);
  expect((await program.told("pool.unready")).text).toBe(
    "no endpoint of pool app is ready; requests are answered with 503",
  );
});

test("a status of drainOn drains at the first answer: in flight finishes, and the next pass brings it back", async () => {
  const apps = await Promise.all([startApp(), startApp()]);
  const [one, two] = apps as [App, App];
  const [program, url] = await start(apps, {
    readiness: { ...readiness, fall: 50, drainOn: [404] },
    drain: { window: "20s" },
  });
  const slow = Array.from({ length: 30 }, async () => (await fetch(`${url}/slow/1500`)).text());
  await until("it works at some of them", async () => ((await of(program, one))?.inFlight ?? 0) > 5);
  const stop = load(url);
  await one.become(404);
  await is(program, one, "draining");
  await settled();
  const before = (await one.seen()).asked;
  expect((await ask(url)).pids).toEqual(pids(two));
  expect(await Promise.all(slow)).toContain(String(one.pid));
  await until("it is empty", () => program.event("endpoint.drained"));
  expect((await one.seen()).asked).toBe(before);
  expect(await of(program, one)).toMatchObject({
    state: "draining",
    reason: "a probe asked to be drained: status 404, which asks to be drained (GET /readyz)",
    drain: { empty: true, cut: { exchanges: 0, tunnels: 0 } },
  });
  await one.become(200);
  await is(program, one, "ready");
  await settled();
  expect((await ask(url)).pids).toEqual(pids(one, two));
  expect((await stop()).failures).toEqual([]);
  expect(program.events.map(({ event }) => event).filter((name) => name.startsWith("endpoint.dr"))).toEqual([
    "endpoint.draining",
    "endpoint.drained",
  ]);
});

test("Retry-After drains, an operator's word stands above it, and a fleet that says it all at once is asked on", async () => {
  const apps = await Promise.all([startApp(), startApp()]);
  const [one, two] = apps as [App, App];
  const [program, url] = await start(apps);
  await one.become(503, { retryAfter: "5" });
  await is(program, one, "draining");
  expect((await of(program, one))?.reason).toContain(
    "3 probes in a row failed, the last one: status 503 with Retry-After",
  );
  const path = `/pools/app/endpoints/${one.id}/state`;
  expect((await program.admin("POST", path, { state: "draining" })).status).toBe(200);
  await one.become(200);
  await until("its probe passes", async () => (await of(program, one))?.probe?.ok === true);
  await settled();
  expect((await of(program, one))?.state).toBe("draining");
  expect((await program.admin("POST", path, { state: "ready" })).status).toBe(200);
  await is(program, one, "ready");
  for (const each of apps) await each.become(503, { retryAfter: "5" });
  await until("the pool fails open", async () => (await program.status()).pools[0]?.failsOpen === true);
  await settled();
  expect(await ask(url)).toEqual({
    pids: pids(one, two),
    notes: ['plimsoll; details="failed-open"'],
    statuses: [200],
  });
  await two.become(200);
  await is(program, two, "ready");
  await is(program, one, "draining");
  await settled();
  expect((await ask(url)).pids).toEqual(pids(two));
});

test("the body decides where it is asked for, and a command where one is given", async () => {
  const apps = await Promise.all([startApp(), startApp()]);
  const [one, two] = apps as [App, App];
  const flag = join(folder(), "sick");
  const [program, url] = await start(apps, { readiness: { ...readiness, body: "^(ready|fine)$" } });
  await one.become(200, { body: "starting" });
  await is(program, one, "unready");
  expect((await of(program, one))?.reason).toContain('body does not match /^(ready|fine)$/: "starting"');
  await one.become(200, { body: "fine" });
  await is(program, one, "ready");
  const command = [
    "sh",
    "-c",
    `[ "$PLIMSOLL_PORT" != ${two.port} ] || { test ! -e ${flag} || { echo sick; exit 9; }; }`,
  ];
  const how = { command, interval: "500ms", fastInterval: "100ms", timeout: "500ms", fall: 2 };
  program.configure(configFor(0, [], { pools: { app: { endpoints: apps.map(({ id }) => id), readiness: how } } }));
  expect((await program.admin("POST", "/reload")).status).toBe(200);
  await Bun.write(flag, "");
  await is(program, two, "unready");
  expect((await of(program, two))?.reason).toBe("2 probes in a row failed, the last one: exit 9: sick (command sh)");
  await settled();
  expect((await ask(url)).pids).toEqual(pids(one));
});
