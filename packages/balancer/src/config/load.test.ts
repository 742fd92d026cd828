import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfig, type FileReader } from "./load.ts";
import { renderProblems, type Problem } from "./problem.ts";

const reader: FileReader = { resolve: (_, written) => written, readFile: () => "<h1>page</h1>" };

function load(text: string, environment: Record<string, string> = {}) {
  return loadConfig({ text, file: "plimsoll.yaml" }, environment, reader);
}

function problemsOf(text: string, environment: Record<string, string> = {}): readonly Problem[] {
  const loaded = load(text, environment);
  return "problems" in loaded ? loaded.problems : loaded.warnings;
}

function golden(name: string): string {
  return readFileSync(join(import.meta.dir, "golden", name), "utf8");
}

/** The smallest configuration with something added to its pool, its route or its listener. */
function withPart(part: { pool?: string; route?: string; listener?: string; top?: string }): string {
  return [
    "listeners:",
    "  web:",
    "    address: 127.0.0.1:8080",
    ...(part.listener === undefined ? [] : [`    ${part.listener}`]),
    "    routes:",
    `      - { pool: app${part.route === undefined ? "" : `, ${part.route}`} }`,
    "pools:",
    "  app:",
    "    endpoints: [127.0.0.1:3001]",
    ...(part.pool === undefined ? [] : [`    ${part.pool}`]),
    ...(part.top === undefined ? [] : [part.top]),
    "",
  ].join("\n");
}

describe("a wrong balance is one mistake", () => {
  for (const beside of ["hashKey: source", "hashBalance: 1.5"]) {
    test(`and nothing is said of ${beside} beside it`, () => {
      const wrong = problemsOf(withPart({ pool: `balance: ringhash\n    ${beside}` }));
      expect(wrong.map(({ severity, path }) => `${severity} ${path}`)).toEqual(["error pools.app.balance"]);
      const idle = problemsOf(withPart({ pool: `balance: p2c\n    ${beside}` }));
      expect(idle.map(({ severity, path }) => `${severity} ${path}`)).toEqual([
        `warning pools.app.${beside.split(":")[0]}`,
      ]);
    });
  }
});

describe("the example of the design, word for word", () => {
  test("has exactly the problems that it should have today", () => {
    const problems = problemsOf(golden("design-example.yaml"), { STICKY_SECRET: "0123456789abcdef" });
    expect(problems.map(({ severity, path }) => `${severity} ${path}`)).toEqual([
      // Every file is a page here, these two as well.
      "error listeners.web.tls.certificates[0].cert",
      "error listeners.web.tls.certificates[0].key",
      // The example names a pool that it does not show.
      "error listeners.web.routes[2].split[1].pool",
      "warning pools.api.hashKey",
      "warning pools.api.sticky",
      "warning pools.api.drain.window",
    ]);
  });

  test("says that the secret is not set", () => {
    const unset = problemsOf(golden("design-example.yaml")).find(({ message }) => message.includes("STICKY_SECRET"));
    expect(unset).toMatchObject({ severity: "error", line: 22, path: "pools.api.sticky.secret" });
  });

  test("without what is not there yet is a plan with all that it says", () => {
    const text = golden("design-example.yaml")
      .replace(/ {4}tls:\n.*\n/, "")
      .replace(/ {4}sticky:.*\n/, "")
      .replace("apiNext", "api2")
      .replace("pools:\n", "pools:\n  api2: { endpoints: [127.0.0.1:3003] }\n");
    const loaded = load(text);
    if ("problems" in loaded) throw new Error(renderProblems(loaded.problems, text));
    const { plan } = loaded;
    expect(plan.listeners[0]).toMatchObject({
      name: "web",
      address: { host: "127.0.0.1", port: 8080 },
      trustedProxies: ["10.0.0.0/8"],
      timeouts: { headers: 10_000, body: 30_000, idle: 75_000, halfClose: 1000 },
    });
    expect(plan.listeners[0]?.routes.map(({ action }) => action.kind)).toEqual(["pool", "redirect", "split"]);
    expect(plan.pools.find(({ pool }) => pool.name === "api")?.pool).toMatchObject({
      balance: "p2c",
      endpoints: [{ id: "127.0.0.1:3001" }, { id: "127.0.0.1:3002", weight: 2, zone: "b", backup: true }],
      readiness: {
        probe: "http",
        path: "/readyz",
        interval: 5000,
        timeout: 2000,
        rise: 2,
        fall: 3,
        expect: [[200, 299]],
      },
      retry: { attempts: 2, budget: 0.2, on: ["connect", "reset"], idempotencyKey: false, hedge: 0 },
      deadlineHeader: "",
      timeouts: { connect: 3000, firstByte: 60_000, idle: 60_000, tunnelIdle: 3_600_000, perTry: 0, total: 0 },
      limits: { inFlight: 256, queue: 100, queueTimeout: 1000 },
    });
    expect(plan).toMatchObject({
      admin: { host: "127.0.0.1", port: 9090 },
      log: { access: "stdout", format: "json" },
      workers: 0,
    });
  });
});

