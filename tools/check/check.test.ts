// Every check must be able to fail: each rule is shown a file that breaks it and one that does not.
import { describe, expect, test } from "bun:test";
import { faults } from "../../packages/balancer/src/base/fault.ts";
import { errorsDocument } from "../made-documents.ts";
import { checkBans } from "./bans.ts";
import { anchorsOf, judgeDocument } from "./docs.ts";
import { parse } from "./files.ts";
import { checkFolders } from "./folders.ts";
import { checkNeeds } from "./needs.ts";
import { checkOrder, circles, importsOf } from "./order.ts";
import { checkSize } from "./size.ts";

function order(file: string, text: string): readonly string[] {
  return checkOrder([parse(file, text)]).findings.map((one) => one.text);
}

function bans(file: string, text: string): readonly string[] {
  return checkBans([parse(file, text)], []).findings.map((one) => one.text);
}

describe("import order", () => {
  const net = "packages/balancer/src/net/a.ts";

  test("the balancer's folders know only those to their left, types included", () => {
    expect(order(net, 'import { x } from "../pool/plan.ts";')[0]).toContain("net must not know pool");
    expect(order(net, 'import type { X } from "../pool/plan.ts";')[0]).toContain("net must not know pool");
    expect(order(net, 'type X = import("../pool/plan.ts").X;')[0]).toContain("net must not know pool");
    expect(order(net, 'export * from "../pool/plan.ts";')[0]).toContain("net must not know pool");
    expect(order(net, 'await import("../pool/plan.ts");')[0]).toContain("net must not know pool");
    expect(order(net, 'import { x } from "../base/clock.ts";')).toEqual([]);
    expect(order(net, 'import { x } from "../wheels/a.ts";')[0]).toContain("has no place on its line");
  });

  test("folders inside a folder: siblings do not know each other, steps may know routes", () => {
    expect(order("packages/balancer/src/pool/balance/a.ts", 'import "../probe/b.ts";')).toHaveLength(1);
    expect(order("packages/balancer/src/proxy/route/a.ts", 'import "../steps/b.ts";')).toHaveLength(1);
    expect(order("packages/balancer/src/proxy/steps/a.ts", 'import "../route/b.ts";')).toEqual([]);
  });

  test("the package line", () => {
    expect(order("packages/wire/src/a.ts", 'import "@plimsoll/balancer/src/base/clock.ts";')[0]).toContain(
      "wire stands before",
    );
    expect(order(net, 'import "@plimsoll/wire/http1";')).toEqual([]);
    expect(order("packages/cli/src/a.ts", 'import "@plimsoll/balancer/src/base/clock.ts";')).toEqual([]);
    expect(order("packages/kit/src/a.ts", 'import "@plimsoll/wire/http1";')[0]).toContain("stands alone");
  });

  test("the testbed is for tests", () => {
    expect(order(net, 'import "@plimsoll/testbed/origin";')[0]).toContain("for tests only");
    expect(order("packages/balancer/src/net/a.test.ts", 'import "@plimsoll/testbed/origin";')).toEqual([]);
    expect(order("packages/wire/src/a.test.ts", 'import "@plimsoll/testbed/origin";')).toHaveLength(1);
  });

  test("paths: with their ending, inside the package, not through a barrel", () => {
    expect(order(net, 'import "./b";')[0]).toContain('end in ".ts"');
    expect(order(net, 'import "../../../wire/src/a.ts";')[0]).toContain("climbs out");
    expect(order(net, 'import "./index.ts";')[0]).toContain("barrel");
    expect(order(net, 'import "@plimsoll/balancer/src/base/clock.ts";')[0]).toContain("relative path");
  });

  test("circles are found whatever their length, and only they", () => {
    const graph = { a: ["b", "x"], b: ["c"], c: ["a"], d: ["d"], x: ["y"], y: [] };
    expect(circles(new Map(Object.entries(graph)))).toEqual([["a", "b", "c"], ["d"]]);
    const type = parse("packages/wire/src/a.ts", 'import type { B } from "./b.ts";');
    const back = parse("packages/wire/src/b.ts", 'import type { A } from "./a.ts";');
    expect(checkOrder([type, back]).findings[0]?.text).toContain("circle");
  });

  test("text that looks like an import is none", () => {
    const source = parse("packages/wire/src/a.ts", 'const a = `import "x"`; // import "y"\nimport z from "z";');
    expect(importsOf(source)).toEqual([{ specifier: "z", line: 2, file: undefined }]);
  });
});

