// The path rewrite: another prefix, or a regex. The query goes along untouched.
import type { RewritePlan } from "../plan.ts";
import { below, canonicalPath, canonicalPrefix, forwardedPath } from "../route/canonical.ts";
import { encodeUnsafe } from "./encode.ts";

/** Path and query as received -> as they go upstream; null = this rewrite changes nothing. */
export type RewriteStep = (target: string) => string | null;

/** Compiles a route's rewrite; null if it has none. */
export function compileRewrite(plan: RewritePlan | null): RewriteStep | null {
  if (plan === null) return null;
  const rewritePath = plan.kind === "prefix" ? prefixRewrite(plan.from, plan.to) : regexRewrite(plan.source, plan.to);
  return (target) => {
    if (target.charCodeAt(0) !== 0x2f) return null; // "*"
    const mark = target.indexOf("?");
    const rewritten = rewritePath(mark < 0 ? target : target.slice(0, mark));
    if (rewritten === null) return null;
    const query = mark < 0 ? "" : target.slice(mark + 1);
    const rooted = withOneSlash(rewritten);
    if (mark < 0) return rooted;
    // A replacement may bring parameters of its own: ours first, because most readers take the first of two.
    return rooted + (rooted.includes("?") ? "&" : "?") + query;
  };
}

function prefixRewrite(from: string, to: string): (path: string) => string | null {
  const prefix = canonicalPrefix(from);
  const mark = to.indexOf("?");
  const ownQuery = mark < 0 ? "" : encodeUnsafe(to.slice(mark));
  const base = encodeUnsafe(mark < 0 ? to : to.slice(0, mark)).replace(/\/+$/, "");
  return (path) => {
    const rest = below(path, prefix);
    return rest === null ? null : base + rest + ownQuery;
  };
}

function regexRewrite(source: string, to: string): (path: string) => string | null {
  const regex = new RegExp(source);
  // "$<name>" is JavaScript's, not text.
  const replacement = to.replace(/\$<[^>]*>|[^$]+/g, (piece) => (piece.startsWith("$<") ? piece : encodeUnsafe(piece)));
  return (path) => {
    // As received if that says the same to everybody, so that "//" within and the encoding survive; else what was matched.
    if (forwardedPath(path) === null && regex.test(path)) return path.replace(regex, replacement);
    const canonical = canonicalPath(path);
    return regex.test(canonical) ? canonical.replace(regex, replacement) : null;
  };
}

/** Exactly one slash at the start: "//host/x" would be read as a host by URL parsers. */
function withOneSlash(path: string): string {
  if (path.charCodeAt(0) === 0x2f && path.charCodeAt(1) !== 0x2f) return path;
  return "/" + path.replace(/^\/+/, "");
}
