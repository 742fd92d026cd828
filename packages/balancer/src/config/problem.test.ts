import { describe, expect, test } from "bun:test";
import { formatPath, renderProblems, sortProblems, type Problem } from "./problem.ts";

function problem(line: number, column: number, more: Partial<Problem> = {}): Problem {
  return { severity: "error", file: "a.yaml", line, column, path: "x", message: "it is wrong", ...more };
}

describe("problems", () => {
  test("are shown with their line, a caret and the next step", () => {
    const text = "a: 1\nbb:  two\n";
    expect(renderProblems([problem(2, 6, { hint: "write 2" })], text)).toBe(
      "a.yaml:2:6: error: x: it is wrong\n  2 | bb:  two\n    |      ^\n  hint: write 2\n",
    );
  });

  test("keep the caret in its place after tabs and control characters, and do not pass those on", () => {
    const shown = renderProblems([problem(1, 4)], "\t\u001b[b");
    expect(shown).toBe("a.yaml:1:4: error: x: it is wrong\n  1 |   [b\n    |    ^\n");
  });

  test("cut endless lines around the caret", () => {
    const text = `${"a".repeat(5000)}HERE${"b".repeat(5000)}`;
    const [, source, caret] = renderProblems([problem(1, 5001)], text).split("\n");
    expect(source?.length).toBeLessThan(200);
    expect(source?.slice(caret?.indexOf("^"))).toStartWith("HERE");
  });

  test("hide literal secrets in the source line, but not references to them", () => {
    const text = 'sticky: { secret: swordfish, maxAge: x }\nsecret: ${SECRET}\n"authorization": Bearer abc';
    const shown = renderProblems([problem(1, 3), problem(2, 3), problem(3, 3)], text);
    expect(shown).not.toMatch(/swordfish|abc/);
    expect(shown).toContain("secret: *********, maxAge: x");
    expect(shown).toContain("${SECRET}");
  });

  test("without a line show only themselves", () => {
    expect(renderProblems([problem(0, 0, { path: "" })], "")).toBe("a.yaml: error: it is wrong\n");
    expect(renderProblems([problem(9, 9)], "one line")).toBe("a.yaml:9:9: error: x: it is wrong\n");
  });

  test("are sorted by place and said once", () => {
    const [a, b, c] = [problem(2, 1), problem(1, 9), problem(1, 2, { severity: "warning" })];
    expect(sortProblems([a, b, c, { ...a }])).toEqual([c, b, a]);
  });

  test("name paths as a person would", () => {
    expect(formatPath(["pools", "api", "endpoints", 0, "weight"])).toBe("pools.api.endpoints[0].weight");
    expect(formatPath(["pools", "my api", "x-y"])).toBe('pools["my api"].x-y');
    expect(formatPath(["404"])).toBe('["404"]');
    expect(formatPath([])).toBe("");
  });
});
