// Plans and clients for the tests of this folder.
import type { Endpoint } from "../endpoint.ts";
import type { StickName, StickyCookiePlan, StickyPlan } from "../plan.ts";
import { newVisit, type Stick, type StickyRequest } from "./stick.ts";

export const secret = "a-secret-of-enough-length";

export function cookiePlan(over: Partial<StickyCookiePlan> = {}): StickyCookiePlan {
  return {
    secrets: [secret],
    maxAge: 0,
    sameSite: "lax",
    secure: "auto",
    httpOnly: true,
    partitioned: false,
    domain: "",
    path: "/",
    cacheable: false,
    ...over,
  };
}

export function stickyPlan(by: StickName, over: Partial<StickyPlan> = {}): StickyPlan {
  const names = { cookie: "plimsoll", appCookie: "JSESSIONID", header: "x-user", source: "" };
  return { by, name: names[by], whileDraining: true, cookie: by === "cookie" ? cookiePlan() : null, ...over };
}

/** A request with these cookies, in order. */
export function withCookies(...cookies: readonly (readonly [string, string])[]): StickyRequest {
  return {
    header: () => undefined,
    cookie: (name, nth = 0) => cookies.filter(([one]) => one === name)[nth]?.[1],
    source: () => "192.0.2.1",
  };
}

/** Name and value of a Set-Cookie line. */
export function pairOf(line: Uint8Array | null): readonly [string, string] {
  const [, name = "", value = ""] =
    /^Set-Cookie: ([^=]+)=([^;]*)/.exec(Buffer.from(line ?? []).toString("latin1")) ?? [];
  return [name, value];
}

/** The `number`-th client, which keeps its cookies as a browser does. */
export function visitor(by: StickName, number: number) {
  let cookies: (readonly [string, string])[] = by === "appCookie" ? [["JSESSIONID", `session-${number}`]] : [];
  return {
    request: (): StickyRequest => ({
      header: (name) => (name === "x-user" ? `user-${number}` : undefined),
      cookie: (name, nth = 0) => (nth === 0 ? cookies.find(([one]) => one === name)?.[1] : undefined),
      source: () => `10.0.${number >> 8}.${number & 255}`,
    }),
    /** Is answered by this endpoint. */
    visit(stick: Stick, endpoint: Endpoint, now = 1_000_000): void {
      const line = stick.write(newVisit(), endpoint, now);
      if (line !== null) cookies = [pairOf(line)];
      if (stick.learnsFrom !== "") stick.learn(`session-${number}`, endpoint);
    },
  };
}
