// The three forms of a path in a match: "/exact", "/prefix/*", "~regex".
import type { Misread } from "../base/units.ts";
import type { PathMatch } from "../proxy/plan.ts";
import { canonicalPath } from "../proxy/route/canonical.ts";
import { parseRegex } from "./regex-guard.ts";

const examples = "write /exact, /prefix/*, or ~regex";

/** Reads a path pattern. "/*" and "*" are any path. */
export function parsePathPattern(text: string): PathMatch | Misread {
  if (text === "") return { reason: "it is empty", hint: examples };
  if (text === "*" || text === "/*") return { kind: "any" };
  if (text.startsWith("~")) {
    const source = parseRegex(text.slice(1).trimStart());
    return typeof source === "string" ? { kind: "regex", source } : source;
  }
  const refused = refusePath(text);
  if (refused !== null) return refused;
  if (!text.includes("*")) return { kind: "exact", path: text };
  const prefix = text.slice(0, -2);
  if (text.endsWith("/*") && !prefix.includes("*")) return { kind: "prefix", path: prefix };
  return {
    reason: "a * may only stand at the end, after a slash",
    hint: `${examples}; ~^/a/[^/]+/b$ is a regex for one part in the middle`,
  };
}

/** What cannot be in a path that a request is compared with. Null: it can be. */
export function refusePath(text: string): Misread | null {
  if (!text.startsWith("/")) {
    const url = URL.parse(text);
    return {
      reason: "a path begins with /",
      hint: url === null ? `write /${text}` : `the host goes into \`host\`, the path is ${url.pathname}`,
    };
  }
  if (text.includes("?"))
    return { reason: "the query is not part of the path", hint: "match it with `query: { name: value }`" };
  if (text.includes("#")) return { reason: "a browser never sends what follows #", hint: "leave it out" };
  const canonical = canonicalPath(text);
  if (canonical === text) return null;
  if (/[^\x21-\x7e]/.test(text))
    return { reason: "it holds characters that a request sends percent-encoded", hint: `write ${canonical}` };
  return {
    reason: "requests are matched in canonical form, and this is not",
    hint: `write ${canonical}; docs/routing.md has the rules`,
  };
}
