import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { path } from "../route/samples.ts";
import { compileLocation, type LocationRequest } from "./location.ts";

const request = (target: string, host = "www.example.com"): LocationRequest => {
  const mark = target.indexOf("?");
  return {
    host: () => host,
    authority: () => (host === "" ? "" : `${host}:8443`),
    path: () => (mark < 0 ? target : target.slice(0, mark)),
    search: () => (mark < 0 ? "" : target.slice(mark)),
  };
};
const location = (to: string, match: string, target: string, host?: string): string =>
  compileLocation(to, path(match))(request(target, host), "http", 8080);

describe("a redirect's location", () => {
  const cases: readonly (readonly [string, string, string, string])[] = [
    // What "*" took over.
    ["/new/*", "/old/*", "/old/a/b", "/new/a/b"],
    ["/new/*", "/old/*", "/old", "/new"],
    ["/new/*", "/old/*", "/old/", "/new/"],
    ["/new/*", "/old/*", "/old/a%20b//c", "/new/a%20b//c"],
    ["/new/*", "/old/*", "/%6fld/x", "/new/x"],
    ["/new/*", "/old/*", "/x/../old/y", "/new/y"],
    ["/new-*", "/old/*", "/old/a", "/new-a"],
    ["/*", "/old/*", "/old", "/"],
    ["/*", "/old/*", "/old/a", "/a"],
    ["/*.html", "/old/*", "/old/a", "/a.html"],
    ["https://new.example/*", "*", "/a/b?c=d", "https://new.example/a/b?c=d"],
    ["https://new.example/*", "/old/*", "/old", "https://new.example/"],
    ["https://new.example/x/*", "/old/*", "/old", "https://new.example/x"],
    ["/a*b", "/exact", "/exact", "/a*b"],
    // Groups.
    ["/$1/$2", "~^/(\\w+)-(\\w+)$", "/a-b", "/a/b"],
    ["/$<lang>/x", "~^/(?<lang>de|fr)/", "/fr/y", "/fr/x"],
    ["/$0", "~^/a", "/ab", "/a"],
    ["/x$9", "~^/a", "/ab", "/x"],
    ["/$1", "~^/caf(%C3%A9)$", "/caf%c3%a9", "/%C3%A9"],
    ["https://$1.example.com/", "~^/(de|fr)/", "/de/x", "https://de.example.com/"],
    ["/cost$$5", "~^/a", "/a", "/cost$5"],
    ["/cost$5", "/a", "/a", "/cost$5"],
    // Placeholders.
    ["https://{host}{path}", "*", "/a/b", "https://www.example.com/a/b"],
    ["https://{host}:{port}{path}", "*", "/a", "https://www.example.com:8080/a"],
    ["https://{authority}{path}", "*", "/a", "https://www.example.com:8443/a"],
    ["{scheme}://new.example{path}", "*", "/a", "http://new.example/a"],
    ["https://{host}/login?from={path}", "*", "/a?b", "https://www.example.com/login?from=/a"],
    ["/unknown/{thing}", "*", "/a", "/unknown/%7Bthing%7D"],
    // The query.
    ["/new", "/old", "/old?a=1&b", "/new?a=1&b"],
    ["/new", "/old", "/old?", "/new"],
    ["/new?x=1", "/old", "/old?a=1", "/new?x=1"],
    ["/new?", "/old", "/old?a=1", "/new?"],
    ["/new?x=1&{query}", "/old", "/old?a=1", "/new?x=1&a=1"],
    ["/new#there", "/old", "/old?a=1", "/new?a=1#there"],
    ["/new", "/old", '/old?a="<x>', "/new?a=%22%3Cx%3E"],
    // What the operator wrote is made a URL.
    ["/café und kuchen", "/old", "/old", "/caf%C3%A9%20und%20kuchen"],
    ["/a\r\nSet-Cookie: x=1", "/old", "/old", "/a%0D%0ASet-Cookie:%20x=1"],
    ["new", "/old", "/old", "/new"],
    ["//other.example/*", "/old/*", "/old/a", "//other.example/a"],
  ];
  for (const [to, match, target, expected] of cases) {
    test(`${match} to ${JSON.stringify(to)}: ${target} -> ${expected}`, () =>
      expect(location(to, match, target)).toBe(expected));
  }
});

describe("nobody can choose the host", () => {
  const cases: readonly (readonly [string, string, string, string])[] = [
    ["/*", "/old/*", "/old//evil.example", "/evil.example"],
    ["/*", "/old/*", "/old/\\evil.example", "/evil.example"],
    ["*", "/old/*", "/old//evil.example", "/evil.example"],
    ["/*", "/old/*", "/old/%5Cevil.example", "/%5Cevil.example"],
    ["{path}", "*", "//evil.example/x", "/evil.example/x"],
    ["{path}", "*", "/\\evil.example/x", "/evil.example/x"],
    ["$1", "~^/go(.*)$", "/go//evil.example", "/evil.example"],
    ["$1", "~^/go/(.*)$", "/go/https://evil.example", "/https://evil.example"],
    ["https://new.example*", "/old/*", "/old/.evil.example", "https://new.example/.evil.example"],
    ["https://new.example$1", "~^/go(.*)$", "/go.evil.example", "https://new.example/.evil.example"],
    ["https://new.example$1", "~^/go(.*)$", "/go@evil.example", "https://new.example/@evil.example"],
    ["https://$1.example.com/", "~^/(.*)$", "/evil.example/", "https://evil.example.example.com/"],
    ["https://$1.example.com/", "~^/(.*)$", "/u:p@evil.example", "https://upevil.example.example.com/"],
  ];
  for (const [to, match, target, expected] of cases) {
    test(`${to} for ${target}`, () => expect(location(to, match, target)).toBe(expected));
  }

  test("without a Host, a template that needs it leaves the host out", () => {
    expect(location("https://{host}{path}", "*", "/a", "")).toBe("/a");
    expect(location("https://{host}:8443/*", "*", "/a", "")).toBe("/a");
    expect(location("https://{authority}{path}", "*", "/a", "")).toBe("/a");
    expect(location("https://new.example/*", "*", "/a", "")).toBe("https://new.example/a");
  });

  test("whatever is sent, a template on this host stays on it and a template with a host on that", () => {
    const pieces = fc.constantFrom(
      "/",
      "//",
      "\\",
      "evil.example",
      "@",
      ":",
      "https:",
      "%2f",
      "%5c",
      "..",
      ";",
      ".",
      "?",
      "a",
    );
    const targets = fc.array(pieces, { maxLength: 10 }).map((list) => "/" + list.join(""));
    const templates = fc.constantFrom<[string, string]>(
      ["/*", "*"],
      ["*", "*"],
      ["{path}", "*"],
      ["/x/*", "/a/*"],
      ["$1", "~^/(.*)$"],
      ["/$1", "~^/(.*)$"],
      ["https://www.example.com*", "*"],
      ["https://www.example.com/*", "*"],
      ["https://www.example.com$1", "~^/(.*)$"],
      ["https://www.example.com{path}", "*"],
      ["https://{host}{path}", "*"],
      ["https://{host}/*?x", "*"],
    );
    fc.assert(
      fc.property(templates, targets, ([to, match], target) => {
        const answer = location(to, match, target);
        expect({ answer, host: new URL(answer, "https://www.example.com/base").host }).toEqual({
          answer,
          host: "www.example.com",
        });
        expect(answer).toMatch(/^[\x21-\x7e]+$/);
      }),
      { numRuns: 4000 },
    );
  });
});
