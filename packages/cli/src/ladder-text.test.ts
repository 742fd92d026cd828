import { describe, expect, test } from "bun:test";
import type { Explanation } from "@plimsoll/balancer/src/config/hierarchy/explain.ts";
import { loadConfig } from "@plimsoll/balancer/src/config/load.ts";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "./commands/check.ts";
import { drawLadder } from "./ladder-text.ts";
import { testIo } from "./test-io.ts";

const reader = { resolve: (_: string, written: string) => written, readFile: () => "" };

function config(declared: string, more = ""): string {
  return `listeners:
  web:
    address: 127.0.0.1:8080
    routes: [{ pool: api }]
pools:
  api:
    endpoints: [127.0.0.1:3001]
    limits: { inFlight: 10, queueTimeout: 2s }
    declared: ${declared}
${more}`;
}

function explain(text: string): Explanation {
  const loaded = loadConfig({ text, file: "plimsoll.yaml" }, {}, reader);
  const explanation = loaded.explain?.();
  if (explanation === undefined) throw new Error("there is nothing to explain");
  return explanation;
}

function draw(text: string, columns = 100): string {
  return explain(text)
    .ladders.map((ladder) => drawLadder(ladder, columns))
    .join("\n");
}

describe("a ladder", () => {
  test("has each rung with its value, its source and what it leaves to spare", () => {
    expect(draw(config("{ client: 2m, app: 20s }"))).toBe(`pools.api, for web.routes[0]

  answering
  |==| client       2m     pools.api.declared.client, plimsoll.yaml:9
  |  |   30s to spare
  |==| balancer     1m30s
  |  |   try 1: queue 2s + connect 3s + application 20s
  |  |   try 2: queue 2s + connect 3s + first byte 1m
  |==| one try      1m     pools.api.timeouts.firstByte, by default
  |  |   40s to spare
  |==| application  20s    pools.api.declared.app, plimsoll.yaml:9
  :  : downstream   -      not declared (pools.api.declared.downstream)

  an endpoint leaves
  :  : stop grace       -    not declared (pools.api.declared.stopGrace)
  |==| drain window     30s  pools.api.drain.window, by default
  |  |   10s to spare
  |==| longest request  20s  pools.api.declared.app, plimsoll.yaml:9

  the balancer stops
  :  : stop grace    -    not declared (shutdown.stopGrace)
  |==| lag + window  32s
  |==| window        30s  shutdown.window, by default
  |  |   enough
  |==| drain window  30s  pools.api.drain.window, by default
`);
  });

  test("is broken where a rung is too short, and says by how much", () => {
    const drawn = draw(config("{ client: 1m, keepAlive: 4s }"));
    expect(drawn).toContain("XXXX   BROKEN: 1m10s too short\n  |==| balancer");
    expect(drawn).toContain("XXXX   BROKEN: no longer than what is below\n  |==| balancer     4s");
    expect(draw(config("{ app: 30s }"))).toContain("!  !   TIGHT: just as long as what is below");
  });

  test("says of one try what it leaves to the application", () => {
    const drawn = draw(config("{ app: 5s }", "    timeouts: { perTry: 9s }\n"));
    expect(drawn).toContain("|==| one try      6s   pools.api.timeouts.perTry, plimsoll.yaml:10");
    expect(drawn).toContain("|  |   what it leaves to the application after connect 3s");
  });

  test("fits into any width, but for words that cannot be broken", () => {
    const text = config("{ client: 1m, app: 30s, downstream: 40s, keepAlive: 4s, stopGrace: 10s }");
    for (let columns = 20; columns < 140; columns++) {
      for (const line of draw(text, columns).split("\n")) {
        const words = line.trim().split(/\s+/).length;
        // The rail, and one word.
        if (line.length > Math.max(32, columns)) expect([line, words <= 3]).toEqual([line, true]);
      }
    }
  });

  test("names a few of many routes", () => {
    const [ladder] = explain(config("{ client: 10m }")).ladders;
    if (ladder === undefined) throw new Error("no ladder");
    const routes = Array.from({ length: 1000 }, (_, index) => `web.routes[${index}]`);
    expect(drawLadder({ ...ladder, routes }, 200).split("\n")[0]).toEndWith("web.routes[4] and 995 more");
  });
});

describe("plimsoll check --explain", () => {
  async function run(text: string, options: object): Promise<{ code: number; out: string }> {
    const folder = mkdtempSync(join(tmpdir(), "plimsoll-check-"));
    try {
      writeFileSync(join(folder, "plimsoll.yaml"), text);
      const io = testIo(folder);
      const code = await check.run({ options, args: [], io });
      return { code, out: io.printed.out };
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  test("draws the ladder of what cannot be run, and says what would mend it all", async () => {
    const { code, out } = await run(config("{ client: 30s, app: 40s }"), { explain: true });
    expect(code).toBe(1);
    expect(out).toContain("|==| client       30s");
    expect(out).toContain("every rung outlasts the one below it:\n  pools.api.declared.client: ");
    expect(out).toEndWith("plimsoll.yaml cannot be run: 3 errors, no warnings\n");
  });

  test("is data with --json, and absent without --explain", async () => {
    const { out } = await run(config("{ client: 30s }"), { explain: true, json: true });
    const { hierarchy, problems } = JSON.parse(out) as { hierarchy: Explanation; problems: readonly object[] };
    expect(hierarchy.ladders[0]?.sections[0]?.rungs[0]).toMatchObject({
      name: "client",
      ms: 30_000,
      state: "broken",
      spare: -100_000,
      source: { kind: "written", path: "pools.api.declared.client", file: "plimsoll.yaml", line: 9 },
    });
    expect(hierarchy.together).toHaveLength(1);
    expect(problems[0]).toMatchObject({ why: expect.any(String), mends: expect.any(Array) });
    expect(JSON.parse((await run(config("{}"), { json: true })).out)).not.toHaveProperty("hierarchy");
  });

  test("says that there is nothing to show when nothing could be read", async () => {
    const { code, out } = await run("listeners: [", { explain: true });
    expect(code).toBe(1);
    expect(out).toContain("There is no timeout hierarchy to show");
  });
});
