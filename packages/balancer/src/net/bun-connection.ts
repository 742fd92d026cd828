// net/: the door to the system: sockets, descriptors, timers, names. Everything above it takes bytes, time and chance as
// arguments. It must not know HTTP, pools, plans or configuration.
//
// This file: one connection on a raw Bun socket: the states it goes through and what Bun's events mean in each.
//
// What Bun 1.4 does that one would not guess (each pinned in tests/integration/runtime):
// - `write` returns -1 when the peer has reset the connection, and eats the error: afterwards comes `end` and a clean
//   `close`, as if the peer had finished in order. `lost` remembers it, so that half an answer never looks whole.
// - When both sides have sent FIN Bun closes by itself; if ours went first there is no `end`, only `close`.
// - A reset is delivered also while paused, together with the bytes that lay unread.
// - `drain` comes without a short write before it, and once when a connecting socket is connected.
// - With TLS, what came in one read is decrypted and delivered to its end although it was paused in the middle: up to 512 KiB,
//   and then the end. It is kept here until it is wanted.

import type { ProxyHeader } from "@plimsoll/wire/proxy-protocol";
import type { Socket } from "bun";
import type { Accept, CloseReason, Connection, ConnectionHandler } from "./transport.ts";
import type { ClientTls, ServerTls, TlsFacts } from "./tls.ts";
import { free, worthFreeing } from "../base/bytes.ts";
import { keepAlive } from "./keep-alive.ts";
import { peerGone, receiveQueue, sendMore, sendQueue } from "./libc.ts";
import { alwaysFine, boundIfNarrow } from "./narrow-window.ts";
import { plainAddress } from "./socket-address.ts";

/** A raw socket; its `data` is our connection. */
export type RawSocket = Socket<BunConnection>;

/** Also while a handshake is under way, on either side. */
const CONNECTING = 0;
const OPEN = 1;
/** Closed for its owner; our FIN is out and what the peer still sends is read and dropped. See lingering.ts. */
const LINGERING = 2;
const DEAD = 3;

/** What a connection needs of the transport that made it. */
export interface ConnectionHost {
  /** The descriptor is gone. */
  freed(client: boolean): void;
  /** Keep `connection` until the peer is done or time is up. */
  linger(connection: BunConnection): void;
  lingered(connection: BunConnection): void;
  /** A handler threw: a defect of ours. */
  defect(error: unknown): void;
  /** A plain connection goes on in TLS. */
  upgrade(connection: BunConnection, tls: ServerTls, ahead: Uint8Array, accept: Accept): void;
  /** A connection of ours that is connected goes on with its handshake. */
  encrypt(connection: BunConnection, tls: ClientTls): void;
}

/** What a connection of ours begins with before its owner hears of it: bytes in plain text, and then perhaps a handshake. */
interface Beginning {
  readonly preface: Uint8Array;
  readonly tls: ClientTls | undefined;
}

/** A handshake that is under way; bun-tls.ts knows more of it. */
export interface PendingHandshake {
  /** The connection is gone. True if its owner knows already, or never knew of it. */
  brokenOff(connection: BunConnection, cause: string): boolean;
}

// Fields are plain rather than #private: Bun's events reach in from outside the class, several times per request.
export class BunConnection implements Connection {
  handler: ConnectionHandler;
  socket: RawSocket | null = null;
  state: number;
  /** A short write happened and `onDrain` is owed. */
  waiting = false;
  /** Not paused. */
  reading = true;
  /** The peer's FIN was read. */
  ended = false;
  /** Our FIN is out or on its way. */
  shut = false;
  /** A write found the connection reset. */
  lost = false;
  /** Bytes that may be written before its peer's window is looked at; below 0 = it was, or need not be. */
  unmeasured: number;
  proxied: ProxyHeader | null = null;
  /** Not null until it is sent. */
  first: Beginning | null = null;
  /** Not null while its handshake is under way. */
  shaking: PendingHandshake | null = null;
  tls: TlsFacts | null = null;
  /** Where sessions that the peer offers are kept; on connections of ours. */
  session: ClientTls | null = null;
  /** Came decrypted while paused; not null = nothing is delivered past it, and `reading` is false. */
  kept: Uint8Array[] | null = null;
  /** The end that followed what is kept: the peer's, and the socket's. */
  keptEnd = false;
  keptClose = false;
  /** Asked to go on reading; what was kept is delivered first. */
  resuming = false;
  /** Bytes dropped while lingering. */
  dropped = 0;
  /** Where a connection of ours went; undefined on accepted ones. */
  readonly target: { readonly host: string; readonly port: number } | undefined;
  readonly #host: ConnectionHost;
  #reason: CloseReason = "closed";
  #cause = "";
  #remoteAddress: string | undefined;
  #localAddress: string | undefined;

