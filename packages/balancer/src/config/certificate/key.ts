// Private keys: whether one can be read, and of which kind it is.
import { createPrivateKey, type KeyObject } from "node:crypto";
import type { Tell } from "./finding.ts";
import type { PemBlock } from "./pem.ts";

/** What a key is, as far as clients can tell. */
export type KeyKind =
  | { readonly kind: "rsa"; readonly bits: number }
  /** "P-256", "P-384", "P-521", or OpenSSL's name. */
  | { readonly kind: "ecdsa"; readonly curve: string }
  /** "ed25519" and whatever else there may be. */
  | { readonly kind: "other"; readonly name: string };

const curves: Readonly<Record<string, string>> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };

export function kindOf(key: KeyObject): KeyKind {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === "rsa" || type === "rsa-pss") return { kind: "rsa", bits: details?.modulusLength ?? 0 };
  if (type === "ec") {
    const curve = details?.namedCurve ?? "";
    return { kind: "ecdsa", curve: curves[curve] ?? curve };
  }
  return { kind: "other", name: type ?? "unknown" };
}

/** "ECDSA P-256", "RSA 2048". */
export function formatKeyKind(key: KeyKind): string {
  if (key.kind === "rsa") return `RSA ${key.bits}`;
  return key.kind === "ecdsa" ? `ECDSA ${key.curve}` : key.name;
}

/** The first private key among the blocks; null, and told, if there is none that can be used. */
export function readKey(blocks: readonly PemBlock[], tell: Tell): KeyObject | null {
  const block = blocks.find(({ label }) => label.endsWith("PRIVATE KEY"));
  if (block === undefined) {
    const labels = [...new Set(blocks.map(({ label }) => label))].join(", ");
    const hint = "the key is made together with the request for the certificate; name that file";
    tell({
      severity: "error",
      trouble: "no-key",
      part: "key",
      message: `it holds no private key, only ${labels}`,
      hint,
    });
    return null;
  }
  if (block.label.startsWith("ENCRYPTED") || /^Proc-Type: 4,ENCRYPTED/m.test(block.text)) {
    tell({
      severity: "error",
      trouble: "encrypted-key",
      part: "key",
      message: "the key is encrypted, and nobody is there to type its passphrase when the program starts",
      hint: "store it decrypted (openssl pkey -in this.key -out plain.key), readable by the user of this program only",
    });
    return null;
  }
  try {
    return createPrivateKey(block.text);
  } catch {
    // What the library says of it is a list of its own function names.
    const hint = `openssl pkey -in this.key -noout says more; a key made anew needs a new certificate`;
    const message = `the ${block.label} in line ${block.line} cannot be read`;
    tell({ severity: "error", trouble: "unreadable", part: "key", message, hint });
    return null;
  }
}
