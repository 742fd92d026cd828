// Revocation lists, as far as they are looked at before the runtime gets them.

/** Whether a text has a revocation list in PEM (RFC 7468 §6). An empty file would revoke nobody. */
export function holdsRevocations(text: string): boolean {
  return text.includes("-----BEGIN X509 CRL-----");
}
