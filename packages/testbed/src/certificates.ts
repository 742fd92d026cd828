// Certificates for tests: right ones, and wrong ones of every kind. Keys are made anew each time.
import type { webcrypto } from "node:crypto";
import "reflect-metadata";
import type * as X509 from "@peculiar/x509";

// Not an import: scripts of packages that are imported run now and then before the one above, without which this one fails.
const x509 = require("@peculiar/x509") as typeof X509;

/** How a certificate is to be; what is left out is as it should be. */
export interface CertificateWish {
  /** Distinguished name; "CN=<first name>" if left out. */
  readonly subject?: string;
  /** DNS names and IP addresses of subjectAltName; none at all if empty. */
  readonly names?: readonly string[];
  /** Who signs it; itself if left out. */
  readonly issuer?: MadeCertificate;
  readonly key?: "P-256" | "P-384" | "RSA-1024" | "RSA-2048";
  /** Of its own signature; SHA-256 if left out. SHA-1 needs an issuer with an RSA key. */
  readonly hash?: "SHA-1" | "SHA-256";
  readonly notBefore?: number;
  readonly notAfter?: number;
  /** Whether it may issue others. */
  readonly authority?: boolean;
  /** OIDs of its extended key usage; none if left out. */
  readonly usages?: readonly string[];
  /** Where its issuer can be had (authority information access). */
  readonly issuerAddress?: string;
}

export interface MadeCertificate {
  /** PEM, without a chain. */
  readonly cert: string;
  /** PEM, PKCS#8. */
  readonly key: string;
  readonly subject: string;
  readonly keys: CryptoKeyPair;
}

export const serverAuth = "1.3.6.1.5.5.7.3.1";
export const clientAuth = "1.3.6.1.5.5.7.3.2";

const day = 24 * 60 * 60 * 1000;

export async function makeCertificate(wish: CertificateWish): Promise<MadeCertificate> {
  const { names = [], issuer, key = "P-256", hash = "SHA-256", authority = false } = wish;
  const keys = (await crypto.subtle.generateKey(algorithmOf(key), true, ["sign", "verify"])) as CryptoKeyPair;
  const subject = wish.subject ?? `CN=${names[0] ?? "nobody"}`;
  const signer = issuer?.keys ?? keys;
  const extensions: X509.Extension[] = [
    new x509.BasicConstraintsExtension(authority, undefined, true),
    await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
  ];
  if (names.length > 0) extensions.push(new x509.SubjectAlternativeNameExtension(names.map(alternative)));
  if (wish.usages !== undefined) extensions.push(new x509.ExtendedKeyUsageExtension([...wish.usages]));
  if (wish.issuerAddress !== undefined) {
    extensions.push(new x509.AuthorityInfoAccessExtension({ caIssuers: [wish.issuerAddress] }));
  }
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString("hex"),
    subject,
    issuer: issuer?.subject ?? subject,
    notBefore: new Date(wish.notBefore ?? Date.now() - day),
    notAfter: new Date(wish.notAfter ?? Date.now() + 89 * day),
    publicKey: keys.publicKey,
    signingKey: signer.privateKey,
    signingAlgorithm: { name: signer.privateKey.algorithm.name, hash } as webcrypto.EcdsaParams,
    extensions,
  });
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    cert: `${certificate.toString("pem")}\n`,
    key: `${x509.PemConverter.encode(pkcs8, "PRIVATE KEY")}\n`,
    subject,
    keys,
  };
}

function algorithmOf(
  key: NonNullable<CertificateWish["key"]>,
): webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams {
  if (key.startsWith("P-")) return { name: "ECDSA", namedCurve: key };
  const modulusLength = Number(key.slice(4));
  // The hash of a WebCrypto RSA key is fixed with it: an authority that signs with SHA-1 is made with one of 1024 bits.
  const hash = modulusLength < 2048 ? "SHA-1" : "SHA-256";
  return { name: "RSASSA-PKCS1-v1_5", hash, modulusLength, publicExponent: new Uint8Array([1, 0, 1]) };
}

function alternative(name: string): { readonly type: "dns" | "ip"; readonly value: string } {
  return { type: name.includes(":") || /^[\d.]+$/.test(name) ? "ip" : "dns", value: name };
}
