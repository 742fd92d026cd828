// The supervisor's own API, in this process, with real workers: what `up` and discovery use.
import { afterEach, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { disk, loadConfig } from "../../../packages/balancer/src/config/index.ts";
import {
  runSupervisor,
  StartError,
  type SupervisorOptions,
} from "../../../packages/balancer/src/control/supervisor.ts";
import { startLoad } from "./load.ts";
import { cleanUp, configFor, folder, isAlive, later, startOrigin, until } from "./running.ts";

afterEach(cleanUp);

function options(
  config: object,
  over: Partial<SupervisorOptions> = {},
): SupervisorOptions & { readonly runtimeBase: string } {
  const loaded = loadConfig({ text: JSON.stringify(config), file: "test.yaml" }, {}, disk);
  if (!("plan" in loaded)) throw new Error(JSON.stringify(loaded.problems));
  return {
    plan: loaded.plan,
    version: "test",
    reloadPlan: () => Promise.resolve(loaded),
    log: { event: () => {} },
    signals: false,
    runtimeBase: folder(),
    ...over,
  };
}

async function started(config: object, over: Partial<SupervisorOptions> = {}) {
  const supervisor = await runSupervisor(options(config, over));
  later(async () => void (await supervisor.stopNow()));
  return supervisor;
}

const noProbes = (endpoints: readonly string[]) => ({ pools: { app: { endpoints } } });

test("endpoints are added and removed under load without a lost request", async () => {
  const origins = Array.from({ length: 4 }, () => startOrigin().port);
  const supervisor = await started(configFor(0, [], noProbes([`127.0.0.1:${origins[0]}`])));
  await supervisor.ready;
  const { port = 0 } = supervisor.status().listeners[0] ?? {};
  const load = startLoad({ port, clients: 8, perConnection: 50 });
  for (let round = 0; round < 30; round++) {
    const some = origins.filter((_, index) => (round + index) % 3 !== 0);
    const result = await supervisor.updateEndpoints(
      "app",
      some.map((each) => ({ id: `i${each}`, host: "127.0.0.1", port: each })),
    );
    expect(result.ok).toBe(true);
    expect(supervisor.status().pools[0]?.endpoints.map((each) => each.id)).toEqual(some.map((each) => `i${each}`));
    await until("requests pass", () => load.tally.answered > round * 20);
  }
  // A reload keeps what was set at run time.
  expect((await supervisor.reload()).ok).toBe(true);
  expect(supervisor.status().pools[0]?.endpoints[0]?.id).toStartWith("i");
  const tally = await load.stop();
  expect({ refused: tally.refused, lost: tally.lost, bad: [...tally.bad] }).toEqual({ refused: 0, lost: 0, bad: [] });
  expect(await supervisor.updateEndpoints("nobody", [])).toEqual({
    ok: false,
    problems: ["there is no pool called nobody"],
  });
}, 30_000);

test("a name is resolved, and its endpoints say which name they came from", async () => {
  const origin = startOrigin("by name").port;
  const supervisor = await started(configFor(0, [], noProbes([`app.localhost:${origin}`])));
  const { listeners, pools } = supervisor.status();
  expect(pools[0]?.endpoints.map((each) => each.id)).toContain(`app.localhost:${origin}@127.0.0.1`);
  const answer = await fetch(`http://127.0.0.1:${listeners[0]?.port}/`);
  expect(await answer.text()).toBe("by name");
}, 20_000);

test("stopping leaves no process, no file and no socket; later calls are answered", async () => {
  const given = options(configFor(0, [], noProbes(["127.0.0.1:1"])));
  const supervisor = await runSupervisor(given);
  const { workers, listeners } = supervisor.status();
  expect(readdirSync(given.runtimeBase).length).toBe(1);
  const before = readdirSync("/proc/self/fd").length;
  expect(await supervisor.stop()).toBe(0);
  expect(await supervisor.stop()).toBe(0);
  expect(await supervisor.stopped).toBe(0);
  expect(workers.map((worker) => worker.pid).filter(isAlive)).toEqual([]);
  expect(readdirSync(given.runtimeBase)).toEqual([]);
  expect(readdirSync("/proc/self/fd").length).toBeLessThan(before);
  await expect(fetch(`http://127.0.0.1:${listeners[0]?.port}/`)).rejects.toThrow();
  expect(await supervisor.reload()).toEqual({ ok: false, problems: ["the program is stopping"] });
  expect(supervisor.readiness).toBe("stopping");
}, 20_000);

test("what cannot start says why in one error and leaves nothing", async () => {
  const occupied = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  later(() => occupied.stop(true));
  const given = options(configFor(occupied.port, [], noProbes(["127.0.0.1:1"])));
  const failed = await runSupervisor(given).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(StartError);
  expect((failed as Error).message).toContain(`listener web: Cannot listen on 127.0.0.1:${occupied.port}`);
  expect(readdirSync(given.runtimeBase)).toEqual([]);
}, 20_000);
