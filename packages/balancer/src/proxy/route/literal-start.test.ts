import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { literalStart } from "./literal-start.ts";

describe("literalStart", () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["^/app/[0-9]+$", ["app"]],
    ["^/app/users/x", ["app", "users"]],
    ["^/app$", ["app"]],
    ["^/app/$", ["app"]],
    ["^/app(/|$)", ["app"]],
    ["^/app(?:/|$)", ["app"]],
    ["^/app(?=/|$)", ["app"]],
    ["^/app(/.*)?$", ["app"]],
    ["^\\/app\\/x\\.y\\/", ["app", "x.y"]],
    ["^/app", []],
    ["^/app.*", []],
    ["^/apps?/", []],
    ["^/ap{2}/", []],
    ["^/a/b*/c", ["a"]],
    ["^/a/b+/", ["a"]],
    ["^/a/\\d/b", ["a"]],
    ["^/a/|^/b/", []],
    ["^/a/(b|c)/", ["a"]],
    ["^/a/[|]/", ["a"]],
    ["^(?i:/a/)", []],
    ["/a/", []],
    ["^a/b/", []],
    ["^/", []],
    ["^/$", []],
    ["^", []],
    ["", []],
    ["\\.png$", []],
  ];
  for (const [source, segments] of cases) {
    test(`${source} begins with /${segments.join("/")}`, () => expect(literalStart(source)).toEqual(segments));
  }

  test("never claims a segment that a matching path does not have", () => {
    const pieces = fc.constantFrom(
      "/",
      "a",
      "b",
      ".",
      "*",
      "?",
      "+",
      "{2}",
      "{0,1}",
      "(",
      ")",
      "(?:",
      "|",
      "[ab]",
      "$",
      "\\d",
      "\\.",
      "\\/",
      "^",
      "\\b",
    );
    const sources = fc.array(pieces, { maxLength: 12 }).map((list) => "^/" + list.join(""));
    const paths = fc
      .array(fc.constantFrom("a", "b", ".", "/", "1"), { maxLength: 8 })
      .map((list) => "/" + list.join(""));
    let matched = 0;
    fc.assert(
      fc.property(sources, fc.array(paths, { minLength: 20, maxLength: 20 }), (source, list) => {
        let regex: RegExp;
        try {
          regex = new RegExp(source);
        } catch {
          return;
        }
        const segments = literalStart(source);
        if (segments.length === 0) return;
        // Paths that begin alike match far more often.
        for (const path of [
          ...list,
          ...list.map((tail) => "/" + segments.join("/") + tail),
          "/" + segments.join("/"),
        ]) {
          if (!regex.test(path)) continue;
          matched++;
          expect({ source, path, segments: path.slice(1).split("/").slice(0, segments.length) }).toEqual({
            source,
            path,
            segments: [...segments],
          });
        }
      }),
      { numRuns: 5000 },
    );
    expect(matched).toBeGreaterThan(100);
  });
});
