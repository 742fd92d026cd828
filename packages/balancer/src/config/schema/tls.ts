// TLS on either side: towards clients, and towards endpoints.
import { z } from "zod";
import { isIP } from "../address.ts";
import { parseHost } from "../host.ts";
import { redirectStatus } from "./routes.ts";
import { duration, flag, integer, oneOf, oneOrMany, shortForms, shorthand, text, written } from "./leaf.ts";

const file = () => text("the path of a file");

/** Written with or without quotes: YAML reads 1.2 as a number. */
function version(assumed: "1.2" | "1.3") {
  return (
    z.preprocess(
      (value): unknown => (typeof value === "number" ? String(value) : value),
      oneOf(["1.2", "1.3"]),
    ) as unknown as z.ZodType<"1.2" | "1.3", "1.2" | "1.3" | number>
  )
    .register(shortForms, { json: { enum: [1.2, 1.3] } })
    .default(assumed);
}

/** Suites of TLS 1.2 that keep a recording useless for whoever gets the key later, and that are not broken otherwise. */
export const cipherNames = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
] as const;

/** Groups of key agreement, the one first that a quantum computer does not break. */
export const groupNames = ["X25519MLKEM768", "X25519", "P-256", "P-384"] as const;

const hstsSchema = z
  .strictObject({
    maxAge: duration({ zero: true })
      .prefault("365d")
      .describe("How long browsers remember to come by HTTPS only; 0s makes them forget."),
    includeSubDomains: flag().default(false).describe("Whether that holds for every name below this one, too."),
    preload: flag()
      .default(false)
      .describe("Whether browsers may have it built in: a promise that takes months to take back."),
  })
  .describe(
    "Strict-Transport-Security (RFC 6797) in the answers of this listener's routes, instead of what the application says. None if left out.",
  );

const clientCertificatesSchema = z
  .strictObject({
    mode: oneOf(["optional", "required"])
      .default("required")
      .describe(
        "`required`: who has none is refused in the handshake. `optional`: who has none is let in, and the application sees no certificate. One that is not valid is refused in either case.",
      ),
    ca: file().describe("PEM file with the authorities whose certificates are valid."),
    crl: file().describe("PEM file with revocation lists of these authorities.").optional(),
  })
  .describe(
    "Asks clients for a certificate (mutual TLS). What it says is passed on in Client-Cert (RFC 9440), X-Client-Cert-Subject and X-Client-Cert-Fingerprint, which no client can set itself.",
  );

export const listenerTlsSchema = z
  .strictObject({
    certificates: oneOrMany(
      z.strictObject({
        cert: file().describe("PEM file with the certificate and its chain."),
        key: file().describe("PEM file with its key."),
      }),
    )
      .default([])
      .describe(
        "Certificates; each is offered for the names that it holds, the first one also to clients that name nobody or somebody else. An RSA and an ECDSA certificate of one name go together. Files are watched: a new certificate is taken without a reload.",
      ),
    acme: oneOrMany(
      written({ noun: "a host name", hint: "write shop.example or *.shop.example" }, (name) => {
        const host = parseHost(name);
        if ("reason" in host) return host;
        if (host.kind === "any" || isIP(host.host.replace(/^\[(.*)\]$/, "$1")) !== 0)
          return { reason: "certificates are ordered for host names", hint: "write shop.example or *.shop.example" };
        return host.kind === "suffix" ? `*.${host.host}` : host.host;
      }),
    )
      .default([])
      .meta({ examples: [["shop.example", "www.shop.example"]] })
      .describe("Names of one certificate that is ordered and renewed, as the top-level `acme` says."),
    minVersion: version("1.2").describe("Oldest version that is spoken: 1.2 or 1.3."),
    maxVersion: version("1.3").describe("Newest version that is spoken: 1.2 or 1.3."),
    ciphers: oneOrMany(oneOf(cipherNames))
      .prefault([...cipherNames])
      .describe("Suites of TLS 1.2. Those of TLS 1.3 are all good, and cannot be chosen."),
    groups: oneOrMany(oneOf(groupNames))
      .prefault([...groupNames])
      .describe("Groups of key agreement, in order."),
    clientCertificates: clientCertificatesSchema.optional(),
    strictSni: flag()
      .default(false)
      .describe(
        "Refuses the handshake of clients that ask for a name which no certificate holds, or for none, instead of showing them the first certificate.",
      ),
    hsts: hstsSchema.optional(),
  })
  .describe("Terminates TLS on this listener.");

export type ListenerTlsConfig = z.output<typeof listenerTlsSchema>;

/** A listener that only sends clients to HTTPS. */
export const httpsRedirectSchema = shorthand(
  "to",
  z.strictObject({
    to: oneOf(["https"]).default("https").describe("Where to: `https`."),
    port: integer(1, 65_535).default(443).describe("Port that clients reach the HTTPS listener by."),
    status: redirectStatus
      .default(308)
      .describe("Status of the answer; 301, 302 and 303 let clients turn a POST into a GET."),
  }),
).describe(
  "Sends every request of this listener to the same address by HTTPS; it has no routes of its own then. `readyPath` is still answered here.",
);

export const poolTlsSchema = z
  .strictObject({
    ca: file().describe("PEM file with the authorities that are trusted; otherwise the system's.").optional(),
    serverName: text("a host name")
      .describe("Name to ask for (SNI) and to verify; otherwise the endpoint's own name or address.")
      .optional(),
    cert: file().describe("PEM file with a client certificate.").optional(),
    key: file().describe("PEM file with its key.").optional(),
    dangerouslyTrustAnyCertificate: flag()
      .default(false)
      .describe(
        "Believes whatever certificate an endpoint shows: whoever can get between can then read and change everything. For tests only.",
      ),
  })
  .describe("Speaks TLS to the endpoints, and to those that are probed. Files are watched, as a listener's are.");

export type PoolTlsConfig = z.output<typeof poolTlsSchema>;
