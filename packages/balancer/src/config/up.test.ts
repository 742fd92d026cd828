import { expect, test } from "bun:test";
import { loadConfig } from "./load.ts";
import { planForUp } from "./up.ts";

test("the plan of `up` is that of a file with the same in it", () => {
  const text = `
listeners: { web: { address: "127.0.0.1:8080", routes: [{ pool: app }] } }
pools: { app: { endpoints: ["127.0.0.1:4001"], readiness: { path: /ready } } }
admin: 127.0.0.1:9191
workers: 2
shutdown: { lag: 0s }
`;
  const loaded = loadConfig({ text, file: "x" }, {}, { resolve: (_, path) => path, readFile: () => "" });
  const plan = planForUp({
    port: 8080,
    endpoints: [{ id: "127.0.0.1:4001", host: "127.0.0.1", port: 4001 }],
    admin: { host: "127.0.0.1", port: 9191 },
    readyPath: "/ready",
    workers: 2,
  });
  expect(loaded).toEqual({ plan, warnings: [], explain: expect.any(Function) });
});

test("it may begin without instances and without an admin address", () => {
  const plan = planForUp({ host: "::1", port: 0, endpoints: [], admin: null });
  expect(plan).toMatchObject({ admin: null, workers: 0, listeners: [{ address: { host: "::1", port: 0 } }] });
  expect(plan.pools[0]?.pool).toMatchObject({ name: "app", endpoints: [], readiness: { probe: "tcp" } });
});

test("its drain is that of every way to leave: a command, a probe, a replacement, the program's own stop", () => {
  for (const drain of [2500, 0]) {
    const plan = planForUp({ port: 0, endpoints: [], admin: null, drain });
    expect(plan.pools[0]?.pool.drain).toEqual({ window: drain });
    expect(plan.shutdown).toMatchObject({ lag: 0, window: drain });
  }
});
