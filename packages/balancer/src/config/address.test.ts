import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { isIP as nodeIsIP } from "node:net";
import { formatHostPort, isIP, parseEndpoint, parseListen } from "./address.ts";

const tcp = (host: string, port: number) => ({ kind: "address", address: { kind: "tcp", host, port } });

describe("endpoint addresses", () => {
  const good: readonly [string, object][] = [
    ["127.0.0.1:3001", { id: "127.0.0.1:3001", ...tcp("127.0.0.1", 3001) }],
    ["[::1]:80", { id: "[::1]:80", ...tcp("::1", 80) }],
    ["[2001:DB8:0:0::1]:65535", tcp("2001:db8::1", 65_535)],
    ["localhost:3000", { id: "localhost:3000", ...tcp("127.0.0.1", 3000) }],
    [
      "unix:/run/app.sock",
      { id: "unix:/run/app.sock", kind: "address", address: { kind: "unix", path: "/run/app.sock" } },
    ],
    ["App.Internal:3000", { id: "app.internal:3000", kind: "name", name: "app.internal", port: 3000 }],
    ["my_service:80", { kind: "name", name: "my_service" }],
    ["app.internal.:80", { kind: "name", name: "app.internal." }],
    ["srv+_http._tcp.App.internal", { kind: "srv", name: "_http._tcp.app.internal" }],
  ];
  for (const [text, expected] of good) test(text, () => expect(parseEndpoint(text)).toMatchObject(expected));

  const bad: readonly [string, RegExp, RegExp][] = [
    ["", /empty/, /127\.0\.0\.1:3000/],
    ["3000", /only a number/, /127\.0\.0\.1:3000/],
    ["127.0.0.1", /port is missing/, /127\.0\.0\.1:3000/],
    ["app.internal", /port is missing/, /app\.internal:3000/],
    ["::1", /port is missing/, /\[::1\]:3000/],
    ["[::1]", /port is missing/, /\[::1\]:3000/],
    ["::1:3000", /port is missing/, /brackets/],
    [":3000", /which host/, /127\.0\.0\.1:3000/],
    ["*:3000", /which host/, /127\.0\.0\.1:3000/],
    ["0.0.0.0:3000", /where a program listens/, /127\.0\.0\.1:3000/],
    ["[::]:3000", /where a program listens/, /./],
    ["127.0.0.1:0", /port 0/, /./],
    ["127.0.0.1:65536", /"65536" is not a port/, /1 to 65535/],
    ["127.0.0.1:http", /"http" is not a port/, /./],
    ["127.0.0.1:3000-3003", /ranges/, /one entry/],
    ["256.0.0.1:80", /not an IPv4 address/, /0 to 255/],
    ["[127.0.0.1]:80", /not an IPv6 address/, /brackets/],
    ["http://app:3000", /URL/, /write app:3000/],
    ["http://app/path", /URL/, /write app:80/],
    ["https://app", /URL/, /app:443.*tls/],
    ["app:80/path", /no path/, /./],
    ["user@app:80", /no path, query or user/, /./],
    ["app internal:80", /white space/, /./],
    ["app:80\u0000", /white space or a control/, /./],
    ["-app:80", /not a DNS name/, /punycode/],
    ["bücher.example:80", /not a DNS name/, /punycode/],
    ["a..b:80", /not a DNS name/, /./],
    [`${"a".repeat(64)}:80`, /not a DNS name/, /./],
    [`${"a.".repeat(130)}b:80`, /longer than 253/, /./],
    ["unix:app.sock", /begins with \//, /unix:\/run/],
    [`unix:/${"x".repeat(120)}`, /103 bytes/, /shorter/],
    ["srv+app.internal", /_service\._protocol/, /srv\+_http/],
    ["srv+_http._tcp.app:80", /no port/, /./],
  ];
  for (const [text, reason, hint] of bad) {
    test(`refuses "${text.slice(0, 40)}"`, () => {
      expect(parseEndpoint(text)).toEqual({ reason: expect.stringMatching(reason), hint: expect.stringMatching(hint) });
    });
  }

  test("an id is read back as the same address, whatever is thrown at it", () => {
    const text = fc.oneof(
      fc.string(),
      fc.stringMatching(/^[a-z0-9.[\]:_-]{1,20}:[0-9]{1,5}$/),
      fc.ipV6().map((ip) => `[${ip}]:80`),
    );
    fc.assert(
      fc.property(text, (written) => {
        const address = parseEndpoint(written);
        if ("reason" in address) expect(address.hint).not.toBe("");
        else expect(parseEndpoint(address.id)).toEqual(address);
      }),
    );
  });
});

describe("listening addresses", () => {
  const good: readonly [string, string, number][] = [
    ["127.0.0.1:8080", "127.0.0.1", 8080],
    [":8080", "0.0.0.0", 8080],
    ["*:8080", "0.0.0.0", 8080],
    ["[::]:443", "::", 443],
    ["localhost:1", "127.0.0.1", 1],
    ["127.0.0.1:0", "127.0.0.1", 0],
  ];
  for (const [text, host, port] of good) test(text, () => expect(parseListen(text)).toEqual({ host, port }));

  const bad: readonly [string, RegExp][] = [
    ["app.internal:80", /needs an IP address/],
    ["8080", /only a number/],
    ["unix:/run/x", /not available yet/],
    ["http://127.0.0.1:80", /URL/],
    ["", /empty/],
  ];
  for (const [text, reason] of bad) {
    test(`refuses "${text}"`, () => expect(parseListen(text)).toMatchObject({ reason: expect.stringMatching(reason) }));
  }
});

test("what is an IP address is what the system takes for one", () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.stringMatching(/^[0-9a-f.:]{0,20}$/)), (text) => {
      expect(isIP(text)).toBe(nodeIsIP(text) as 0 | 4 | 6);
    }),
  );
  expect([formatHostPort("::1", 80), formatHostPort("10.0.0.1", 80)]).toEqual(["[::1]:80", "10.0.0.1:80"]);
});
