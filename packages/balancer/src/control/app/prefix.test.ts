import { expect, test } from "bun:test";
import { linePrefix, prefixedLine } from "./prefix.ts";

const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

test("without colour: name, bar, line", () => {
  const prefix = linePrefix("app-1", 6, 0, false);
  expect(decode(prefixedLine(prefix, encode("hello"), false))).toBe("app-1  | hello\n");
  expect(decode(prefixedLine(prefix, encode("\u001b[31mred"), false))).toBe("app-1  | \u001b[31mred\n");
});

test("with colour: the name is coloured, and a colour left on by the line is put out", () => {
  const prefix = linePrefix("app-1", 5, 0, true);
  expect(decode(prefixedLine(prefix, encode("hello"), true))).toBe("\u001b[36mapp-1 | \u001b[0mhello\n");
  expect(decode(prefixedLine(prefix, encode("\u001b[31mred"), true))).toEndWith("| \u001b[0m\u001b[31mred\u001b[0m\n");
});

test("neighbours have different colours", () => {
  const shown = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((index) => decode(linePrefix("a", 1, index, true)));
  expect(new Set(shown).size).toBe(10);
  expect(decode(linePrefix("a", 1, 10, true))).toBe(shown[0] ?? "");
});
