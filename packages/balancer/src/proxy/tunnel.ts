// What becomes of an exchange after 101 Switching Protocols: two connections joined, bytes passed as they come in both
// directions, each half closed by itself, and back-pressure from either side to the other.
import type { FaultCode } from "../base/fault.ts";
import type { CloseReason, Connection, ConnectionHandler } from "../net/transport.ts";
import { Timer, type Wheel } from "../net/wheel.ts";
import type { Outbox } from "./outbox.ts";
import { settle } from "./outbox.ts";

/** One end of a tunnel: what arrives here leaves through the other end. */
class TunnelEnd implements ConnectionHandler {
  readonly connection: Connection;
  readonly outbox: Outbox;
  other: TunnelEnd | null = null;
  received = 0;
  /** The peer sent FIN. */
  ended = false;
  /** We owe the peer a FIN once its outbox is empty. */
  owesEnd = false;
  closed = false;
  readonly #tunnel: Tunnel;

  constructor(tunnel: Tunnel, connection: Connection, outbox: Outbox) {
    this.#tunnel = tunnel;
    this.connection = connection;
    this.outbox = outbox;
  }

  onOpen(): void {}

  onData(bytes: Uint8Array): void {
    this.pass(bytes, 0, bytes.length);
    settle();
    if (this.other?.outbox.blocked === true) this.connection.pause();
  }

  /** Sends bytes out of the other end. */
  pass(bytes: Uint8Array, from: number, to: number): void {
    this.received += to - from;
    this.#tunnel.touch();
    this.other?.outbox.append(bytes, from, to);
  }

  onDrain(): void {
    this.#tunnel.touch();
    if (!this.outbox.drain()) return;
    if (this.owesEnd) this.#endNow();
    else this.other?.connection.resume();
  }

  onEnd(): void {
    this.ended = true;
    const other = this.other;
    if (other === null || other.closed) return;
    other.outbox.flush();
    if (other.outbox.blocked) other.owesEnd = true;
    else other.#endNow();
  }

  /** Everything that came from the other end is out: its FIN follows. */
  #endNow(): void {
    const other = this.other as TunnelEnd;
    this.owesEnd = false;
    if (other.closed) this.connection.close();
    else if (this.ended && !other.owesEnd) this.#tunnel.end("");
    else this.connection.shutdown();
  }

  onClose(reason: CloseReason, _cause: string): void {
    this.closed = true;
    this.outbox.clear();
    this.#tunnel.lost(this, reason);
  }
}

export class Tunnel {
  readonly client: TunnelEnd;
  readonly upstream: TunnelEnd;
  readonly #timer: Timer;
  readonly #wheel: Wheel;
  readonly #idle: number;
  readonly #ended: (fault: FaultCode | "", up: number, down: number) => void;
  #over = false;

  constructor(
    wheel: Wheel,
    idle: number,
    client: { readonly connection: Connection; readonly outbox: Outbox },
    upstream: { readonly connection: Connection; readonly outbox: Outbox },
    ended: (fault: FaultCode | "", up: number, down: number) => void,
  ) {
    this.#wheel = wheel;
    this.#idle = idle;
    this.#ended = ended;
    this.client = new TunnelEnd(this, client.connection, client.outbox);
    this.upstream = new TunnelEnd(this, upstream.connection, upstream.outbox);
    this.client.other = this.upstream;
    this.upstream.other = this.client;
    client.connection.handler = this.client;
    upstream.connection.handler = this.upstream;
    this.#timer = new Timer(() => this.end("tunnel-idle-timeout"));
    this.touch();
  }

  /** Something passed: the idle clock starts again. */
  touch(): void {
    if (!this.#over) this.#wheel.arm(this.#timer, this.#idle);
  }

  /** One side is gone: what it sent is delivered, then the other closes the same way. */
  lost(end: TunnelEnd, reason: CloseReason): void {
    if (this.#over) return;
    const other = end.other as TunnelEnd;
    if (reason === "closed" && other.outbox.blocked) {
      other.owesEnd = true;
      return;
    }
    this.#finish("");
    if (other.closed) return;
    if (reason === "closed") other.connection.close();
    else other.connection.reset();
  }

  /** Closes both sides. */
  end(fault: FaultCode | ""): void {
    if (this.#over) return;
    this.#finish(fault);
    for (const end of [this.client, this.upstream]) if (!end.closed) end.connection.close();
  }

  #finish(fault: FaultCode | ""): void {
    this.#over = true;
    this.#wheel.disarm(this.#timer);
    this.#ended(fault, this.client.received, this.upstream.received);
  }
}
