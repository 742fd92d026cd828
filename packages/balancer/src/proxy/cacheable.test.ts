import { expect, test } from "bun:test";
import { AnswerHead, answerLimits, Method, parseAnswerHead } from "@plimsoll/wire/http1";
import { latin1 } from "../base/bytes.ts";
import { isCacheable } from "./cacheable.ts";

const now = Date.parse("Tue, 01 Sep 2026 00:00:00 GMT");

function cacheable(lines: readonly string[], status = 200): boolean {
  const bytes = latin1(
    `HTTP/1.1 ${status} X\r\n${lines.map((line) => `${line}\r\n`).join("")}Content-Length: 0\r\n\r\n`,
  );
  const head = new AnswerHead();
  expect(parseAnswerHead(bytes, 0, bytes.length, answerLimits, head, Method.get)).toBeGreaterThan(0);
  return isCacheable(bytes, head, now);
}

test.each([
  [["Cache-Control: public"]],
  [["Cache-Control: max-age=60"]],
  [["cache-control: Max-Age=60"]],
  [["Cache-Control: max-age = 60"]],
  // An age in quotes is not allowed, and some caches read it all the same.
  [['Cache-Control: max-age="60"']],
  [["Cache-Control: s-maxage=1"]],
  [["Cache-Control: public, max-age=0"]],
  [["Cache-Control: max-age=0, s-maxage=60"]],
  [["Cache-Control: immutable"]],
  [["Cache-Control: must-revalidate", "Cache-Control: max-age=5"]],
  [['Cache-Control: max-age=60, no-cache="x-a, private"']],
  [['Cache-Control: private="x-a", max-age=60']],
  [["Expires: Tue, 01 Sep 2026 01:00:00 GMT"]],
  [["CDN-Cache-Control: max-age=60", "Cache-Control: private"]],
  [["Surrogate-Control: max-age=60", "Cache-Control: no-store"]],
] as (readonly [string[]])[])("may be kept: %p", (lines) => {
  expect(cacheable(lines)).toBe(true);
});

test.each([
  [[]],
  [["Cache-Control: private, max-age=60"]],
  [["Cache-Control: max-age=60", "Cache-Control: no-store"]],
  [["Cache-Control: no-cache"]],
  [["Cache-Control: max-age=0"]],
  [["Cache-Control: max-age=000"]],
  [["Cache-Control: must-revalidate"]],
  [["Cache-Control: x-public, y-max-age=6"]],
  [["Cache-Control: private", "Expires: Tue, 01 Sep 2026 01:00:00 GMT"]],
  [["Cache-Control: max-age=0", "Expires: Tue, 01 Sep 2026 01:00:00 GMT"]],
  [["Expires: 0"]],
  [["Expires: Mon, 31 Aug 2026 23:00:00 GMT"]],
  [["CDN-Cache-Control: no-store", "Cache-Control: public"]],
] as (readonly [string[]])[])("is for one client: %p", (lines) => {
  expect(cacheable(lines)).toBe(false);
});

test("a 304 without a word would change what is stored", () => {
  expect(cacheable([], 304)).toBe(true);
  expect(cacheable(["Cache-Control: private"], 304)).toBe(false);
});
