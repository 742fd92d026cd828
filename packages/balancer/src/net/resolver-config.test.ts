import { expect, test } from "bun:test";
import { candidates, isName, parseHosts, parseResolvConf } from "./resolver-config.ts";

test("resolv.conf: what counts, what is skipped, what is capped", () => {
  const config = parseResolvConf(
    [
      "# generated",
      "; another comment",
      "nameserver 192.0.2.53",
      "nameserver not-an-address",
      "nameserver fe80::1%eth0",
      "nameserver 192.0.2.54",
      "nameserver 192.0.2.55",
      "domain old.example",
      "search one.example. two.example .",
      "options ndots:5 timeout:99 attempts:0 rotate unknown:3 edns0",
      "sortlist 10.0.0.0",
    ].join("\n"),
  );
  expect(config).toEqual({
    servers: ["192.0.2.53", "fe80::1%eth0", "192.0.2.54"].map((host) => ({ host, port: 53 })),
    search: ["one.example", "two.example"],
    ndots: 5,
    timeoutMs: 30_000,
    attempts: 1,
    rotate: true,
    tcpOnly: false,
  });
});

test("an empty resolv.conf means the server on this machine and the usual settings", () => {
  expect(parseResolvConf("")).toEqual({
    servers: [{ host: "127.0.0.1", port: 53 }],
    search: [],
    ndots: 1,
    timeoutMs: 5000,
    attempts: 2,
    rotate: false,
    tcpOnly: false,
  });
});

test("hosts: several names a line, several lines a name, comments, tabs", () => {
  const hosts = parseHosts(
    "127.0.0.1\tlocalhost\n192.0.2.1 web web.local. # main\n::2 WEB\n192.0.2.1 web\n\nx y\n#1.1.1.1 z\n",
  );
  expect(hosts.get("web")).toEqual({ A: ["192.0.2.1"], AAAA: ["::2"] });
  expect(hosts.get("web.local")).toEqual({ A: ["192.0.2.1"], AAAA: [] });
  expect(hosts.has("y")).toBe(false);
  expect(hosts.has("z")).toBe(false);
  // A Map, so that a line for "__proto__" is a name like any other.
  expect(parseHosts("192.0.2.1 __proto__").get("__proto__")).toEqual({ A: ["192.0.2.1"], AAAA: [] });
});

test("the names to try", () => {
  const config = { search: ["s.example", "x".repeat(250)], ndots: 1 };
  expect(candidates("web", config)).toEqual(["web.s.example", "web"]);
  expect(candidates("web.prod", config)).toEqual(["web.prod", "web.prod.s.example"]);
  expect(candidates("web.", config)).toEqual(["web"]);
});

test("what is a name", () => {
  for (const name of ["a", "_http._tcp.web", "xn--bcher-kva.example", "a-b.c"]) expect(isName(name)).toBe(true);
  for (const name of ["", ".", "a.", ".a", "a..b", "a b", "ü", "x".repeat(64), "*"]) expect(isName(name)).toBe(false);
});
