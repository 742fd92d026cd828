// docs/routing.md is what operators believe, so its tables are run.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { compileLocation } from "./location.ts";
import { canonicalPath, forwardedPath } from "../route/canonical.ts";
import { path } from "../route/samples.ts";

const text = readFileSync(new URL("../../../../../docs/routing.md", import.meta.url), "utf8");

/** The rows below a head line, as cells without backticks. */
function rows(head: string): string[][] {
  const lines = text.split("\n");
  const from = lines.indexOf(head);
  expect({ head, found: from >= 0 }).toEqual({ head, found: true });
  const body = lines.slice(from + 2);
  return body
    .slice(
      0,
      body.findIndex((line) => !line.startsWith("|")),
    )
    .map((line) =>
      line
        .replaceAll("\\|", "\u0000")
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll("`", "").replaceAll("\u0000", "|")),
    );
}

describe("what a path is taken to be", () => {
  const table = rows("| received | matched as | goes upstream as |");
  test("has examples of both", () => expect(new Set(table.map((row) => row[2] === "as received")).size).toBe(2));
  for (const [received = "", canonical = "", upstream = ""] of table) {
    test(received, () => {
      expect(canonicalPath(received)).toBe(canonical);
      expect(forwardedPath(received) ?? "as received").toBe(upstream);
    });
  }
});

describe("redirects", () => {
  for (const [match = "", to = "", target = "", location = ""] of rows(
    "| route's path | `to` | request | Location |",
  )) {
    test(`${match} to ${to}`, () => {
      const [received = "", query] = target.split("?");
      const request = {
        host: () => "www.example.com",
        authority: () => "www.example.com",
        path: () => received,
        search: () => (query === undefined ? "" : "?" + query),
      };
      expect(compileLocation(to, path(match === "any" ? "*" : match))(request, "http", 80)).toBe(location);
    });
  }
});
