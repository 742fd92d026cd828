import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { below, canonicalPath, canonicalPrefix, forwardedPath } from "./canonical.ts";

/** Received, canonical, and what must go upstream instead (null: as received). */
const table: readonly (readonly [string, string, string | null])[] = [
  // Nothing to do.
  ["/", "/", null],
  ["/admin", "/admin", null],
  ["/admin/", "/admin/", null],
  ["/a.b/c..d/...", "/a.b/c..d/...", null],
  ["/.well-known/acme", "/.well-known/acme", null],
  ["/@scope/name:x,y(z)", "/@scope/name:x,y(z)", null],
  ["*", "*", null],
  ["", "/", null],
  // Other spellings of one path: matched alike, forwarded as received.
  ["/%61dmin", "/admin", null],
  ["/%61%64%6d%69%6E", "/admin", null],
  ["/adm%69n/x", "/admin/x", null],
  ["/caf%c3%a9", "/caf%C3%A9", null],
  ["/café", "/caf%C3%A9", null],
  ["/a%20b", "/a%20b", null],
  ['/a"b', "/a%22b", null],
  ["/a|b", "/a%7Cb", null],
  ["/%7Euser", "/~user", null],
  ["/a%3Ab%21", "/a:b!", null],
  ["/a//b", "/a/b", null],
  ["/a///b//", "/a/b/", null],
  ["/admin;v=1", "/admin", null],
  ["/admin;/x", "/admin/x", null],
  ["/a;p=1/b;q", "/a/b", null],
  // Encoded slashes stay what they are.
  ["/a%2Fb", "/a%2Fb", null],
  ["/a%2fb", "/a%2Fb", null],
  ["/a%5cb", "/a%5Cb", null],
  ["/%252e%252e/x", "/%252e%252e/x", null],
  ["/%2561", "/%2561", null],
  ["/100%", "/100%25", null],
  ["/%zz", "/%25zz", null],
  ["/%%36%31", "/%2561", null],
  ["/x%3B/y", "/x%3B/y", null],
  ["/x%00y", "/x%00y", null],
  // Dot segments, as they are sent to walk around a prefix.
  ["/x/../admin", "/admin", "/admin"],
  ["/x/..", "/", "/"],
  ["/x/.", "/x/", "/x/"],
  ["/x/./admin", "/x/admin", "/x/admin"],
  ["/../../admin", "/admin", "/admin"],
  ["/x/%2e%2e/admin", "/admin", "/admin"],
  ["/x/.%2E/admin", "/admin", "/admin"],
  ["/x/%2e/admin", "/x/admin", "/x/admin"],
  ["/x//../admin", "/admin", "/admin"],
  ["/x/..;/admin", "/admin", "/admin"],
  ["/x/..;a=b/admin", "/admin", "/admin"],
  ["/x/..%2fadmin", "/admin", "/admin"],
  ["/x%2f..%2fadmin", "/admin", "/admin"],
  ["/x/..%5Cadmin", "/admin", "/admin"],
  ["/x;%2F../admin", "/admin", "/admin"],
  ["/admin/..", "/", "/"],
  ["/admin/../x", "/x", "/x"],
  ["/%61/%2e%2e/%62", "/b", "/b"],
  // "\" is "/" to every URL parser that follows WHATWG.
  ["/x\\..\\admin", "/admin", "/admin"],
  ["/\\admin", "/admin", "/admin"],
  ["/x\\y", "/x/y", "/x/y"],
  // Two slashes at the start are a host name to them.
  ["//evil.example/admin", "/evil.example/admin", "/evil.example/admin"],
  ["///admin", "/admin", "/admin"],
  ["/;x/admin", "/admin", null],
];

