import { expect, test } from "bun:test";
import { refusal, type Asker } from "./guard.ts";

function asker(over: Partial<Asker> = {}): Asker {
  return { method: "GET", path: "/status", host: "127.0.0.1:9090", origin: null, site: null, ...over };
}

test("tools on the same machine may ask", () => {
  for (const host of ["127.0.0.1:9090", "localhost", "LOCALHOST:9090", "[::1]:9090", "10.1.2.3:9090"]) {
    expect(refusal(asker({ host }), "127.0.0.1")).toBe("");
    expect(refusal(asker({ host, method: "POST", path: "/reload" }), "127.0.0.1")).toBe("");
  }
  expect(refusal(asker({ site: "none" }), "127.0.0.1")).toBe("");
  expect(refusal(asker({ origin: "http://127.0.0.1:9090", site: "same-origin" }), "127.0.0.1")).toBe("");
});

test("a name that somebody pointed here may not", () => {
  for (const host of [
    "evil.example:9090",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "1.2.3",
    "a b",
    "",
    null,
  ]) {
    expect(refusal(asker({ host }), "127.0.0.1")).not.toBe("");
    expect(refusal(asker({ host, path: "/metrics" }), "127.0.0.1")).not.toBe("");
  }
});

test("a page of another site may not, neither by script nor by form", () => {
  const post = { method: "POST", path: "/reload" };
  for (const origin of ["https://evil.example", "null", "http://127.0.0.1:8080", "http://localhost:9090"]) {
    expect(refusal(asker({ ...post, origin }), "127.0.0.1")).not.toBe("");
  }
  for (const site of ["cross-site", "same-site"]) expect(refusal(asker({ site }), "127.0.0.1")).not.toBe("");
});

test("on an address that others reach, probers and tools may use a name, pages may not", () => {
  const host = "plimsoll.internal:9090";
  for (const path of ["/metrics", "/healthz", "/readyz"]) expect(refusal(asker({ host, path }), "0.0.0.0")).toBe("");
  expect(refusal(asker({ host, method: "POST", path: "/reload" }), "0.0.0.0")).toBe("");
  expect(refusal(asker({ host, path: "/status" }), "0.0.0.0")).not.toBe("");
  const origin = `http://${host}`;
  expect(refusal(asker({ host, origin, method: "POST", path: "/reload" }), "0.0.0.0")).not.toBe("");
  expect(refusal(asker({ host, origin, path: "/metrics" }), "0.0.0.0")).not.toBe("");
});
