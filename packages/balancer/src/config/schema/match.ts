// What a route asks of a request.
import { z } from "zod";
import { parseCidr } from "../../base/cidr.ts";
import type { ValueMatch } from "../../proxy/plan.ts";
import { parseCookieName, parseHeaderName, parseMethod } from "../header-rules.ts";
import { parseHost } from "../host.ts";
import { parsePathPattern } from "../path-pattern.ts";
import { parseRegex } from "../regex-guard.ts";
import { fieldMap, oneOrMany, written } from "./leaf.ts";

/** "*" for any value as long as there is one, "~regex", or the value itself. */
function valueMatch() {
  return written(
    { noun: "a value to compare with", hint: 'write a text, "~regex", or "*" for any value; digits need quotes' },
    (text): ValueMatch | { reason: string; hint: string } => {
      if (text === "*") return { kind: "present" };
      if (!text.startsWith("~")) return { kind: "exact", value: text };
      const source = parseRegex(text.slice(1).trimStart());
      return typeof source === "string" ? { kind: "regex", source } : source;
    },
  );
}

const anyName = written({ noun: "a name", hint: "write a name" }, (text) =>
  text === "" ? { reason: "it is empty", hint: "write a name" } : text,
);
const headerName = written(
  { noun: "a header name", hint: "letters, digits and - without spaces: x-request-id" },
  parseHeaderName,
);
const cookieName = written({ noun: "a cookie name", hint: "letters, digits, - and _ without spaces" }, parseCookieName);

/** A protocol's name as IANA registers it: bytes, in practice printable ASCII (RFC 7301 §6). */
function parseProtocol(name: string): string | { reason: string; hint: string } {
  return /^[\x21-\x7e]{1,255}$/.test(name)
    ? name
    : { reason: "a protocol has 1 to 255 printable characters", hint: "write h2 or http/1.1" };
}

/** A range of addresses, or one address. */
export function cidr() {
  return written({ noun: "a range of addresses", hint: "write 10.0.0.0/8, 2001:db8::/32, or one address" }, (text) => {
    if (parseCidr(text) !== null) return text;
    const hint =
      /[a-z]/i.test(text) && !text.includes(":")
        ? "names cannot be used here; write addresses"
        : "write 10.0.0.0/8, 2001:db8::/32, or one address";
    return { reason: "it is neither an address nor a range", hint };
  });
}

export const matchSchema = z
  .strictObject({
    host: written({ noun: "a host", hint: "write api.example.com or *.example.com" }, parseHost)
      .meta({ examples: ["api.example.com", "*.example.com"] })
      .describe(
        "Name in the request's Host, without port; case does not matter, other scripts match their punycode. `*.example.com` is every name below example.com, at any depth.",
      )
      .optional(),
    path: written({ noun: "a path", hint: "write /exact, /prefix/*, or ~regex" }, parsePathPattern)
      .meta({ examples: ["/exact", "/prefix/*", "~^/v[0-9]+/"] })
      .describe(
        "`/exact`, `/prefix/*` (the prefix itself and all below it), or `~regex` (JavaScript, anywhere in the path unless anchored).",
      )
      .optional(),
    // An empty list would say "none" to who reads it and "any" to us: the guard of a route would be open.
    methods: oneOrMany(written({ noun: "a method", hint: "write GET, POST, PUT, ..." }, parseMethod), 1)
      .meta({ examples: [["GET", "POST"]] })
      .describe("Methods, in capitals. Any if left out.")
      .optional(),
    headers: fieldMap(headerName, valueMatch())
      .meta({ examples: [{ "x-canary": "1" }] })
      .describe('Headers that must be there, by name: the value itself, `"~regex"`, or `"*"` for any value.')
      .optional(),
    query: z
      .record(anyName, valueMatch())
      .meta({ examples: [{ preview: "*" }] })
      .describe("Query parameters that must be there, as for `headers`.")
      .optional(),
    cookies: z
      .record(cookieName, valueMatch())
      .meta({ examples: [{ beta: "yes" }] })
      .describe("Cookies that must be there, as for `headers`.")
      .optional(),
    sni: written({ noun: "a host", hint: "write db.example.com or *.example.com" }, parseHost)
      .meta({ examples: ["db.example.com", "*.example.com"] })
      .describe(
        "On a listener with `protocol: tls`: the name that the client asks for by SNI, as for `host`. A client that names none takes routes without `sni`.",
      )
      .optional(),
    alpn: oneOrMany(written({ noun: "a protocol", hint: "write h2 or http/1.1" }, parseProtocol), 1)
      .meta({ examples: ["h2", ["h2", "http/1.1"]] })
      .describe(
        "On a listener with `protocol: tls`: protocols of which the client must offer at least one by ALPN. Any if left out.",
      )
      .optional(),
    source: oneOrMany(cidr(), 1)
      .meta({ examples: [["10.0.0.0/8"]] })
      .describe("Ranges of client addresses, after `trustedProxies`. Any if left out.")
      .optional(),
  })
  .describe(
    "What a request must have for this route. All of it must hold; what is left out is not asked for. The most specific route wins, wherever it stands in the file.",
  );
