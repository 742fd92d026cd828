// Needs: nginx, wrk, taskset
// Runs alone: it pins programs to cores, and its ports are fixed.
//
// Every scenario must work before anybody believes a number: started, loaded, counted, nothing left behind.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { accepts } from "@plimsoll/testbed/processes";
import { endpoints } from "../../../bench/origin.ts";
import type { Rival } from "../../../bench/rivals/rival.ts";
import { rivals } from "../../../bench/rivals/table.ts";
import { runScenario } from "../../../bench/run.ts";
import { scenarios } from "../../../bench/scenarios/table.ts";

const root = join(import.meta.dir, "../../..");
const options = { scale: "quick", rounds: 1, seconds: 1 } as const;
const here = (await Promise.all(rivals.map((kind) => kind.find()))).filter((one): one is Rival => one !== undefined);
const few = here.filter((one) => one.name === "plimsoll" || one.name === "nginx");

describe("each scenario gives numbers, and no errors", () => {
  test.each(scenarios.map((one) => [one.name, one] as const))("%s", async (_, scenario) => {
    const { outcomes } = await runScenario(scenario, few, options, () => {});
    for (const { rival, problem, rates, memory } of outcomes) {
      expect({ rival, problem }).toEqual({ rival, problem: undefined });
      if (scenario.measures === "memory") {
        expect(memory?.lastRequests).toBeGreaterThanOrEqual(5000);
        expect(memory?.errors).toBe(0);
        continue;
      }
      expect(rates).toHaveLength(1);
      expect(rates[0]?.requests).toBeGreaterThan(10);
      expect(rates[0]?.cpuUs).toBeGreaterThan(0);
      expect(rates[0]?.memoryBytes).toBeGreaterThan(1_000_000);
      expect({ rival, errors: rates[0]?.errors }).toEqual({ rival, errors: 0 });
      // Not only measured, but what it says that it is.
      if (scenario.load("quick").resuming) expect(rates[0]?.resumed).toBe(1);
    }
  });
});

test("every rival that is installed works, with many routes, TLS and WebSockets, too", async () => {
  for (const name of ["keep-alive-64", "routes-10000", "tls-resumed", "websocket-echo"]) {
    const scenario = scenarios.find((one) => one.name === name);
    if (!scenario) throw new Error(`no scenario ${name}`);
    const { outcomes } = await runScenario(scenario, here, options, () => {});
    const told = outcomes.map(({ rival, problem, rates }) => ({ rival, problem, errors: rates[0]?.errors }));
    expect(told).toEqual(here.map((one) => ({ rival: one.name, problem: undefined, errors: 0 })));
  }
});

test("nothing listens any more", async () => {
  const ports = [...endpoints(20).map((one) => Number(one.split(":")[1])), 23_000, 23_001, 23_002, 23_004, 23_006];
  for (const port of ports) expect({ port, open: await accepts(port) }).toEqual({ port, open: false });
});

test.each([
  [["--help"], 0, "--only"],
  [["--only", "nothing"], 2, "No such scenario: nothing"],
  [["--rounds", "none"], 2, "numbers from 1"],
])("npm run bench -- %p", (args, code, text) => {
  const run = Bun.spawnSync([process.execPath, join(root, "bench/main.ts"), ...args]);
  expect(run.exitCode).toBe(code);
  expect(run.stdout.toString()).toContain(text);
});