describe("bans", () => {
  const pool = "packages/balancer/src/pool/a.ts";

  test.each([
    ["no-clock", "export const a = Date.now();"],
    ["no-clock", "export const a = new Date();"],
    ["no-clock", "setTimeout(() => {}, 1);"],
    ["no-clock", "export const pick = Math.random;"],
    ["no-io", 'import { readFileSync } from "node:fs"; readFileSync("x");'],
    ["no-io", 'export const a = Bun.file("x");'],
    ["no-throw", 'throw new Error("x");'],
    ["no-promise", "export async function a() {}"],
    ["no-slow-sockets", 'fetch("http://127.0.0.1");'],
    ["no-inheritance", "export class A extends B {}"],
  ])("%s refuses: %s", (rule, text) => {
    const file = rule === "no-promise" ? "packages/balancer/src/proxy/a.ts" : pool;
    expect(bans(file, text).filter((one) => one.startsWith(rule))).toHaveLength(1);
  });

  test("what is close to a ban and none", () => {
    expect(
      bans(pool, "export const a = new Date(0); class E extends RangeError {} export const b = clock.now();"),
    ).toEqual([]);
    expect(bans("packages/balancer/src/net/clock.ts", "export const a = Date.now();")).toEqual([]);
    expect(bans("packages/cli/src/a.ts", "export const a = Date.now();")).toEqual([]);
    expect(bans("packages/balancer/src/pool/a.test.ts", 'throw new Error("x");')).toEqual([]);
    expect(bans(pool, 'import type { Stats } from "node:fs"; export type A = Stats;')).toEqual([]);
  });

  test("words, names, and things left for later", () => {
    expect(bans(pool, "export const backendList = [];")[0]).toContain("pool or endpoint");
    expect(bans("packages/wire/src/utils.ts", "")[0]).toContain("says nothing");
    expect(bans(pool, ["// TO", "DO: later"].join(""))[0]).toContain("finish it");
    expect(bans("packages/wire/src/a.test.ts", 'test.only("x", () => {});')[0]).toContain("no-unfinished-tests");
  });

  test("an exception that nothing needs is a finding", () => {
    const source = parse(pool, "throw 1;");
    const needed = { rule: "no-throw", file: pool, because: "test" };
    const idle = { rule: "no-clock", file: pool, because: "test" };
    const findings = checkBans([source], [needed, idle]).findings;
    expect(findings.map((one) => one.text)).toEqual(["exceptions.ts lets it break no-clock, but it does not"]);
  });
});

describe("sizes", () => {
  const lines = (count: number, first = ""): string => first + "\n".repeat(count);
  const large = (text: string, file = "packages/wire/src/a.ts"): number =>
    checkSize([file, "b.ts", "c.ts"], (name) => (name === file ? text : "\n")).findings.length;

  test("over 600 lines needs a reason on the first line; tests have 800", () => {
    expect(large(lines(600))).toBe(0);
    expect(large(lines(601))).toBe(1);
    expect(large(lines(700, "// Over 600 lines because it is one table."))).toBe(0);
    expect(large(lines(700, "// Over 600 lines because "))).toBe(1);
    expect(large(lines(800), "packages/wire/src/a.test.ts")).toBe(0);
    expect(large(lines(801), "packages/wire/src/a.test.ts")).toBe(1);
  });

  test("the median file stays under 150", () => {
    expect(checkSize(["a.ts", "b.ts", "c.ts"], () => lines(150)).findings).toHaveLength(1);
  });
});

test("a test file names the programs it starts", () => {
  const needs = (text: string): number => checkNeeds([parse("tests/integration/x/a.test.ts", text)]).findings.length;
  expect(needs('Bun.spawn(["curl", "x"]);')).toBe(1);
  expect(needs('spawn("nginx", []);')).toBe(1);
  expect(needs('// Needs: curl\nBun.spawn(["curl", "x"]);')).toBe(0);
  expect(needs("// Needs: no-such-program\n")).toBe(1);
  expect(needs('greet("hey");')).toBe(0);
});

describe("documents", () => {
  const files = ["README.md", "docs/errors.md", "packages/wire/src/http1/fields.ts"];
  const judge = (text: string): readonly string[] =>
    judgeDocument("docs/a.md", text, files, { check: "x" }).map((one) => one.text);

  test("paths, links, anchors and scripts must exist", () => {
    expect(judge("See `packages/wire/src/http1/fields.ts`, `packages/wire/` and [it](../README.md).")).toEqual([]);
    expect(judge("See `packages/wire/src/gone.ts`.")).toHaveLength(1);
    expect(judge("[it](gone.md)")).toHaveLength(1);
    expect(judge("[it](errors.md#no-such-heading)")).toHaveLength(1);
    expect(judge("[it](errors.md#error-codes) [there](https://example.com/x.md)")).toEqual([]);
    expect(judge("`npm run check`, `npm run gone`")).toHaveLength(1);
  });

  test("the glossary's words, in prose only", () => {
    expect(judge("Each backend is asked.")[0]).toContain("pool or endpoint");
    expect(judge('In HAProxy a "backend" is `backend x`.\n```\nbackend y\n```')).toEqual([]);
  });

  test("anchors are made as forges make them", () => {
    expect([...anchorsOf("# A `b` & C!\n## Same\n## Same\n```\n# no\n```\n")]).toEqual(["a-b--c", "same", "same-1"]);
  });

  test("the register and docs/errors.md name the same codes", () => {
    const text = errorsDocument(faults);
    for (const code of Object.keys(faults)) expect(text).toContain(`| \`${code}\` |`);
    expect(text.split("\n").filter((line) => line.startsWith("| `"))).toHaveLength(Object.keys(faults).length);
  });

  test("a folder's first file says what the folder is for", () => {
    const texts: Record<string, string> = { "tools/x/a.ts": "// one line\n", "tools/x/b.ts": "// two\n// lines\n" };
    expect(checkFolders(Object.keys(texts), (file) => texts[file] ?? "").findings[0]?.file).toBe("tools/x/a.ts");
    expect(checkFolders(["tools/x/b.ts"], (file) => texts[file] ?? "").findings).toEqual([]);
  });
});
