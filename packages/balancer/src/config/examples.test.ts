import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "./load.ts";
import { renderProblems } from "./problem.ts";

const folder = join(import.meta.dir, "../../../../examples");
const reader = { resolve: (_: string, written: string) => written, readFile: () => "" };
const environment = { STICKY_SECRET: "0123456789abcdef0123456789abcdef" };

const files = readdirSync(folder).filter((file) => file.endsWith(".yaml"));

test("there are examples", () => expect(files).toContain("plimsoll.yaml"));

for (const file of files) {
  test(`examples/${file} has no problem, and its timeouts are in order`, () => {
    const text = readFileSync(join(folder, file), "utf8");
    const loaded = loadConfig({ text, file }, environment, reader);
    const problems = "problems" in loaded ? loaded.problems : loaded.warnings;
    expect(renderProblems(problems, text)).toBe("");
    const { ladders = [], together } = loaded.explain?.() ?? {};
    expect(together).toEqual([]);
    expect(ladders.length).toBeGreaterThan(0);
  });
}
