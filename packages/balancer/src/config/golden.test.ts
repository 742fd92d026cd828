// Every file of golden/ with what must be said of it, word for word: problems in .txt, plans in .json. What changes on
// purpose is written anew with GOLDEN=write npm test -- golden.
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfig, type FileReader } from "./load.ts";
import { renderProblems } from "./problem.ts";

const folder = join(import.meta.dir, "golden");

const environment = {
  WEB_PORT: "8080",
  WRONG_SECRET: "hunter2-is-no-duration",
  POOL_SECRET: "hunter2-pool",
  TOKEN_SECRET: "hunter2-token",
  WORKERS_SECRET: "hunter2-many",
  STICKY_SECRET: "hunter2-sticky-and-sixteen",
};

const pages: Readonly<Record<string, string>> = {
  "/conf/pages/404.html": "<h1>Not here</h1>",
  "/conf/pages/5xx.json": '{"error":true}',
  "/conf/huge.html": "x".repeat(300_000),
};

const reader: FileReader = {
  resolve: (_, written) => join("/conf", written),
  readFile(path) {
    const code = path.endsWith("secret.html") ? "EACCES" : "ENOENT";
    const page = pages[path];
    if (page === undefined) throw Object.assign(new Error(`${code}: ${path}`), { code });
    return page;
  },
};

function run(name: string): { plan: string | null; problems: string } {
  const text = readFileSync(join(folder, `${name}.yaml`), "utf8");
  const loaded = loadConfig({ text, file: `${name}.yaml` }, environment, reader);
  const problems = "problems" in loaded ? loaded.problems : loaded.warnings;
  const plan = "plan" in loaded ? `${JSON.stringify(loaded.plan, null, 2)}\n` : null;
  return { plan, problems: renderProblems(problems, text) };
}

const names = readdirSync(folder)
  .filter((file) => file.endsWith(".yaml"))
  .map((file) => file.slice(0, -5));

function compare(file: string, actual: string | null): void {
  const path = join(folder, file);
  if (process.env["GOLDEN"] === "write") {
    if (actual === null || actual === "") rmSync(path, { force: true });
    else writeFileSync(path, actual);
  }
  const expected = existsSync(path) ? readFileSync(path, "utf8") : "";
  expect(actual ?? "").toBe(expected);
}

describe("golden", () => {
  test("there are files to compare", () => expect(names.length).toBeGreaterThan(10));

  for (const name of names) {
    test(name, () => {
      const { plan, problems } = run(name);
      expect(plan !== null || problems !== "").toBe(true);
      compare(`${name}.txt`, problems);
      compare(`${name}.json`, plan);
      expect(problems).not.toContain("hunter2");
    });
  }

  test("nothing is left of files that are gone", () => {
    const stale = readdirSync(folder).filter((file) => !names.includes(file.replace(/\.(yaml|txt|json)$/, "")));
    expect(stale).toEqual([]);
  });
});
