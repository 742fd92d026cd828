// The template of a redirect: literal text, `{scheme} {host} {authority} {port} {path} {query}`, `*` for what the route's `*` took, `$1` or
// `$<name>` for a group of the route's regex, `$$` for a dollar sign.
import type { PathMatch } from "../plan.ts";
import { below, canonicalPath, canonicalPrefix, forwardedPath } from "../route/canonical.ts";
import { encodeUnsafe } from "./encode.ts";

/** What a location is filled in from; CurrentRequest has it all. */
export interface LocationRequest {
  /** Lower case, without port. */
  host(): string;
  /** As received: the host, and its port if one was written. */
  authority(): string;
  /** As received, before "?". */
  path(): string;
  /** "?" and what follows, or "". */
  search(): string;
}

/** Where in the location a placeholder stands: that decides what it may hold. */
type Place =
  /** After the host: any URL text. */
  | "path"
  /** Within the host: letters, digits, dots and hyphens; anything else could end it and begin another. */
  | "host"
  /** Right behind the host, with nothing to end it: a slash is put before it. */
  | "after-host";

/** What can stand in braces. */
type Name = "scheme" | "host" | "authority" | "port" | "query" | "path";

type Part =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: Name }
  | {
      readonly kind: "rest";
      readonly place: Place;
      /** A "/" before the "*" was taken into it. */ readonly slashed: boolean;
    }
  | { readonly kind: "group"; readonly place: Place; readonly name: string };

const token = /\{(scheme|host|authority|port|path|query)\}|\$(?:(\$)|(\d)|<([A-Za-z_][A-Za-z0-9_]*)>)|(\*)/g;

/** Compiles the template. `path` says what `*` and `$1` stand for; where it has no such thing they are plain text. */
export function compileLocation(
  to: string,
  path: PathMatch,
): (request: LocationRequest, scheme: string, port: number) => string {
  const hosted = /^(?:(?:[a-z][a-z0-9+.-]*|\{scheme\}):)?\/\//i.test(to);
  const parts = placed(parse(to, path), hosted);
  const keepsQuery = !to.includes("?") && !to.includes("{query}");
  const prefix = path.kind === "prefix" ? canonicalPrefix(path.path) : "";
  const regex = path.kind === "regex" ? new RegExp(path.source) : null;

  return (request, scheme, port) => {
    const received = request.path();
    const groups = regex === null ? null : groupsOf(regex, received);
    let out = "";
    for (const part of parts) {
      switch (part.kind) {
        case "text":
          out += part.text;
          break;
        case "scheme":
          out += scheme;
          break;
        case "host":
          out += request.host();
          break;
        case "authority":
          out += request.authority();
          break;
        case "port":
          out += String(port);
          break;
        case "path":
          out += encodeUnsafe(received.startsWith("/") ? (forwardedPath(received) ?? received) : "/");
          break;
        case "query":
          out += encodeUnsafe(request.search().slice(1));
          break;
        case "rest": {
          const rest = below(received, prefix) ?? "";
          out += fit(part.slashed || !rest.startsWith("/") ? rest : rest.slice(1), part.place);
          break;
        }
        case "group":
          out += fit(valueOf(groups, part.name), part.place);
          break;
      }
    }
    out = withHostOrRooted(out, hosted);
    if (!keepsQuery || request.search().length < 2) return out;
    const hash = out.indexOf("#");
    const query = encodeUnsafe(request.search());
    return hash < 0 ? out + query : out.slice(0, hash) + query + out.slice(hash);
  };
}

function parse(to: string, path: PathMatch): Part[] {
  const parts: Part[] = [];
  const text = (value: string): void => {
    if (value === "") return;
    const last = parts.at(-1);
    if (last?.kind === "text") parts[parts.length - 1] = { kind: "text", text: last.text + encodeUnsafe(value) };
    else parts.push({ kind: "text", text: encodeUnsafe(value) });
  };
  let from = 0;
  for (const found of to.matchAll(token)) {
    const [whole, name, dollar, digit, groupName, star] = found;
    text(to.slice(from, found.index));
    from = found.index + whole.length;
    if (name !== undefined) {
      parts.push({ kind: name as Name });
    } else if (dollar !== undefined) {
      text("$");
    } else if (star !== undefined && (path.kind === "prefix" || path.kind === "any")) {
      const last = parts.at(-1);
      const slashed = last?.kind === "text" && last.text.endsWith("/") && !last.text.endsWith("//");
      if (slashed) parts[parts.length - 1] = { kind: "text", text: last.text.slice(0, -1) };
      parts.push({ kind: "rest", place: "path", slashed });
    } else if (star === undefined && path.kind === "regex") {
      parts.push({ kind: "group", place: "path", name: digit ?? groupName ?? "" });
    } else {
      text(whole);
    }
  }
  text(to.slice(from));
  return parts;
}

/** Finds out which placeholders stand within the host. */
function placed(parts: readonly Part[], hosted: boolean): readonly Part[] {
  if (!hosted) return parts;
  let inHost = true;
  let seenSlashes = false;
  return parts.map((part, i): Part => {
    if (!inHost) return part;
    if (part.kind === "text") {
      let tail = part.text;
      if (!seenSlashes) {
        const slashes = tail.indexOf("//");
        if (slashes < 0) return part; // "{scheme}" is still to come, or ":" stands alone
        seenSlashes = true;
        tail = tail.slice(slashes + 2);
      }
      if (/[/?#]/.test(tail)) inHost = false;
      return part;
    }
    if (part.kind === "path") inHost = false;
    if (part.kind !== "rest" && part.kind !== "group") return part;
    const next = parts[i + 1];
    const ends = next === undefined || (next.kind === "text" && /^[?#]/.test(next.text));
    if (ends || (part.kind === "rest" && part.slashed)) {
      inHost = false;
      return { ...part, place: "after-host" };
    }
    return { ...part, place: "host" };
  });
}

function fit(value: string, place: Place): string {
  if (place === "host") return value.replace(/[^A-Za-z0-9.-]/g, "");
  const safe = encodeUnsafe(value).replace(/[?#]/g, encodeURIComponent);
  return place === "path" || safe.startsWith("/") ? safe : "/" + safe;
}

/**
 * A location that names a host stays as it is, unless the host came out empty (HTTP/1.0 without Host). Any other gets
 * exactly one slash at its start, since "//evil.example" and "/\evil.example" name a host.
 */
function withHostOrRooted(location: string, hosted: boolean): string {
  if (hosted && !/^(?:[a-z][a-z0-9+.-]*:)?\/\/(?:[:/?#]|$)/i.test(location)) return location;
  const path = hosted ? location.replace(/^(?:[a-z][a-z0-9+.-]*:)?\/\/[^/?#]*/i, "") : location;
  return "/" + path.replace(/^\/+/, "");
}

function groupsOf(regex: RegExp, path: string): RegExpExecArray | null {
  return (forwardedPath(path) === null ? regex.exec(path) : null) ?? regex.exec(canonicalPath(path));
}

function valueOf(groups: RegExpExecArray | null, name: string): string {
  if (groups === null) return "";
  return (/^\d$/.test(name) ? groups[Number(name)] : groups.groups?.[name]) ?? "";
}
