import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { expand } from "./environment.ts";

const environment = { HOST: "h", EMPTY: "", NESTED: "${HOST}" };

describe("the environment in values", () => {
  const good: readonly [string, string][] = [
    ["plain", "plain"],
    ["${HOST}:80", "h:80"],
    ["${HOST}${HOST}", "hh"],
    ["${MISSING:-x}", "x"],
    ["${MISSING:-}", ""],
    ["${EMPTY:-x}", "x"],
    ["${EMPTY}", ""],
    ["${MISSING:-a:-b}", "a:-b"],
    ["$${HOST}", "${HOST}"],
    ["$$${HOST}", "$${HOST}"],
    ["$HOST $1 $", "$HOST $1 $"],
    // What comes out of the environment is not looked at again.
    ["${NESTED}", "${HOST}"],
  ];
  for (const [text, value] of good) {
    test(`${text} is ${value}`, () => expect(expand(text, environment)).toMatchObject({ text: value, faults: [] }));
  }

  const bad: readonly [string, number, RegExp][] = [
    ["${MISSING}", 0, /variable MISSING is not set/],
    ["ab${", 2, /never closed/],
    ["ab${HOST", 2, /never closed/],
    ["${}", 0, /not a reference/],
    ["${1A}", 0, /not a reference/],
    ["${HOST-x}", 0, /not a reference/],
    ["${A${HOST}}", 0, /never closed/],
  ];
  for (const [text, at, message] of bad) {
    test(`${text} is refused`, () => {
      expect(expand(text, environment).faults[0]).toMatchObject({ at, message: expect.stringMatching(message) });
    });
  }

  test("every fault is told, and what was put in is remembered", () => {
    const expansion = expand("${HOST}${A}${B}", environment);
    expect(expansion.faults.map(({ at }) => at)).toEqual([7, 11]);
    expect(expansion.values).toEqual(["h"]);
  });

  test("escaped text comes back as it was", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        // "$" before an escape would make another one of it.
        fc.pre(!text.includes("$${"));
        const expansion = expand(
          text.replaceAll("${", () => "$${"),
          {},
        );
        expect(expansion).toEqual({ text, values: [], faults: [], referred: false });
      }),
    );
  });
});