  constructor(
    host: ConnectionHost,
    handler: ConnectionHandler,
    socket: RawSocket | null,
    target: { readonly host: string; readonly port: number } | undefined,
  ) {
    this.#host = host;
    this.handler = handler;
    this.socket = socket;
    this.target = target;
    this.state = socket === null ? CONNECTING : OPEN;
    // Endpoints are not suspected.
    this.unmeasured = target === undefined ? alwaysFine : -1;
  }

  write(bytes: Uint8Array, from: number, to: number): number {
    const wanted = to - from;
    if (this.state !== OPEN) {
      if (this.state !== CONNECTING) return wanted;
      this.waiting = wanted > 0;
      return 0;
    }
    if (this.unmeasured >= 0 && (this.unmeasured -= wanted) < 0) boundIfNarrow(fdOf(this.socket!));
    const accepted = this.socket!.write(bytes, from, wanted);
    if (accepted === wanted) return wanted;
    if (accepted >= 0) {
      this.waiting = true;
      return accepted;
    }
    if (this.shut) return wanted;
    // Not torn down while it is read: an answer that the peer sent before it reset (a 413 to an upload) still comes.
    // Paused it would stay for ever: the write has eaten the error that Bun would have woken up for.
    this.lost = true;
    if (!this.reading) this.abandon("reset", "reset while we wrote");
    return wanted;
  }

  writeAhead(bytes: Uint8Array, from: number, to: number): number {
    const wanted = to - from;
    // Of what is encrypted each piece is a record of its own, which Bun must make.
    if (from !== 0 || this.state !== OPEN || this.waiting || this.tls !== null) return this.write(bytes, from, to);
    const accepted = sendMore(fdOf(this.socket!), bytes, wanted);
    // Why it was not all taken is for Bun to find out, which then says when there is room.
    if (accepted === wanted) return wanted;
    return accepted > 0 ? accepted + this.write(bytes, accepted, to) : this.write(bytes, from, to);
  }

  pause(): void {
    this.resuming = false;
    if (!this.reading) return;
    this.reading = false;
    if (this.state !== OPEN) return;
    if (this.lost) this.abandon("reset", "reset while we wrote");
    else this.socket!.pause();
  }

  resume(): void {
    if (this.reading) return;
    if (this.kept !== null) {
      if (!this.resuming) queueMicrotask(() => this.#release());
      this.resuming = true;
      return;
    }
    this.reading = true;
    if (this.state === OPEN) this.socket!.resume();
  }

  /** Delivers what was kept, as far as it is wanted. */
  #release(): void {
    const kept = this.kept;
    if (kept === null || !this.resuming) return;
    try {
      for (let chunk = kept.shift(); chunk !== undefined; chunk = kept.shift()) {
        this.handler.onData(chunk);
        if (this.kept !== kept || !this.resuming) return;
      }
      this.kept = null;
      this.resuming = false;
      this.reading = true;
      if (this.keptEnd) this.handler.onEnd();
    } catch (error) {
      this.failed(error);
    }
    if (this.keptClose) this.tell("closed", "");
    else if (this.state === OPEN && this.reading) this.socket!.resume();
  }

