// What is made from the schema is in the repository as it would be made now, and says the same as the schema.
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { madeFiles } from "./generate.ts";
import { renderJsonSchema } from "./json-schema.ts";
import { loadConfig } from "./load.ts";
import { renderConfigReference } from "./reference.ts";

const root = join(import.meta.dir, "../../../..");
const golden = join(import.meta.dir, "golden");
const refresh = "stale: run `npx bun packages/balancer/src/config/generate.ts`";

describe("made files", () => {
  for (const { path, render } of madeFiles) {
    test(path, () => {
      const file = join(root, path);
      const stored = existsSync(file) ? readFileSync(file, "utf8") : "";
      expect(stored === render() ? "fresh" : refresh).toBe("fresh");
    });
  }
});

describe("the JSON Schema", () => {
  const schema = JSON.parse(renderJsonSchema()) as Parameters<typeof z.fromJSONSchema>[0];
  const editor = z.fromJSONSchema(schema);
  const good = readdirSync(golden)
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.replace(".json", ".yaml"));

  for (const file of [...good, "design-example.yaml", "later.yaml"]) {
    test(`lets ${file} pass`, () => {
      const value: unknown = parse(readFileSync(join(golden, file), "utf8"), { merge: true });
      if (file === "later.yaml") delete (value as { pools: { app: { tls: { wrong?: number } } } }).pools.app.tls.wrong;
      expect(editor.safeParse(value).error?.issues).toBeUndefined();
    });
  }

  const bad: readonly [string, (config: Minimal) => void][] = [
    ["an unknown key", (config) => Object.assign(config.pools.app, { endpoint: [] })],
    ["a duration without a unit", (config) => Object.assign(config.pools.app, { timeouts: { connect: 3 } })],
    ["a duration with another unit", (config) => Object.assign(config.pools.app, { timeouts: { connect: "3sec" } })],
    ["an unknown algorithm", (config) => Object.assign(config.pools.app, { balance: "best" })],
    ["a pool without endpoints", (config) => Object.assign(config.pools.app, { endpoints: undefined })],
    ["a number that is too large", (config) => Object.assign(config, { workers: 100_000 })],
    [
      "a status that is no redirect",
      (config) => Object.assign(config.listeners.web, { routes: [{ redirect: { to: "/", status: 200 } }] }),
    ],
  ];
  for (const [what, spoil] of bad) {
    test(`refuses ${what}`, () => {
      const config: Minimal = {
        listeners: { web: { address: ":80", routes: [{ pool: "app" }] } },
        pools: { app: { endpoints: ["127.0.0.1:1"] } },
      };
      expect(editor.safeParse(config).success).toBe(true);
      spoil(config);
      expect(editor.safeParse(JSON.parse(JSON.stringify(config))).success).toBe(false);
    });
  }

  interface Minimal {
    listeners: { web: Record<string, unknown> };
    pools: { app: Record<string, unknown> };
  }
});

describe("docs/config.md", () => {
  const text = renderConfigReference();

  test("tells of every key, and nothing is left without a meaning", () => {
    const rows = text.split("\n").filter((line) => line.startsWith("| `"));
    expect(rows.length).toBeGreaterThan(100);
    for (const row of rows) {
      const cells = row.split(/(?<!\\)\|/).map((cell) => cell.trim());
      expect(cells).toHaveLength(6);
      expect(cells[2]).not.toMatch(/^$|undefined|\[object/);
      expect(cells[4]).not.toMatch(/^$|undefined|\[object/);
    }
  });

  test("its first example is a configuration", () => {
    const [, yaml] = /```yaml\n([\s\S]*?)```/.exec(text) ?? [];
    const loaded = loadConfig(
      { text: yaml ?? "", file: "docs" },
      {},
      { resolve: (_, path) => path, readFile: () => "" },
    );
    expect(loaded).toMatchObject({ warnings: [] });
  });
});
