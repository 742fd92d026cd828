// What stands behind the cookie's value (RFC 6265bis §4.1).
import type { StickyCookiePlan } from "../plan.ts";

const sameSiteWords = { lax: "Lax", strict: "Strict", none: "None" } as const;

/** "; Path=/; ..." with the line's CRLF. `tls`: whether the client speaks TLS. */
export function cookieAttributes(plan: StickyCookiePlan, tls: boolean): string {
  const { maxAge, sameSite, secure, httpOnly, partitioned, domain, path } = plan;
  // Browsers refuse SameSite=None and Partitioned without Secure, so there is nothing to lose by it.
  const needed = sameSite === "none" || partitioned;
  return [
    `; Path=${path}`,
    domain === "" ? "" : `; Domain=${domain}`,
    maxAge === 0 ? "" : `; Max-Age=${Math.ceil(maxAge / 1000)}`,
    httpOnly ? "; HttpOnly" : "",
    secure === "always" || (secure === "auto" && (tls || needed)) ? "; Secure" : "",
    `; SameSite=${sameSiteWords[sameSite]}`,
    partitioned ? "; Partitioned" : "",
    "\r\n",
  ].join("");
}
