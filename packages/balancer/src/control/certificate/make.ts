// certificate/: certificates that this program makes by itself: for development, and to stand in until a real one is there.
// It must not know files, listeners or authorities on the network.
import type { webcrypto } from "node:crypto";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import { GeneralName, GeneralSubtree, GeneralSubtrees, NameConstraints } from "@peculiar/asn1-x509";
import type { X509Certificate } from "@peculiar/x509";
import { loadX509, type X509 } from "./libraries.ts";

/** PEM, both; the key as PKCS#8. */
export interface MadePair {
  readonly cert: string;
  readonly key: string;
}

export interface Dates {
  /** Wall-clock ms. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Quick to make and to verify, and known to everybody. */
const algorithm = { name: "ECDSA", namedCurve: "P-256" } as const;
const signing = { name: "ECDSA", hash: "SHA-256" } as const;
const nameConstraints = "2.5.29.30";
const acmeIdentifier = "1.3.6.1.5.5.7.1.31";

/**
 * An authority that signs itself, and may only issue certificates that issue nothing, for `permitted` names and those below
 * them (RFC 5280 §4.2.1.10). It is not limited in IP addresses: BoringSSL, and with it this runtime, refuses every certificate
 * for an address below a limit of that kind ("unsupported name constraint type").
 */
export async function makeAuthority(commonName: string, dates: Dates, permitted: readonly string[]): Promise<MadePair> {
  const x509 = await loadX509();
  const keys = await newKeys();
  const name = [{ CN: [commonName] }];
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name,
    ...asDates(dates),
    signingAlgorithm: signing,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      new x509.Extension(nameConstraints, true, AsnConvert.serialize(constraints(permitted))),
    ],
  });
  return asPair(x509, certificate, keys);
}

/** One more thing that a certificate says, and that nobody may overlook. */
interface Extra {
  readonly oid: string;
  readonly value: ArrayBuffer;
}

/**
 * The certificate that an authority wants to see for a name that it asks about by TLS-ALPN-01: signed by itself, for that name
 * alone, with the hash of what proves who asked (RFC 8737 §3).
 */
export async function makeProof(name: string, keyAuthorization: string, dates: Dates): Promise<MadePair> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(keyAuthorization));
  const extra = { oid: acmeIdentifier, value: AsnConvert.serialize(new OctetString(hash)) };
  return makeLeaf([name], dates, undefined, [extra]);
}

/** A listener's certificate for DNS names and IP addresses, signed by `issuer` or by itself. */
export async function makeLeaf(
  names: readonly string[],
  dates: Dates,
  issuer?: MadePair,
  extras: readonly Extra[] = [],
): Promise<MadePair> {
  const x509 = await loadX509();
  const keys = await newKeys();
  const subject = new x509.Name([{ CN: [(names[0] ?? "").slice(0, 64)] }]);
  const above = issuer === undefined ? null : new x509.X509Certificate(issuer.cert);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: subject.toString(),
    issuer: above?.subject ?? subject.toString(),
    ...asDates(dates),
    signingAlgorithm: signing,
    signingKey: issuer === undefined ? keys.privateKey : await readSigningKey(x509, issuer.key),
    publicKey: keys.publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(names.map(alternative)),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ...(above === null ? [] : [await x509.AuthorityKeyIdentifierExtension.create(above)]),
      ...extras.map(({ oid, value }) => new x509.Extension(oid, true, value)),
    ],
  });
  return asPair(x509, certificate, keys);
}

async function newKeys(): Promise<CryptoKeyPair> {
  return (await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as CryptoKeyPair;
}

function readSigningKey(x509: X509, pem: string): Promise<webcrypto.CryptoKey> {
  const der = x509.PemConverter.decodeFirst(pem);
  return crypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
}

async function asPair(x509: X509, certificate: X509Certificate, keys: CryptoKeyPair): Promise<MadePair> {
  const der = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { cert: `${certificate.toString("pem")}\n`, key: `${x509.PemConverter.encode(der, "PRIVATE KEY")}\n` };
}

function asDates({ notBefore, notAfter }: Dates): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(notBefore), notAfter: new Date(notAfter) };
}

function alternative(name: string): { readonly type: "dns" | "ip"; readonly value: string } {
  return { type: name.includes(":") || /^\d+(\.\d+){3}$/.test(name) ? "ip" : "dns", value: name };
}

function constraints(names: readonly string[]): NameConstraints {
  const subtrees = names.map((dNSName) => new GeneralSubtree({ base: new GeneralName({ dNSName }) }));
  return new NameConstraints({ permittedSubtrees: new GeneralSubtrees(subtrees) });
}
