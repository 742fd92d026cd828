import { expect, test } from "bun:test";
import { hashString } from "../base/hash.ts";
import type { HashKeyPlan } from "../pool/plan.ts";
import { parsed } from "./fixtures/requests.ts";
import { hashKey } from "./hash-key.ts";

const { request } = parsed(
  "GET /p?q=fromQuery HTTP/1.1\r\nHost: a\r\nX-Tenant: fromHeader\r\nCookie: c=fromCookie\r\n\r\n",
);

test("the key is the hash of what the plan names", () => {
  const table: readonly (readonly [HashKeyPlan, string])[] = [
    [{ from: "header", name: "x-tenant" }, "fromHeader"],
    [{ from: "cookie", name: "c" }, "fromCookie"],
    [{ from: "query", name: "q" }, "fromQuery"],
    [{ from: "path" }, "/p"],
    [{ from: "source" }, "192.0.2.7"],
  ];
  for (const [plan, key] of table) expect(hashKey(plan, request)).toBe(hashString(key));
});

test("a request without it is spread by its client's address, not all to one endpoint", () => {
  for (const from of ["header", "cookie", "query"] as const) {
    expect(hashKey({ from, name: "absent" }, request)).toBe(hashString("192.0.2.7"));
  }
  expect(hashKey(null, request)).toBe(hashString("192.0.2.7"));
});

test("something empty is something: all who send it go together", () => {
  const { request: empty } = parsed("GET / HTTP/1.1\r\nHost: a\r\nX-Tenant:\r\n\r\n");
  expect(hashKey({ from: "header", name: "x-tenant" }, empty)).toBe(hashString(""));
});
