// Certificates that the balancer orders by itself.
import { z } from "zod";
import { duration, flag, oneOf, shorthand, text, written } from "./leaf.ts";

/** Every request of ours goes there, and its answers are believed. */
const directory = written({ noun: "a URL", hint: "write https://ca.example/directory" }, (value) => {
  const url = URL.parse(value);
  if (url === null) return { reason: "it is not a URL", hint: "write https://ca.example/directory" };
  if (url.protocol !== "https:")
    return { reason: "ACME is spoken over https only", hint: `write https://${url.host}${url.pathname}` };
  if (url.username !== "" || url.password !== "")
    return { reason: "a name or password in it would be written to logs", hint: "remove it; see externalAccount" };
  return url.href;
});

const hookSchema = shorthand(
  "command",
  z.strictObject({
    command: z
      .array(text("a word"))
      .min(1)
      .meta({ examples: [["/usr/local/bin/dns-record", "--zone", "shop.example"]] })
      .describe("Program and arguments; no shell. `present` or `cleanup` follows as the last argument."),
    env: z
      .record(text("a name"), text("a text"))
      .default({})
      .meta({ examples: [{ DNS_TOKEN: "${DNS_TOKEN}" }] })
      .describe("Environment beside PATH, HOME, LANG, TZ and the facts of the challenge; nothing else is passed on."),
    timeout: duration().prefault("2m").describe("Longest run; after it the program and all it started are killed."),
    wait: duration({ zero: true })
      .prefault("30s")
      .describe("From the end of `present` until the authority is told: as long as your name servers take to have it."),
  }),
).describe("How records of `dns-01` are made and removed.");

export const acmeSchema = z
  .strictObject({
    acceptTerms: flag().describe(
      "`true` says that you agree to the terms of service of the authority. Nothing is ordered without.",
    ),
    email: written({ noun: "an address", hint: "write ops@example.com" }, (value) =>
      /^[^@\s]+@[^@\s]+$/.test(value) ? value : { reason: "it is no e-mail address", hint: "write ops@example.com" },
    )
      .meta({ examples: ["ops@example.com"] })
      .describe("Whom the authority may write to.")
      .optional(),
    staging: flag()
      .default(false)
      .describe(
        "Orders from Let's Encrypt's staging: no rate limits to speak of, and certificates that nobody trusts.",
      ),
    directory: directory
      .meta({ examples: ["https://ca.example/acme/directory"] })
      .describe("The authority's directory. Let's Encrypt if left out.")
      .optional(),
    ca: text("the path of a file")
      .describe(
        "PEM file with the authorities that the directory's own certificate is verified by; otherwise the system's.",
      )
      .optional(),
    storage: text("the path of a folder")
      .default("acme")
      .describe(
        "Folder for certificates, their keys and the account's key; made if it is not there. Several balancers may share it: one of them orders at a time.",
      ),
    challenge: oneOf(["http-01", "tls-alpn-01", "dns-01"])
      .default("http-01")
      .describe(
        "How it is proved that the names are yours. `http-01`: every http listener answers below /.well-known/acme-challenge/, and one of them must be reached on port 80. `tls-alpn-01`: every http listener with TLS answers in the handshake, and one of them must be reached on port 443. `dns-01`: a record that `hook` makes; needed for wildcards.",
      ),
    hook: hookSchema.optional(),
    externalAccount: z
      .strictObject({
        keyId: text("a text").describe("Identifier of the key."),
        secret: text("a text").describe("The key in base64url."),
      })
      .describe("Binds the account to one that you have with the authority (RFC 8555 §7.3.4).")
      .optional(),
  })
  .describe(
    "Certificates from an authority that speaks ACME, ordered and renewed for the names in `listeners.*.tls.acme`.",
  );
