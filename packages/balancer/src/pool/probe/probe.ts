// What a probe is, and the one connection that those which speak to the endpoint themselves make for it.
import { writeProxyLine, writeProxyLocal } from "@plimsoll/wire/proxy-protocol";
import type { Clock } from "../../base/clock.ts";
import type { Timers } from "../../net/clock.ts";
import type { CommandOptions, CommandOutcome } from "../../net/run-command.ts";
import type { HandshakeOptions, HandshakeOutcome } from "../../net/tls-handshake.ts";
import type { ClientTls } from "../../net/tls.ts";
import type { Address, CloseReason, Connection, ConnectionHandler, Transport } from "../../net/transport.ts";
import type { ReadinessPlan } from "../plan.ts";

/** What one probe saw. */
export interface Seen {
  readonly ok: boolean;
  /** Status of the answer, where there was one. */
  readonly status?: number;
  /** It is not ready and asks to be drained: by a status of `drainOn`, or by Retry-After. */
  readonly drain?: "status" | "retry-after";
  /** For a person: "status 503, expected 200-299", "connection refused". */
  readonly detail: string;
  /** Ms from the start of the connect to the verdict. */
  readonly took: number;
}

/** Something that can be probed: an Endpoint, or its plan. */
export interface ProbeSubject {
  readonly address: Address;
  /** How traffic speaks TLS to it; absent = not at all. */
  readonly tls?: ClientTls | undefined;
}

export interface Probe {
  readonly name: ReadinessPlan["probe"];
  /**
   * Asks once. Ends within `plan.timeout`, or at once when `signal` aborts, and then says that it was not ok; never rejects.
   */
  run(subject: ProbeSubject, plan: ReadinessPlan, signal: AbortSignal): Promise<Seen>;
}

/** What probes need to reach an endpoint. A connection here is made as traffic makes it. */
export interface ProbeNetwork {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly timers: Timers;
  shakeHands(address: Address, options: HandshakeOptions, signal: AbortSignal): Promise<HandshakeOutcome>;
  runCommand(options: CommandOptions, signal: AbortSignal): Promise<CommandOutcome>;
}

/** What a way of asking does with the bytes of one connection. The answer comes through `attempt`. */
export interface Dialogue {
  opened(attempt: Attempt): void;
  received(bytes: Uint8Array, attempt: Attempt): void;
  /** The endpoint will send no more, before there was a verdict. */
  ended(attempt: Attempt): void;
}

/** What an endpoint that expects the PROXY protocol hears first from a probe; null = nothing. */
export function probePreface({ proxyProtocol }: ReadinessPlan): Uint8Array | null {
  return proxyProtocol === "off" ? null : proxyProtocol === "v1" ? ownLine : ownHeader;
}

const ownLine = writeProxyLine({ source: "", sourcePort: 0, destination: "", destinationPort: 0 });
const ownHeader = writeProxyLocal();

/** Longest that a connection is read on after the verdict, in bytes: an answer's body, in case it comes. */
const lingerBytes = 64 * 1024;

/** One connection for one question: bounds its time and makes sure that there is exactly one verdict. */
export class Attempt implements ConnectionHandler {
  readonly #dialogue: Dialogue;
  readonly #network: ProbeNetwork;
  readonly #plan: ReadinessPlan;
  readonly #connection: Connection;
  readonly #started: number;
  readonly #stopTimer: () => void;
  readonly #signal: AbortSignal;
  readonly #resolve: (seen: Seen) => void;
  #open = false;
  #judged = false;
  #ended = false;
  #unsent: Uint8Array = new Uint8Array(0);
  #lingered = 0;

  private constructor(
    network: ProbeNetwork,
    subject: ProbeSubject,
    plan: ReadinessPlan,
    signal: AbortSignal,
    dialogue: Dialogue,
    resolve: (seen: Seen) => void,
  ) {
    this.#dialogue = dialogue;
    this.#network = network;
    this.#plan = plan;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#started = network.clock.now();
    this.#connection = network.transport.connect(subject.address, this, subject.tls, probePreface(plan));
    this.#stopTimer = network.timers.after(plan.timeout, this.#timedOut);
    signal.addEventListener("abort", this.#aborted);
  }

  /** Connects and lets `dialogue` find the verdict. */
  static make(
    network: ProbeNetwork,
    subject: ProbeSubject,
    plan: ReadinessPlan,
    signal: AbortSignal,
    dialogue: Dialogue,
  ): Promise<Seen> {
    if (signal.aborted) return Promise.resolve({ ok: false, detail: "cancelled", took: 0 });
    return new Promise((resolve) => void new Attempt(network, subject, plan, signal, dialogue, resolve));
  }

  /** Sends everything, as the endpoint takes it. */
  send(bytes: Uint8Array): void {
    if (this.#unsent.length > 0) this.#unsent = Buffer.concat([this.#unsent, bytes]);
    else this.#push(bytes);
  }

  #push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const accepted = this.#connection.write(bytes, 0, bytes.length);
    this.#unsent = bytes.subarray(accepted);
  }

  /**
   * The verdict; later ones are ignored. The connection is read on to its end within what is left of the time, because an
   * answer cut off in the middle is an error in the application's log every few seconds.
   */
  judge(ok: boolean, detail: string, more: Pick<Seen, "status" | "drain"> = {}): void {
    if (this.#judged) return;
    this.#judged = true;
    const took = this.#network.clock.now() - this.#started;
    this.#resolve({ ok, detail, took, ...more });
    if (this.#ended) this.#connection.close();
  }

  /** The verdict, when there is nothing more to come that is worth waiting for. */
  judgeAndClose(ok: boolean, detail: string, more: Pick<Seen, "status" | "drain"> = {}): void {
    this.judge(ok, detail, more);
    this.#connection.close();
  }

  onOpen(): void {
    this.#open = true;
    this.#dialogue.opened(this);
  }

  onData(bytes: Uint8Array): void {
    if (!this.#judged) return this.#dialogue.received(bytes, this);
    this.#lingered += bytes.length;
    if (this.#lingered > lingerBytes) this.#connection.close();
  }

  onDrain(): void {
    this.#push(this.#unsent);
  }

  onEnd(): void {
    this.#ended = true;
    if (!this.#judged) this.#dialogue.ended(this);
    this.#connection.close();
  }

  onClose(reason: CloseReason, cause: string): void {
    this.#stopTimer();
    this.#signal.removeEventListener("abort", this.#aborted);
    this.judge(false, this.#closeDetail(reason, cause));
  }

  readonly #timedOut = (): void => {
    const what = this.#open ? "no answer" : "no connection";
    this.judge(false, `${what} within ${this.#plan.timeout} ms`);
    this.#connection.close();
  };

  readonly #aborted = (): void => {
    this.judge(false, "cancelled");
    this.#connection.close();
  };

  #closeDetail(reason: CloseReason, cause: string): string {
    const because = cause === "" ? "" : ` (${cause})`;
    if (reason === "refused") return "connection refused";
    if (reason === "unreachable") return `could not be reached${because}`;
    if (reason === "handshake") return `the TLS handshake failed${because}`;
    if (reason === "untrusted" || reason === "expired" || reason === "misnamed")
      return `its certificate is not valid${because}`;
    return reason === "reset" ? "connection reset before an answer" : "connection closed before an answer";
  }
}
