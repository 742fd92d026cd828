// The names that a certificate holds, and which of them a host is covered by (RFC 6125, RFC 9525).
import { isIP } from "../address.ts";

/** DNS names in lower case, "*.example.com" as it stands; IP addresses in their shortest form without brackets. */
export function namesIn(subjectAltName: string | undefined): string[] {
  const names: string[] = [];
  for (const { kind, value } of alternatives(subjectAltName ?? "")) {
    if (kind === "DNS" && value !== "") names.push(value.toLowerCase().replace(/\.$/, ""));
    else if (kind === "IP Address") names.push(shortest(value));
  }
  return [...new Set(names)];
}

/** "DNS:a, IP Address:127.0.0.1"; a value with a comma or quote in it is a JSON string, so that none can pass for two. */
function* alternatives(text: string): Generator<{ readonly kind: string; readonly value: string }> {
  const one = /([^:,]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/y;
  for (let found = one.exec(text); found !== null; found = one.exec(text)) {
    const [, kind = "", written = ""] = found;
    yield { kind, value: written.startsWith('"') ? unquoted(written) : written };
  }
}

function unquoted(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return "";
  }
}

function shortest(address: string): string {
  if (isIP(address) === 0) return address;
  return address.includes(":") ? (URL.parse(`http://[${address}]/`)?.hostname.slice(1, -1) ?? address) : address;
}

/** Whether a host, in lower case and without port or brackets, is one of these names: a `*` is one label, the first. */
export function covers(names: readonly string[], host: string): boolean {
  if (names.includes(host)) return true;
  const dot = host.indexOf(".");
  return dot > 0 && isIP(host) === 0 && names.includes(`*${host.slice(dot)}`);
}
