// Native TLS contexts. Making one parses certificates and keys, 0.1 to 1 ms each, so equal ones are made once and shared by
// reloads; node:tls is used for that and for nothing else: no traffic goes through it.
import { constants } from "node:crypto";
import { createSecureContext, getCACertificates, type SecureContextOptions } from "node:tls";
import type { ClientCertificates, TlsContext } from "./tls.ts";

export type TlsVersion = "1.2" | "1.3";

/** What a context is made from; PEM texts, never paths. */
export interface TlsContextOptions {
  /** Chains with their keys: at most one of each kind of key (RSA, ECDSA). Empty on a connecting side without one of its own. */
  readonly certificates: readonly { readonly cert: string; readonly key: string }[];
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** Suites of TLS 1.2 in OpenSSL's words, in order, joined by ":"; "" = the runtime's. */
  readonly ciphers: string;
  /** Groups in order, joined by ":"; "" = the runtime's. */
  readonly groups: string;
  /** Whether it accepts connections or makes them. */
  readonly side: "accept" | "connect";
  /** Authorities that the other side's certificate is verified by; "" = the system's. An accepting side that asks for certificates must name some. */
  readonly ca: string;
  /** Revocation lists; "" = none. */
  readonly crl: string;
  /** Whether certificates of clients are asked for; "off" on a connecting side. */
  readonly clientCertificates: ClientCertificates;
}

const made = new Map<string, WeakRef<TlsContext>>();

/** Makes a context, or finds the equal one. Throws an Error that says what is wrong with it. */
export function tlsContext(options: TlsContextOptions): TlsContext {
  // A hash, so that keys do not lie about in memory once more.
  const key = new Bun.CryptoHasher("sha256").update(JSON.stringify(options)).digest("base64");
  const known = made.get(key)?.deref();
  if (known !== undefined) return known;
  const { certificates, minVersion, maxVersion, ciphers, groups, crl, clientCertificates } = options;
  const { context } = createSecureContext({
    ...(certificates.length === 0
      ? {}
      : { cert: certificates.map(({ cert }) => cert), key: certificates.map((one) => one.key) }),
    minVersion: `TLSv${minVersion}`,
    maxVersion: `TLSv${maxVersion}`,
    ...(ciphers === "" ? {} : { ciphers }),
    // The accepting side's order of suites counts.
    secureOptions: constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
    ...(groups === "" ? {} : { ecdhCurve: groups }),
    ...authorities(options),
    ...(crl === "" ? {} : { crl }),
    // Bun's own: a context must know that it will ask (1.4.5 throws otherwise), and `rejectUnauthorized` means no more here
    // than that a handshake without any certificate fails, with the alert that says so.
    requestCert: clientCertificates !== "off",
    rejectUnauthorized: clientCertificates === "required",
  } as SecureContextOptions);
  const fresh: TlsContext = { native: context };
  for (const [name, reference] of made) if (reference.deref() === undefined) made.delete(name);
  made.set(key, new WeakRef(fresh));
  return fresh;
}

/** Whether a PEM text is a revocation list that contexts can be made with. */
export function takesRevocations(pem: string): boolean {
  try {
    createSecureContext({ crl: pem });
    return true;
  } catch {
    return false;
  }
}

/**
 * Whoever asks for no certificates needs nobody to verify them by, and still is given authorities: his own certificates. BoringSSL
 * completes a chain of one in each handshake, out of these; with none named it looks in the system's folder, opens two
 * files there and verifies what it finds, which was 20 of 200 us a handshake (ECDSA on P-256), and sends what nobody configured.
 */
function authorities({ side, ca, certificates }: TlsContextOptions): Pick<SecureContextOptions, "ca"> {
  if (side === "connect" || ca !== "") return systemUnless(ca);
  return certificates.length === 0 ? {} : { ca: certificates.map(({ cert }) => cert) };
}

let system: string[] | undefined;

/** The authorities that this machine trusts, read once; the runtime's own list where it has none. */
function systemUnless(ca: string): Pick<SecureContextOptions, "ca"> {
  if (ca !== "") return { ca };
  system ??= getCACertificates("system");
  return system.length === 0 ? {} : { ca: system };
}
