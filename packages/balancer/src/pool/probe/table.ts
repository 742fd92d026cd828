// Every probe by its name in the configuration. A new one is one file and one line here.
import type { ReadinessPlan } from "../plan.ts";
import { httpProbe } from "./http.ts";
import type { Probe, ProbeNetwork } from "./probe.ts";
import { tcpProbe } from "./tcp.ts";

/** The probes, able to reach endpoints through `network`. */
export function makeProbes(network: ProbeNetwork): Readonly<Record<ReadinessPlan["probe"], Probe>> {
  return { http: httpProbe(network), tcp: tcpProbe(network) };
}
