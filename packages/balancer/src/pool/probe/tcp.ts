// Ready is who accepts a connection. It tells that something listens, and nothing about what is behind it.
import { Attempt, type Dialogue, type Probe, type ProbeNetwork } from "./probe.ts";

/** With TLS, `opened` comes once hands are shaken. */
const connected: Dialogue = {
  opened: (attempt) => attempt.judgeAndClose(true, "connected"),
  received: () => {},
  ended: () => {},
};

export function tcpProbe(network: ProbeNetwork): Probe {
  return { name: "tcp", run: (subject, plan, signal) => Attempt.make(network, subject, plan, signal, connected) };
}
