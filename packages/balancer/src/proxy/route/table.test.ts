import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { MatchPlan, RoutePlan } from "../plan.ts";
import { explainRoute } from "./explain.ts";
import { referenceMatch } from "./reference.ts";
import { host, path, request, route, value, type Sample } from "./samples.ts";
import { compileRoutes } from "./table.ts";
import { findTies } from "./ties.ts";

/** A route whose name says what it matches. */
const at = (hostText: string, pathText: string, more: Partial<MatchPlan> = {}): RoutePlan =>
  route({ host: host(hostText), path: path(pathText), ...more }, { name: `${hostText} ${pathText}` });

const chosen = (routes: readonly RoutePlan[], sample: Sample): string =>
  routes[compileRoutes(routes).match(request(sample))]?.name ?? "none";

describe("the documented order", () => {
  const routes = [
    at("*", "*"),
    at("*", "~[.]png$"),
    at("*", "/v1/*"),
    at("*", "/v1/users/*"),
    at("*", "~^/v1/users/[0-9]+$"),
    at("*", "/v1/users/7"),
    at("*.example.com", "*"),
    at("*.eu.example.com", "*"),
    at("www.example.com", "/only"),
  ];
  const cases: readonly (readonly [Sample, string])[] = [
    [{ path: "/" }, "* *"],
    [{ path: "/x.png" }, "* ~[.]png$"],
    [{ path: "/v1" }, "* /v1/*"],
    [{ path: "/v1/" }, "* /v1/*"],
    [{ path: "/v1/x.png" }, "* /v1/*"],
    [{ path: "/v10" }, "* *"],
    [{ path: "/v1/users/x" }, "* /v1/users/*"],
    [{ path: "/v1/users/8" }, "* ~^/v1/users/[0-9]+$"],
    [{ path: "/v1/users/7" }, "* /v1/users/7"],
    [{ host: "example.com", path: "/" }, "* *"],
    [{ host: "a.example.com", path: "/v1/users/7" }, "*.example.com *"],
    [{ host: "a.b.example.com" }, "*.example.com *"],
    [{ host: "a.eu.example.com" }, "*.eu.example.com *"],
    [{ host: "eu.example.com" }, "*.example.com *"],
    [{ host: "www.example.com", path: "/only" }, "www.example.com /only"],
    [{ host: "www.example.com.", path: "/only" }, "www.example.com /only"],
    // The exact host has no route for this path: the next best host takes it.
    [{ host: "www.example.com", path: "/other" }, "*.example.com *"],
    [{ host: ".example.com" }, "* *"],
    [{ host: "badexample.com" }, "* *"],
    [{ path: "*", method: "OPTIONS" }, "* *"],
  ];
  for (const [sample, name] of cases) {
    test(`${sample.host ?? ""}${sample.path ?? "/"} goes to ${name}`, () => expect(chosen(routes, sample)).toBe(name));
  }

  test("methods before conditions, more conditions before fewer, exact before others", () => {
    const named = (name: string, match: Partial<MatchPlan>): RoutePlan => route(match, { name });
    const list = [
      named("any", {}),
      named("canary", { headers: [["x-canary", value("1")]] }),
      named("canary there", { headers: [["x-canary", value("*")]] }),
      named("canary and tester", { headers: [["x-canary", value("1")]], cookies: [["tester", value("*")]] }),
      named("inside", { sources: ["10.0.0.0/8"] }),
      named("inside, narrow", { sources: ["10.1.0.0/16"] }),
      named("writes", { methods: ["POST", "PUT"] }),
      named("posts", { methods: ["POST"] }),
      named("reads", { methods: ["GET"] }),
    ];
    const headers = { "x-canary": "1" };
    expect(chosen(list, { method: "DELETE" })).toBe("any");
    expect(chosen(list, { method: "DELETE", headers })).toBe("canary");
    expect(chosen(list, { method: "DELETE", headers: { "x-canary": "2" } })).toBe("canary there");
    expect(chosen(list, { method: "DELETE", headers, cookies: { tester: "" } })).toBe("canary and tester");
    expect(chosen(list, { method: "DELETE", source: "10.2.0.1" })).toBe("inside");
    expect(chosen(list, { method: "DELETE", source: "10.1.0.1" })).toBe("inside, narrow");
    expect(chosen(list, { method: "DELETE", source: "10.1.0.1", headers })).toBe("canary");
    expect(chosen(list, { method: "PUT", headers })).toBe("writes");
    expect(chosen(list, { method: "POST", headers })).toBe("posts");
    expect(chosen(list, { method: "GET" })).toBe("reads");
    expect(chosen(list, { method: "HEAD" })).toBe("reads");
    expect(chosen(list, { method: "get" })).toBe("any");
  });

  test("the order within an exact host and an exact path is the same", () => {
    const list = [
      at("a.x", "/a"),
      at("a.x", "/a", { methods: ["GET"] }),
      at("a.x", "/a", { headers: [["h", value("1")]] }),
    ];
    for (const routes of [list, [...list].reverse()]) {
      const found = (sample: Sample): RoutePlan | undefined =>
        routes[compileRoutes(routes).match(request({ host: "a.x", path: "/a", ...sample }))];
      expect(found({})).toBe(list[1]!);
      expect(found({ method: "POST", headers: { h: "1" } })).toBe(list[2]!);
      expect(found({ method: "POST" })).toBe(list[0]!);
    }
  });

  test("no route is -1", () => {
    expect(compileRoutes([]).match(request({}))).toBe(-1);
    expect(compileRoutes([at("a.example", "*")]).match(request({ host: "b.example" }))).toBe(-1);
    expect(compileRoutes([route({ sources: ["10.0.0.0/8"] })]).match(request({}))).toBe(-1);
  });
});

