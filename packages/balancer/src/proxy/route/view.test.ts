import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { cookieValue, queryValue } from "./view.ts";

describe("queryValue", () => {
  const cases: readonly (readonly [string, string, string | undefined])[] = [
    ["a=1&b=2", "b", "2"],
    ["a=1&a=2", "a", "1"],
    ["a", "a", ""],
    ["a=", "a", ""],
    ["b&a=1", "a", "1"],
    ["a=b=c", "a", "b=c"],
    ["a+b=c+d%20e", "a b", "c d e"],
    ["%61=%C3%A9", "a", "é"],
    ["a=%zz", "a", "%zz"],
    ["a=%ff", "a", "%ff"],
    ["xa=1", "a", undefined],
    ["", "a", undefined],
    ["&&=1&", "", undefined],
  ];
  for (const [query, name, value] of cases) {
    test(`${name} of ${query}`, () => expect(queryValue(query, name)).toBe(value as never));
  }

  test("agrees with URLSearchParams on valid encodings", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "=", "&", "+", "%20", "%26", "%3D", "é"), maxLength: 16 });
    fc.assert(
      fc.property(text, fc.constantFrom("a", "b", "ab", "a b", "a&"), (query, name) => {
        expect(queryValue(query, name) ?? null).toBe(new URLSearchParams(query).get(name));
      }),
      { numRuns: 3000 },
    );
  });
});

describe("cookieValue", () => {
  const cases: readonly (readonly [string, string, string | undefined])[] = [
    ["a=1; b=2", "b", "2"],
    ["a=1;b=2", "b", "2"],
    ["a=1; a=2", "a", "1"],
    ['a="x y"', "a", "x y"],
    ["a=b=c", "a", "b=c"],
    ["a=", "a", ""],
    ["a; b=1", "a", undefined],
    ["xa=1", "a", undefined],
    ["", "a", undefined],
    ["a=%41", "a", "%41"],
  ];
  for (const [field, name, value] of cases) {
    test(`${name} of ${field}`, () => expect(cookieValue(field, name)).toBe(value as never));
  }
});
