// Who listens where, and whether two want the same place.
import { formatHostPort, type ListenAddress } from "../address.ts";
import type { Meant } from "../meaning.ts";
import { error, formatPath, warning, type Finding, type Path } from "../problem.ts";

export function checkAddresses({ config }: Meant): Finding[] {
  const findings: Finding[] = [];
  const taken: { address: ListenAddress; path: Path }[] = [];
  const claim = (address: ListenAddress, path: Path): void => {
    const clash = taken.find((other) => overlaps(other.address, address));
    if (clash !== undefined) {
      const place = formatHostPort(clash.address.host, clash.address.port);
      findings.push(error(path, `this address is taken: ${formatPath(clash.path)} listens on ${place}`, "give one of them another port"));
    }
    taken.push({ address, path });
  };
  for (const [name, listener] of Object.entries(config.listeners)) claim(listener.address, ["listeners", name, "address"]);
  if (Object.keys(config.listeners).length === 0) {
    findings.push(error(["listeners"], "there is no listener", "add one: listeners: { web: { address: 127.0.0.1:8080, routes: [...] } }"));
  }
  const admin = config.admin.address;
  if (admin !== null) {
    claim(admin, ["admin", "address"]);
    if (!isLoopback(admin.host)) {
      findings.push(warning(["admin", "address"], "whoever reaches the admin address can stop and change this program, and it asks for no password", "listen on 127.0.0.1"));
    }
  }
  return findings;
}

/** Whether the system would refuse one because of the other. `::` takes IPv4, too, on most systems. */
function overlaps(a: ListenAddress, b: ListenAddress): boolean {
  if (a.port === 0 || a.port !== b.port) return false;
  return a.host === b.host || a.host === "::" || b.host === "::" || (a.host === "0.0.0.0" && isV4(b.host)) || (b.host === "0.0.0.0" && isV4(a.host));
}

function isV4(host: string): boolean {
  return !host.includes(":");
}

function isLoopback(host: string): boolean {
  return host === "::1" || host.startsWith("127.");
}
