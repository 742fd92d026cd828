// Stickiness as it was written to stickiness as it is planned.
import type { StickName, StickyCookiePlan, StickyPlan } from "../pool/plan.ts";
import type { StickyConfig } from "./schema/sticky.ts";

/** By what clients are kept, as it was written; several if it was written wrongly. */
export function waysOf(config: StickyConfig): StickName[] {
  return (["cookie", "appCookie", "header", "source"] as const).filter((way) => config[way] !== undefined);
}

export function planSticky(config: StickyConfig | undefined): StickyPlan | null {
  const by = config === undefined ? undefined : waysOf(config)[0];
  if (config === undefined || by === undefined) return null;
  const name = by === "source" ? "" : (config[by] ?? "");
  return { by, name, whileDraining: config.whileDraining ?? true, cookie: by === "cookie" ? planCookie(config) : null };
}

function planCookie(config: StickyConfig): StickyCookiePlan {
  const { sameSite = "lax", partitioned = false, secure = "auto" } = config;
  return {
    secrets: config.secret ?? [],
    maxAge: config.maxAge ?? 0,
    sameSite,
    secure: secure === "auto" && needsSecure(config) !== "" ? "always" : secure,
    httpOnly: config.httpOnly ?? true,
    partitioned,
    domain: config.domain ?? "",
    path: config.path ?? "/",
    cacheable: config.cacheable ?? false,
  };
}

/** Why browsers refuse this cookie without Secure; "" if they do not (RFC 6265bis §4.1.3, §5.7; CHIPS). */
export function needsSecure({ cookie = "", sameSite, partitioned }: StickyConfig): string {
  if (sameSite === "none") return "sameSite: none";
  if (partitioned === true) return "partitioned: true";
  const prefix = /^__(?:Host|Secure)-/i.exec(cookie)?.[0];
  return prefix === undefined ? "" : `a name that begins with ${prefix}`;
}
