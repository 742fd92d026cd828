// Whether what a listener says of TLS and of redirects to it fits together.
import { error, warning, type Finding, type Path } from "../problem.ts";
import type { ListenerConfig } from "../schema/listeners.ts";
import type { PoolConfig } from "../schema/pools.ts";
import type { Meant } from "./meant.ts";

export function checkTls({ config, isWritten }: Meant): Finding[] {
  const listeners = Object.entries(config.listeners).flatMap(([name, listener]) => {
    const path = ["listeners", name];
    return [
      ...checkRoutesThere(listener, path),
      ...checkVersions(listener, path, isWritten),
      ...checkHsts(listener, path),
      ...checkPlainHttp(listener, path),
    ];
  });
  return [...listeners, ...Object.entries(config.pools).flatMap(([name, pool]) => checkPool(pool, ["pools", name]))];
}

function checkPool({ tls }: PoolConfig, path: Path): Finding[] {
  if (tls?.dangerouslyTrustAnyCertificate !== true) return [];
  return [
    warning(
      [...path, "tls", "dangerouslyTrustAnyCertificate"],
      "whoever gets between this balancer and an endpoint can read and change everything",
      "name the authority that signs the endpoints' certificates: tls: { ca: ... }",
    ),
  ];
}

function checkRoutesThere({ routes, redirect, tls }: ListenerConfig, path: Path): Finding[] {
  if (redirect === undefined) {
    if (routes.length > 0) return [];
    return [error(path, "this listener has no routes", "give it routes: [{ pool: ... }], or redirect: https")];
  }
  const findings: Finding[] = [];
  if (routes.length > 0) {
    const message = "every request is sent to HTTPS, so none of these routes is ever reached";
    findings.push(error([...path, "routes"], message, "remove routes, or redirect"));
  }
  if (tls !== undefined) {
    const message = "this listener speaks TLS itself: browsers would be sent in circles";
    findings.push(error([...path, "redirect"], message, "redirect on the plain listener, usually the one on port 80"));
  }
  return findings;
}

function checkVersions({ tls, protocol }: ListenerConfig, path: Path, isWritten: (path: Path) => boolean): Finding[] {
  // What other protocols make of it is said in layers.ts.
  if (tls === undefined || protocol !== "http") return [];
  const at = [...path, "tls"];
  const findings: Finding[] = [];
  if (tls.certificates.length === 0 && tls.acme.length === 0) {
    findings.push(
      error(
        [...at, "certificates"],
        "there is no certificate to show",
        "name one: { cert: ..., key: ... }, or have one ordered: tls: { acme: [...] }",
      ),
    );
  }
  if (tls.minVersion > tls.maxVersion) {
    const message = `no version is left between ${tls.minVersion} and ${tls.maxVersion}`;
    findings.push(error([...at, "maxVersion"], message, "raise maxVersion, or lower minVersion"));
  }
  if (tls.minVersion === "1.3" && isWritten([...at, "ciphers"])) {
    findings.push(warning([...at, "ciphers"], "they are of TLS 1.2, which is not spoken here", "remove ciphers"));
  }
  return findings;
}

/** Whether there is TLS that clients without it could be told apart from, and nothing that they would get around. */
function checkPlainHttp({ plainHttp, protocol, tls, redirect }: ListenerConfig, path: Path): Finding[] {
  if (plainHttp === "refuse") return [];
  const at = [...path, "plainHttp"];
  if (protocol === "tls") {
    if (plainHttp === "redirect") return [];
    const message = "protocol: tls reads no requests, so its routes cannot lead them";
    return [error(at, message, "write plainHttp: redirect, or serve them on a listener of their own")];
  }
  if (protocol !== "http") {
    const message = `protocol: ${protocol} passes bytes on, and nothing tells TLS from HTTP there`;
    return [error(at, message, "remove plainHttp, or write protocol: tls")];
  }
  if (tls === undefined) {
    if (redirect !== undefined || plainHttp === "serve") {
      return [warning(at, "nobody speaks TLS on this listener, so this has no effect", "remove plainHttp")];
    }
    const message = "nobody speaks TLS on this listener, so there is nowhere on it to send clients to";
    return [error(at, message, "write redirect: https for a listener on another port, or add tls")];
  }
  if (plainHttp === "serve" && tls.clientCertificates?.mode === "required") {
    const message = "who leaves TLS away is served without the certificate that everybody else must show";
    return [error(at, message, "write plainHttp: redirect, or clientCertificates: { mode: optional }")];
  }
  return [];
}

function checkHsts({ tls }: ListenerConfig, path: Path): Finding[] {
  const hsts = tls?.hsts;
  const year = 31_536_000_000;
  if (hsts?.preload !== true || (hsts.includeSubDomains && hsts.maxAge >= year)) return [];
  return [
    warning(
      [...path, "tls", "hsts", "preload"],
      "browsers take a name into their list only with includeSubDomains and a maxAge of a year at least",
      "add both, or remove preload",
    ),
  ];
}