describe("canonicalPath and forwardedPath", () => {
  for (const [received, canonical, forwarded] of table) {
    test(`${received} is ${canonical}`, () => {
      expect(canonicalPath(received)).toBe(canonical);
      expect(forwardedPath(received)).toBe(forwarded);
    });
  }

  const pieces = fc.constantFrom(
    "/",
    "/",
    "a",
    ".",
    "..",
    "%2e",
    "%2F",
    "%5c",
    "\\",
    ";",
    "%3b",
    "%",
    "%25",
    "%61",
    "é",
    "*",
    "x=1",
    "?",
  );
  const path = fc.array(pieces, { maxLength: 14 }).map((list) => "/" + list.join("").replaceAll("?", "~"));

  test("canonical is canonical", () => {
    fc.assert(
      fc.property(path, (received) => {
        const canonical = canonicalPath(received);
        expect(canonicalPath(canonical)).toBe(canonical);
        expect(forwardedPath(canonical)).toBeNull();
      }),
      { numRuns: 5000 },
    );
  });

  test("has no empty and no dot segment, no parameters, and only upper-case encodings of what needs them", () => {
    fc.assert(
      fc.property(path, (received) => {
        const canonical = canonicalPath(received);
        expect(canonical).toMatch(/^\/(?:[^/]+\/)*[^/]*$/);
        expect(canonical.split("/").filter((segment) => segment === "." || segment === "..")).toEqual([]);
        expect(canonical.replace(/%(?:[01][0-9A-F]|2[0235F]|3[BCEF]|5[BCDE]|60|7[BCDF]|[89A-F][0-9A-F])/g, "")).toMatch(
          /^[A-Za-z0-9\-._~!$&'()*+,=:@/]*$/,
        );
      }),
      { numRuns: 5000 },
    );
  });

  test("says the same as the WHATWG URL parser wherever that resolves dots, for paths without parameters and encodings", () => {
    const plain = fc.array(fc.constantFrom("/", "a", "b", ".", "..", "%2e", "\\"), { maxLength: 14 });
    fc.assert(
      fc.property(plain, (list) => {
        const received = "/" + list.join("");
        const parsed = new URL("http://h" + received).pathname.replaceAll("%2e", ".");
        // An empty segment is a segment to WHATWG and none to us: "/a//.." is /a/ there and / here.
        if (/[/\\]{2}/.test(received)) return;
        expect(canonicalPath(received)).toBe(parsed);
      }),
      { numRuns: 3000 },
    );
  });

  test("what goes upstream is, to a URL parser, the path that was matched", () => {
    fc.assert(
      fc.property(path, (received) => {
        const parsed = new URL(forwardedPath(received) ?? received, "http://host");
        expect({ received, host: parsed.host, path: canonicalPath(parsed.pathname) }).toEqual({
          received,
          host: "host",
          path: canonicalPath(received),
        });
      }),
      { numRuns: 5000 },
    );
  });

  test("and so it is to a reader that drops parameters, decodes once, joins slashes and resolves dots, in this order", () => {
    const read = (sent: string): string => {
      const decoded = sent
        .replace(/;[^/]*/g, "")
        .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
      const kept: string[] = [];
      for (const segment of decoded.split(/[/\\]+/)) {
        if (segment === "..") kept.pop();
        else if (segment !== "." && segment !== "") kept.push(segment);
      }
      return "/" + kept.join("/");
    };
    fc.assert(
      // Bytes beyond ASCII never come raw: the codec refuses them.
      fc.property(
        path.map((text) => text.replaceAll("é", "e")),
        (received) => {
          const canonical = canonicalPath(received);
          expect({ received, read: read(forwardedPath(received) ?? received) }).toEqual({
            received,
            read: read(canonical),
          });
        },
      ),
      { numRuns: 5000 },
    );
  });

  test("what goes upstream is read as the canonical path by a reader that decodes first and resolves then", () => {
    fc.assert(
      fc.property(path, (received) => {
        const sent = forwardedPath(received) ?? received;
        const decoded = sent
          .replace(/;[^/]*/g, "")
          .replace(/%([0-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
        expect(decoded.split(/[/\\]/).filter((segment) => segment === "..")).toEqual([]);
      }),
      { numRuns: 5000 },
    );
  });

  test("the usual path comes back as the very same string, in one pass", () => {
    const long = "/" + "segment/".repeat(1000);
    expect(canonicalPath(long)).toBe(long);
    // Hostile input is handled in linear time: this one would take minutes if it were quadratic.
    const hostile = "/..;%2f".repeat(100_000);
    expect(canonicalPath(hostile)).toBe("/");
  });
});

describe("below", () => {
  const cases: readonly (readonly [string, string, string | null])[] = [
    ["/v1", "/v1", ""],
    ["/v1/", "/v1", "/"],
    ["/v1/a%20b//c", "/v1", "/a%20b//c"],
    ["/v1/%61", "/v1", "/%61"],
    ["/v10", "/v1", null],
    ["/%761/x", "/v1", "/x"],
    ["//v1/x", "/v1", "/x"],
    ["/v1/../v2", "/v1", null],
    ["/x/../v1/y", "/v1", "/y"],
    ["/v1;p/x", "/v1", "/x"],
    ["/v1/x;p", "/v1", "/x;p"],
    ["/a/b", "", "/a/b"],
    ["/", "", "/"],
    ["*", "", null],
  ];
  for (const [path, prefix, rest] of cases) {
    test(`${path} below "${prefix}" leaves ${rest}`, () => expect(below(path, prefix)).toBe(rest));
  }
});

test("canonicalPrefix has no slash at its end", () => {
  expect(["/", "/v1", "/v1/", "/%761//", "/a/../b"].map(canonicalPrefix)).toEqual(["", "/v1", "/v1", "/v1", "/b"]);
});
