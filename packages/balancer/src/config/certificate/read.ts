// A certificate chain and its key, from PEM to plain facts, and everything that would make clients refuse them.
import { X509Certificate, type KeyObject } from "node:crypto";
import { issuerOf, judgeChain, nameOf, orderChain, isSelfSigned } from "./chain.ts";
import type { CertificateFinding, Tell } from "./finding.ts";
import { formatKeyKind, kindOf, readKey, type KeyKind } from "./key.ts";
import { namesIn } from "./names.ts";
import { readPem, type PemBlock } from "./pem.ts";
import { judgeValidity } from "./validity.ts";

/** What a certificate is: plain data, without its key. */
export interface CertificateFacts {
  /** DNS names in lower case, `*.example.com` as it stands, IP addresses in their shortest form. */
  readonly names: readonly string[];
  readonly key: KeyKind;
  readonly subject: string;
  readonly issuer: string;
  readonly selfSigned: boolean;
  /** Wall-clock ms. */
  readonly notBefore: number;
  /** Wall-clock ms; of the certificate itself. */
  readonly notAfter: number;
  /** SHA-256 of the certificate, in hex without colons. */
  readonly fingerprint: string;
  /** Certificates in the file, the leaf included. */
  readonly chainLength: number;
}

/** What came of reading. */
export interface CertificateRead {
  /** null when it cannot be used: then a finding is an error. */
  readonly facts: CertificateFacts | null;
  readonly findings: readonly CertificateFinding[];
}

/** Whom a certificate is shown to: by a listener to clients, or to endpoints as a client's. */
export type Purpose = "server" | "client";

const usages = {
  server: { oid: "1.3.6.1.5.5.7.3.1", name: "serverAuth", others: "clients" },
  client: { oid: "1.3.6.1.5.5.7.3.2", name: "clientAuth", others: "endpoints" },
} as const;
const anyUsage = "2.5.29.37.0";

/** Reads a PEM chain and a PEM key, which may stand in one text. `now` is wall-clock ms. Never throws. */
export function readCertificate(cert: string, key: string, now: number, purpose: Purpose = "server"): CertificateRead {
  const findings: CertificateFinding[] = [];
  const tell: Tell = (finding) => void findings.push(finding);
  const certificates = readCertificates(cert, tell);
  const keyBlocks = blocksOf(key, "key", tell);
  const privateKey = keyBlocks === null ? null : readKey(keyBlocks, tell);
  const [leaf] = certificates ?? [];
  if (certificates === null || leaf === undefined || privateKey === null) return { facts: null, findings };
  if (!matches(leaf, privateKey)) {
    tellMismatch(certificates, privateKey, tell);
    return { facts: null, findings };
  }
  const facts = factsOf(leaf, certificates.length);
  judge(certificates, facts, now, purpose, tell);
  return { facts, findings };
}

/** Reads a PEM file of authorities, to verify others by. `facts` are those of each of them. Never throws. */
export function readAuthorities(
  pem: string,
  now: number,
): { readonly facts: readonly CertificateFacts[]; readonly findings: readonly CertificateFinding[] } {
  const findings: CertificateFinding[] = [];
  const tell: Tell = (finding) => void findings.push(finding);
  const certificates = readCertificates(pem, tell) ?? [];
  if (certificates.length > 0 && !certificates.some((one) => one.ca)) {
    tell({
      severity: "warning",
      trouble: "no-authority",
      part: "cert",
      message: "none of its certificates is an authority (basicConstraints CA:TRUE)",
      why: "nothing but these certificates themselves can be verified by it",
      hint: "name the file of the authority that issues the certificates",
    });
  }
  const facts = certificates.map((one) => factsOf(one, 1));
  // A bundle of many always has some that are over; only when all are does it matter.
  if (facts.length > 0 && facts.every(({ notAfter }) => now >= notAfter || Number.isNaN(notAfter))) {
    for (const one of facts) judgeValidity({ called: `the authority ${one.subject}`, ...one }, now, tell);
  }
  return { facts, findings };
}

function blocksOf(text: string, part: "cert" | "key", tell: Tell): readonly PemBlock[] | null {
  const blocks = readPem(text);
  if (!("why" in blocks)) return blocks;
  tell({ severity: "error", trouble: "unreadable", part, message: blocks.why, hint: blocks.hint });
  return null;
}

function readCertificates(pem: string, tell: Tell): X509Certificate[] | null {
  const blocks = blocksOf(pem, "cert", tell);
  if (blocks === null) return null;
  const certificates: X509Certificate[] = [];
  for (const { label, text, line } of blocks) {
    if (label !== "CERTIFICATE") continue;
    try {
      certificates.push(new X509Certificate(text));
    } catch {
      const hint = "copy the file again; openssl x509 -in this.crt -noout -text says more";
      const message = `the certificate in line ${line} cannot be read`;
      tell({ severity: "error", trouble: "unreadable", part: "cert", message, hint });
      return null;
    }
  }
  if (certificates.length > 0) return certificates;
  const labels = [...new Set(blocks.map(({ label }) => label))].join(", ");
  const hint = labels.includes("REQUEST")
    ? "a request is what an authority signs; name the certificate that it gave back"
    : "name the file with -----BEGIN CERTIFICATE----- in it";
  tell({
    severity: "error",
    trouble: "no-certificate",
    part: "cert",
    message: `it holds no certificate, only ${labels}`,
    hint,
  });
  return null;
}

