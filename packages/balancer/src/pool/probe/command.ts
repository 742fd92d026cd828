// Ready is for whom a program exits with 0. It is told the endpoint in its environment: PLIMSOLL_ADDRESS, and PLIMSOLL_HOST
// and PLIMSOLL_PORT or PLIMSOLL_SOCKET.
import type { Address } from "../../net/transport.ts";
import { askWithin } from "./one-shot.ts";
import type { Probe, ProbeNetwork } from "./probe.ts";

/** Longest part of what a program says that is repeated in events. */
const longestWords = 120;

export function commandProbe(network: ProbeNetwork): Probe {
  return {
    name: "command",
    run: (subject, plan, signal) =>
      askWithin(network, plan, signal, "the command did not end", async (over) => {
        const words = plan.command?.words ?? [];
        const env = { ...Object.fromEntries(plan.command?.env ?? []), ...environmentOf(subject.address) };
        const { code, signal: by, problem, lastLine } = await network.runCommand({ words, env }, over);
        if (problem !== "") return { ok: false, detail: `the command cannot be run: ${problem}` };
        const end = code === null ? `ended by ${by}` : `exit ${code}`;
        const said = lastLine.length > longestWords ? `${lastLine.slice(0, longestWords - 1)}…` : lastLine;
        return { ok: code === 0, detail: said === "" ? end : `${end}: ${said}` };
      }),
  };
}

function environmentOf(address: Address): Record<string, string> {
  if (address.kind === "unix") return { PLIMSOLL_ADDRESS: `unix:${address.path}`, PLIMSOLL_SOCKET: address.path };
  const { host, port } = address;
  return {
    PLIMSOLL_ADDRESS: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`,
    PLIMSOLL_HOST: host,
    PLIMSOLL_PORT: String(port),
  };
}