  /** Its owner wants no more: what was kept is dropped. True if all that is left to do is to say that it is closed. */
  #forget(): boolean {
    const only = this.keptClose;
    this.kept = null;
    this.keptClose = false;
    this.resuming = false;
    return only;
  }

  shutdown(): void {
    if (this.shut) return;
    this.shut = true;
    if (this.state === OPEN) this.socket!.shutdown();
  }

  keepAlive(): void {
    if (this.state === OPEN) keepAlive(fdOf(this.socket!));
  }

  ending(): boolean {
    return this.state !== OPEN || peerGone(fdOf(this.socket!));
  }

  unsent(): number {
    return this.state === OPEN ? sendQueue(fdOf(this.socket!)) : -1;
  }

  /** Whether our end may not be out yet: in TLS it waits in line behind what the peer has not taken. */
  get owesLastWord(): boolean {
    return this.tls !== null && this.state === LINGERING && sendQueue(fdOf(this.socket!)) > 0;
  }

  close(nothingFollows = false): void {
    if (this.state === CONNECTING) return this.abandon("closed", "given up while connecting");
    if (this.#forget()) this.tell("closed", "");
    if (this.state !== OPEN) return;
    // Lingering was an event, a shutdown and a read more: 2 of the 32 us of a request on a new connection.
    const done = this.ended || this.lost || (nothingFollows && this.tls === null && !this.#unread());
    if (done) {
      this.tell("closed", "");
      this.state = DEAD;
      // Bun closes an encrypted socket without a close_notify, and what was sent would look cut (RFC 8446 §6.1).
      if (this.tls !== null && !this.shut) this.socket!.shutdown();
      this.socket!.close();
      return;
    }
    this.tell("closed", "");
    this.state = LINGERING;
    const socket = this.socket!;
    if (!this.shut) socket.shutdown();
    if (!this.reading) socket.resume();
    this.#host.linger(this);
  }

  /** Whether closing now would make the kernel send RST, which can overtake what it still has to send. */
  #unread(): boolean {
    return receiveQueue(fdOf(this.socket!)) !== 0;
  }

  reset(): void {
    if (this.state === CONNECTING) return this.abandon("closed", "given up while connecting");
    if (this.#forget()) this.tell("closed", "");
    if (this.state === OPEN) this.abandon("closed", "reset by us");
  }

  startTls(tls: ServerTls, ahead: Uint8Array, accept: Accept): void {
    if (this.state === OPEN) this.#host.upgrade(this, tls, ahead, accept);
  }

  get remoteAddress(): string {
    const said = this.#said;
    if (said !== null) return said.family === "ip" ? said.source : "";
    if (this.target !== undefined) return plainAddress(this.target.host);
    const known = this.#remoteAddress;
    if (known !== undefined) return known;
    // Gone with the socket: on a dead connection that was never asked the answer is "".
    return (this.#remoteAddress = plainAddress(this.socket?.remoteAddress));
  }

  get remotePort(): number {
    return this.#said?.sourcePort ?? this.target?.port ?? this.socket?.remotePort ?? 0;
  }

  get localAddress(): string {
    const said = this.#said;
    if (said !== null) return said.family === "ip" ? said.destination : "";
    return (this.#localAddress ??= plainAddress(this.socket?.localAddress));
  }

  get localPort(): number {
    return this.#said?.destinationPort ?? this.socket?.localPort ?? 0;
  }

  /** A header that says whose connection this is; one for the proxy's own connections does not. */
  get #said(): ProxyHeader | null {
    const { proxied } = this;
    return proxied === null || proxied.family === "none" ? null : proxied;
  }

  /** Ends it with RST and tells the owner `reason`. */
  abandon(reason: CloseReason, cause: string): void {
    this.#forget();
    this.tell(reason, cause);
    this.state = DEAD;
    this.socket?.terminate();
  }

  /** Queues `onClose`: it follows when the call that runs now has returned, so no owner is entered twice. */
  tell(reason: CloseReason, cause: string): void {
    this.#reason = reason;
    this.#cause = cause;
    if (ending.push(this) === 1) queueMicrotask(tellEnding);
  }

  /** Calls `onClose`. Once, from the queue. */
  told(): void {
    try {
      this.handler.onClose(this.#reason, this.#cause);
    } catch (error) {
      this.#host.defect(error);
    }
    // What comes from Bun after this is nobody's; and the connection keeps no session alive.
    this.handler = nobody;
  }

  /** Its socket goes on as another connection's: its owner hears no more of it. */
  leave(): void {
    this.state = DEAD;
    this.handler = nobody;
  }

  // What Bun says, in each state.

  /** Its handshake does not begin yet. */
  hold(): void {
    this.socket!.pause();
  }

  /** Its handshake begins; false when it is gone. */
  letIn(): boolean {
    if (this.state !== CONNECTING) return false;
    this.socket!.resume();
    return true;
  }

  /** The handshake of an accepted connection is over. */
  accepted(): void {
    this.state = OPEN;
  }

  opened(): void {
    this.state = OPEN;
    if (!this.reading) this.socket!.pause();
    if (this.shut) this.socket!.shutdown();
    this.handler.onOpen();
    if (this.waiting && this.state === OPEN) this.drained();
  }

  drained(): void {
    if (this.state === CONNECTING) {
      // In a handshake nothing is said before its end.
      if (this.first !== null) this.#begin(this.first);
      else if (this.shaking === null) this.opened();
      return;
    }
    if (!this.waiting || this.state !== OPEN) return;
    this.waiting = false;
    this.handler.onDrain();
  }

  /** It is connected, and has room. */
  #begin({ preface, tls }: Beginning): void {
    const sent = this.socket!.write(preface);
    if (sent >= 0 && sent < preface.length) {
      // Nothing that is as short as these are fills a new socket; but who knows what a system is set to.
      this.first = { preface: preface.subarray(sent), tls };
      return;
    }
    this.first = null;
    // A reset that the write has found (-1) is told as it is on any other connection.
    if (tls !== undefined) return this.#host.encrypt(this, tls);
    this.lost = sent < 0;
    this.opened();
  }

  /** Bytes that came where none were expected. */
  unexpected(bytes: Uint8Array): void {
    if (this.state === CONNECTING && this.shaking === null) {
      this.drained();
      // In plain text, where its handshake should be.
      if (this.state === CONNECTING) this.abandon("handshake", "the peer spoke before the handshake");
      else received(this.socket!, bytes);
    } else if (this.state === LINGERING) {
      this.dropped += bytes.byteLength;
      if (this.dropped > lingerBytes) this.socket!.terminate();
    } else if (this.state === OPEN && this.tls !== null) {
      // An array of its own: bun-transport's tests of kept bytes hold the runtime to it.
      (this.kept ??= []).push(bytes);
    } else if (this.state === OPEN) {
      // Paused: Bun reads on only when the connection was reset.
      this.abandon("reset", "reset while paused");
    }
  }

  finished(): void {
    if (this.state === CONNECTING) {
      // An end in the middle of a handshake: with half-open sockets nothing else would follow.
      if (this.shaking === null) this.drained();
      if (this.state === CONNECTING) return this.socket!.terminate();
    }
    this.ended = true;
    if (this.state === LINGERING) {
      this.socket!.close();
    } else if (this.state === OPEN) {
      if (this.lost) this.abandon("reset", "reset while we wrote");
      else if (this.kept !== null || (this.tls !== null && !this.reading)) {
        this.kept ??= [];
        this.keptEnd = true;
      } else this.handler.onEnd();
    }
  }

  closed(error: Error | undefined): void {
    const state = this.state;
    this.state = DEAD;
    this.#host.freed(this.target === undefined);
    if (state === LINGERING) {
      this.#host.lingered(this);
    } else if (state === CONNECTING) {
      const code = codeOf(error);
      if (this.shaking?.brokenOff(this, code) === true) return;
      if (unreachable.has(code)) this.tell("unreachable", code);
      else if (this.shaking === null || code === "ECONNREFUSED") this.tell("refused", code);
      else this.tell("handshake", code === "" ? "closed by the peer" : code);
    } else if (state === OPEN) {
      if (error !== undefined) return this.tell("reset", codeOf(error));
      if (this.lost) return this.tell("reset", "reset while we wrote");
      if (this.kept !== null && (this.ended || this.shut)) {
        // If our own end went out first there was no `end` (see above).
        this.keptEnd = true;
        this.keptClose = true;
        return;
      }
      if (this.ended) return this.tell("closed", "");
      if (!this.shut) return this.tell("reset", "closed without an end");
      this.tell("closed", "");
      this.handler.onEnd();
    }
  }

  /** The peer broke the encryption off: what it meant to send may be missing. */
  broken(cause: string): void {
    if (this.state === OPEN) this.abandon("reset", cause);
  }

  failed(error: unknown): void {
    this.#host.defect(error);
    if (this.state === OPEN || this.state === CONNECTING) this.abandon("reset", `defect: ${String(error)}`);
  }
}

// A client that uploads into our refusal is read this far, so that it gets to see the refusal (RFC 9112 §9.6).
const lingerBytes = 64 * 1024 * 1024;

// What `connect` fails with when there is no way to the peer, rather than a peer that says no.
const unreachable = new Set([
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTDOWN",
  "ENETDOWN",
  "EADDRNOTAVAIL",
  "EACCES",
  "EPERM",
]);

/** `fd` is there at run time, though not in Bun's types. */
function fdOf(socket: RawSocket): number {
  return (socket as RawSocket & { readonly fd: number }).fd;
}

function codeOf(error: (Error & { code?: string }) | undefined): string {
  return error?.code ?? error?.message ?? "";
}

/** The handler of a connection before it has an owner and after its owner was told of the end. */
export const nobody: ConnectionHandler = {
  onOpen() {},
  onData() {},
  onDrain() {},
  onEnd() {},
  onClose() {},
};

const ending: BunConnection[] = [];

function tellEnding(): void {
  // Grows while it runs when an owner closes another connection.
  for (let i = 0; i < ending.length; i++) ending[i]!.told();
  ending.length = 0;
}

function received(socket: RawSocket, bytes: Uint8Array): void {
  const connection = socket.data;
  if (connection.state !== OPEN || !connection.reading) return connection.unexpected(bytes);
  connection.handler.onData(bytes);
  // Bun has made an array for each piece. Unless the socket is another connection's now, which was given it (`startTls`).
  if (bytes.length >= worthFreeing && connection.state === OPEN) free(bytes);
}

/** Bun's events, the same functions for every socket. What a handler throws arrives in `error`, never in the process. */
export const socketEvents = {
  binaryType: "uint8array" as const,
  data: received,
  drain(socket: RawSocket): void {
    socket.data.drained();
  },
  end(socket: RawSocket): void {
    socket.data.finished();
  },
  close(socket: RawSocket, error?: Error): void {
    // Undefined when the owner's `accept` threw before there was a connection.
    socket.data?.closed(error);
  },
  error(socket: RawSocket, error: Error): void {
    socket.data?.failed(error);
  },
};