describe("a route cannot be walked around by spelling", () => {
  const routes = [
    at("*", "*"),
    at("*", "/admin/*", { sources: ["10.0.0.0/8"] }),
    at("*", "/admin/*"),
    at("*", "/exact"),
  ];
  const admin = [
    "/admin",
    "/%61dmin",
    "/admin/x",
    "//admin/x",
    "/./admin/x",
    "/x/../admin",
    "/x/%2e%2e/admin/x",
    "/x/..%2fadmin",
    "/x/..;/admin",
    "/admin;x=1",
    "/admin;/x",
    "/x\\..\\admin",
    "/adm%69n//",
    "///%61%64min/.",
  ];
  for (const text of admin) {
    test(text, () => expect(routes[compileRoutes(routes).match(request({ path: text }))]).toBe(routes[2]!));
  }
  for (const text of ["/administrator", "/Admin", "/admin%2Fx", "/%2561dmin", "/admin/../x"]) {
    test(`${text} is something else`, () => expect(chosen(routes, { path: text })).toBe("* *"));
  }
  test("a route's own path is read in the same way", () => {
    const spelled = [at("*", "/%65xact"), at("*", "/a/../caf%c3%a9/*")];
    expect(chosen(spelled, { path: "/exact" })).toBe("* /%65xact");
    expect(chosen(spelled, { path: "/caf%C3%A9/x" })).toBe("* /a/../caf%c3%a9/*");
  });
});

describe("what the table needs", () => {
  test("a single catch-all needs no look", () => {
    for (const only of [at("*", "*"), at("*", "/*")]) {
      const table = compileRoutes([only]);
      const view = request({});
      expect([table.only, table.match(view), view.asked]).toEqual([0, 0, 0]);
      expect([table.needsHost, table.needsPath]).toEqual([false, false]);
    }
  });

  test("anything more than a catch-all does", () => {
    for (const more of [
      at("a", "*"),
      at("*", "/a"),
      at("*", "*", { methods: ["GET"] }),
      at("*", "*", { sources: ["::/0"] }),
      at("*", "*", { query: [["a", value("*")]] }),
    ]) {
      expect(compileRoutes([more]).only).toBe(-1);
    }
    expect(compileRoutes([at("*", "*"), at("*", "/a")]).only).toBe(-1);
  });

  test("hosts alone do not cost the path", () => {
    const table = compileRoutes([at("a.example", "*"), at("*.b.example", "*"), at("*", "*")]);
    for (const name of ["a.example", "x.b.example", "c"]) {
      const view = request({ host: name });
      table.match(view);
      expect({ name, asked: view.asked }).toEqual({ name, asked: 1 });
    }
    expect([table.needsHost, table.needsPath]).toEqual([true, false]);
  });
});

