// TLS on either side: accepted in full, so that files can be written ahead, and refused until it exists.
import { z } from "zod";
import { notYet, oneOrMany, text } from "./leaf.ts";

const file = () => text("the path of a file");

export const listenerTlsSchema = z
  .strictObject({
    certificates: oneOrMany(
      z.strictObject({
        cert: file().describe("PEM file with the certificate and its chain."),
        key: file().describe("PEM file with its key."),
      }),
    ).describe("Certificates; each is offered for the names that it holds."),
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
