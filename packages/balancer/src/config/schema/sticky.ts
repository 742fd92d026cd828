// How clients are kept at their endpoint. Which keys go together is checked in meaning/sticky.ts.
import { z } from "zod";
import type { Misread } from "../../base/units.ts";
import { parseCookieName, parseHeaderName } from "../header-rules.ts";
import { parseHost } from "../host.ts";
import { duration, flag, oneOf, oneOrMany, shorthand, written } from "./leaf.ts";

/** A shorter one could be guessed, without anybody noticing, by whoever has a cookie and some patience. */
const shortestSecret = 16;

const secret = written(
  {
    noun: `a secret of at least ${shortestSecret} characters`,
    hint: "make one with: openssl rand -base64 32",
  },
  (text): string | Misread =>
    text.length >= shortestSecret
      ? text
      : { reason: "a short one can be guessed", hint: "make one with: openssl rand -base64 32" },
);

export const stickySchema = shorthand(
  "cookie",
  z.strictObject({
    cookie: written({ noun: "a cookie name", hint: "write plimsoll" }, parseCookieName)
      .meta({ examples: ["plimsoll"] })
      .describe(
        "By a cookie of the balancer's own, of this name: signed, the same on every balancer with the same secret, and not shown to the application. The way to take if in doubt.",
      )
      .optional(),
    appCookie: written({ noun: "a cookie name", hint: "write JSESSIONID" }, parseCookieName)
      .meta({ examples: ["JSESSIONID"] })
      .describe(
        "By a cookie of the application's: whoever sets it keeps the client. What was not learned yet, as after a restart, goes by its hash.",
      )
      .optional(),
    header: written({ noun: "a header name", hint: "write x-tenant" }, parseHeaderName)
      .meta({ examples: ["x-tenant"] })
      .describe("By the hash of a header's value. Requests without it belong nowhere.")
      .optional(),
    source: z.literal(true).describe("By the hash of the client's address.").optional(),
    secret: oneOrMany(secret)
      .meta({ examples: ["${STICKY_SECRET}", ["${STICKY_SECRET}", "${OLD_STICKY_SECRET}"]] })
      .describe(
        "Key that signs the cookie, the same on every balancer. Of a list, the first signs and all are believed: put a new one in front, and take the old one away when its cookies have been renewed.",
      )
      .optional(),
    maxAge: duration()
      .meta({ examples: ["8h"] })
      .describe(
        "How long the cookie holds after a client's last visit, also if the browser would keep it longer; until the browser closes if left out.",
      )
      .optional(),
    sameSite: oneOf(["lax", "strict", "none"])
      .describe("SameSite attribute of the cookie; lax if left out. `none` for pages within other sites' pages.")
      .optional(),
    secure: oneOf(["auto", "always", "never"])
      .describe(
        "Secure attribute of the cookie. auto, which is taken if left out: when the client speaks TLS, with this balancer or with a proxy of `trustedProxies`, and wherever browsers would refuse the cookie without it.",
      )
      .optional(),
    httpOnly: flag().describe("HttpOnly attribute of the cookie: scripts do not see it. true if left out.").optional(),
    partitioned: flag()
      .describe("Partitioned attribute of the cookie (CHIPS): a jar of its own for each site that embeds the page.")
      .optional(),
    domain: written({ noun: "a domain", hint: "write example.com" }, (text): string | Misread => {
      const host = parseHost(text.replace(/^\./, ""));
      if ("reason" in host) return host;
      return host.kind === "exact" ? host.host : { reason: "a cookie has one domain", hint: "write it without *" };
    })
      .describe("Domain attribute of the cookie; only the host that answered if left out.")
      .optional(),
    path: written({ noun: "a path", hint: "write /shop" }, (text): string | Misread =>
      /^\/[\x21-\x3a\x3c-\x7e]*$/.test(text)
        ? text
        : { reason: "it must begin with / and have no white space and no ;", hint: "write /shop" },
    )
      .describe("Path attribute of the cookie; / if left out.")
      .optional(),
    cacheable: flag()
      .describe(
        "Whether the cookie may stand in answers that shared caches may keep. false if left out: everybody who is served from the cache would get the same endpoint.",
      )
      .optional(),
    whileDraining: flag()
      .describe("Whether clients stay at an endpoint while it drains, until its window is over. true if left out.")
      .optional(),
  }),
)
  .meta({ examples: [{ cookie: "plimsoll", secret: "${STICKY_SECRET}" }] })
  .describe(
    "Keeps each client at its endpoint: see [stickiness](stickiness.md). One of cookie, appCookie, header, source.",
  );

export type StickyConfig = z.output<typeof stickySchema>;
