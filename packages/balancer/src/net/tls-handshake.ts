// A TLS handshake for its own sake: made, judged, and ended again. Probes make one every few seconds; balanced traffic never
// takes this way, so node:tls is good enough.
import { readFileSync } from "node:fs";
import { connect as connectPlain, isIP } from "node:net";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import type { Address } from "./transport.ts";

export interface HandshakeOptions {
  /** Name that is asked for and verified; "" means the address. */
  readonly serverName: string;
  /** Whether the certificate must be valid for that name. */
  readonly verify: boolean;
  /** PEM file of trusted authorities, read now; "" means the system's. */
  readonly ca: string;
}

export interface HandshakeOutcome {
  readonly ok: boolean;
  /** "TLSv1.3 handshake", "connection refused", "certificate has expired". */
  readonly detail: string;
}

/** Makes one. Never rejects; `signal` ends it at once. */
export function shakeHands(
  address: Address,
  { serverName, verify, ca }: HandshakeOptions,
  signal: AbortSignal,
): Promise<HandshakeOutcome> {
  const { promise, resolve } = Promise.withResolvers<HandshakeOutcome>();
  let authorities: string | undefined;
  try {
    authorities = ca === "" ? undefined : readFileSync(ca, "utf8");
  } catch (cause) {
    return Promise.resolve({ ok: false, detail: `${ca} cannot be read: ${messageOf(cause)}` });
  }
  const host = address.kind === "unix" ? "localhost" : address.host;
  const name = serverName === "" ? host : serverName;
  const options: ConnectionOptions = {
    rejectUnauthorized: verify,
    // RFC 6066 §3: an address is no server name; what the certificate says of it is verified all the same.
    ...(isIP(name) === 0 ? { servername: name } : { host: name }),
    ...(authorities === undefined ? {} : { ca: authorities }),
  };
  const socket =
    address.kind === "unix" ? connectPlain(address.path) : connectPlain(address.port, address.host);
  let shaken: TLSSocket | null = null;
  let over = false;
  const end = (outcome: HandshakeOutcome): void => {
    if (over) return;
    over = true;
    signal.removeEventListener("abort", aborted);
    resolve(outcome);
    shaken?.destroy();
    socket.destroy();
  };
  const aborted = (): void => end({ ok: false, detail: "cancelled" });
  const failed = (cause: unknown): void => end({ ok: false, detail: wordsFor(cause) });
  socket.on("error", failed);
  socket.on("close", () => end({ ok: false, detail: "connection closed before the handshake was over" }));
  socket.on("connect", () => {
    if (over) return;
    try {
      shaken = connect({ ...options, socket });
    } catch (cause) {
      return failed(cause);
    }
    const tls = shaken;
    tls.on("error", failed);
    tls.on("close", () => end({ ok: false, detail: "connection closed before the handshake was over" }));
    tls.on("secureConnect", () => {
      const { authorizationError } = tls;
      if (verify && !tls.authorized) return failed(authorizationError);
      end({ ok: true, detail: `${tls.getProtocol() ?? "TLS"} handshake` });
    });
  });
  if (signal.aborted) aborted();
  else signal.addEventListener("abort", aborted);
  return promise;
}

function wordsFor(cause: unknown): string {
  const code = typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : "";
  if (code === "ECONNREFUSED") return "connection refused";
  if (code === "ECONNRESET") return "connection reset before the handshake was over";
  const message = messageOf(cause);
  return code === "" || message.includes(code) ? message : `${message} (${code})`;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
