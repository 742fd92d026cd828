// meaning/: whether parts that are each well formed fit together. It sees parsed values and the plan; it must not know the
// text, nor how anything is written. Here: who listens where, and whether two want the same place.
import { formatHostPort, type ListenAddress } from "../address.ts";
import type { Meant } from "./meant.ts";
import { error, warning, type Finding, type Path } from "../problem.ts";

export function checkAddresses({ config }: Meant): Finding[] {
  const findings: Finding[] = [];
  const admin = config.admin.address;
  // The admin address first: it may be there by default, and then the listener is the one that can be pointed at.
  const taken: { address: ListenAddress; path: Path; udp?: boolean }[] =
    admin === null ? [] : [{ address: admin, path: ["admin", "address"] }];
  for (const [name, { address, protocol, trustedProxies }] of Object.entries(config.listeners)) {
    for (const [index, range] of trustedProxies.entries()) {
      if (!/\/0+$/.test(range)) continue;
      const message = "this believes everybody: any client can claim any address";
      findings.push(
        warning(["listeners", name, "trustedProxies", index], message, "write the addresses of what stands in front"),
      );
    }
    const path = ["listeners", name, "address"];
    // The ports of TCP and those of UDP have nothing to do with each other.
    const udp = protocol === "udp";
    const clash = taken.find((other) => (other.udp === true) === udp && overlaps(other.address, address));
    if (clash !== undefined) {
      const place = formatHostPort(clash.address.host, clash.address.port);
      const hint =
        clash.path[0] === "admin"
          ? "take another port, or give the admin address another one: admin: { address: 127.0.0.1:9091 }"
          : "give one of them another port";
      findings.push({ ...error(path, `this address is taken: {other} is ${place}`, hint), other: clash.path });
    }
    taken.push({ address, path, udp });
  }
  if (Object.keys(config.listeners).length === 0) {
    findings.push(
      error(
        ["listeners"],
        "there is no listener",
        "add one: listeners: { web: { address: 127.0.0.1:8080, routes: [...] } }",
      ),
    );
  }
  if (admin !== null && !isLoopback(admin.host)) {
    const message = "whoever reaches the admin address can stop and change this program, and it asks for no password";
    findings.push(warning(["admin", "address"], message, "listen on 127.0.0.1"));
  }
  return findings;
}

/** Whether the system would refuse one because of the other. `::` takes IPv4, too, on most systems. */
function overlaps(a: ListenAddress, b: ListenAddress): boolean {
  if (a.port === 0 || a.port !== b.port) return false;
  return (
    a.host === b.host ||
    a.host === "::" ||
    b.host === "::" ||
    (a.host === "0.0.0.0" && isV4(b.host)) ||
    (b.host === "0.0.0.0" && isV4(a.host))
  );
}

function isV4(host: string): boolean {
  return !host.includes(":");
}

function isLoopback(host: string): boolean {
  return host === "::1" || host.startsWith("127.");
}
