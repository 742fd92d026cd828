import { describe, expect, test } from "bun:test";
import type { RoutePlan } from "../plan.ts";
import { path, route } from "../route/samples.ts";
import { compileSteps, stepTable } from "./table.ts";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const noLines = { status: 200, lines: new Uint8Array(0), body: new Uint8Array(0) };

/** For every step a route that has it, and what it does with a request, as something that can be compared. */
const samples: {
  readonly [Name in keyof typeof stepTable]: {
    readonly plan: RoutePlan;
    readonly run: (plan: RoutePlan) => unknown;
    readonly does: unknown;
  };
} = {
  bodyLimit: { plan: route({}, { maxBodyBytes: 7 }), run: (plan) => compileSteps(plan).bodyLimit, does: 7 },
  fixed: {
    plan: route({}, { action: { kind: "fixed", status: 503, contentType: "text/plain", body: "närrisch" } }),
    run: (plan) => compileSteps(plan).fixed,
    does: { status: 503, lines: bytes("Content-Type: text/plain\r\n"), body: bytes("närrisch") },
  },
  redirect: {
    plan: route({ path: path("/old/*") }, { action: { kind: "redirect", to: "https://{host}/new/*", status: 308 } }),
    run: (plan) =>
      compileSteps(plan).redirect?.(
        { host: () => "h", authority: () => "h", path: () => "/old/x", search: () => "?q" },
        "http",
        80,
      ),
    does: { status: 308, lines: bytes("Location: https://h/new/x?q\r\n"), body: bytes("") },
  },
  split: {
    plan: route(
      {},
      {
        action: {
          kind: "split",
          parts: [
            { pool: "a", weight: 1 },
            { pool: "b", weight: 1 },
          ],
        },
      },
    ),
    run: (plan) => [0.2, 0.7].map((point) => compileSteps(plan).split?.(() => point)),
    does: [0, 1],
  },
  rewrite: {
    plan: route({}, { rewrite: { kind: "prefix", from: "/a", to: "/b" } }),
    run: (plan) => compileSteps(plan).rewrite?.("/a/x?y"),
    does: "/b/x?y",
  },
  requestEdits: {
    plan: route({}, { requestHeaders: { set: [["X-A", "{client}"]], add: [], remove: ["x-b"] } }),
    run: (plan) =>
      compileSteps(plan)
        .requestEdits?.prepare({ host: () => "h" }, "http", "c")
        .applyTo(noLines).lines,
    does: bytes("X-A: c\r\n"),
  },
  mirror: { plan: route({}, { mirror: "shadow" }), run: (plan) => compileSteps(plan).mirror, does: "shadow" },
  answerEdits: {
    plan: route({}, { answerHeaders: { set: [], add: [["X-A", "1"]], remove: [] } }),
    run: (plan) => compileSteps(plan).answerEdits?.applyTo(noLines).lines,
    does: bytes("X-A: 1\r\n"),
  },
};

describe("every step of the table", () => {
  for (const [name, { text, compile }] of Object.entries(stepTable)) {
    const { plan, run, does } = samples[name as keyof typeof samples];

    test(`${name} says what it does`, () => expect(text).toMatch(/^[a-z].{10,80}[^.]$/));

    test(`${name} is nothing where a route has none`, () => {
      expect([null, 0, ""]).toContainEqual(compile(route()) as never);
      for (const [other, sample] of Object.entries(samples)) {
        if (other !== name) expect([null, 0, ""]).toContainEqual(compile(sample.plan) as never);
      }
    });

    test(`${name} does something where it has one`, () => {
      expect([null, 0, ""]).not.toContainEqual(compile(plan) as never);
      expect(run(plan)).toEqual(does as never);
    });

    test(`${name} does the same each time, and after the plan went through JSON`, () => {
      const first = run(plan);
      expect(run(plan)).toEqual(first as never);
      expect(run(JSON.parse(JSON.stringify(plan)) as RoutePlan)).toEqual(first as never);
    });
  }

  test("compileSteps has them all, by name", () => {
    expect(Object.keys(compileSteps(route()))).toEqual(Object.keys(stepTable));
  });
});