function matches(certificate: X509Certificate, key: KeyObject): boolean {
  try {
    return certificate.checkPrivateKey(key);
  } catch {
    return false;
  }
}

function tellMismatch(certificates: readonly X509Certificate[], key: KeyObject, tell: Tell): void {
  const owner = certificates.find((one) => matches(one, key));
  const [leaf] = certificates;
  if (owner !== undefined) {
    tell({
      severity: "error",
      trouble: "leaf-not-first",
      part: "cert",
      message: `the key belongs to ${nameOf(owner)}, which does not stand first in the file`,
      hint: `write them in this order: ${orderChain([owner, ...certificates.filter((one) => one !== owner)])
        .map(nameOf)
        .join(", then ")}`,
    });
    return;
  }
  tell({
    severity: "error",
    trouble: "key-mismatch",
    part: "key",
    message: `the key (${formatKeyKind(kindOf(key))}) does not belong to the certificate of ${nameOf(leaf)}`,
    hint: "name the key that its request was made with; if it is lost, ask for a new certificate",
  });
}

function factsOf(leaf: X509Certificate, chainLength: number): CertificateFacts {
  return {
    names: namesIn(leaf.subjectAltName),
    key: keyKind(leaf),
    subject: nameOf(leaf),
    issuer: issuerOf(leaf),
    selfSigned: isSelfSigned(leaf),
    notBefore: Date.parse(leaf.validFrom),
    notAfter: Date.parse(leaf.validTo),
    fingerprint: leaf.fingerprint256.replaceAll(":", "").toLowerCase(),
    chainLength,
  };
}

function keyKind(certificate: X509Certificate): KeyKind {
  try {
    return kindOf(certificate.publicKey);
  } catch {
    return { kind: "other", name: "of an unknown kind" };
  }
}

function judge(
  certificates: readonly X509Certificate[],
  facts: CertificateFacts,
  now: number,
  purpose: Purpose,
  tell: Tell,
): void {
  const warn = (finding: Omit<CertificateFinding, "severity" | "part">): void =>
    tell({ severity: "warning", part: "cert", ...finding });
  judgeValidity({ called: "the certificate", ...facts }, now, tell);
  judgeChain(certificates, tell);
  for (const other of orderChain(certificates).slice(1)) {
    const [notBefore, notAfter] = [Date.parse(other.validFrom), Date.parse(other.validTo)];
    // The root itself is not sent for its dates: clients have their own.
    if (!isSelfSigned(other))
      judgeValidity({ called: `the intermediate ${nameOf(other)}`, notBefore, notAfter }, now, tell);
  }
  for (const one of certificates) {
    const signature = signatureOf(one);
    if (isSelfSigned(one) || !/sha-?1(?!\d)|md5/i.test(signature)) continue;
    const message = `${nameOf(one)} is signed with ${signature}, which can be forged`;
    const hint = "ask for a new certificate; authorities sign with SHA-256 today";
    warn({ trouble: "weak-signature", message, why: "clients refuse such certificates", hint });
  }
  const { key, names } = facts;
  if (key.kind === "rsa" && key.bits < 2048) {
    const hint = "make an ECDSA P-256 or RSA 2048 key, and ask for a new certificate";
    warn({
      trouble: "weak-key",
      message: `an RSA key of ${key.bits} bits can be broken`,
      why: "clients refuse keys below 2048 bits",
      hint,
    });
  } else if (key.kind === "other") {
    const hint = "make an ECDSA P-256 or RSA 2048 key, and ask for a new certificate";
    warn({ trouble: "unknown-key-kind", message: `the key is ${key.name}, which browsers do not speak`, hint });
  }
  if (purpose === "server" && names.length === 0) {
    const hint = "ask for a certificate with its names in subjectAltName; the common name alone counts no more";
    warn({
      trouble: "no-names",
      message: "the certificate holds no name (subjectAltName)",
      why: "clients refuse it for every host",
      hint,
    });
  }
  const usage = usages[purpose];
  const allowed = certificates[0]?.keyUsage;
  if (allowed !== undefined && !allowed.includes(usage.oid) && !allowed.includes(anyUsage)) {
    const message = `the certificate may not be used for this: its extended key usage lacks ${usage.name}`;
    const hint = `ask for a certificate with ${usage.name}`;
    warn({ trouble: "wrong-usage", message, why: `${usage.others} that verify it refuse the connection`, hint });
  }
}

/** "sha256WithRSAEncryption"; the typings do not know it yet. */
function signatureOf(certificate: X509Certificate): string {
  return (certificate as { readonly signatureAlgorithm?: string }).signatureAlgorithm ?? "";
}
