// Host names as routes match them: lower case, punycode, no port.
import type { Misread } from "../base/units.ts";
import type { HostMatch } from "../proxy/plan.ts";
import { isIP } from "./address.ts";

const examples = "write api.example.com, *.example.com, or leave `host` out for any";

/** Reads "api.example.com", "*.example.com" (any depth below it, not the name itself), "*" (any). */
export function parseHost(text: string): HostMatch | Misread {
  if (text === "") return { reason: "it is empty", hint: examples };
  if (text === "*") return { kind: "any" };
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return { reason: "a URL is not a host", hint: examples };
  if (text.includes("/")) return { reason: "a host has no path", hint: "put the path into `path` of the same match" };
  const port = /^(.*[^:]|\[.*\]):(\d+)$/.exec(text);
  if (port !== null && isIP(text) === 0) {
    return {
      reason: "the port of a request's Host is ignored when it is matched",
      hint: `write ${port[1]}; for another port, use another listener`,
    };
  }
  const suffix = text.startsWith("*.");
  const name = suffix ? text.slice(2) : text;
  if (name.includes("*")) return { reason: "a * may only stand at the beginning, before a dot", hint: examples };
  const bare = name.replace(/^\[(.*)\]$/, "$1");
  if (isIP(bare) === 6) {
    if (suffix) return { reason: "an IP address has no names below it", hint: examples };
    // As it stands in a Host field (RFC 9110 §7.2), in brackets and shortest form.
    return { kind: "exact", host: URL.parse(`http://[${bare}]/`)?.hostname ?? `[${bare}]` };
  }
  const host = asciiName(name);
  if (host === null)
    return {
      reason: "it is not a host name",
      hint: "letters of any script, digits and hyphens, parts of 1 to 63 of them between dots",
    };
  return suffix ? { kind: "suffix", host } : { kind: "exact", host };
}

/** A name in lower case and punycode, without a closing dot; null if it is none. */
function asciiName(name: string): string | null {
  const dotless = name.replace(/\.$/, "");
  if (/[\s%\\@?#:[\]]/.test(dotless)) return null;
  // The URL rules (UTS 46) turn "1.2.3" into an IPv4 address; a name of digits is one as it stands or none.
  const ascii =
    /^[\x21-\x7e]+$/.test(dotless) && !/(^|\.)xn--/i.test(dotless)
      ? dotless.toLowerCase()
      : (URL.parse(`http://${dotless}/`)?.hostname ?? "");
  if (ascii === "" || ascii.length > 253) return null;
  // Underscores are no host names by RFC 952, but container networks have them.
  return ascii.split(".").every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label)) ? ascii : null;
}
