// Whether the certificates of a file are a chain: each issued by the one behind it (RFC 8446 §4.4.2 asks for that order;
// clients that sort for themselves forgive it, others do not).
import type { X509Certificate } from "node:crypto";
import type { Tell } from "./finding.ts";

/** The certificates in the order in which they issue each other, the leaf first; what does not belong is left out. */
export function orderChain(certificates: readonly X509Certificate[]): X509Certificate[] {
  const rest = [...certificates];
  const chain = rest.splice(0, 1);
  for (let last = chain[0]; last !== undefined && !isSelfSigned(last);) {
    const child: X509Certificate = last;
    const next = rest.findIndex((one) => issued(one, child));
    if (next < 0) break;
    last = rest.splice(next, 1)[0];
    if (last !== undefined) chain.push(last);
  }
  return chain;
}

/** Tells what is wrong with the order, and what is missing. `certificates` as they stand in the file, the leaf first. */
export function judgeChain(certificates: readonly X509Certificate[], tell: Tell): void {
  const chain = orderChain(certificates);
  const [leaf] = chain;
  const last = chain.at(-1);
  if (leaf === undefined || last === undefined) return;
  const strays = certificates.filter((one) => !chain.includes(one));
  if (strays.length > 0) {
    const [stray] = strays;
    const twice = stray !== undefined && chain.some((one) => one.fingerprint256 === stray.fingerprint256);
    tell({
      severity: "warning",
      trouble: "chain-broken",
      part: "cert",
      message: twice
        ? `a certificate stands in it twice: ${nameOf(stray)}`
        : `it does not hold together: ${nameOf(last)} was issued by ${issuerOf(last)}, which is not in it, and ${nameOf(strays[0])} issued none of the others`,
      ...(!twice && { why: "clients that do not know the missing authority refuse the connection" }),
      hint: twice ? "remove one of them" : "write the leaf first, then the certificate that issued it, and so on",
    });
  } else if (chain.some((one, index) => one !== certificates[index])) {
    tell({
      severity: "warning",
      trouble: "chain-order",
      part: "cert",
      message: "its certificates are not in order",
      why: "clients that do not sort for themselves refuse the connection",
      hint: `write them in this order: ${chain.map(nameOf).join(", then ")}`,
    });
  }
  // What is publicly trusted is never issued by a root itself, and says where its issuer can be had. A private authority
  // does otherwise, and clients know it; nothing can be told of those.
  if (strays.length === 0 && chain.length === 1 && !isSelfSigned(leaf) && hasIssuerAddress(leaf)) {
    tell({
      severity: "warning",
      trouble: "chain-incomplete",
      part: "cert",
      message: `the intermediate ${issuerOf(leaf)} is missing behind the certificate`,
      why: "browsers often find it by themselves; curl, libraries, phones and other programs refuse the connection",
      hint: "use the file with the whole chain (fullchain.pem), or write the intermediate behind the certificate",
    });
  }
}

function issued(issuer: X509Certificate, child: X509Certificate): boolean {
  try {
    return issuer !== child && child.checkIssued(issuer) && child.verify(issuer.publicKey);
  } catch {
    return false; // a key that cannot be read has signed nothing that we could tell
  }
}

export function isSelfSigned(certificate: X509Certificate): boolean {
  // By signature: checkIssued wants the usage of an authority, which a leaf that signed itself need not have.
  if (certificate.subject !== certificate.issuer) return false;
  try {
    return certificate.verify(certificate.publicKey);
  } catch {
    return false;
  }
}

function hasIssuerAddress(certificate: X509Certificate): boolean {
  return /CA Issuers - URI:/.test(certificate.infoAccess ?? "");
}

/** "CN=shop.example, O=Shop" as it is in the certificate, or its first name where there is no subject. */
export function nameOf(certificate: X509Certificate | undefined): string {
  const subject = oneLine(certificate?.subject ?? "");
  return subject === ""
    ? oneLine(certificate?.subjectAltName?.split(",")[0] ?? "a certificate without a name")
    : subject;
}

export function issuerOf(certificate: X509Certificate): string {
  return oneLine(certificate.issuer);
}

/** No name may move a reader's terminal or fill a screen. */
function oneLine(text: string): string {
  const line = text.replaceAll(/\r\n|\r|\n/g, ", ").replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, "?");
  return line.length > 120 ? `${line.slice(0, 117)}...` : line;
}
