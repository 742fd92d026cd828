import { expect, test } from "bun:test";
import type { MatchPlan, RoutePlan } from "../plan.ts";
import { explainRoute } from "./explain.ts";
import { host, path, request, route, value, type Sample } from "./samples.ts";

const named = (name: string, match: Partial<MatchPlan>): RoutePlan => route(match, { name });

/** Why the second of two routes is passed over; the first takes all. */
const whyNot = (match: Partial<MatchPlan>, sample: Sample): string | undefined =>
  explainRoute([named("catch-all", {}), named("wanted", match)], request(sample)).passed[0]?.why;

test("says what about the request does not fit", () => {
  expect(whyNot({ host: host("api.example.com") }, { host: "www.example.com" })).toBe(
    "host www.example.com is not api.example.com",
  );
  expect(whyNot({ host: host("api.example.com") }, {})).toBe("no host is not api.example.com");
  expect(whyNot({ host: host("*.example.com") }, { host: "example.com" })).toBe(
    "host example.com is not below example.com (*.example.com)",
  );
  expect(whyNot({ path: path("/v1/*") }, { path: "/v2/x" })).toBe("path /v2/x is not below /v1");
  expect(whyNot({ path: path("/v1") }, { path: "/%762" })).toBe("path /%762 (read as /v2) is not /v1");
  expect(whyNot({ path: path("~^/v[0-9]$") }, { path: "/vx" })).toBe("path /vx does not match ~^/v[0-9]$");
  expect(whyNot({ methods: ["GET"] }, { method: "POST" })).toBe("method POST is not GET or HEAD");
  expect(whyNot({ headers: [["x-a", value("1")]] }, {})).toBe("there is no header x-a");
  expect(whyNot({ headers: [["x-a", value("1")]] }, { headers: { "x-a": "2" } })).toBe(
    'header x-a is "2", which is not "1"',
  );
  expect(whyNot({ cookies: [["c", value("~^1")]] }, { cookies: { c: "2" } })).toBe(
    'cookie c is "2", which does not match ~^1',
  );
  expect(whyNot({ query: [["q", value("*")]] }, {})).toBe("there is no query q");
  expect(whyNot({ sources: ["10.0.0.0/8"] }, { source: "192.0.2.1" })).toBe(
    "source 192.0.2.1 is in none of its ranges",
  );
  expect(whyNot({ sources: ["10.0.0.0/8"] }, {})).toBe("source (none) is in none of its ranges");
});

test("says why one that fits as well stands behind", () => {
  const behind = (winner: Partial<MatchPlan>, other: Partial<MatchPlan>, sample: Sample): string | undefined =>
    explainRoute([named("other", other), named("winner", winner)], request(sample)).passed[0]?.why;
  const start = 'matches as well, but "winner" is more specific: ';
  expect(behind({ host: host("a.x") }, { host: host("*.x") }, { host: "a.x" })).toBe(
    start + "host a.x goes before *.x",
  );
  expect(behind({ path: path("/a/b/*") }, { path: path("/a/*") }, { path: "/a/b" })).toBe(
    start + "path /a/b/* goes before /a/*",
  );
  expect(behind({ path: path("~^/a/.") }, { path: path("/a/*") }, { path: "/a/b" })).toBe(
    start + "path ~^/a/. goes before /a/*",
  );
  expect(behind({ methods: ["GET"] }, {}, {})).toBe(start + "it names its methods");
  expect(behind({ methods: ["PUT"] }, { methods: ["PUT", "POST"] }, { method: "PUT" })).toBe(
    start + "it names fewer methods (1 < 2)",
  );
  const headers = { a: "1", b: "1" };
  const a1 = ["a", value("1")] as const;
  expect(behind({ headers: [a1, ["b", value("1")]] }, { headers: [a1] }, { headers })).toBe(
    start + "it has more conditions (2 > 1)",
  );
  expect(behind({ headers: [a1] }, { headers: [["a", value("*")]] }, { headers })).toBe(
    start + "more of its conditions ask for an exact value (1 > 0)",
  );
  expect(behind({ headers: [["a", value("~^1")]] }, { headers: [["a", value("~1")]] }, { headers })).toBe(
    start + "the regexes of its conditions are longer, or of equal length and first in the alphabet",
  );
  expect(behind({ sources: ["10.1.0.0/16"] }, { sources: ["10.0.0.0/8"] }, { source: "10.1.0.1" })).toBe(
    start + "its source ranges are narrower",
  );
});

test("goes through the routes in the documented order, whatever the file's", () => {
  const routes = [named("c", {}), named("a", { host: host("a.x") }), named("b", { path: path("/b") })];
  expect(explainRoute(routes, request({ path: "/" }))).toEqual({
    chosen: 0,
    passed: [
      { index: 1, why: "no host is not a.x" },
      { index: 2, why: "path / is not /b" },
    ],
  });
});

test("nothing chosen is -1", () => {
  expect(explainRoute([named("a", { path: path("/a") })], request({ path: "/b" }))).toEqual({
    chosen: -1,
    passed: [{ index: 0, why: "path /b is not /a" }],
  });
});
