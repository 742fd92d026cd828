import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { stage, type Stage } from "./stage.ts";

let here: Stage;

beforeAll(async () => {
  here = await stage(
    `
    - pool: site
    - match: { path: /admin/*, source: 10.0.0.0/8 }
      pool: admin
    - match: { path: /admin/* }
      respond: { status: 403, body: no }
    - match: { host: api.example.com, path: /v1/*, methods: [GET, POST], headers: { x-canary: "1" } }
      pool: canary
    - match: { host: api.example.com, path: /v1/* }
      pool: api
    - match: { host: "*.example.com", path: "~^/v1/[0-9]+$" }
      pool: numbers
    - match: { host: bücher.example, query: { q: "~^a" } }
      pool: api
    - match: { host: bücher.example, cookies: { beta: "yes" } }
      pool: canary
    `,
    { site: null, admin: null, canary: null, api: null, numbers: null },
  );
});
afterAll(() => here.close());

describe("the most specific route takes the request", () => {
  const api = { host: "api.example.com" };
  const cases: readonly (readonly [string, Parameters<Stage["ask"]>])[] = [
    ["site", ["/"]],
    ["api", ["/v1/x", [], api]],
    ["api", ["/v1/x", [], { host: "API.Example.COM:8080" }]],
    ["api", ["/v1/x", [], { host: "api.example.com.:80" }]],
    ["api", ["http://api.example.com/v1/x", [], api]],
    ["canary", ["/v1/x", ["X-Canary: 1"], api]],
    ["canary", ["/v1/x", ["x-canary:1"], { ...api, method: "POST" }]],
    ["canary", ["/v1/x", ["X-Canary: 1"], { ...api, method: "HEAD" }]],
    ["api", ["/v1/x", ["X-Canary: 1"], { ...api, method: "DELETE" }]],
    ["api", ["/v1/x", ["X-Canary: 1", "X-Canary: 1"], api]],
    ["site", ["/v10", [], api]],
    ["api", ["/v1/7", [], api]],
    ["numbers", ["/v1/7", [], { host: "www.example.com" }]],
    ["site", ["/v1/7", [], { host: "example.com" }]],
    ["site", ["/v1/7", [], { host: "" }]],
    ["api", ["/?q=abc", [], { host: "xn--bcher-kva.example" }]],
    ["canary", ["/", ["Cookie: a=1; beta=yes"], { host: "xn--bcher-kva.example" }]],
    ["site", ["/", ["Cookie: beta=no"], { host: "xn--bcher-kva.example" }]],
    ["site", ["*", [], { method: "OPTIONS" }]],
  ];
  for (const [pool, asked] of cases) {
    const [target, lines = [], options = {}] = asked;
    test(`${JSON.stringify(options)} ${target} ${lines.join()} goes to ${pool}`, async () => {
      expect(await here.taker(...asked)).toBe(pool);
    });
  }
});

describe("rules for /admin cannot be walked around", () => {
  const spellings = [
    "/admin",
    "/admin/x",
    "/%61dmin/x",
    "/x/../admin/x",
    "/x/%2e%2e/admin/x",
    "/x/..%2fadmin/x",
    "/x/..;/admin/x",
    "/admin;p=1/x",
    "//admin/x",
    "/x\\..\\admin/x",
    "http://www.example.com/x/../admin",
  ];
  for (const target of spellings) {
    test(target, async () => expect(await here.taker(target)).toBe("403 no"));
  }

  test("what a client says of its address is not believed", async () => {
    for (const line of ["X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1", "X-Real-IP: 10.0.0.1"]) {
      expect({ line, taker: await here.taker("/admin/x", [line]) }).toEqual({ line, taker: "403 no" });
    }
  });

  test("what was matched is what is served: no origin sees a path that it could read as another", async () => {
    for (const [sent, served] of [
      ["/admin/../x?a=/../b", "/x?a=/../b"],
      ["/admin/%2e%2e/x", "/x"],
      ["//evil.example/x", "/evil.example/x"],
      ["/a\\b", "/a/b"],
      ["/a//b/%61;c", "/a//b/%61;c"],
    ] as const) {
      expect(await here.taker(sent)).toBe("site");
      expect(here.seen("site").target).toBe(served);
    }
  });
});

test("two routes that tie are refused, with both names", async () => {
  const tied = stage(
    `
    - { name: one, match: { path: /a/*, methods: [GET, HEAD] }, pool: site }
    - { name: two, match: { path: /a/*, methods: GET }, pool: site }
    `,
    { site: null },
  );
  await expect(tied).rejects.toThrow(/"one" and "two" match exactly the same/);
});
