// The timeout hierarchy of a running balancer: what is set, and beside it what real requests were seen to take.
import { afterEach, expect, test } from "bun:test";
import { cleanUp, configFor, run, startOrigin, until } from "./running.ts";

afterEach(cleanUp);

test("GET /status has the ladder, what was observed, and where the two contradict each other", async () => {
  const origin = startOrigin();
  const config = configFor(0, [origin.port], {
    listeners: {
      web: {
        address: "127.0.0.1:0",
        routes: [
          { pool: "app" },
          { match: { path: "/export/*" }, pool: "app", timeouts: { firstByte: "3m" }, declared: { client: "10m" } },
        ],
      },
    },
    pools: { app: { endpoints: [`127.0.0.1:${origin.port}`], declared: { client: "2m", app: "100ms" } } },
    shutdown: { lag: "0s", window: "30s" },
  });
  const program = await run(config);
  const before = (await program.status()).pools[0]?.hierarchy;
  expect(before?.ladders.map(({ path, routes }) => [path, routes])).toEqual([
    ["pools.app", ["web.routes[0]"]],
    ["listeners.web.routes[1]", ["web.routes[1]"]],
  ]);
  const rungs = before?.ladders.map(({ sections }) => sections[0]?.rungs.map(({ ms }) => ms));
  expect(rungs).toEqual([
    [120_000, 3_000 + 100 + 3_000 + 60_000, 60_000, 100, null],
    [600_000, 3_000 + 100 + 3_000 + 180_000, 180_000, 100, null],
  ]);
  expect(before?.observed.p50).toBeNull();
  expect(before?.contradictions).toEqual([]);

  const url = `http://127.0.0.1:${await program.port()}`;
  expect((await fetch(`${url}/slow/400`)).status).toBe(200);
  const after = await until("the slow request was seen", async () => {
    const { hierarchy } = (await program.status()).pools[0] ?? {};
    return hierarchy?.observed.longest === null ? null : hierarchy;
  });
  expect(after.observed.longest).toBeGreaterThanOrEqual(400);
  expect(after.observed.p99).not.toBeNull();
  expect(after.contradictions.join()).toMatch(
    /^the longest request lately took \S+, and the application is declared to work for 100ms at most$/,
  );
}, 20_000);

test("a reload into a broken hierarchy is refused, with the numbers", async () => {
  const { port } = startOrigin();
  const program = await run(configFor(0, [port]));
  const pools = { app: { endpoints: [`127.0.0.1:${port}`], declared: { client: "5s" } } };
  program.configure(configFor(0, [port], { pools }));
  program.process.kill("SIGHUP");
  const refused = await until("the reload was refused", () =>
    program.events.find((one) => one.event === "config.refused"),
  );
  expect(refused.text).toContain("clients wait 5s, and the balancer may take 2m6s to answer");
  expect((await program.status()).generation).toBe(1);
}, 20_000);
