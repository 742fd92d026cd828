// A TLS handshake for its own sake: made, judged, and ended again. Probes make one every few seconds; balanced traffic never
// takes this way, so node:tls is good enough.
import { readFileSync } from "node:fs";
import { connect as connectPlain, type Socket } from "node:net";
import { checkServerIdentity, connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import type { Address } from "./transport.ts";

export interface HandshakeOptions {
  /** Name that is asked for and verified; "" means the address. */
  readonly serverName: string;
  /** Whether the certificate must be valid for that name. */
  readonly verify: boolean;
  /** PEM file of trusted authorities, read now; "" means the system's. */
  readonly ca: string;
  /** What is sent, unencrypted, before the handshake. */
  readonly preface?: Uint8Array;
}

export interface HandshakeOutcome {
  readonly ok: boolean;
  /** "TLSv1.3 handshake", "connection refused", "certificate has expired". */
  readonly detail: string;
}

/** Makes one. Never rejects; `signal` ends it at once. */
export function shakeHands(
  address: Address,
  { serverName, verify, ca, preface }: HandshakeOptions,
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
  const place = address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port };
  let carrier: Socket | null = null;
  const options: ConnectionOptions = {
    ...place,
    // RFC 6066 §3: an address is no server name; what the certificate says of it is verified all the same.
    servername: isAddress(name) ? "" : name,
    checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
    rejectUnauthorized: verify,
    ...(authorities === undefined ? {} : { ca: authorities }),
  };
  let socket: TLSSocket | null = null;
  let over = false;
  const end = (outcome: HandshakeOutcome): void => {
    if (over) return;
    over = true;
    signal.removeEventListener("abort", aborted);
    resolve(outcome);
    socket?.destroy();
    carrier?.destroy();
  };
  const aborted = (): void => end({ ok: false, detail: "cancelled" });
  const failed = (cause: unknown): void => end({ ok: false, detail: wordsFor(cause) });
  try {
    if (preface !== undefined) {
      carrier = connectPlain(place);
      carrier.on("error", failed);
      carrier.write(preface);
      options.socket = carrier;
    }
    socket = connect(options);
  } catch (cause) {
    failed(cause);
    return promise;
  }
  const shaken = socket;
  // An error may come after the verdict, too, and must be heard then as well: unheard ones end the program.
  shaken.on("error", failed);
  shaken.on("close", () => end({ ok: false, detail: "connection closed before the handshake was over" }));
  shaken.on("secureConnect", () => {
    if (verify && !shaken.authorized) return failed(shaken.authorizationError);
    end({ ok: true, detail: `${shaken.getProtocol() ?? "TLS"} handshake` });
  });
  if (signal.aborted) aborted();
  else signal.addEventListener("abort", aborted);
  return promise;
}

function isAddress(name: string): boolean {
  return name.includes(":") || /^\d+(\.\d+){3}$/.test(name);
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
