import { expect, test } from "bun:test";
import { loadConfig } from "../load.ts";

const reader = {
  resolve: (_: string, written: string) => written,
  readFile: (path: string): string => {
    throw new Error(path);
  },
};

/** Paths of what is said of a pool with this `retry`, and of a route with that. */
function said(pool: string, route = ""): readonly string[] {
  const text = `
listeners:
  web:
    address: 127.0.0.1:8080
    routes: [{ pool: app${route === "" ? "" : `, ${route}`} }]
pools:
  app:
    endpoints: [127.0.0.1:3001, 127.0.0.1:3002]
    ${pool}
`;
  const loaded = loadConfig({ text, file: "plimsoll.yaml" }, {}, reader);
  const problems = "problems" in loaded ? loaded.problems : loaded.warnings;
  return problems.map(({ severity, path }) => `${severity} ${path}`).filter((one) => one.includes("retry"));
}

test("one try: nothing else of retries has an effect", () => {
  expect(said("retry: { attempts: 1 }")).toEqual([]);
  expect(said("retry: { attempts: 1, hedge: 0s, idempotencyKey: false }")).toEqual([]);
  expect(said("retry: { attempts: 1, budget: 10%, on: reset, idempotencyKey: true, hedge: 50ms }")).toEqual([
    "warning pools.app.retry.budget",
    "warning pools.app.retry.on",
    "warning pools.app.retry.idempotencyKey",
    "warning pools.app.retry.hedge",
  ]);
});

test("what a route takes over from its pool counts, and is said of whoever wrote it", () => {
  expect(said("retry: { attempts: 1 }", "retry: { hedge: 50ms }")).toEqual([
    "warning listeners.web.routes[0].retry.hedge",
  ]);
  expect(said("retry: { hedge: 50ms }", "retry: { attempts: 1 }")).toEqual([]);
});

test("a hedge that begins when the first try is over never does", () => {
  expect(said("retry: { hedge: 1s }")).toEqual([]);
  expect(said("retry: { hedge: 1s }\n    timeouts: { perTry: 1s }")).toEqual(["warning pools.app.retry.hedge"]);
  expect(said("retry: { hedge: 2s }\n    timeouts: { firstByte: 1s }")).toEqual(["warning pools.app.retry.hedge"]);
  expect(said("timeouts: { perTry: 1s }", "retry: { hedge: 1500ms }")).toEqual([
    "warning listeners.web.routes[0].retry.hedge",
  ]);
  expect(said("timeouts: { perTry: 1s }", "retry: { hedge: 1500ms }, timeouts: { perTry: 2s }")).toEqual([]);
});

test("everything that can be tried again is understood, and nothing else", () => {
  expect(said("retry: { on: [connect, reset, timeout, 429, 503] }")).toEqual([]);
  expect(said("retry: { on: 503 }")).toEqual([]);
  expect(said("retry: { on: [200] }")).toEqual(["error pools.app.retry.on[0]"]);
  expect(said("retry: { on: [5xx, never] }")).toEqual(["error pools.app.retry.on[0]", "error pools.app.retry.on[1]"]);
});
