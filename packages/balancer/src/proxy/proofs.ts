// What an authority finds when it looks by TLS whether a name is ours (TLS-ALPN-01, RFC 8737): it offers the protocol acme-tls/1
// alone, and must be shown a certificate that was made for its question. A runtime that lets a certificate be chosen by name knows
// nothing of protocols at that moment (tests/integration/runtime/tls.test.ts), so the client's hello is read before the
// handshake, on listeners with TLS and only while a question is open.
import { ClientHelloReader } from "@plimsoll/wire/client-hello";
import type { ServerTls, TlsContext } from "../net/tls.ts";
import { tlsContext } from "../net/tls-context.ts";

/** One question, and what answers it. PEM, both. */
export interface ProofPlan {
  /** DNS name in lower case. */
  readonly name: string;
  readonly cert: string;
  readonly key: string;
}

/** By name. */
export type Proofs = ReadonlyMap<string, TlsContext>;

/** RFC 8737 §4. */
const protocol = "acme-tls/1";

/** null where nothing is asked, which is nearly always. Throws an Error when the runtime does not take a certificate. */
export function foldProofs(open: readonly ProofPlan[] = []): Proofs | null {
  if (open.length === 0) return null;
  // The authority is no client of the listener's: its versions, suites and client certificates are not asked of it.
  const common = { ciphers: "", groups: "", ca: "", crl: "", clientCertificates: "off" } as const;
  const contextOf = ({ cert, key }: ProofPlan) =>
    tlsContext({ side: "accept", minVersion: "1.2", maxVersion: "1.3", certificates: [{ cert, key }], ...common });
  return new Map(open.map((proof) => [proof.name, contextOf(proof)]));
}

/** Listens to a client until it is known whether it asks for a proof. */
export class ProofWait {
  readonly #reader = new ClientHelloReader();
  #heard = 0;

  /** Reads on in all that came so far. True when enough is known: bytes that are no hello ask for nothing. */
  hears(bytes: Uint8Array): boolean {
    this.#reader.step(bytes, this.#heard, bytes.length);
    this.#heard = bytes.length;
    return this.#reader.done || this.#reader.violation !== 0;
  }

  /** What it asks for; null for everybody else, also for who offers that protocol beside others (RFC 8737 §3). */
  found(proofs: Proofs): TlsContext | null {
    const { done, hello } = this.#reader;
    if (!done || hello.alpn.length !== 1 || hello.alpn[0] !== protocol) return null;
    return proofs.get(hello.serverName) ?? null;
  }
}

/** How hands are shaken with who asks for `proof`, on a listener that does so with others like `usual`. */
export function provingTls(usual: ServerTls, proof: TlsContext): ServerTls {
  return { ...usual, context: proof, choose: () => proof, alpn: [protocol], clientCertificates: "off" };
}
