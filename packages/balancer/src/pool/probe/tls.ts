// Ready is who completes a TLS handshake, with a certificate that is believed unless that is not asked for. What is spoken
// within TLS is not looked at.
import type { ReadinessPlan, TlsProbePlan } from "../plan.ts";
import { askWithin } from "./one-shot.ts";
import { Attempt, type Dialogue, type Probe, type ProbeNetwork, probePreface } from "./probe.ts";

const handshake: Dialogue = {
  opened: (attempt) => attempt.judgeAndClose(true, "TLS handshake"),
  received: () => {},
  ended: () => {},
};

const plain: TlsProbePlan = { serverName: "", verify: true, ca: "" };

export function tlsProbe(network: ProbeNetwork): Probe {
  return {
    name: "tls",
    run: (subject, plan, signal) =>
      // Where traffic is encrypted, and nothing else is said of the probe, it is made as traffic is.
      subject.tls !== undefined && plan.tls === null
        ? Attempt.make(network, subject, plan, signal, handshake)
        : askWithin(network, plan, signal, "no handshake", (over) =>
            network.shakeHands(subject.address, { ...(plan.tls ?? plain), ...said(plan) }, over),
          ),
  };
}

function said(plan: ReadinessPlan): { preface?: Uint8Array } {
  const preface = probePreface(plan);
  return preface === null ? {} : { preface };
}
