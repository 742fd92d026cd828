import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { disk } from "./disk.ts";
import { loadConfig } from "./load.ts";
import { defineConfig } from "./define.ts";
import { loadObject, notLoaded } from "./module.ts";
import type { ModuleFailure } from "./module-failure.ts";
import { renderProblems } from "./problem.ts";

const folder = mkdtempSync(join(tmpdir(), "plimsoll config-"));
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

const written = defineConfig({
  listeners: {
    web: {
      address: "127.0.0.1:8080",
      errorPages: { "404": "404.html" },
      routes: [{ pool: "app" }, { match: { path: "/x" }, respond: 404 }],
    },
  },
  pools: {
    app: {
      endpoints: ["127.0.0.1:3001", { address: "127.0.0.1:3002", weight: 2 }],
      readiness: "off",
      balance: "maglev",
      hashKey: "path",
    },
  },
  admin: "off",
  workers: 2,
});

describe("configuration in TypeScript", () => {
  test("makes the same plan as YAML does", () => {
    write("404.html", "gone");
    const text = JSON.stringify(written);
    const module = loadObject(written, join(folder, "same.ts"), disk);
    const yaml = loadConfig({ text, file: join(folder, "same.yaml") }, {}, disk);
    expect(module).toMatchObject({ warnings: [] });
    expect({ ...module, explain: null }).toEqual({ ...yaml, explain: null });
    expect("plan" in module && module.plan.listeners[0]?.errorPages).toEqual([
      { status: "404", contentType: "text/html; charset=utf-8", body: "gone" },
    ]);
  });

  test("has problems with paths instead of lines", () => {
    const loaded = loadObject(
      { ...written, pools: { app: { endpoints: [5], balanse: "p2c", zone: "${X}" } } },
      "c.ts",
      disk,
    );
    if ("plan" in loaded) throw new Error("there should be problems");
    expect(loaded.problems.map(({ line, path }) => [line, path])).toEqual([
      [0, 'listeners.web.errorPages["404"]'],
      [0, "pools.app.balanse"],
      [0, "pools.app.endpoints[0].address"],
    ]);
    expect(renderProblems(loaded.problems, "")).toContain(
      'c.ts: error: pools.app.balanse: there is no key "balanse" here\n  hint: did you mean "balance"?',
    );
  });

  test("that exports no configuration says so", () => {
    for (const value of [undefined, null, 5]) {
      expect(loadObject(value, "c.ts", disk)).toMatchObject({
        problems: [{ message: expect.stringMatching(/no configuration as its default export/) }],
      });
    }
  });

  test("that does not run says why, at its place where that is known", () => {
    const report = (failure: ModuleFailure): string => {
      const loaded = notLoaded(failure, "/c.ts");
      return "plan" in loaded ? "" : renderProblems(loaded.problems, "a\n  throw b;");
    };
    expect(report({ why: "boom", file: "/c.ts", line: 2, column: 3 })).toBe(
      "/c.ts:2:3: error: the module cannot be loaded: boom\n  2 |   throw b;\n    |   ^\n",
    );
    expect(report({ why: "Cannot find '@plimsoll/balancer'", file: "", line: 0, column: 0 })).toBe(
      "/c.ts: error: the module cannot be loaded: Cannot find '@plimsoll/balancer'\n" +
        "  hint: without that package at hand, `export default { ... }` does the same\n",
    );
  });
});
