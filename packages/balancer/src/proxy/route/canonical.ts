// Which route takes a request: compiled tables over host, path, method and conditions, and the words that explain a choice.
// Knows nothing of sockets, pools, time or chance; it sees a request only through RequestView.

// One path can be spelled in many ways, and the application behind us may read any of them as "/admin". A table that
// compared the bytes as received would be walked around with "/%61dmin" or "/x/../admin". So routes are matched on a
// canonical copy (docs/routing.md has the rules), and where the received spelling could be read as two different
// paths, the canonical one is also what goes upstream: what was matched is what is served.

const slash = 0x2f;
const dot = 0x2e;
const percent = 0x25;
const backslash = 0x5c;
const semicolon = 0x3b;

/** 1 for the characters of RFC 3986's pchar which stand for themselves; ";" is not among them: it begins parameters. */
const standsForItself = new Uint8Array(128);
for (const c of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,=:@") {
  standsForItself[c.charCodeAt(0)] = 1;
}

/** A "." or ".." segment in a spelled path, also one bounded by encoded slashes or followed by parameters. */
const dotSegment = /(?:\/|%2F|%5C)\.\.?(?:;[^/]*)?(?:\/|%2F|%5C|$)/;

/**
 * The form of a path that routes are matched on. Percent-encoded characters that need no encoding are decoded, the rest
 * has upper-case hex; raw characters that need encoding get it; parameters (";...") are left out; runs of slashes count
 * as one; "\" counts as "/"; "." and ".." segments are resolved. "%2F" stays as it is, except in a path that has dot
 * segments. Idempotent. Returns the very same string where nothing is to be done, which is nearly always.
 *
 * @param path Without the query. "" is read as "/"; what does not begin with a slash ("*") is returned as it is.
 */
export function canonicalPath(path: string): string {
  const length = path.length;
  if (length === 0) return "/";
  const first = path.charCodeAt(0);
  if (first !== slash && first !== backslash) return path;
  let previous = 0;
  for (let i = 0; i < length; i++) {
    const c = path.charCodeAt(i);
    if (c === slash) {
      if (previous === slash) return resolve(path);
    } else if (c > 127 || standsForItself[c] === 0 || (c === dot && previous === slash)) {
      return resolve(path);
    }
    previous = c;
  }
  return path;
}

/** A prefix without the slash at its end, in canonical form; "" is the root. */
export function canonicalPrefix(path: string): string {
  const canonical = canonicalPath(path);
  return canonical.endsWith("/") ? canonical.slice(0, -1) : canonical;
}

/**
 * What must be sent upstream instead of the received path, or null if that may go as it is. Not null where the received
 * spelling would be read differently by different programs: dot segments, backslashes (the WHATWG URL parser makes
 * slashes of them), two slashes at the start (which it takes for a host name). Other spellings go through untouched,
 * because signatures are computed over them.
 */
export function forwardedPath(path: string): string | null {
  const canonical = canonicalPath(path);
  if (canonical === path || path.length === 0) return null;
  if (path.charCodeAt(1) === slash || path.includes("\\") || dotSegment.test(spell(path))) return canonical;
  return null;
}

/**
 * What follows `prefix` in a path: "" or a text that begins with "/", in the received spelling where that is unambiguous,
 * else in the canonical one. null if the path is not below it.
 *
 * @param prefix Canonical, without a slash at its end ("" = root).
 */
export function below(path: string, prefix: string): string | null {
  const canonical = canonicalPath(path);
  if (
    canonical !== path &&
    startsBelow(path, prefix) &&
    startsBelow(canonical, prefix) &&
    forwardedPath(path) === null
  ) {
    return path.slice(prefix.length);
  }
  return startsBelow(canonical, prefix) ? canonical.slice(prefix.length) : null;
}

function startsBelow(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false;
  return path.length === prefix.length || path.charCodeAt(prefix.length) === slash;
}

/** Spells every character in its one canonical way; segments are not touched yet. */
function spell(path: string): string {
  let out = "";
  const bytes = isAscii(path) ? null : new TextEncoder().encode(path);
  const length = bytes === null ? path.length : bytes.length;
  const at = (i: number): number => (bytes === null ? path.charCodeAt(i) : bytes[i]!);
  for (let i = 0; i < length; i++) {
    const c = at(i);
    if (c === slash || c === backslash) {
      out += "/";
    } else if (c === percent) {
      const value = i + 2 < length ? hexPair(at(i + 1), at(i + 2)) : -1;
      if (value < 0) {
        out += "%25"; // not an encoding: the sign itself
      } else {
        out += value < 128 && standsForItself[value] === 1 ? String.fromCharCode(value) : encoded(value);
        i += 2;
      }
    } else {
      out += c === semicolon || (c < 128 && standsForItself[c] === 1) ? String.fromCharCode(c) : encoded(c);
    }
  }
  return out;
}

function resolve(path: string): string {
  let spelled = spell(path);
  // Whoever sends "..%2F" hopes that somebody decodes it. nginx does, before it resolves the dots.
  if (dotSegment.test(spelled)) spelled = spelled.replace(/%2F|%5C/g, "/");
  const received = spelled.split("/");
  const kept: string[] = [];
  let open = false;
  for (let i = 1; i < received.length; i++) {
    const segment = received[i]!;
    const end = segment.indexOf(";");
    const name = end < 0 ? segment : segment.slice(0, end);
    open = name === "" || name === "." || name === "..";
    if (name === "..") kept.pop();
    else if (!open) kept.push(name);
  }
  return kept.length === 0 ? "/" : "/" + kept.join("/") + (open ? "/" : "");
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}

function encoded(byte: number): string {
  return "%" + (byte < 16 ? "0" : "") + byte.toString(16).toUpperCase();
}

function hexPair(high: number, low: number): number {
  const h = hexDigit(high);
  const l = hexDigit(low);
  return h < 0 || l < 0 ? -1 : h * 16 + l;
}

function hexDigit(c: number): number {
  if (c >= 0x30 && c <= 0x39) return c - 0x30;
  const lower = c | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
