// Which header names and values may be written, and which fields belong to the balancer alone.
import type { Misread } from "../base/units.ts";
import { parseHost } from "./host.ts";

/** RFC 9110 §5.6.2. */
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

const framing = "it says where a message ends, and a wrong one lets requests be smuggled";
const hop = "it is between two neighbours only, and each side gets its own";

/** Fields that no edit may touch, in lower case, with the reason. */
const untouchable: Readonly<Record<string, string>> = {
  "content-length": framing,
  "transfer-encoding": framing,
  trailer: framing,
  te: hop,
  connection: hop,
  "keep-alive": hop,
  "proxy-connection": hop,
  upgrade: hop,
  "http2-settings": hop,
  expect: "it is answered or passed on by the exchange itself",
  host: "a request has exactly one; it is the client's unless the route sets another",
};

/** A header's name in lower case. */
export function parseHeaderName(text: string): string | Misread {
  if (token.test(text)) return text.toLowerCase();
  if (text.startsWith(":"))
    return {
      reason: "names that begin with : belong to HTTP/2",
      hint: "use `host`, `path` and `methods` of the match",
    };
  return { reason: "it is not a header name", hint: "letters, digits and - without spaces: x-request-id" };
}

/** A name that an edit may set, add or remove. */
export function parseEditableName(text: string): string | Misread {
  const name = parseHeaderName(text);
  const reason = typeof name === "string" && Object.hasOwn(untouchable, name) ? untouchable[name] : undefined;
  return reason === undefined
    ? name
    : { reason: `the field ${text} cannot be edited: ${reason}`, hint: "leave it to the balancer" };
}

/** A name that an edit of requests may set: Host is one of them. */
export function parseSettableName(text: string): string | Misread {
  return text.toLowerCase() === "host" ? "host" : parseEditableName(text);
}

/** What is wrong with a Host that a route sets; null if nothing is. It decides where a request ends up, so no part of it is a client's. */
export function refuseHostValue(text: string): Misread | null {
  const hint = "write app.internal or app.internal:8443";
  if (text.includes("{")) return { reason: "a Host is written out, without placeholders", hint };
  const [, name = text, port = ""] = /^(.*[^:]|\[.*\]):(\d{1,5})$/.exec(text) ?? [];
  const host = parseHost(name);
  if ("reason" in host) return { reason: host.reason, hint };
  if (host.kind !== "exact" || Number(port) > 65_535) return { reason: "it is not one host and perhaps a port", hint };
  return host.host === name.toLowerCase()
    ? null
    : { reason: "on the wire it is spelled otherwise", hint: `write ${host.host}${port === "" ? "" : `:${port}`}` };
}

/** A header's value: printable ASCII with spaces and tabs inside. */
export function parseHeaderValue(text: string): string | Misread {
  if (/[\r\n\0]/.test(text))
    return { reason: "a line end in a header begins another header", hint: "write it on one line" };
  if (/[^\t\x20-\x7e]/.test(text))
    return {
      reason: "a header holds printable ASCII only",
      hint: "encode other characters, for instance as percent-encoded UTF-8",
    };
  if (/^[ \t]|[ \t]$/.test(text))
    return { reason: "white space around a header's value does not arrive", hint: "remove it" };
  return text;
}

/** A cookie's name, as it is: names of cookies are told apart by case. */
export function parseCookieName(text: string): string | Misread {
  return token.test(text)
    ? text
    : { reason: "it is not a cookie name", hint: "letters, digits, - and _ without spaces" };
}

/** A method as it must be sent: they are told apart by case (RFC 9110 §9.1). */
export function parseMethod(text: string): string | Misread {
  if (!token.test(text)) return { reason: "it is not a method", hint: "write GET, POST, PUT, ..." };
  const upper = text.toUpperCase();
  if (text !== upper) return { reason: "methods are written in capitals", hint: `write ${upper}` };
  if (text === "CONNECT") return { reason: "CONNECT is never forwarded", hint: "leave it out" };
  return text;
}

/** `type/subtype` with parameters. */
export function parseContentType(text: string): string | Misread {
  if (/^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(\s*;\s*[\w!#$&^.+-]+=("[^"\\]*"|[\w!#$&^.+-]+))*$/.test(text)) return text;
  return { reason: "it is not a media type", hint: "write text/html; charset=utf-8" };
}
