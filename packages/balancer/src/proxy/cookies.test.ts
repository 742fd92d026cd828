import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { latin1, text } from "../base/bytes.ts";
import { cookieFrom, cookieTo, findCookie, writeWithoutCookie } from "./cookies.ts";
import { cookieValue } from "./route/view.ts";

/** Every cookie of that name in order, with what stands around the field left alone. */
function all(field: string, name: string): string[] {
  const bytes = latin1(`a=9;${field};a=8`);
  const to = 4 + field.length;
  const found: string[] = [];
  for (let at = findCookie(bytes, 4, to, name); at >= 0; at = findCookie(bytes, at, to, name)) {
    found.push(text(bytes, cookieFrom, cookieTo));
  }
  return found;
}

function without(field: string, name: string): string {
  const bytes = latin1(`a=9;${field};a=8`);
  const out = new Uint8Array(field.length + 8).fill(63);
  const end = writeWithoutCookie(out, 4, bytes, 4, 4 + field.length, name);
  expect(end - 4).toBeLessThanOrEqual(field.length);
  expect(text(out, 0, 4) + text(out, end, out.length)).toMatch(/^\?+$/);
  return text(out, 4, end);
}

describe("cookies in bytes", () => {
  const field = fc.string({
    unit: fc.constantFrom("a", "b", "=", ";", " ", "\t", '"', ",", "A", "ab=", "a=1", "; ", "é"),
    maxLength: 24,
  });
  const name = fc.constantFrom("a", "b", "ab", "A", "aa");

  test("are the same as in text", () => {
    fc.assert(
      fc.property(field, name, (value, wanted) => {
        const expected: string[] = [];
        for (let nth = 0; ; nth++) {
          const one = cookieValue(value, wanted, nth);
          if (one === undefined) break;
          expected.push(one);
        }
        expect(all(value, wanted)).toEqual(expected);
      }),
      { numRuns: 3000 },
    );
  });

  test("that are taken out are gone, and all others stay as they are and in order", () => {
    const pairs = (value: string) => value.split(";").map((pair) => pair.trim());
    fc.assert(
      fc.property(field, name, (value, wanted) => {
        const left = without(value, wanted);
        expect(all(left, wanted)).toEqual([]);
        const kept = pairs(value).filter((pair) => all(pair, wanted).length === 0);
        expect(pairs(left).filter((pair) => pair !== "")).toEqual(kept.filter((pair) => pair !== ""));
      }),
      { numRuns: 3000 },
    );
  });

  test.each([
    ["a=1; plimsoll=x; b=2", "a=1; b=2"],
    ["plimsoll=x; a=1", "a=1"],
    ["a=1;plimsoll=x;plimsoll=y;b=2", "a=1;b=2"],
    ["plimsoll=x", ""],
    ["xplimsoll=1; plimsollx=2; Plimsoll=3", "xplimsoll=1; plimsollx=2; Plimsoll=3"],
  ])("%s", (before, after) => {
    expect(without(before, "plimsoll")).toBe(after);
  });
});
