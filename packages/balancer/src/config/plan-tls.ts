// TLS as it was written to TLS as it is planned: the files' contents go with the plan, so that nothing is read afterwards.
import type { CertificatePlan, PoolTlsPlan } from "../pool/plan.ts";
import type { ListenerTlsPlan, RoutePlan } from "../proxy/plan.ts";
import type { Certificates, KeyPair } from "./certificates.ts";
import type { ListenerTlsConfig, PoolTlsConfig } from "./schema/tls.ts";

const none = { file: "", pem: "" };

/** Plans a listener's TLS. Certificates that could not be read are missing: then there are errors, and no plan is used. */
export function planListenerTls(name: string, config: ListenerTlsConfig, certificates: Certificates): ListenerTlsPlan {
  const { minVersion, maxVersion, ciphers, groups, strictSni, clientCertificates } = config;
  const authorities = certificates.clientAuthorities.get(name);
  return {
    certificates: (certificates.listeners.get(name) ?? []).map(planKeyPair),
    minVersion,
    maxVersion,
    ciphers: ciphers.join(":"),
    groups: groups.join(":"),
    strictSni,
    clientCertificates: clientCertificates?.mode ?? "off",
    ca: authorities?.ca ?? none,
    crl: authorities?.crl ?? none,
  };
}

/** What is shown of a pair that was read. */
export function planKeyPair({ cert, key, certFile, keyFile, facts }: KeyPair): CertificatePlan {
  return { cert, key, certFile, keyFile, names: facts.names, kind: facts.key.kind };
}

/** Plans how a pool speaks TLS to its endpoints. */
export function planPoolTls(name: string, config: PoolTlsConfig, certificates: Certificates): PoolTlsPlan {
  const read = certificates.pools.get(name);
  return {
    ca: read?.ca ?? none,
    client: read === undefined || read.client === null ? null : planKeyPair(read.client),
    serverName: config.serverName?.toLowerCase() ?? "",
    verify: !config.dangerouslyTrustAnyCertificate,
  };
}

/** Routes whose answers say that clients shall come by HTTPS only. */
export function withHsts(routes: readonly RoutePlan[], hsts: ListenerTlsConfig["hsts"]): readonly RoutePlan[] {
  if (hsts === undefined) return routes;
  const { maxAge, includeSubDomains, preload } = hsts;
  const value = `max-age=${Math.floor(maxAge / 1000)}${includeSubDomains ? "; includeSubDomains" : ""}${preload ? "; preload" : ""}`;
  return routes.map((route) => {
    const { set } = route.answerHeaders;
    // A route that says its own means it.
    if (set.some(([name]) => name.toLowerCase() === "strict-transport-security")) return route;
    return {
      ...route,
      answerHeaders: { ...route.answerHeaders, set: [...set, ["strict-transport-security", value] as const] },
    };
  });
}
