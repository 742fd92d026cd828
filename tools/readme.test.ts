// What the README shows must work: its configuration is valid, its commands exist.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { disk, loadConfig, renderProblems } from "../packages/balancer/src/config/index.ts";
import { commands } from "../packages/cli/src/commands.ts";

const root = join(import.meta.dir, "..");
const readme = readFileSync(join(root, "README.md"), "utf8");

test("every configuration in the README is accepted", () => {
  const blocks = [...readme.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map((match) => match[1] ?? "");
  expect(blocks.length).toBeGreaterThan(0);
  for (const text of blocks) {
    const loaded = loadConfig({ text, file: "README.md" }, {}, disk);
    const problems = "problems" in loaded ? loaded.problems : loaded.warnings;
    expect(renderProblems(problems, text)).toBe("");
  }
});

test("every command in the README exists", () => {
  const named = [...readme.matchAll(/plimsoll ([a-z]+)/g)].map((match) => match[1] ?? "");
  const known = new Set(commands.map((command) => command.name));
  expect(named.length).toBeGreaterThan(8);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});

test("the README's first command starts, its second tests", () => {
  const block = /^```sh\n([\s\S]*?)^```/m.exec(readme)?.[1] ?? "";
  const first = block.split("\n").map((line) => line.replace(/\s+#.*/, ""));
  expect(first.slice(0, 2)).toEqual(["npm install && npm start", "npm test"]);
});

test("no number of the benchmark stands outside its report", () => {
  expect(readme).not.toMatch(/\d[\d,.]* ?(requests\/s|req\/s|rps|microseconds|us\b|µs)/i);
});