describe("loading", () => {
  test("a plan survives JSON", () => {
    const loaded = load(golden("full.yaml"));
    if ("problems" in loaded) throw new Error(renderProblems(loaded.problems, ""));
    expect(JSON.parse(JSON.stringify(loaded.plan))).toEqual(loaded.plan);
  });

  test("one wrong value hides no other mistake", () => {
    const text = withPart({
      listener: "timeouts: { headers: soon }",
      route: "mirror: nowhere, timeouts: { connect: 5 }",
      pool: "readiness: { timeout: 1m, rise: -1 }",
    }).replace("127.0.0.1:8080", "nowhere");
    expect(problemsOf(text).map(({ path }) => path)).toEqual([
      "listeners.web.address",
      "listeners.web.timeouts.headers",
      "listeners.web.routes[0].mirror",
      "listeners.web.routes[0].timeouts.connect",
      "pools.app.readiness.timeout",
      "pools.app.readiness.rise",
    ]);
  });

  test("one wrong value makes no others wrong", () => {
    // The pool is wrong and so gone, but it is there for whoever names it; a route that is gone still uses its pool.
    expect(problemsOf(withPart({}).replace("127.0.0.1:3001", "nowhere")).map(({ path }) => path)).toEqual([
      "pools.app.endpoints[0]",
    ]);
    expect(problemsOf(withPart({ route: "match: 5" })).map(({ path }) => path)).toEqual([
      "listeners.web.routes[0].match",
    ]);
    // Without its host, the first route would be the same as the second.
    const tied = withPart({}).replace(
      "- { pool: app }",
      "- { match: { host: 'a b' }, pool: app }\n      - { pool: app }",
    );
    expect(problemsOf(tied).map(({ path }) => path)).toEqual(["listeners.web.routes[0].match.host"]);
    expect(problemsOf(withPart({}).replace("    address: 127.0.0.1:8080\n", "")).map(({ path }) => path)).toEqual([
      "listeners.web.address",
    ]);
  });

  test("names in messages are those of the file, also behind an item that was taken out", () => {
    const text = withPart({ pool: "# x" }).replace("[127.0.0.1:3001]", "[wrong, 127.0.0.1:1, 127.0.0.1:1]");
    expect(problemsOf(text).map(({ path, message }) => [path, message.includes("pools.app.endpoints[1]")])).toEqual([
      ["pools.app.endpoints[0]", false],
      ["pools.app.endpoints[2]", true],
    ]);
  });

  test("values from the environment are read as the key wants them, quoted or not", () => {
    const text = withPart({
      pool: 'limits: { inFlight: "${N}", queueTimeout: "${T}" }\n    failOpen: ${F}\n    zone: ${N}',
      top: "workers: ${N}",
    });
    const loaded = load(text, { N: "7", T: "250ms", F: "false" });
    if ("problems" in loaded) throw new Error(renderProblems(loaded.problems, text));
    expect(loaded.plan.workers).toBe(7);
    expect(loaded.plan.pools[0]?.pool).toMatchObject({
      limits: { inFlight: 7, queueTimeout: 250 },
      failOpen: false,
      zone: "7",
    });
  });

  test("short forms and single items take numbers from the environment, too", () => {
    const text = withPart({ pool: 'readiness: { path: /x, expect: "${CODE}" }' }).replace(
      "- { pool: app }",
      '- { pool: app }\n      - { match: { path: /gone }, respond: "${CODE}" }',
    );
    const loaded = load(text, { CODE: "410" });
    if ("problems" in loaded) throw new Error(renderProblems(loaded.problems, text));
    expect(loaded.plan.listeners[0]?.routes[1]?.action).toMatchObject({ kind: "fixed", status: 410 });
    expect(loaded.plan.pools[0]?.pool.readiness?.expect).toEqual([[410, 410]]);
  });

  test("parts of a request head are never allowed more than the whole", () => {
    for (const [written, targetBytes, fieldBytes] of [
      ["{ headBytes: 4KiB }", 4096, 4096],
      ["{ headBytes: 64KiB }", 8192, 8192],
      ["{ headBytes: 32KiB, targetBytes: 1KiB, fieldBytes: 32KiB }", 1024, 32_768],
    ] as const) {
      const loaded = load(withPart({ listener: `limits: ${written}` }));
      expect(loaded).toMatchObject({ plan: { listeners: [{ limits: { targetBytes, fieldBytes } }] } });
    }
  });

  test("values from the environment are shown by nobody", () => {
    const secret = "correct-horse-battery";
    const places = [
      withPart({ pool: "zone: ${S}" }).replace("pool: app }", 'pool: "${S}" }'),
      withPart({ route: 'match: { host: "${S} x" }' }),
      withPart({ route: 'match: { path: "~(${S}" }' }),
      withPart({ route: 'redirect: "{${S}}"' }),
      withPart({ pool: "balance: ${S}" }),
      withPart({ pool: "readiness: { path: '/x', expect: '${S}' }" }),
      withPart({ top: "log: { format: '{${S}}' }" }),
      withPart({ listener: "errorPages: { 404: '${S}' }" }),
      withPart({ listener: "trustedProxies: ['${S}']" }),
      withPart({}).replace("127.0.0.1:3001", '"${S}:x"'),
      withPart({}).replace("[127.0.0.1:3001]", '["${S}:1", "${S}:1"]'),
    ];
    for (const text of places) {
      const problems = problemsOf(text, { S: secret });
      expect(problems.length).toBeGreaterThan(0);
      expect(renderProblems(problems, text)).not.toContain(secret);
    }
  });

  test("aliases cannot stand for more than they should", () => {
    const rows = ["x-0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"];
    for (let i = 1; i < 12; i++)
      rows.push(`x-${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(", ")}]`);
    expect(problemsOf(rows.join("\n"))[0]?.message).toMatch(/aliases stand for more than 100000 values/);
  });

  test("nesting and length have an end", () => {
    expect(problemsOf("[".repeat(100_000))[0]?.message).toMatch(/nested too deeply/);
    const maps = problemsOf(`a: ${"{a: ".repeat(100)}1${"}".repeat(100)}`);
    expect(maps.map(({ message }) => message).join()).toMatch(/nested deeper/);
    expect(problemsOf("#".repeat(17 * 1024 * 1024))[0]?.message).toMatch(/16 MiB/);
  });

  test("merge keys fill in, and a map's own keys win wherever they stand", () => {
    const text = withPart({
      pool: "timeouts:\n      connect: 1s\n      <<: [*first, *second]",
    }).replace(
      "listeners:",
      "x-a: &first { connect: 8s, idle: 9s }\nx-b: &second { idle: 10s, tunnelIdle: 11s }\nlisteners:",
    );
    const loaded = load(text);
    if ("problems" in loaded) throw new Error(renderProblems(loaded.problems, text));
    expect(loaded.plan.pools[0]?.pool.timeouts).toEqual({
      connect: 1000,
      firstByte: 60_000,
      idle: 9000,
      tunnelIdle: 11_000,
      perTry: 0,
      total: 0,
    });
  });

  test("fields that are the same but for case are not lost", () => {
    const text = withPart({ route: "match: { headers: { x-a: b, X-A: c } }" });
    expect(problemsOf(text)).toMatchObject([
      { path: "listeners.web.routes[0].match.headers.X-A", message: expect.stringContaining("x-a") },
    ]);
  });

  test("names that every object has are names like others", () => {
    const text = withPart({ route: "headers: { request: { set: { constructor: x } } }" }).replaceAll(
      "app",
      "constructor",
    );
    expect(load(text)).toMatchObject({ plan: { pools: [{ pool: { name: "constructor" } }] } });
    expect(problemsOf(withPart({ pool: "constructor: 1" }))).toMatchObject([{ path: "pools.app.constructor" }]);
    expect(problemsOf(withPart({}).replace("pool: app", "pool: toString")).map(({ path }) => path)).toEqual([
      "listeners.web.routes[0].pool",
      "pools.app",
    ]);
    expect(problemsOf(withPart({ pool: "zone: ${constructor}" }))).toMatchObject([
      { message: expect.stringContaining("not set") },
    ]);
  });

  test("line ends of every kind and a byte order mark keep places right", () => {
    const text = withPart({ pool: "balance: p3c" });
    for (const changed of [text, text.replaceAll("\n", "\r\n"), `\uFEFF${text}`]) {
      expect(problemsOf(changed)).toMatchObject([{ line: 9, column: 14, path: "pools.app.balance" }]);
    }
  });
});

