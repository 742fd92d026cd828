// Ready is a MySQL or MariaDB that greets and answers a login, whatever it says to it. A probe that left after the greeting
// would count as an interrupted handshake, and after max_connect_errors of those (100) the server blocks the balancer's
// address: so it is answered to the end.
import type { Probe, ProbeNetwork } from "./probe.ts";
import { matches, scriptedProbe, send } from "./script.ts";

const Capability = { longPassword: 0x1, protocol41: 0x200, transactions: 0x2000, secure: 0x8000, pluginAuth: 0x80000 };
/** utf8mb4 */
const collation = 45;
const largestPacket = 1 << 24;

/** Three bytes of length, number 0, protocol version 10. What begins with 0xff there is an error: blocked, too many connections. */
const greeting = /^[^]{3}\0\x0a[^]*\0/;
/** OK, an error about this login (1045, 1698, ...), or the wish for another way to log in. Not 1040 and 1203: no connection is left. */
const reply = /^[^]{3}\x02(?:\0|\xfe|\xff(?!\x10\x04|\xb3\x04)[^]{2})/;

export function mysqlProbe(network: ProbeNetwork): Probe {
  return scriptedProbe(network, "mysql", ({ login }) => [
    matches(greeting, /^[^]{4}[^\x0a]/),
    send(response(login?.user === undefined || login.user === "" ? "plimsoll" : login.user)),
    matches(reply, /^[^]{4}\xff(?:\x10\x04|\xb3\x04)/),
    // An empty password to whoever asks for another way; an OK makes it an empty command, which ends the session.
    send(Uint8Array.of(0, 0, 0, 3)),
  ]);
}

/** HandshakeResponse41 without a password. */
function response(user: string): Uint8Array {
  const flags =
    Capability.longPassword |
    Capability.protocol41 |
    Capability.transactions |
    Capability.secure |
    Capability.pluginAuth;
  const head = Buffer.alloc(32);
  head.writeUInt32LE(flags, 0);
  head.writeUInt32LE(largestPacket, 4);
  head[8] = collation;
  const body = Buffer.concat([head, Buffer.from(`${user}\0\0mysql_native_password\0`, "utf8")]);
  return Buffer.concat([Uint8Array.of(body.length & 255, body.length >> 8, 0, 1), body]);
}
