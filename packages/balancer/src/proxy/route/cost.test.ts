import { describe, expect, test } from "bun:test";
import type { RoutePlan } from "../plan.ts";
import { host, path, request, route, value, type Sample } from "./samples.ts";
import { compileRoutes } from "./table.ts";

/** Everything that a look-up can spend: Map look-ups, regexes tried, questions to the request. */
function cost(routes: readonly RoutePlan[], sample: Sample): { index: number; steps: number } {
  const table = compileRoutes(routes);
  const view = request(sample);
  let steps = 0;
  const { get } = Map.prototype;
  const { test: tryRegex } = RegExp.prototype;
  Map.prototype.get = function (key: unknown) {
    steps++;
    return get.call(this, key);
  };
  RegExp.prototype.test = function (text: string) {
    steps++;
    return tryRegex.call(this, text);
  };
  try {
    const index = table.match(view);
    return { index, steps: steps + view.asked };
  } finally {
    Map.prototype.get = get;
    RegExp.prototype.test = tryRegex;
  }
}

/** The i-th route of a large table, and a request for it. */
const kinds: Readonly<Record<string, (i: number) => readonly [RoutePlan, Sample]>> = {
  "exact hosts": (i) => [route({ host: host(`h${i}.example`) }), { host: `h${i}.example` }],
  "host suffixes": (i) => [route({ host: host(`*.h${i}.example`) }), { host: `a.h${i}.example` }],
  "exact paths": (i) => [route({ path: path(`/p${i}`) }), { path: `/p${i}` }],
  prefixes: (i) => [route({ path: path(`/p${i}/*`) }), { path: `/p${i}/a/b/c` }],
  "deep prefixes": (i) => [
    route({ path: path(`/a/${i % 10}/${i % 100}/${i}/*`) }),
    { path: `/a/${i % 10}/${i % 100}/${i}/x` },
  ],
  "regexes with a literal beginning": (i) => [route({ path: path(`~^/p${i}/[0-9]+$`) }), { path: `/p${i}/42` }],
  tenants: (i) => [route({ headers: [["x-tenant", value(`t${i}`)]] }), { headers: { "x-tenant": `t${i}` } }],
  "a mixture": (i) => kinds[["exact hosts", "exact paths", "prefixes", "tenants"][i % 4]!]!(i),
};

describe("10,000 routes cost no more a request than 10", () => {
  for (const [name, make] of Object.entries(kinds)) {
    test(
      name,
      () => {
        const all = Array.from({ length: 10_000 }, (_, i) => make(i));
        // Of a mixture, ten routes are too few to have every kind of look-up.
        const small = name === "a mixture" ? 40 : 10;
        const many = all.map(([plan]) => plan);
        for (const i of [3, 4, 5, 6]) {
          const sample = all[i]![1];
          const few = cost(many.slice(0, small), sample);
          const most = cost(many, sample);
          expect(few.index).toBe(i);
          expect(most.index).toBe(i);
          // One step of slack: ten routes of a mixture are too few tenants for a Map, or have none of a kind.
          expect({ name, i, steps: most.steps }).toEqual({ name, i, steps: Math.min(most.steps, few.steps + 1) });
          expect(most.steps).toBeLessThan(16);
        }
        // The last one, and none at all, cost no more.
        expect(cost(many, all[9_999]![1])).toEqual({ index: 9_999, steps: expect.any(Number) });
        expect(cost(many, all[9_999]![1]).steps).toBeLessThan(16);
        const none = cost(many, {
          host: "a.b.nobody.example",
          path: "/nobody/here/either",
          headers: { "x-tenant": "nobody" },
        });
        expect(none.index).toBe(-1);
        expect(none.steps).toBeLessThan(16);
      },
      20_000,
    );
  }

  test("a hostile path or host costs no more than the depth of the table", () => {
    const routes = Array.from({ length: 1000 }, (_, i) =>
      route({ host: host(`*.h${i}.example`), path: path(`/p${i}/*`) }),
    );
    const deep = { host: "a.".repeat(4000) + "h1.example", path: "/p1" + "/x".repeat(4000) };
    expect(cost(routes, deep)).toEqual({ index: 1, steps: expect.any(Number) });
    expect(cost(routes, deep).steps).toBeLessThan(16);
  });
});
