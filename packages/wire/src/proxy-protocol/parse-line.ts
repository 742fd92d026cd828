// Version 1: one line of text, at most 107 bytes.
import { formatIpAddress } from "../ip-address/format.ts";
import { isIpv4Mapped, parseIpAddress } from "../ip-address/parse.ts";
import type { ProxyHeader } from "./header.ts";
import { longestLine, signature1 } from "./signature.ts";
import { ProxyViolation } from "./violations.ts";

const CR = 13;
const LF = 10;

/** As `parseProxyHeader`, for bytes that begin with the signature of version 1. */
export function parseLine(bytes: Uint8Array, from: number, to: number, header: ProxyHeader): number {
  const stop = Math.min(to, from + longestLine);
  let p = from + signature1.length;
  while (p < stop && bytes[p]! >= 0x20 && bytes[p]! < 0x7f) p++;
  // A CR as the last byte that is allowed has no room for its LF.
  if (p >= stop || (bytes[p] === CR && p + 1 >= stop)) {
    return stop === from + longestLine ? -ProxyViolation.lineTooLong : 0;
  }
  if (bytes[p] !== CR) return bytes[p] === LF ? -ProxyViolation.lineEnd : -ProxyViolation.lineByte;
  if (bytes[p + 1] !== LF) return -ProxyViolation.lineEnd;

  let line = "";
  for (let i = from + signature1.length; i < p; i++) line += String.fromCharCode(bytes[i]!);
  header.clear();
  header.version = 1;
  const violation = readParts(line.split(" "), header);
  return violation === 0 ? p + 2 : -violation;
}

function readParts(parts: readonly string[], header: ProxyHeader): number {
  const [protocol, source = "", destination = "", sourcePort = "", destinationPort = ""] = parts;
  // Whatever follows UNKNOWN is to be ignored (§2.1).
  if (protocol === "UNKNOWN") return 0;
  if (protocol !== "TCP4" && protocol !== "TCP6") return ProxyViolation.protocol;
  if (parts.length !== 5) return ProxyViolation.lineForm;
  const from = readAddress(source, protocol);
  const to = readAddress(destination, protocol);
  if (from === "" || to === "") return ProxyViolation.address;
  const fromPort = readPort(sourcePort);
  const toPort = readPort(destinationPort);
  if (fromPort < 0 || toPort < 0) return ProxyViolation.port;
  header.family = "ip";
  header.source = from;
  header.destination = to;
  header.sourcePort = fromPort;
  header.destinationPort = toPort;
  return 0;
}

/** The canonical spelling, "" for what is no address of that protocol. */
function readAddress(text: string, protocol: "TCP4" | "TCP6"): string {
  if (text.includes(":") !== (protocol === "TCP6") || text.includes("%")) return "";
  const bytes = parseIpAddress(text);
  if (bytes === null || (protocol === "TCP4" && !isIpv4Mapped(bytes))) return "";
  return formatIpAddress(bytes, 0);
}

function readPort(text: string): number {
  if (!/^(?:0|[1-9][0-9]{0,4})$/.test(text)) return -1;
  const port = Number(text);
  return port > 65_535 ? -1 : port;
}
