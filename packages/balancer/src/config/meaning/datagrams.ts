// What is different where there are no connections.
import { error, warning, type Finding } from "../problem.ts";
import type { Meant } from "./meant.ts";

export function checkDatagrams({ config, isWritten }: Meant): Finding[] {
  const findings: Finding[] = [];
  const pools = new Set<string>();
  for (const [name, { protocol, address, routes }] of Object.entries(config.listeners)) {
    const path = ["listeners", name];
    if (protocol !== "udp") {
      if (isWritten([...path, "udp"])) {
        const hint = "remove udp, or write protocol: udp";
        findings.push(error([...path, "udp"], `"udp" has no meaning with protocol: ${protocol}`, hint));
      }
      continue;
    }
    if (address.host === "0.0.0.0" || address.host === "::") {
      const message = "answers leave from the address that the system picks, which need not be the one that was asked";
      const hint = "where the machine has several addresses, write one listener for each";
      findings.push(warning([...path, "address"], message, hint));
    }
    for (const { pool, split } of routes) {
      for (const one of pool === undefined ? (split ?? []) : [{ pool }]) pools.add(one.pool);
    }
  }
  for (const [name, { readiness }] of Object.entries(config.pools)) {
    if (!pools.has(name) || isWritten(["pools", name, "readiness"]) || readiness.probe !== undefined) continue;
    const message = "its endpoints get datagrams, and whether they are ready is asked by a TCP connection";
    const hint = "write readiness: tcp if they accept those, too (DNS does), readiness: { command: [...] }, or off";
    findings.push({ ...warning(["pools", name], message, hint), atKey: true });
  }
  return findings;
}
