// How connections to one endpoint speak TLS: traffic and probes make them from the same settings, so that a probe which passes
// says that requests can.
import { tlsContext } from "../net/tls-context.ts";
import type { ClientTls } from "../net/tls.ts";
import type { EndpointPlan, PoolPlan } from "./plan.ts";

/** Settings for one endpoint, with room for the session that it will offer; undefined for plain text. Throws an Error when the
 * runtime does not take a certificate. */
export function endpointTls(
  pool: Pick<PoolPlan, "tls">,
  endpoint: Pick<EndpointPlan, "address" | "serverName">,
): ClientTls | undefined {
  if (pool.tls === null) return undefined;
  const { ca, client, serverName, verify } = pool.tls;
  const { address } = endpoint;
  const own = endpoint.serverName ?? (address.kind === "tcp" ? address.host : "localhost");
  const verifyName = serverName === "" ? own : serverName;
  return {
    context: tlsContext({
      side: "connect",
      certificates: client === null ? [] : [{ cert: client.cert, key: client.key }],
      minVersion: "1.2",
      maxVersion: "1.3",
      ciphers: "",
      groups: "",
      ca: ca.pem,
      crl: "",
      clientCertificates: "off",
    }),
    // RFC 6066 §3: an address is no server name; what the certificate says of it is verified all the same.
    serverName: isAddress(verifyName) ? "" : verifyName,
    verifyName,
    verify,
    session: null,
  };
}

function isAddress(name: string): boolean {
  return name.includes(":") || /^\d+(\.\d+){3}$/.test(name);
}
