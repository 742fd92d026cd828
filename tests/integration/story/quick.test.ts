// Needs: nginx, haproxy, wrk, taskset
// Runs alone: it measures beside other balancers, and pins programs to cores.
//
// The story at its smallest: every chapter gives every line for everybody, and what is promised of this balancer holds.
// Times are printed and never judged here.
import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { processTree } from "@plimsoll/testbed/processes";
import { balancers } from "../../../bench/story/balancers/table.ts";
import type { Line } from "../../../bench/story/chapters/chapter.ts";
import { chapters } from "../../../bench/story/chapters/table.ts";

const root = join(import.meta.dir, "../../..");
const names = balancers.map((one) => one.name).toSorted();

/** Lines, by the beginning of their title, in which this balancer has nothing to be counted against it. */
const promises: Readonly<Record<string, readonly string[]>> = {
  "rolling-restart": ["the instance says not ready", "each balancer is told to drain it"],
  readiness: ["requests that reach it after", "requests that were in flight", "all other requests"],
  faulty: ["one is black-holed: failed", "one refuses: failed", "one is slow (2 s; it says ready): failed"],
  "keep-alive": [
    "it says how long: failed",
    "it says how long: worked on more than once",
    "another closes sooner, says nothing, and nobody was told: failed",
    "another closes sooner, says nothing, and nobody was told: worked on more than once",
  ],
  drain: ["requests of 10 s in flight", "its WebSockets", "WebSockets at the endpoint that stays", "new requests that"],
  flapping: ["requests that failed"],
};

test("every chapter promises something", () => {
  expect(Object.keys(promises).toSorted()).toEqual(chapters.map((one) => one.name).toSorted());
});

describe("chapters", () => {
  test.each(chapters.map((one) => [one.name, one] as const))(
    "%s",
    async (name, chapter) => {
      const said: string[] = [];
      const lines = await chapter.run(balancers, "quick", (text) => said.push(text));
      for (const line of lines) expect([line.title, Object.keys(line.figures).toSorted()]).toEqual([line.title, names]);
      for (const title of promises[name] ?? []) {
        const ours = oursOf(lines, title);
        expect({ title, bad: ours.bad, said: ours.bad === 0 ? [] : said }).toEqual({ title, bad: 0, said: [] });
      }
    },
    120_000,
  );
});

test.each([
  [["--help"], 0, "--only"],
  [["--only", "nothing"], 2, "No such chapter: nothing"],
  [["--only", "7"], 2, "No such chapter: 7"],
])("npm run story -- %p", (args, code, text) => {
  const run = Bun.spawnSync([process.execPath, join(root, "bench/story/main.ts"), ...args]);
  expect(run.exitCode).toBe(code);
  expect(run.stdout.toString()).toContain(text);
});

afterAll(() => {
  expect(processTree(process.pid)).toEqual([process.pid]);
});

function oursOf(lines: readonly Line[], title: string): { readonly bad: number } {
  const found = lines.filter((one) => one.title.startsWith(title));
  expect([title, found.length]).toEqual([title, 1]);
  return found[0]?.figures["plimsoll"] ?? { bad: Number.NaN };
}
