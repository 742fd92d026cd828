import { expect, test } from "bun:test";
import { compileErrorPages } from "./error-pages.ts";

test("pages are found by status, then by class, else not at all", () => {
  const pages = compileErrorPages([
    { status: "4xx", contentType: "text/html", body: "four" },
    { status: "404", contentType: "text/plain", body: "gone ☃" },
  ]);
  expect(Buffer.from(pages.find(404)?.body ?? []).toString("utf8")).toBe("gone ☃");
  expect(pages.find(404)?.contentType).toBe("text/plain");
  expect(Buffer.from(pages.find(400)?.body ?? []).toString("utf8")).toBe("four");
  expect(pages.find(499)?.contentType).toBe("text/html");
  expect(pages.find(500)).toBeUndefined();
  expect(compileErrorPages([]).find(404)).toBeUndefined();
});
