import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { loadObject } from "../module.ts";
import type { Problem } from "../problem.ts";
import type { ConfigInput } from "../schema/config.ts";

const reader = { resolve: (_: string, written: string) => written, readFile: () => "" };

function problemsOf(config: unknown): readonly Problem[] {
  const loaded = loadObject(config, "plimsoll.config.ts", reader);
  return "problems" in loaded ? loaded.problems : loaded.warnings;
}

function placed({ path, message }: Problem): string {
  return `${path}: ${message}`;
}

/** The value with each of the changes written at its path. */
function written(config: unknown, changes: NonNullable<Problem["mends"]>[number]): unknown {
  const copy = structuredClone(config);
  for (const { path, value } of changes) {
    const parts = path.match(/[^.[\]"]+/g) ?? [];
    let at = copy as Record<string, unknown>;
    for (const part of parts.slice(0, -1)) at = (at[part] ??= {}) as Record<string, unknown>;
    at[parts.at(-1) ?? ""] = /^\d+$/.test(value) ? Number(value) : value;
  }
  return copy;
}

const time = fc.integer({ min: 1, max: 90 }).map((seconds) => `${seconds}s`);
const some = (key: string) =>
  fc.option(time, { nil: undefined }).map((value) => (value === undefined ? {} : { [key]: value }));
const map = (...keys: readonly string[]) =>
  fc.tuple(...keys.map(some)).map((parts): Record<string, string> => Object.assign({}, ...parts));

const anyConfig = fc
  .record({
    declared: map("client", "app", "downstream", "keepAlive", "stopGrace"),
    timeouts: map("connect", "firstByte", "perTry", "total"),
    drain: map("window"),
    routeDeclared: map("client", "app", "downstream"),
    routeTimeouts: map("firstByte", "total"),
    shutdown: map("lag", "window", "stopGrace"),
    attempts: fc.integer({ min: 1, max: 4 }),
    split: fc.boolean(),
  })
  .map(({ declared, timeouts, drain, routeDeclared, routeTimeouts, shutdown, attempts, split }): ConfigInput => {
    const own = { match: { path: "/slow/*" }, declared: routeDeclared, timeouts: routeTimeouts };
    return {
      listeners: {
        web: {
          address: "127.0.0.1:8080",
          routes: [{ pool: "api" }, split ? { ...own, split: [{ pool: "api" }] } : { ...own, pool: "api" }],
        },
      },
      pools: { api: { endpoints: ["127.0.0.1:3001"], declared, timeouts, drain, retry: { attempts } } },
      shutdown,
    };
  });

describe("what is suggested", () => {
  test("mends its problem when it is written down", () => {
    fc.assert(
      fc.property(anyConfig, (config) => {
        for (const problem of problemsOf(config)) {
          const { mends = [], message, why } = problem;
          expect([message, why !== undefined, mends.length > 0]).toEqual([message, true, true]);
          for (const changes of mends) {
            const after = problemsOf(written(config, changes));
            expect(after.filter((problem) => problem.mends === undefined)).toEqual([]);
            // Two routes can break the same rule with the same numbers: the place tells one from the other.
            expect(after.map(placed)).not.toContain(placed(problem));
          }
        }
      }),
      { numRuns: 25 },
    );
  });

  test("leads to a configuration without problems, taken one after the other", () => {
    fc.assert(
      fc.property(anyConfig, (start) => {
        let config: unknown = start;
        for (let round = 0; round < 40; round++) {
          const [first] = problemsOf(config)[0]?.mends ?? [];
          if (first === undefined) break;
          config = written(config, first);
        }
        expect(problemsOf(config)).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });
});

describe("what is not known is not judged", () => {
  const config = (timeouts: object, more: object = {}): unknown => ({
    listeners: { web: { address: "127.0.0.1:8080", routes: [{ pool: "api" }] } },
    pools: { api: { endpoints: ["127.0.0.1:3001"], timeouts, declared: { client: "10s" }, ...more } },
  });

  test("a wrong value has no consequences in the hierarchy", () => {
    expect(problemsOf(config({ firstByte: "5s" })).map(({ path }) => path)).toEqual(["pools.api.declared.client"]);
    expect(problemsOf(config({ firstByte: "soon" })).map(({ path }) => path)).toEqual(["pools.api.timeouts.firstByte"]);
    expect(problemsOf(config([])).map(({ path }) => path)).toEqual(["pools.api.timeouts"]);
  });

  test("a wrong value elsewhere hides nothing", () => {
    const paths = problemsOf(config({}, { readiness: { rise: -1 } })).map(({ path }) => path);
    expect(paths).toEqual(["pools.api.declared.client", "pools.api.readiness.rise"]);
  });
});
