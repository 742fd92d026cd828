// Revocation lists (RFC 5280 §5), judged as the handshakes will judge them. Where there is a list, OpenSSL and its relatives
// ask for one of every authority in the client's chain, and for one that is not over: without it they refuse the client, revoked or
// not. So a list that nobody renews shuts everybody out, some day at night.
import { X509Certificate } from "node:crypto";
import { takesRevocations } from "../../net/tls-context.ts";
import { type DerElement, derName, DerTag, derTime, readDer, readSequence } from "./der.ts";
import type { CertificateFinding, Tell } from "./finding.ts";
import { readPem } from "./pem.ts";
import { date, day, span } from "./validity.ts";

/** Left of a list's life when a warning begins, where a ninth of it is not less. */
const late = 7 * day;

interface Revocations {
  readonly issuer: string;
  /** Wall-clock ms. */
  readonly thisUpdate: number;
  /** When the next one is there at the latest, wall-clock ms; NaN where that is not said. */
  readonly nextUpdate: number;
}

/**
 * What is wrong with a PEM file of revocation lists for these authorities (PEM; "" where they could not be read). `now` is
 * wall-clock ms. Never throws.
 */
export function judgeRevocations(pem: string, authorities: string, now: number): readonly CertificateFinding[] {
  const findings: CertificateFinding[] = [];
  const tell: Tell = (finding) => void findings.push(finding);
  const blocks = readPem(pem);
  const listed = "why" in blocks ? [] : blocks.filter(({ label }) => label === "X509 CRL");
  if (listed.length === 0) {
    // An empty file would revoke nobody.
    const hint = "name the file with -----BEGIN X509 CRL----- in it; openssl crl -inform DER -in this -out that.pem";
    tell({
      severity: "error",
      trouble: "unreadable",
      part: "cert",
      message: "it holds no revocation list in PEM",
      hint,
    });
    return findings;
  }
  const lists: Revocations[] = [];
  for (const { text, line } of listed) {
    const list = read(text);
    if (list === null) {
      const message = `the revocation list in line ${line} cannot be read`;
      const hint = "fetch it again; openssl crl -in this.pem -noout -text says more";
      tell({ severity: "error", trouble: "unreadable", part: "cert", message, hint });
    } else lists.push(list);
  }
  for (const list of lists) judgeTime(list, now, tell);
  if (lists.length === listed.length) judgeOwners(lists, subjectsOf(authorities), tell);
  return findings;
}

/** null for what the runtime does not take: the program would not start with it. */
function read(text: string): Revocations | null {
  if (!takesRevocations(text)) return null;
  const [first, ...rest] = fieldsOf(derOf(text));
  // version (there in version 2), signature, issuer, thisUpdate, nextUpdate (may be missing)
  const [, issuer, thisUpdate, nextUpdate] = first?.tag === DerTag.integer ? rest : [first, ...rest];
  if (issuer === undefined || thisUpdate === undefined) return null;
  return {
    issuer: derName(issuer.content),
    thisUpdate: derTime(thisUpdate),
    nextUpdate: nextUpdate === undefined ? Number.NaN : derTime(nextUpdate),
  };
}

/** What is signed of a certificate or a list, field by field. */
function fieldsOf(der: Uint8Array): readonly DerElement[] {
  const signed = readSequence(der)?.[0];
  return (signed === undefined ? null : readDer(signed.content)) ?? [];
}

function derOf(pem: string): Uint8Array {
  return Buffer.from(pem.replace(/^-----.*$/gm, ""), "base64");
}

function judgeTime({ issuer, thisUpdate, nextUpdate }: Revocations, now: number, tell: Tell): void {
  const called = `the revocation list of ${issuer}`;
  const why = "clients with a certificate of this authority are refused without a list that holds, revoked or not";
  const hint = "fetch the present list to this place before the old one is over, by a timer: files are watched";
  const warn = (rest: Pick<CertificateFinding, "trouble" | "message"> & Partial<CertificateFinding>): void =>
    tell({ severity: "warning", part: "cert", why, hint, ...rest });
  if (now >= nextUpdate) {
    warn({ trouble: "expired", message: `${called} is over since ${date(nextUpdate)}, ${span(now - nextUpdate)} ago` });
  } else if (now < thisUpdate) {
    const message = `${called} holds from ${date(thisUpdate)} only, ${span(thisUpdate - now)} from now`;
    warn({ trouble: "not-yet-valid", message, hint: "keep the old one until then; or look at this machine's clock" });
  } else if (nextUpdate - now < Math.min(late, (nextUpdate - thisUpdate) / 9)) {
    warn({
      trouble: "expires-soon",
      message: `ONLY ${span(nextUpdate - now)} LEFT: ${called} is over on ${date(nextUpdate)}`,
    });
  }
}

function judgeOwners(lists: readonly Revocations[], authorities: readonly string[], tell: Tell): void {
  if (authorities.length === 0) return;
  const keys = lists.map(({ issuer }) => comparable(issuer));
  for (const subject of authorities) {
    if (keys.includes(comparable(subject))) continue;
    tell({
      severity: "warning",
      trouble: "no-revocations",
      part: "cert",
      message: `it holds no list of the authority ${subject}`,
      why: "where there are lists every authority needs one: clients with a certificate of this one are refused",
      hint: "append its list to the file, or remove the authority from ca",
    });
  }
  const known = authorities.map(comparable);
  for (const { issuer } of lists) {
    if (known.includes(comparable(issuer))) continue;
    const message = `its list of ${issuer} is of none of the authorities in ca, and has no effect`;
    tell({
      severity: "warning",
      trouble: "stray-revocations",
      part: "cert",
      message,
      hint: "remove it, or add the authority to ca",
    });
  }
}

/** Names of the authorities of a file, as `derName` writes them. */
function subjectsOf(pem: string): string[] {
  const blocks = readPem(pem);
  if ("why" in blocks) return [];
  return blocks.flatMap(({ label, text }) => {
    if (label !== "CERTIFICATE") return [];
    try {
      const certificate = new X509Certificate(text);
      const [first, ...rest] = fieldsOf(certificate.raw);
      // version (there in version 3), serialNumber, signature, issuer, validity, subject
      const [, , , , subject] = first?.tag === 0xa0 ? rest : [first, ...rest];
      return certificate.ca && subject !== undefined ? [derName(subject.content)] : [];
    } catch {
      return [];
    }
  });
}

/** RFC 5280 §7.1: names are the same whatever their case and their spaces. */
function comparable(name: string): string {
  return name.toLowerCase().replace(/\s+/g, " ").trim();
}
