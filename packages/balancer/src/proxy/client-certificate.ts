// What an endpoint is told of the certificate that a client showed (RFC 9440, and two fields that applications can read without
// parsing a certificate). The same names from a client never pass: request-head.ts drops them.
import type { TlsFacts } from "../net/tls.ts";

/** Longest subject that is passed on. */
const longestSubject = 1024;

/** Lines for the request's head, made once for each connection; "" for a client without a valid certificate. */
export function certificateLines(tls: TlsFacts | null): string {
  const peer = tls?.peer ?? null;
  if (peer === null) return "";
  const fingerprint = peer.fingerprint256.replaceAll(":", "").toLowerCase();
  return (
    // RFC 8941 §3.3.5: a byte sequence stands between colons.
    `Client-Cert: :${Buffer.from(peer.raw).toString("base64")}:\r\n` +
    `X-Client-Cert-Subject: ${subjectText(peer.subject)}\r\n` +
    `X-Client-Cert-Fingerprint: ${fingerprint}\r\n`
  );
}

/** One line of printable ASCII; what is not is written as \XX, byte by byte (RFC 4514 §2.4). */
function subjectText(subject: string): string {
  let text = "";
  // One attribute a line; a line feed within a value is escaped already.
  for (const byte of Buffer.from(subject.split("\n").join(", "), "utf8")) {
    text +=
      byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\${byte.toString(16).padStart(2, "0").toUpperCase()}`;
  }
  return text.slice(0, longestSubject);
}
