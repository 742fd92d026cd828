// TLS on either side: accepted in full, so that files can be written ahead, and refused until it exists.
import { z } from "zod";
import { isIP } from "../address.ts";
import { parseHost } from "../host.ts";
import { notYet, oneOrMany, text, written } from "./leaf.ts";

const file = () => text("the path of a file");

export const listenerTlsSchema = z
  .strictObject({
    certificates: oneOrMany(
      z.strictObject({
        cert: file().describe("PEM file with the certificate and its chain."),
        key: file().describe("PEM file with its key."),
      }),
    )
      .default([])
      .describe("Certificates; each is offered for the names that it holds."),
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
  })
  .describe("Terminates TLS on this listener.")
  .register(notYet, { severity: "error", will: "this listener will terminate TLS" });

export const poolTlsSchema = z
  .strictObject({
    ca: file().describe("PEM file with the authorities that are trusted; otherwise the system's.").optional(),
    serverName: text("a host name").describe("Name to ask for and to verify; otherwise the endpoint's.").optional(),
    cert: file().describe("PEM file with a client certificate.").optional(),
    key: file().describe("PEM file with its key.").optional(),
  })
  .describe("Speaks TLS to the endpoints.")
  .register(notYet, { severity: "error", will: "connections to the endpoints will be encrypted and verified" });
