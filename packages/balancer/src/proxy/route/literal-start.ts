// A regex over paths ranks, and hangs in the table, where its literal beginning puts it: "^/app/[0-9]+$" can match only
// below /app, so it is more specific than "/app/*", and no request for another path ever tries it.

const meta = new Set("^$.*+?()[]{}|");
const quantifiers = new Set("?*+{");

/** What may follow a literal text so that its last segment is known to be whole. */
const wholeAfter = /^(?:\$$|\((?:\?[:=])?\\?\/(?:\.\*)?(?:\|\$\)|\)\?\$$))/;

/**
 * The whole path segments that every path matched by a regex begins with; none where that cannot be told (no "^", a
 * choice at the top). May be fewer than there are, never more.
 */
export function literalStart(source: string): readonly string[] {
  if (!source.startsWith("^") || hasChoice(source)) return [];
  let text = "";
  let at = 1;
  while (at < source.length) {
    let c = source[at]!;
    let next = at + 1;
    if (c === "\\") {
      c = source[next] ?? "";
      next++;
      if (c === "" || /[A-Za-z0-9]/.test(c)) break; // \d, \b, \1: a class, a border, a group
    } else if (meta.has(c)) {
      break;
    }
    if (quantifiers.has(source[next] ?? "")) break; // the character may be missing
    text += c;
    at = next;
  }
  if (!text.startsWith("/")) return [];
  const segments = text.slice(1).split("/");
  if (segments.at(-1) === "" || !wholeAfter.test(source.slice(at))) segments.pop();
  return segments;
}

/** Whether "|" stands outside of every group and class. */
function hasChoice(source: string): boolean {
  let depth = 0;
  let inClass = false;
  for (let i = 0; i < source.length; i++) {
    const c = source[i];
    if (c === "\\") i++;
    else if (inClass) inClass = c !== "]";
    else if (c === "[") inClass = true;
    else if (c === "(") depth++;
    else if (c === ")") depth--;
    else if (c === "|" && depth === 0) return true;
  }
  return false;
}
