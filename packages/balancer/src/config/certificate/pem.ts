// certificate/: what a certificate and its key are, from their bytes alone. It must not know files, clocks, listeners or the
// configuration: bytes and the time are arguments, findings are data. Here: PEM (RFC 7468), told apart block by block.

/** One block: what stands on its BEGIN line, and the whole of it as OpenSSL reads it. */
export interface PemBlock {
  /** "CERTIFICATE", "EC PRIVATE KEY". */
  readonly label: string;
  readonly text: string;
  /** Line of its BEGIN, from 1. */
  readonly line: number;
}

/** Longest file that is looked at, in characters: a chain has a few KiB, all authorities of a system a few hundred. */
export const longestPem = 1024 * 1024;

const begin = /^-----BEGIN ([^\r\n]*?)-----[ \t]*$/;

/** All blocks of a text; other lines are comments. A sentence says why there are none to be had. */
export function readPem(text: string): readonly PemBlock[] | { readonly why: string; readonly hint: string } {
  if (text.length > longestPem) return { why: "it is larger than 1MiB", hint: "name a PEM file" };
  const lines = text.split(/\r\n|\r|\n/);
  const blocks: PemBlock[] = [];
  for (let at = 0; at < lines.length; at++) {
    const label = begin.exec(lines[at]?.replace(/^\uFEFF/, "") ?? "")?.[1];
    if (label === undefined) continue;
    const end = lines.findIndex((line, index) => index > at && line.startsWith("-----"));
    if (end < 0 || lines[end]?.trimEnd() !== `-----END ${label}-----`) {
      const hint = "the file was cut, or two were joined without a line break; copy it again";
      return { why: `the block ${label} that begins in line ${at + 1} does not end`, hint };
    }
    blocks.push({
      label,
      text: `${[`-----BEGIN ${label}-----`, ...lines.slice(at + 1, end + 1)].join("\n")}\n`,
      line: at + 1,
    });
    at = end;
  }
  if (blocks.length > 0) return blocks;
  if (text.trim() === "") return { why: "it is empty", hint: "copy the PEM file again" };
  // DER begins with a sequence of more than 127 bytes; PKCS#12 does so, too.
  if (text.startsWith("0\uFFFD") || text.startsWith("0\u0082")) {
    const hint =
      "make PEM of it: openssl x509 -inform der, openssl pkey -inform der, or openssl pkcs12 -nodes for a .p12 or .pfx";
    return { why: "it is not PEM but binary (DER or PKCS#12)", hint };
  }
  return { why: "there is no -----BEGIN ...----- in it", hint: "name a PEM file" };
}
