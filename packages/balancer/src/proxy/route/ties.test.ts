import { describe, expect, test } from "bun:test";
import type { MatchPlan, RoutePlan } from "../plan.ts";
import { host, path, route, value } from "./samples.ts";
import { findTies } from "./ties.ts";

const named = (name: string, match: Partial<MatchPlan>): RoutePlan => route(match, { name });
const pairs = (routes: readonly RoutePlan[]): string[] => findTies(routes).map((tie) => `${tie.a}-${tie.b}`);
const header = (name: string, text: string): Partial<MatchPlan> => ({ headers: [[name, value(text)]] });

describe("findTies", () => {
  const tie: readonly (readonly [string, Partial<MatchPlan>, Partial<MatchPlan>])[] = [
    ["the same", {}, {}],
    ["the same host and path", { host: host("a.x"), path: path("/a/*") }, { host: host("a.x"), path: path("/a/*") }],
    ["/* and no path", { path: path("/*") }, {}],
    ["one path spelled twice", { path: path("/a") }, { path: path("/%61") }],
    [
      "a prefix with and without its slash",
      { path: { kind: "prefix", path: "/a" } },
      { path: { kind: "prefix", path: "/a/" } },
    ],
    ["the same regex", { path: path("~^/a") }, { path: path("~^/a") }],
    ["methods that share one", { methods: ["GET", "POST"] }, { methods: ["GET", "PUT"] }],
    ["GET brings HEAD", { methods: ["GET"] }, { methods: ["GET", "HEAD"] }],
    ["two different headers", header("a", "1"), header("b", "1")],
    [
      "the same header wanted in words that may both fit",
      { headers: [["a", value("~1")]] },
      { headers: [["b", value("~1")]] },
    ],
    ["a header and a cookie", header("a", "1"), { cookies: [["a", value("1")]] }],
    ["the same source", { sources: ["10.0.0.0/8"] }, { sources: ["10.1.2.3/8"] }],
  ];
  for (const [title, a, b] of tie) {
    test(`tie: ${title}`, () => expect(pairs([named("a", a), named("b", b)])).toEqual(["0-1"]));
  }

  const none: readonly (readonly [string, Partial<MatchPlan>, Partial<MatchPlan>])[] = [
    ["other hosts", { host: host("a.x") }, { host: host("b.x") }],
    ["an exact host and its suffix", { host: host("a.x") }, { host: host("*.x") }],
    ["other paths", { path: path("/a") }, { path: path("/a/*") }],
    ["two regexes, of which the longer goes first", { path: path("~^/a") }, { path: path("~^/ab") }],
    ["disjoint methods", { methods: ["GET"] }, { methods: ["POST", "PUT"] }],
    ["fewer methods", { methods: ["GET"] }, { methods: ["GET", "POST"] }],
    ["the same header with other values", header("a", "1"), header("a", "2")],
    [
      "an exact value and a regex that it does not fit",
      header("a", "1"),
      {
        headers: [
          ["a", value("~^2")],
          ["b", value("*")],
        ],
      },
    ],
    [
      "more conditions",
      header("a", "1"),
      {
        headers: [
          ["a", value("1")],
          ["b", value("1")],
        ],
      },
    ],
    ["narrower sources", { sources: ["10.0.0.0/8"] }, { sources: ["10.0.0.0/16"] }],
    [
      "a source range, which goes before a mere presence",
      { headers: [["a", value("*")]] },
      { sources: ["10.0.0.0/8"] },
    ],
    ["sources apart", { sources: ["10.0.0.0/8"] }, { sources: ["11.0.0.0/8"] }],
  ];
  for (const [title, a, b] of none) {
    test(`no tie: ${title}`, () => expect(pairs([named("a", a), named("b", b)])).toEqual([]));
  }

  test("a third route that takes what both match settles it", () => {
    const both: Partial<MatchPlan> = {
      headers: [
        ["a", value("1")],
        ["b", value("1")],
      ],
    };
    expect(pairs([named("a", header("a", "1")), named("b", header("b", "1")), named("both", both)])).toEqual([]);
    // This one asks for more than both give, so it leaves requests over.
    const more: Partial<MatchPlan> = { ...both, methods: ["GET"] };
    expect(pairs([named("a", header("a", "1")), named("b", header("b", "1")), named("more", more)])).toEqual(["0-1"]);
    const other: Partial<MatchPlan> = {
      headers: [
        ["a", value("1")],
        ["b", value("2")],
      ],
    };
    expect(pairs([named("a", header("a", "1")), named("b", header("b", "1")), named("other", other)])).toEqual(["0-1"]);
  });

  test("says who and what", () => {
    const at = { host: host("a.x"), path: path("/v1/*"), methods: ["POST", "GET"] };
    const same = findTies([named("web.routes[0]", at), named("web.routes[1]", { ...at, methods: ["GET", "POST"] })]);
    expect(same[0]?.why).toBe(
      '"web.routes[0]" and "web.routes[1]" match exactly the same: host a.x, path /v1/*, methods GET HEAD POST',
    );
    const meet = findTies([
      named("one", { methods: ["GET"], ...header("x-a", "1") }),
      named("two", { methods: ["GET"], ...header("x-b", "2") }),
    ]);
    expect(meet[0]?.why).toBe(
      '"one" and "two" have host any and path any, one request can match both (GET or HEAD, header x-a "1", header x-b "2"), ' +
        "and neither is more specific; make them exclude each other, or add a route for requests that match both",
    );
  });

  test("ten thousand tenants are compared by their value, not with each other", () => {
    const tenants = Array.from({ length: 10_000 }, (_, i) => named(`t${i}`, header("x-tenant", String(i))));
    let compared = 0;
    // What two routes are compared by: whether their methods meet.
    const original = Set.prototype.isDisjointFrom;
    Set.prototype.isDisjointFrom = function (other) {
      compared++;
      return original.call(this, other);
    };
    try {
      const posts = tenants.map((r) => ({ ...r, match: { ...r.match, methods: ["POST"] } }));
      expect(findTies([...posts, { ...posts[7]!, name: "again" }]).map((found) => [found.a, found.b])).toEqual([
        [7, 10_000],
      ]);
    } finally {
      Set.prototype.isDisjointFrom = original;
    }
    expect(compared).toBeLessThan(10);
  });

  test("n copies are n ties, and hopeless tables end", () => {
    const copies = Array.from({ length: 3000 }, (_, i) => named(`c${i}`, {}));
    expect(findTies(copies).length).toBe(2999);
    const tangled = Array.from({ length: 200 }, (_, i) => named(`h${i}`, { headers: [[`h${i}`, value("1")]] }));
    expect(findTies(tangled).length).toBe(1000);
  });
});
