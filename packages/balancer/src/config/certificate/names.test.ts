import { expect, test } from "bun:test";
import fc from "fast-check";
import { covers, namesIn } from "./names.ts";

test("names and addresses are read from subjectAltName, the rest is left", () => {
  expect(namesIn(undefined)).toEqual([]);
  expect(namesIn("")).toEqual([]);
  expect(namesIn("DNS:Shop.Example, DNS:*.shop.example., IP Address:127.0.0.1, email:a@b.c, URI:http://x/")).toEqual([
    "shop.example",
    "*.shop.example",
    "127.0.0.1",
  ]);
  expect(namesIn("IP Address:0:0:0:0:0:0:0:1, IP Address:2001:DB8:0:0:0:0:0:1")).toEqual(["::1", "2001:db8::1"]);
  expect(namesIn("DNS:a.example, DNS:a.example")).toEqual(["a.example"]);
});

test("a value with a comma in it does not pass for two names", () => {
  expect(namesIn('DNS:"a.example, DNS:bank.example"')).toEqual(["a.example, dns:bank.example"]);
  expect(namesIn('othername:"x\\", DNS:bank.example", DNS:b.example')).toEqual(["b.example"]);
});

test("a * is one label, and the first", () => {
  const names = ["shop.example", "*.shop.example", "127.0.0.1", "::1", "*.0.0.1"];
  for (const host of ["shop.example", "a.shop.example", "127.0.0.1", "::1"])
    expect([host, covers(names, host)]).toEqual([host, true]);
  for (const host of ["a.b.shop.example", "example", "other.example", ".shop.example", "10.0.0.1", ""]) {
    expect([host, covers(names, host)]).toEqual([host, false]);
  }
});

test("reading never throws and never ends in nothing but strings", () => {
  fc.assert(fc.property(fc.string(), (text) => namesIn(text).every((name) => typeof name === "string")));
});
