import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseIpAddress } from "@plimsoll/wire/ip-address";
import { type Cidr, CidrSet, parseCidr } from "../base/cidr.ts";
import { believedSource, ForwardingLines, linesOfTrusted } from "./forwarding.ts";
import { parsed, withLines } from "./fixtures/requests.ts";

function trust(...cidrs: readonly string[]): CidrSet {
  return new CidrSet(cidrs.map(parseCidr).filter((cidr): cidr is Cidr => cidr !== null));
}

function linesFor(peer: string, host: string, lines = new ForwardingLines(), version = "1.1"): string {
  const { bytes, head } = parsed(`GET / HTTP/${version}\r\n${host === "" ? "" : `Host: ${host}\r\n`}\r\n`);
  return Buffer.from(lines.lines(bytes, head, { address: peer, scheme: "http", port: 8080, certificate: "" })).toString(
    "latin1",
  );
}

describe("what an endpoint is told", () => {
  test("of an IPv4 client", () => {
    expect(linesFor("192.0.2.7", "example.com")).toBe(
      "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: example.com\r\n" +
        "X-Forwarded-Port: 8080\r\nForwarded: for=192.0.2.7;host=example.com;proto=http\r\nVia: 1.1 plimsoll\r\n",
    );
  });

  test("of an IPv6 client: bare in X-Forwarded-For, in brackets and quotes in Forwarded", () => {
    const lines = linesFor("2001:db8::7", "[2001:db8::1]:8080");
    expect(lines).toContain("X-Forwarded-For: 2001:db8::7\r\n");
    expect(lines).toContain('Forwarded: for="[2001:db8::7]";host="[2001:db8::1]:8080";proto=http\r\n');
  });

  test("of a client on a Unix socket, and of a request without Host", () => {
    const lines = linesFor("", "", undefined, "1.0");
    expect(lines).toContain("X-Forwarded-For: unknown\r\n");
    expect(lines).toContain("Forwarded: for=unknown;proto=http\r\n");
    expect(lines).not.toContain("Host");
  });

  test("hosts are quoted where they are no token", () => {
    expect(linesFor("1.2.3.4", "a.b-c_d")).toContain(";host=a.b-c_d;");
    expect(linesFor("1.2.3.4", "a:80")).toContain(';host="a:80";');
    expect(linesFor("1.2.3.4", "a%2c(b),c;d=e")).toContain(';host="a%2c(b),c;d=e";');
  });

  test("the lines are made once for each Host of a connection, and again when it changes", () => {
    const lines = new ForwardingLines();
    const sender = { address: "192.0.2.7", scheme: "http", port: 80, certificate: "" } as const;
    const { bytes, head } = parsed("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    const first = lines.lines(bytes, head, sender);
    const elsewhere = parsed("GET /longer HTTP/1.1\r\nA: b\r\nHost: a.example\r\n\r\n");
    expect(lines.lines(elsewhere.bytes, elsewhere.head, sender)).toBe(first);
    // The cache must not look into bytes that were only lent.
    bytes.fill(0x62);
    expect(linesFor("192.0.2.7", "b.example", lines)).toContain("X-Forwarded-Host: b.example\r\n");
    expect(linesFor("192.0.2.7", "b.exampl", lines)).toContain("X-Forwarded-Host: b.exampl\r\n");
    expect(linesFor("192.0.2.7", "b.exampl", lines)).toContain("Via: 1.1 plimsoll\r\n");
    expect(linesFor("192.0.2.7", "b.exampl", lines, "1.0")).toContain("Via: 1.0 plimsoll\r\n");
    expect(linesFor("192.0.2.7", "", lines, "1.0")).not.toContain("Host");
  });
});

describe("what a trusted peer said", () => {
  const of = (...lines: readonly string[]): string =>
    Buffer.from(
      linesOfTrusted(withLines(...lines).request, { address: "10.0.0.1", scheme: "http", port: 8080, certificate: "" }),
    ).toString("latin1");

  test("is kept and added to", () => {
    const lines = of(
      "X-Forwarded-For: 203.0.113.9",
      "X-Forwarded-Proto: https",
      "X-Forwarded-Host: shop.example",
      "X-Forwarded-Port: 443",
      "Forwarded: for=203.0.113.9;proto=https",
    );
    expect(lines).toBe(
      "X-Forwarded-For: 203.0.113.9, 10.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n" +
        "X-Forwarded-Port: 443\r\nForwarded: for=203.0.113.9;proto=https, for=10.0.0.1;host=a;proto=http\r\n" +
        "Via: 1.1 plimsoll\r\n",
    );
  });

  test("several lines of one name are one list", () => {
    expect(of("X-Forwarded-For: 203.0.113.9", "x-forwarded-for: 10.0.0.5")).toContain(
      "X-Forwarded-For: 203.0.113.9, 10.0.0.5, 10.0.0.1\r\n",
    );
  });

  test("where it said nothing, or something empty, our own is written", () => {
    const own = of();
    expect(own).toContain("X-Forwarded-For: 10.0.0.1\r\n");
    expect(of("X-Forwarded-For:", "X-Forwarded-Proto:", "X-Forwarded-Host:", "X-Forwarded-Port: ", "Forwarded: ")).toBe(
      own,
    );
  });
});

describe("whose address is believed", () => {
  const trusted = trust("10.0.0.0/8", "fd00::/8");
  const of = (peer: string, ...lines: readonly string[]): string =>
    believedSource(peer, trusted, withLines(...lines).request);

  const cases: readonly (readonly [string, string, string, string])[] = [
    ["an untrusted peer's list counts for nothing", "198.51.100.1", "203.0.113.9", "198.51.100.1"],
    ["a trusted peer's last hop", "10.0.0.1", "203.0.113.9", "203.0.113.9"],
    [
      "left of an untrusted hop stands what the client chose to send",
      "10.0.0.1",
      "6.6.6.6, 203.0.113.9",
      "203.0.113.9",
    ],
    ["trusted hops are passed", "10.0.0.1", "6.6.6.6, 203.0.113.9, 10.0.0.5, 10.0.0.6", "203.0.113.9"],
    ["when all are trusted, the first of them", "10.0.0.1", "10.0.0.4, 10.0.0.5", "10.0.0.4"],
    ["a port behind IPv4", "10.0.0.1", "203.0.113.9:4711", "203.0.113.9"],
    ["a port behind IPv6", "10.0.0.1", "[2001:db8::9]:4711", "2001:db8::9"],
    ["brackets without a port", "10.0.0.1", "[2001:db8::9]", "2001:db8::9"],
    ["bare IPv6", "fd00::1", "2001:db8::9", "2001:db8::9"],
    ["a trusted hop with a port is passed", "10.0.0.1", "203.0.113.9, 10.0.0.5:1, [fd00::2]:2", "203.0.113.9"],
    ["white space of any kind", "10.0.0.1", "203.0.113.9 ,\t 10.0.0.5", "203.0.113.9"],
    ["an empty element ends the walk", "10.0.0.1", "203.0.113.9,,10.0.0.5", "10.0.0.5"],
    ["an empty list", "10.0.0.1", "", "10.0.0.1"],
    ["unknown ends the walk", "10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"],
    ["an obfuscated name ends the walk", "10.0.0.1", "6.6.6.6, _hidden, 10.0.0.5", "10.0.0.5"],
    ["a name is no address", "10.0.0.1", "localhost", "10.0.0.1"],
    ["an open bracket is no address", "10.0.0.1", "[2001:db8::9", "10.0.0.1"],
    ["something behind the bracket is no address", "10.0.0.1", "[2001:db8::9]x", "10.0.0.1"],
    ["an octet too large is no address", "10.0.0.1", "203.0.113.256", "10.0.0.1"],
    ["a quote for the log is no address", "10.0.0.1", '203.0.113.9" 200 "', "10.0.0.1"],
  ];
  test.each(cases)("%s", (_, peer, list, believed) => {
    expect(of(peer, `X-Forwarded-For: ${list}`)).toBe(believed);
  });

  test("nobody is trusted by default", () => {
    expect(believedSource("10.0.0.1", null, withLines("X-Forwarded-For: 203.0.113.9").request)).toBe("10.0.0.1");
  });

  test("a list over several lines is one list", () => {
    expect(of("10.0.0.1", "X-Forwarded-For: 6.6.6.6, 203.0.113.9", "X-Forwarded-For: 10.0.0.5")).toBe("203.0.113.9");
  });

  test("any list: an address, never one left of an untrusted one", () => {
    const good = fc.constantFrom("10.0.0.9", "10.255.0.1:80", "[fd00::5]:1", "fd12::1");
    const bad = fc.constantFrom("203.0.113.9", "[2001:db8::9]:4711", "198.51.100.3:1", "::1");
    const junk = fc.oneof(
      fc.constantFrom("", " ", "unknown", "_x", "[", "]", "[]", ":", "1.2.3", "10.0.0.5.", "a:b:c", "[10.0.0.5", "::g"),
      fc.string({ unit: fc.constantFrom(...'0123456789abcdef.:[]"%_ '), maxLength: 12 }),
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(good, good, bad, junk), { maxLength: 12 }), (hops) => {
        const source = of("10.0.0.1", `X-Forwarded-For: ${hops.join(", ")}`);
        expect(parseIpAddress(source)).not.toBeNull();
        // The same, counted from the right by another way.
        const bare = hops
          .join(", ")
          .split(",")
          .map((hop) => hop.trim())
          .map((hop) => {
            const found = /^\[([^\]]*)\](?::\d+)?$/.exec(hop) ?? /^([^:]*):[^:]*$/.exec(hop);
            return found?.[1] ?? hop;
          });
        let expected = "10.0.0.1";
        while (trusted.contains(expected)) {
          const next = bare.pop();
          if (next === undefined || parseIpAddress(next) === null) break;
          expected = next;
        }
        expect(source).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
  });
});
