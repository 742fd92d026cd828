import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { RewritePlan } from "../plan.ts";
import { compileRewrite } from "./rewrite.ts";

const prefix = (from: string, to: string): RewritePlan => ({ kind: "prefix", from, to });
const regex = (source: string, to: string): RewritePlan => ({ kind: "regex", source, to });

describe("a rewrite", () => {
  const cases: readonly (readonly [RewritePlan, string, string | null])[] = [
    [prefix("/v1", "/"), "/v1/a", "/a"],
    [prefix("/v1", "/"), "/v1", "/"],
    [prefix("/v1", "/"), "/v1/", "/"],
    [prefix("/v1", "/"), "/v1?a=1", "/?a=1"],
    [prefix("/v1", ""), "/v1/a?b=c?d", "/a?b=c?d"],
    [prefix("/v1", "/api"), "/v1/a", "/api/a"],
    [prefix("/v1", "/api/"), "/v1/a", "/api/a"],
    [prefix("/v1", "/api"), "/v1", "/api"],
    [prefix("/v1", "/api"), "/v1/", "/api/"],
    [prefix("/v1", "/api?k=1"), "/v1/a?b", "/api/a?k=1&b"],
    [prefix("/v1", "/api"), "/v10/a", null],
    [prefix("/v1", "/api"), "/v2", null],
    [prefix("/v1", "/api"), "*", null],
    [prefix("/", "/api"), "/a", "/api/a"],
    [prefix("", "/api"), "/", "/api/"],
    // The spelling of what is kept is kept.
    [prefix("/v1", "/api"), "/v1/a%20b%2Fc//d;e?f=%41", "/api/a%20b%2Fc//d;e?f=%41"],
    [prefix("/v1", "/api"), "/v1/%61", "/api/%61"],
    // What was matched by its canonical form is rewritten by it.
    [prefix("/v1", "/api"), "/%761/a", "/api/a"],
    [prefix("/v1", "/api"), "/x/../v1/a?b", "/api/a?b"],
    [prefix("/v1", "/api"), "/v1/../admin", null],
    [prefix("/v1", "/"), "/v1//evil.example", "/evil.example"],
    [prefix("/v1", "/"), "/v1/\\evil.example", "/evil.example"],
    [prefix("/v1", "/mit leer"), "/v1/a", "/mit%20leer/a"],
    [prefix("/v1", "/a\r\nb"), "/v1", "/a%0D%0Ab"],
    [regex("^/users/([0-9]+)$", "/u?id=$1"), "/users/7", "/u?id=7"],
    [regex("^/users/([0-9]+)$", "/u?id=$1"), "/users/7?x", "/u?id=7&x"],
    [regex("^/users/(?<id>[0-9]+)$", "/u/$<id>"), "/users/7", "/u/7"],
    [regex("^/users/([0-9]+)$", "/u/$1"), "/users/x", null],
    [regex("/a", "/b"), "/a/a", "/b/a"],
    [regex("^/a(.*)$", "$1"), "/a", "/"],
    [regex("^/a(.*)$", "$1"), "/a//x", "/x"],
    [regex("^/a(.*)$", "$1"), "/ax", "/x"],
    [regex("^/proxy/(.*)$", "/p/$1"), "/proxy/https://x", "/p/https://x"],
    [regex("^/admin/(.*)$", "/a/$1"), "/%61dmin/x", "/a/x"],
    [regex("^/admin/(.*)$", "/a/$1"), "/x/../admin/y", "/a/y"],
    [regex("^/admin/(.*)$", "/a/$1"), "/admin/../y", null],
  ];
  for (const [plan, target, expected] of cases) {
    const name = plan.kind === "prefix" ? plan.from : "~" + plan.source;
    test(`${name} to ${JSON.stringify(plan.to)}: ${target} -> ${expected}`, () => {
      expect(compileRewrite(plan)?.(target)).toBe(expected as never);
    });
  }

  test("none is null", () => expect(compileRewrite(null)).toBeNull());

  test("what comes out is a target: one slash at the start, visible ASCII, the query whole", () => {
    const pieces = fc.constantFrom("/", "//", "\\", "a", "v1", "..", "%2e", "%61", ";", "%", "~");
    const targets = fc
      .tuple(fc.array(pieces, { maxLength: 8 }), fc.constantFrom("", "?", "?a=1", "?a=/../&b"))
      .map(([list, query]) => [`/v1/${list.join("")}`, query] as const);
    const plans = fc.constantFrom(
      prefix("/v1", "/"),
      prefix("/v1", "/api"),
      regex("^/v1(.*)$", "$1"),
      regex("^/v1/", "/$$/"),
    );
    fc.assert(
      fc.property(plans, targets, (plan, [path, query]) => {
        const result = compileRewrite(plan)?.(path + query);
        if (result === null || result === undefined) return;
        expect(result).toMatch(/^\/(?!\/)[\x21-\x7e]*$/);
        expect(result.slice(result.length - query.length)).toBe(query);
        expect(new URL(result, "http://host").host).toBe("host");
      }),
      { numRuns: 3000 },
    );
  });
});
