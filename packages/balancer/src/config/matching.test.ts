// What may be written in a match and in header edits: hosts, paths, names, values, expressions.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { canonicalPath } from "../proxy/route/canonical.ts";
import {
  parseContentType,
  parseCookieName,
  parseEditableName,
  parseHeaderName,
  parseHeaderValue,
  parseMethod,
} from "./header-rules.ts";
import { parseHost } from "./host.ts";
import { parsePathPattern } from "./path-pattern.ts";
import { parseRegex, slowRegex } from "./regex-guard.ts";

function refuses(parse: (text: string) => unknown, cases: readonly (readonly [string, RegExp])[]): void {
  for (const [text, reason] of cases) {
    test(`${parse.name} refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
      const result = parse(text);
      expect(result).toEqual({ reason: expect.stringMatching(reason), hint: expect.stringMatching(/./) });
    });
  }
}

describe("hosts", () => {
  const good: readonly [string, object][] = [
    ["api.example.com", { kind: "exact", host: "api.example.com" }],
    ["API.Example.COM.", { kind: "exact", host: "api.example.com" }],
    ["*.example.com", { kind: "suffix", host: "example.com" }],
    ["*", { kind: "any" }],
    ["bücher.example", { kind: "exact", host: "xn--bcher-kva.example" }],
    ["*.BÜCHER.example", { kind: "suffix", host: "xn--bcher-kva.example" }],
    ["xn--bcher-kva.example", { kind: "exact", host: "xn--bcher-kva.example" }],
    ["127.0.0.1", { kind: "exact", host: "127.0.0.1" }],
    ["1.2.3", { kind: "exact", host: "1.2.3" }],
    ["::1", { kind: "exact", host: "[::1]" }],
    ["[0:0::1]", { kind: "exact", host: "[::1]" }],
    ["my_service", { kind: "exact", host: "my_service" }],
  ];
  for (const [text, host] of good)
    test(text, () => expect(parseHost(text)).toEqual(host as ReturnType<typeof parseHost>));
  refuses(parseHost, [
    ["", /empty/],
    ["http://a.example", /URL/],
    ["a.example/x", /no path/],
    ["a.example:80", /port/],
    ["[::1]:80", /port/],
    ["a.*.example", /beginning/],
    ["*a.example", /beginning/],
    ["*.::1", /no names below/],
    ["a b", /not a host/],
    ["a..b", /not a host/],
    ["-a", /not a host/],
    ["user@a", /not a host/],
    ["a%2eb", /not a host/],
    ["xn--zzzzzzzzz\u00ad", /not a host/],
    [`${"a".repeat(64)}.b`, /not a host/],
  ]);

  test("whatever is taken is lower case ASCII and taken again as it is", () => {
    fc.assert(
      fc.property(fc.oneof(fc.domain(), fc.string(), fc.string({ unit: "grapheme" })), (text) => {
        const host = parseHost(text);
        if ("reason" in host || host.kind === "any") return;
        expect(host.host).toMatch(/^[a-z0-9_.:[\]-]+$/);
        expect(parseHost(host.host)).toEqual({ kind: "exact", host: host.host });
      }),
    );
  });
});

describe("paths", () => {
  const good: readonly [string, object][] = [
    ["/", { kind: "exact", path: "/" }],
    ["/v1", { kind: "exact", path: "/v1" }],
    ["/v1/", { kind: "exact", path: "/v1/" }],
    ["/v1/*", { kind: "prefix", path: "/v1" }],
    ["/*", { kind: "any" }],
    ["*", { kind: "any" }],
    ["/a%20b", { kind: "exact", path: "/a%20b" }],
    ["~^/u/[0-9]+$", { kind: "regex", source: "^/u/[0-9]+$" }],
    ["~ ^/x", { kind: "regex", source: "^/x" }],
  ];
  for (const [text, path] of good)
    test(text, () => expect(parsePathPattern(text)).toEqual(path as ReturnType<typeof parsePathPattern>));
  refuses(parsePathPattern, [
    ["", /empty/],
    ["v1", /begins with/],
    ["https://a.example/v1", /begins with/],
    ["/a?b=1", /query/],
    ["/a#b", /#/],
    ["/a b", /percent-encoded/],
    ["/ü", /percent-encoded/],
    ["/%61", /canonical/],
    ["/a/../b", /canonical/],
    ["/a//b", /canonical/],
    ["/a;b=1/c", /canonical/],
    ["/a*", /at the end/],
    ["/a/*/b", /at the end/],
    ["/*/*", /at the end/],
    ["~(", /cannot be compiled/],
    ["~", /empty/],
    [`~${"a".repeat(2000)}`, /longer/],
  ]);

  test("whatever is taken can be matched: it is its own canonical form", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.webPath(),
          fc.string().map((text) => `/${text}`),
        ),
        (text) => {
          const path = parsePathPattern(text);
          if ("reason" in path || path.kind === "any" || path.kind === "regex") return;
          expect(canonicalPath(path.path)).toBe(path.path);
        },
      ),
    );
  });
});

describe("header fields", () => {
  test("names are compared in lower case", () => {
    expect(parseHeaderName("X-Request-ID")).toBe("x-request-id");
    expect(parseEditableName("Set-Cookie")).toBe("set-cookie");
    expect(parseCookieName("Session")).toBe("Session");
    expect(parseHeaderValue('max-age=60; a="b"\tc')).toBe('max-age=60; a="b"\tc');
    expect(parseHeaderValue("")).toBe("");
    expect(parseMethod("M-SEARCH")).toBe("M-SEARCH");
    expect(parseContentType("text/html; charset=utf-8")).toBe("text/html; charset=utf-8");
  });
  refuses(parseHeaderName, [
    ["", /not a header name/],
    ["a b", /not a header name/],
    ["a:", /not/],
    [":path", /HTTP\/2/],
    ["ä", /not/],
  ]);
  refuses(
    parseEditableName,
    [
      "Content-Length",
      "transfer-encoding",
      "Connection",
      "keep-alive",
      "TE",
      "Trailer",
      "Upgrade",
      "Host",
      "Expect",
      "Proxy-Connection",
    ].map((name) => [name, /cannot be edited/] as const),
  );
  refuses(parseHeaderValue, [
    ["a\r\nb: c", /another header/],
    ["a\0", /another header/],
    ["ü", /ASCII/],
    ["\u007f", /ASCII/],
    [" a", /white space/],
  ]);
  refuses(parseCookieName, [
    ["a=b", /not a cookie/],
    ["", /not a cookie/],
    ["a;b", /not a cookie/],
  ]);
  refuses(parseMethod, [
    ["get", /capitals/],
    ["G T", /not a method/],
    ["", /not a method/],
    ["CONNECT", /never forwarded/],
  ]);
  refuses(parseContentType, [
    ["html", /media type/],
    ["text/html; a", /media type/],
    ["text/html\r\nx: y", /media type/],
    ["", /media type/],
  ]);
});

describe("regular expressions", () => {
  for (const slow of [
    "(a+)+",
    "(a*)*b",
    "^(\\w+\\s?)*$",
    "([a-z]+)*",
    "((ab)*c)+",
    "(a{2,})+",
    "(?:x+y?)+z",
    "(a|b+)*",
    "((a+))+",
  ]) {
    test(`warns of ${slow}`, () => expect(slowRegex(slow)).toMatch(/exponential/));
  }
  for (const fine of [
    "^/u/[0-9]+$",
    "a+b+c*",
    "(abc)+",
    "(a|b)*",
    "\\(a+\\)+",
    "[(a+)]+",
    "(a+)b",
    "(a{2})+",
    "(a+){2}",
    "(?<year>\\d+)/x*",
    "a\\+*",
  ]) {
    test(`lets ${fine} pass`, () => expect(slowRegex(fine)).toBeNull());
  }
  test("what compiles is taken as it is, and nothing makes the guard throw", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ab()[\]{}*+?|\\^$.,0-9]{1,12}$/), (source) => {
        slowRegex(source);
        const parsed = parseRegex(source);
        if (parsed === source) expect(() => new RegExp(source)).not.toThrow();
        else expect(() => new RegExp(source)).toThrow();
      }),
      { numRuns: 1000 },
    );
  });
});
