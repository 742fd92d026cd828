// A listener's TLS as a worker runs it: which certificate is shown for which name. Folded when a snapshot is built; a handshake
// then costs two look-ups.
import { tlsContext, type TlsContextOptions } from "../net/tls-context.ts";
import type { ClientCertificates, TlsContext } from "../net/tls.ts";
import type { CertificatePlan } from "../pool/plan.ts";
import type { ListenerTlsPlan } from "./plan.ts";

export interface FoldedTls {
  readonly context: TlsContext;
  /** The context for a name in lower case; null refuses. */
  readonly choose: (serverName: string) => TlsContext | null;
  readonly clientCertificates: ClientCertificates;
}

/** Folds it. Throws an Error when the runtime does not take a certificate or a setting; the snapshot is refused then. */
export function foldTls(plan: ListenerTlsPlan | null): FoldedTls | null {
  if (plan === null) return null;
  const { certificates, strictSni, clientCertificates, minVersion, maxVersion, ciphers, groups, ca, crl } = plan;
  const common = { minVersion, maxVersion, ciphers, groups, ca: ca.pem, crl: crl.pem, clientCertificates };
  const contextOf = (shown: readonly CertificatePlan[]): TlsContext => makeContext({ ...common, certificates: shown });
  const byName = new Map<string, TlsContext>();
  for (const [name, shown] of certificatesByName(certificates)) byName.set(name, contextOf(shown));
  const [first] = certificates;
  const fallback = byName.get(first?.names[0] ?? "") ?? contextOf(first === undefined ? [] : [first]);
  const unknown = strictSni ? null : fallback;
  return {
    // Without a certificate there is nothing to show to who names nobody, and the handshake ends.
    context: strictSni ? contextOf([]) : fallback,
    clientCertificates,
    choose(serverName) {
      const exact = byName.get(serverName);
      if (exact !== undefined) return exact;
      // RFC 6125 §6.4.3: the wildcard stands for one label, the leftmost.
      const dot = serverName.indexOf(".");
      return (dot < 1 ? undefined : byName.get(`*${serverName.slice(dot)}`)) ?? unknown;
    },
  };
}

/** By name, the first certificate of each kind of key. */
function certificatesByName(certificates: readonly CertificatePlan[]): Map<string, CertificatePlan[]> {
  const byName = new Map<string, CertificatePlan[]>();
  for (const certificate of certificates) {
    for (const name of certificate.names) {
      const shown = byName.get(name) ?? [];
      if (shown.some(({ kind }) => kind === certificate.kind)) continue;
      byName.set(name, [...shown, certificate]);
    }
  }
  return byName;
}

function makeContext(
  options: Omit<TlsContextOptions, "certificates" | "side"> & { certificates: readonly CertificatePlan[] },
) {
  // The system's authorities would vouch for whoever has bought a certificate anywhere.
  if (options.clientCertificates !== "off" && options.ca === "")
    throw new Error("certificates of clients are asked for, and no authority is named that issues them");
  const certificates = options.certificates.map(({ cert, key }) => ({ cert, key }));
  try {
    return tlsContext({ side: "accept", ...options, certificates });
  } catch (error) {
    const which = options.certificates.map(({ certFile }) => certFile).join(", ");
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`TLS ${which === "" ? "settings" : `with ${which}`} cannot be used: ${why}`, { cause: error });
  }
}
