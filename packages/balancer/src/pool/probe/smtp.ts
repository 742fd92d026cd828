// Ready is a mail server that greets with 220 and answers EHLO with 250. It is left with QUIT, as RFC 5321 §4.1.1.10 asks.
import type { Probe, ProbeNetwork } from "./probe.ts";
import { matches, scriptedProbe, send } from "./script.ts";

/** Whole answers: the last line has a space after its code, or nothing (§4.2.1). */
const greeting = /^(?:220-[^\n]*\n)*220(?: [^\n]*)?\r?\n/;
const welcome = /^(?:250-[^\n]*\n)*250(?: [^\n]*)?\r?\n/;
const other = (code: string): RegExp => new RegExp(`^(?!${code})[0-9]{3}`);

export function smtpProbe(network: ProbeNetwork): Probe {
  return scriptedProbe(network, "smtp", () => [
    matches(greeting, other("220")),
    send("EHLO plimsoll.invalid\r\n"),
    matches(welcome, other("250")),
    send("QUIT\r\n"),
  ]);
}
