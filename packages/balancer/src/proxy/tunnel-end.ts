// One side of a tunnel: what arrives here leaves through the other side, with back-pressure. Where it is a WebSocket its
// frames are followed, so that a close frame can be put between two of them.
import type { FrameTracker } from "@plimsoll/wire/websocket";
import type { CloseReason, Connection, ConnectionHandler } from "../net/transport.ts";
import type { Outbox } from "./outbox.ts";
import { settle } from "./outbox.ts";

/** What a side tells its tunnel. */
export interface TunnelEvents {
  /** Something passed. */
  touch(): void;
  /** Both sides have ended and all is delivered. */
  end(): void;
  /** The connection of a side is gone. */
  lost(end: TunnelEnd, reason: CloseReason): void;
  /** A close frame came in here: its sender sends no more data. */
  saidGoodbye(): void;
  /** The close frame that `farewell` owed went out, or never will. */
  farewellOver(): void;
  /** The peer of a side sent FIN; it is passed on next. */
  peerEnded(end: TunnelEnd): void;
}

const nothing = new Uint8Array(0);

export class TunnelEnd implements ConnectionHandler {
  readonly connection: Connection;
  readonly outbox: Outbox;
  other: TunnelEnd | null = null;
  received = 0;
  /** The peer sent FIN. */
  ended = false;
  /** We owe the peer a FIN once its outbox is empty. */
  owesEnd = false;
  closed = false;
  /** What comes in here from now on leads nowhere: the other side was told that nothing more follows. */
  muted = false;
  /** Frames that come in here; null where it is no WebSocket. */
  readonly frames: FrameTracker | null;
  readonly #tunnel: TunnelEvents;
  readonly #cells: Float64Array;
  readonly #cell: number;
  /** A close frame that is to go to the other side as soon as the frame under way is over. */
  #farewell: Uint8Array = nothing;

  /** What comes in is counted in `cells[cell]`. */
  constructor(
    tunnel: TunnelEvents,
    connection: Connection,
    outbox: Outbox,
    frames: FrameTracker | null,
    cells: Float64Array,
    cell: number,
  ) {
    this.#tunnel = tunnel;
    this.#cells = cells;
    this.#cell = cell;
    this.connection = connection;
    this.outbox = outbox;
    this.frames = frames;
    // Silence may be long here, and means nothing.
    connection.keepAlive();
  }

  onOpen(): void {}

  onData(bytes: Uint8Array): void {
    this.#cells[this.#cell]! += bytes.length;
    this.pass(bytes, 0, bytes.length);
    settle();
    if (!this.muted && this.other?.outbox.blocked === true) this.connection.pause();
  }

  /** Sends bytes out of the other end. */
  pass(bytes: Uint8Array, from: number, to: number): void {
    this.received += to - from;
    this.#tunnel.touch();
    const { frames } = this;
    if (frames === null) {
      if (!this.muted) this.other?.outbox.append(bytes, from, to);
      return;
    }
    if (this.#farewell !== nothing) {
      const boundary = frames.step(bytes, from, to);
      this.other?.outbox.append(bytes, from, boundary);
      this.#sendFarewell();
      from = boundary;
    }
    frames.skip(bytes, from, to);
    if (!this.muted) this.other?.outbox.append(bytes, from, to);
    if (frames.closed) this.#tunnel.saidGoodbye();
  }

  /**
   * Tells the other side, by this close frame and in the name of this one, that nothing more follows: at once between two
   * frames, else after the one under way. False when that cannot be: this is no WebSocket.
   */
  farewell(frame: Uint8Array): boolean {
    const { frames } = this;
    if (frames === null || frames.broken) return false;
    if (this.farewellDone) return true;
    this.#farewell = frame;
    this.#sendFarewell();
    return true;
  }

  /** Whether the other side has been told, by us or by its own peer, with a close frame or an end, that nothing more follows. */
  get farewellDone(): boolean {
    return this.muted || this.ended || this.frames?.closed === true;
  }

  /** Ends the direction towards this side: FIN after what waits, and nothing that still comes the other way is passed. */
  endInOrder(): void {
    (this.other as TunnelEnd).muted = true;
    // Its own end has to be seen, however slowly what it was sent is taken.
    this.connection.resume();
    if (this.closed) return;
    this.outbox.flush();
    if (this.outbox.blocked) this.owesEnd = true;
    else this.connection.shutdown();
  }

  onDrain(): void {
    this.#tunnel.touch();
    if (!this.outbox.drain()) return;
    if (this.owesEnd) this.#endNow();
    else this.other?.connection.resume();
  }

  onEnd(): void {
    this.#tunnel.peerEnded(this);
    this.ended = true;
    const other = this.other;
    if (other === null || other.closed) return;
    other.outbox.flush();
    if (other.outbox.blocked) other.owesEnd = true;
    else other.#endNow();
  }

  onClose(reason: CloseReason, _cause: string): void {
    this.closed = true;
    this.outbox.clear();
    this.#tunnel.lost(this, reason);
  }

  /** Everything that came from the other end is out: its FIN follows. */
  #endNow(): void {
    const other = this.other as TunnelEnd;
    this.owesEnd = false;
    if (other.closed) this.connection.close();
    else if (this.ended && other.ended && !other.owesEnd) this.#tunnel.end();
    else this.connection.shutdown();
  }

  #sendFarewell(): void {
    const { frames } = this;
    if (frames === null || !(frames.atBoundary || frames.broken)) return;
    const frame = this.#farewell;
    this.#farewell = nothing;
    if (frames.atBoundary) {
      this.muted = true;
      // The frame under way may have been a close frame: then nothing more may follow it (RFC 6455 §5.5.1).
      if (!frames.closed) this.other?.outbox.append(frame, 0, frame.length);
    }
    this.#tunnel.farewellOver();
  }
}