describe("whatever is written", () => {
  const valid = golden("full.yaml");
  const tokens = [
    "\n",
    "  ",
    ":",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "*a",
    "&a ",
    "!t ",
    "<<: ",
    "${X}",
    "${",
    "'",
    '"',
    "\t",
    "5",
    "off",
    "~",
    "|",
    "\u0000",
    "x-y: ",
    "é",
    "1e9",
    ".inf",
    "null",
    "__proto__: ",
    "# ",
  ];
  const edit = fc.record({
    at: fc.nat(valid.length),
    cut: fc.oneof(fc.constant(0), fc.nat(12), fc.nat(200)),
    put: fc.oneof(fc.constantFrom(...tokens), fc.string({ maxLength: 6 })),
  });

  function check(text: string): void {
    const loaded = load(text, { X: "7" });
    if ("plan" in loaded) {
      expect(loaded.plan.listeners.length).toBeGreaterThan(0);
      return;
    }
    const lines = text.split(/\r\n|\r|\n/);
    expect(loaded.problems.some(({ severity }) => severity === "error")).toBe(true);
    for (const problem of loaded.problems) {
      expect(problem.line).toBeGreaterThan(0);
      expect(problem.line).toBeLessThanOrEqual(lines.length);
      expect(problem.message).not.toBe("");
    }
    expect(renderProblems(loaded.problems, text)).not.toContain("undefined");
  }

  test("there is a plan or there are problems, each with a place", () => {
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        let text = valid;
        for (const { at, cut, put } of edits) text = text.slice(0, at) + put + text.slice(at + cut);
        check(text);
      }),
      { numRuns: 300 },
    );
  }, 60_000);

  test("every line can be missing", () => {
    const lines = valid.split("\n");
    for (let gone = 0; gone < lines.length; gone++) check(lines.toSpliced(gone, 1).join("\n"));
  }, 60_000);

  test("a misspelt key is found where it stands, with the right one as the hint", () => {
    const keys = [
      ...valid.matchAll(
        /(?<=[\s{])(?!x-|X-|web|v6|api|hashed|named|shadow|preview|beta|server)([a-z][A-Za-z]{4,}):(?=\s)/g,
      ),
    ].filter(({ index }) => !/^x-|#/.test(valid.slice(valid.lastIndexOf("\n", index) + 1, index)));
    expect(keys.length).toBeGreaterThan(50);
    for (const key of keys) {
      const word = key[1] ?? "";
      const misspelt = `${word.slice(0, 2)}q${word.slice(2)}`;
      const text = valid.slice(0, key.index) + misspelt + valid.slice(key.index + word.length);
      const before = valid.slice(0, key.index).split("\n");
      const found = problemsOf(text).find(({ message }) => message.startsWith(`there is no key "${misspelt}"`));
      expect(found).toMatchObject({
        line: before.length,
        column: (before.at(-1)?.length ?? 0) + 1,
        hint: `did you mean "${word}"?`,
      });
    }
  });
});
