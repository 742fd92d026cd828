import { describe, expect, test } from "bun:test";
import { disk } from "../disk.ts";
import { loadConfig } from "../load.ts";
import { renderProblems } from "../problem.ts";

const secret = "a-secret-of-enough-length";

function findings(pool: string, environment: Record<string, string> = { STICKY_SECRET: secret }) {
  const text = `
listeners: { web: { address: "127.0.0.1:8080", routes: [{ pool: app }] } }
pools:
  app:
    endpoints: [127.0.0.1:3001, 127.0.0.1:3002, 127.0.0.1:3003, 127.0.0.1:3004]
${pool}
`;
  const loaded = loadConfig({ text, file: "test.yaml" }, environment, disk);
  const problems = "problems" in loaded ? loaded.problems : loaded.warnings;
  return { loaded, problems, text };
}

describe("the crutch", () => {
  const sticky = '    sticky: { cookie: a, secret: "${STICKY_SECRET}" }';

  test("is named, with what breaks and for how many", () => {
    const { problems } = findings(sticky);
    expect(problems.map(({ severity, path }) => [severity, path])).toEqual([["warning", "pools.app.sticky"]]);
    expect(problems[0]?.message).toMatch(/crutch.* when an endpoint dies.* about one client in 4/);
    expect(problems[0]?.hint).toContain("declared: { state: redis }");
  });

  test("is none when a store is declared, or nobody is sticky", () => {
    expect(findings(`${sticky}\n    declared: { state: redis }`).problems).toEqual([]);
    expect(findings("    balance: p2c").problems).toEqual([]);
  });

  test("of a hash moves clients at other times, too", () => {
    expect(findings("    sticky: { source: true }").problems[0]?.message).toContain("whenever endpoints come or go");
  });
});

describe("secrets", () => {
  test("are in the plan, first the one that signs", () => {
    const { loaded } = findings('    sticky: { cookie: a, secret: ["${NEW}", "${OLD}"] }', {
      NEW: `new-${secret}`,
      OLD: `old-${secret}`,
    });
    if ("problems" in loaded) throw new Error(JSON.stringify(loaded.problems));
    expect(loaded.plan.pools[0]?.pool.sticky?.cookie?.secrets).toEqual([`new-${secret}`, `old-${secret}`]);
  });

  test.each([
    ["in a list", "    sticky: { cookie: a, secret: [hunter2, hunter3-and-more-than-sixteen] }"],
    [
      "in lines",
      "    sticky:\n      cookie: a\n      secret:\n        - hunter2\n        - hunter3-and-more-than-sixteen",
    ],
    ["alone", "    sticky: { cookie: a, secret: hunter2 }"],
    ["of the wrong type", "    sticky: { cookie: a, secret: [[hunter2]] }"],
  ])("do not get into messages: %s", (_, pool) => {
    const { problems, text } = findings(pool);
    expect(problems.length).toBeGreaterThan(0);
    expect(renderProblems(problems, text)).not.toContain("hunter");
  });

  test("none is told with the way to make one", () => {
    const { problems } = findings("    sticky: plimsoll");
    expect(problems.map(({ severity, hint }) => [severity, hint])).toEqual([
      ["error", expect.stringContaining("openssl rand -base64 32")],
    ]);
  });
});

test("a cookie that browsers take only with Secure gets it", () => {
  for (const more of ["sameSite: none", "partitioned: true", "cookie: __Host-a", "cookie: __Secure-a"]) {
    const name = more.startsWith("cookie") ? "" : "cookie: a, ";
    const { loaded } = findings(`    sticky: { ${name}${more}, secret: "\${STICKY_SECRET}" }`);
    if ("problems" in loaded) throw new Error(JSON.stringify(loaded.problems));
    expect(loaded.plan.pools[0]?.pool.sticky?.cookie?.secure).toBe("always");
  }
});
