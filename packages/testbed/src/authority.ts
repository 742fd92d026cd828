// An authority for tests of TLS: it signs what is asked for, and revokes it.
import type { webcrypto } from "node:crypto";
import "reflect-metadata";
import type * as X509 from "@peculiar/x509";
import { type CertificateWish, clientAuth, type MadeCertificate, makeCertificate, serverAuth } from "./certificates.ts";

// Not an import: scripts of packages that are imported run now and then before the one above, without which this one fails.
const x509 = require("@peculiar/x509") as typeof X509;

export interface TestAuthority {
  /** PEM of its certificate. */
  readonly cert: string;
  /** A certificate for these names, for servers unless `wish` says otherwise. */
  issue(names: readonly string[], wish?: CertificateWish): Promise<MadeCertificate>;
  /** The same for a client. */
  issueClient(name: string, wish?: CertificateWish): Promise<MadeCertificate>;
  /** PEM of a list that revokes these, good for an hour. */
  revoke(...made: readonly MadeCertificate[]): Promise<string>;
  /** PEM of a list that revokes nobody, from and until then (wall-clock ms). */
  revokeNobody(from: number, until: number): Promise<string>;
}

/** Makes an authority with a key of its own. */
export async function testAuthority(name = "Test authority"): Promise<TestAuthority> {
  const own = await makeCertificate({ subject: `CN=${name}`, authority: true });
  return {
    cert: own.cert,
    issue: (names, wish = {}) => makeCertificate({ names, issuer: own, usages: [serverAuth], ...wish }),
    issueClient: (client, wish = {}) =>
      makeCertificate({ names: [client], issuer: own, usages: [clientAuth], ...wish }),
    revoke: (...made) => listOf(own, made, Date.now() - 60_000, Date.now() + 3_600_000),
    revokeNobody: (from, until) => listOf(own, [], from, until),
  };
}

async function listOf(
  issuer: MadeCertificate,
  made: readonly MadeCertificate[],
  from: number,
  until: number,
): Promise<string> {
  const list = await x509.X509CrlGenerator.create({
    issuer: issuer.subject,
    thisUpdate: new Date(from),
    nextUpdate: new Date(until),
    // With a reason: without one the list of extensions would be there and empty, which BoringSSL does not read.
    entries: made.map(({ cert }) => ({
      serialNumber: new x509.X509Certificate(cert).serialNumber,
      reason: x509.X509CrlReason.keyCompromise,
    })),
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" } as webcrypto.EcdsaParams,
    signingKey: issuer.keys.privateKey,
  });
  return `${x509.PemConverter.encode(list.rawData, "X509 CRL")}\n`;
}
