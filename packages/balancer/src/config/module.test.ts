import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { disk } from "./disk.ts";
import { loadConfig } from "./load.ts";
import { defineConfig, loadModule, loadObject } from "./module.ts";
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
  test("makes the same plan as YAML does", async () => {
    write("404.html", "gone");
    const text = JSON.stringify(written);
    const module = await loadModule(write("same.ts", `export default ${text};`), disk);
    const yaml = loadConfig({ text, file: join(folder, "same.yaml") }, {}, disk);
    expect(module).toMatchObject({ warnings: [] });
    expect({ ...module, explain: null }).toEqual({ ...yaml, explain: null });
    expect("plan" in module && module.plan.listeners[0]?.errorPages).toEqual([
      { status: "404", contentType: "text/html; charset=utf-8", body: "gone" },
    ]);
  });

  test("may be a function or a promise, and is read anew when asked", async () => {
    const file = write("made.ts", `export default async () => ({ ...${JSON.stringify(written)}, workers: 3 });`);
    expect(await loadModule(file, disk)).toMatchObject({ plan: { workers: 3 } });
    write("made.ts", `export default Promise.resolve({ ...${JSON.stringify(written)}, workers: 4 });`);
    expect(await loadModule(file, disk, 1)).toMatchObject({ plan: { workers: 4 } });
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

  test("that cannot be loaded says why", async () => {
    for (const [name, text, message] of [
      ["throws.ts", "throw new Error('boom');", /boom/],
      ["syntax.ts", "export default {", /cannot be loaded/],
      ["empty.ts", "export const a = 1;", /no configuration as its default export/],
      ["number.ts", "export default 5;", /no configuration/],
    ] as const) {
      const loaded = await loadModule(write(name, text), disk);
      expect(loaded).toMatchObject({ problems: [{ message: expect.stringMatching(message) }] });
    }
    expect(await loadModule(join(folder, "missing.ts"), disk)).toMatchObject({
      problems: [{ message: expect.stringMatching(/missing\.ts/) }],
    });
  });
});