const names = ["a", "b", "c"] as const;
const hosts = fc.constantFrom("*", "*", "a.x", "b.x", "c.b.x", "*.x", "*.b.x");
const paths = fc.constantFrom(
  ...[
    "*",
    "*",
    "/a",
    "/b",
    "/a/*",
    "/b/*",
    "/a/b",
    "/a/b/*",
    "/a/b/c/*",
    "/*",
    "~c$",
    "~^/a",
    "~^/a/.*c",
    "~^/a/b/[bc]",
    "~^/(a|b)$",
    "~^/a$",
    "~a|b",
    "~^/b(/|$)",
  ],
);
const wanted = fc.constantFrom("*", "1", "1", "2", "3", "~1", "~^[12]$");
const conditions = fc.uniqueArray(fc.tuple(fc.constantFrom(...names), wanted), {
  maxLength: 2,
  selector: ([name]) => name,
});
const often = <T>(usual: T, other: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ arbitrary: fc.constant(usual), weight: 2 }, other);
const anyRoute: fc.Arbitrary<RoutePlan> = fc
  .record({
    host: hosts,
    path: paths,
    methods: often<string[]>([], fc.uniqueArray(fc.constantFrom("GET", "POST", "HEAD"), { maxLength: 2 })),
    headers: often<[string, string][]>([], conditions),
    query: often<[string, string][]>([], conditions),
    cookies: often<[string, string][]>([], conditions),
    sources: often<string[]>(
      [],
      fc.uniqueArray(fc.constantFrom("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "0.0.0.0/0"), { maxLength: 2 }),
    ),
  })
  .map((r) => {
    const values = (list: readonly (readonly [string, string])[]): [string, ReturnType<typeof value>][] =>
      list.map(([name, text]) => [name, value(text)]);
    const match = {
      ...r,
      host: host(r.host),
      path: path(r.path),
      headers: values(r.headers),
      query: values(r.query),
      cookies: values(r.cookies),
    };
    return route(match, { name: JSON.stringify(r) });
  });
/** Names are unique, so that a route can be found again in another order. */
const anyRoutes = fc.oneof(
  fc.uniqueArray(anyRoute, { maxLength: 40, selector: (r) => r.name }),
  // All in one place, so that leaves grow long and ties abound.
  fc
    .tuple(fc.uniqueArray(anyRoute, { maxLength: 25, selector: (r) => r.name }), hosts, paths)
    .map(([list, hostText, pathText]) =>
      list.map((r) => ({ ...r, match: { ...r.match, host: host(hostText), path: path(pathText) } })),
    ),
);
const someValues = fc.dictionary(fc.constantFrom(...names), fc.constantFrom("1", "2", "3", "12"), {
  noNullPrototype: true,
});
const anySample: fc.Arbitrary<Sample> = fc.record({
  method: fc.constantFrom("GET", "POST", "HEAD", "PUT"),
  host: fc.constantFrom("", "a.x", "a.x", "b.x", "c.b.x", "d.c.b.x", "x", ".x", "y"),
  path: fc.oneof(
    fc.array(fc.constantFrom("a", "b", "c", "", "..", "%61"), { maxLength: 5 }).map((list) => "/" + list.join("/")),
    fc.constant("*"),
  ),
  headers: someValues,
  query: someValues,
  cookies: someValues,
  source: fc.constantFrom("", "10.0.0.1", "10.1.0.1", "10.1.2.3", "192.0.2.1", "::1"),
});
const samples = fc.array(anySample, { minLength: 1, maxLength: 12 });

describe("properties", () => {
  test("the table chooses what the slow reading of the document chooses", () => {
    let found = 0;
    fc.assert(
      fc.property(anyRoutes, samples, (routes, list) => {
        const keep = withoutTies(routes);
        const table = compileRoutes(keep);
        for (const sample of list) {
          const expected = referenceMatch(keep, request(sample));
          if (expected >= 0) found++;
          expect({ sample, index: table.match(request(sample)) }).toEqual({ sample, index: expected });
        }
      }),
      { numRuns: 1500 },
    );
    expect(found).toBeGreaterThan(1000); // or the property said nothing
  });

  test("without ties, the order in the file decides nothing", () => {
    fc.assert(
      fc.property(anyRoutes, samples, fc.infiniteStream(fc.nat()), (routes, list, order) => {
        const keep = withoutTies(routes);
        const shuffled = keep
          .map((r) => ({ r, key: order.next().value as number }))
          .sort((x, y) => x.key - y.key)
          .map(({ r }) => r);
        for (const sample of list) expect(chosen(shuffled, sample)).toBe(chosen(keep, sample));
      }),
      { numRuns: 800 },
    );
  });

  test("a request that two equals match is foreseen by findTies", () => {
    fc.assert(
      fc.property(anyRoutes, anySample, (routes, sample) => {
        const forward = chosen(routes, sample);
        const backward = chosen([...routes].reverse(), sample);
        if (forward !== backward) expect(findTies(routes).length).toBeGreaterThan(0);
      }),
      { numRuns: 1500 },
    );
  });

  test("explainRoute chooses the same, and has a reason for every other", () => {
    fc.assert(
      fc.property(anyRoutes, anySample, (routes, sample) => {
        const keep = withoutTies(routes);
        const { chosen: index, passed } = explainRoute(keep, request(sample));
        expect(index).toBe(compileRoutes(keep).match(request(sample)));
        const all = [...passed.map((p) => p.index), ...(index < 0 ? [] : [index])].sort((a, b) => a - b);
        expect(all).toEqual(keep.map((_, i) => i));
        expect(passed.every((p) => p.why.length > 10)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

/** The routes without the later of each tie, until none is left. */
function withoutTies(routes: readonly RoutePlan[]): readonly RoutePlan[] {
  let keep = routes;
  for (;;) {
    const losers = new Set(findTies(keep).map((tie) => tie.b));
    if (losers.size === 0) return keep;
    keep = keep.filter((_, index) => !losers.has(index));
  }
}
