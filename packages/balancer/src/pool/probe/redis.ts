// Ready is a Redis (or Valkey) that answers PING with PONG: one that still loads its data, or lost its primary and may not
// serve, answers something else.
import type { ScriptStep } from "../plan.ts";
import type { Probe, ProbeNetwork } from "./probe.ts";
import { begins, scriptedProbe, send } from "./script.ts";

export function redisProbe(network: ProbeNetwork): Probe {
  return scriptedProbe(network, "redis", ({ login }) => [
    ...(login === null || login.password === "" ? [] : authentication(login.user, login.password)),
    send(command("PING")),
    begins("+PONG\r\n"),
    send(command("QUIT")),
  ]);
}

function authentication(user: string, password: string): readonly ScriptStep[] {
  return [send(command("AUTH", ...(user === "" ? [] : [user]), password)), begins("+OK\r\n")];
}

/** An array of bulk strings, as RESP frames a command. */
function command(...words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}
