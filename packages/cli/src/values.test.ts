import { describe, expect, test } from "bun:test";
import { UsageError } from "./spec.ts";
import { duration, headerPair, hostPort, port, showHostPort, wholeNumber } from "./values.ts";

test("whole numbers within their limits", () => {
  const number = wholeNumber("The number", 1, 256);
  expect([number("1"), number("256"), number("003")]).toEqual([1, 256, 3]);
  for (const text of ["0", "257", "-1", "1.5", "1e2", "", "three", " 3"]) {
    expect(() => number(text)).toThrow(
      new UsageError(`The number must be a whole number from 1 to 256, not "${text}".`),
    );
  }
  expect(port("0")).toBe(0);
  expect(() => port("65536")).toThrow(UsageError);
});

describe("addresses", () => {
  test("are read in every way they are written", () => {
    expect(hostPort("127.0.0.1:9090")).toEqual({ host: "127.0.0.1", port: 9090 });
    expect(hostPort("[::1]:9090")).toEqual({ host: "::1", port: 9090 });
    for (const text of [":9090", "9090", "localhost:9090"]) {
      expect(hostPort(text)).toEqual({ host: "127.0.0.1", port: 9090 });
    }
  });

  test("and refused when they are not", () => {
    for (const text of ["", "127.0.0.1", "127.0.0.1:", "::1:9090", "a:b", "[::1]", "x:70000"]) {
      expect(() => hostPort(text)).toThrow(UsageError);
    }
  });

  test("are written as URLs want them", () => {
    expect(showHostPort({ host: "127.0.0.1", port: 80 })).toBe("127.0.0.1:80");
    expect(showHostPort({ host: "::1", port: 80 })).toBe("[::1]:80");
  });
});

test("lengths of time have a unit", () => {
  expect(["500ms", "30s", "2m", "1m30s"].map(duration)).toEqual([500, 30_000, 120_000, 90_000]);
  for (const text of ["30", "", "soon", "-1s"]) expect(() => duration(text)).toThrow(UsageError);
});

test("headers as name and value", () => {
  expect(headerPair("X-Tenant: acme: inc ")).toEqual(["x-tenant", "acme: inc"]);
  expect(headerPair("x:")).toEqual(["x", ""]);
  for (const text of ["x", ":v", "a b: c", ""]) expect(() => headerPair(text)).toThrow(UsageError);
});
