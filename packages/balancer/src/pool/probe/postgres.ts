// Ready is a PostgreSQL that would let somebody in: who the probe says it is gets as far as being asked for a password, or is
// turned away for a reason of its own. A server that starts up, shuts down, recovers or has no connection left says so.
import type { Probe, ProbeNetwork } from "./probe.ts";
import { matches, scriptedProbe, send } from "./script.ts";

/** Protocol 3.0 */
const version = [0, 3, 0, 0];
const terminate = Uint8Array.of(0x58, 0, 0, 0, 4);

/**
 * R asks who we are, or says that we are in. E is an error with its SQLSTATE in the field C: class 57P is an operator's
 * intervention (starting, stopping, recovering), 53 a lack of resources (too many connections). Others are about this login.
 */
const answer = /^(?:R|E[^]{4}(?:[^C\0][^\0]*\0)*C(?!57P|53)[^\0]{5}\0)/;
const refusal = /^(?:E[^]{4}(?:[^C\0][^\0]*\0)*C(?:57P|53)[^]*\0\0$|[^RE])/;

export function postgresProbe(network: ProbeNetwork): Probe {
  return scriptedProbe(network, "postgres", ({ login }) => [
    send(startup(login?.user === undefined || login.user === "" ? "plimsoll" : login.user, login?.database ?? "")),
    matches(answer, refusal),
    send(terminate),
  ]);
}

function startup(user: string, database: string): Uint8Array {
  const parameters = ["user", user, ...(database === "" ? [] : ["database", database]), "application_name", "plimsoll"];
  const text = Buffer.from(`${parameters.join("\0")}\0\0`, "utf8");
  const message = Buffer.alloc(8 + text.length);
  message.writeUInt32BE(message.length, 0);
  message.set(version, 4);
  message.set(text, 8);
  return message;
}
