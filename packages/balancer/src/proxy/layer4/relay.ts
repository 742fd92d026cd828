// Two connections joined: what arrives on one leaves through the other, each direction held back and ended by itself, and a
// reset is passed on as a reset. Nobody knows what is spoken, so a drain leaves it alone for as long as it can, and then
// ends it where it is quiet.
import type { FaultCode } from "../../base/fault.ts";
import type { CloseReason, Connection } from "../../net/transport.ts";
import { Timer } from "../../net/wheel.ts";
import { EndpointCell } from "../../observe/table.ts";
import type { Endpoint } from "../../pool/endpoint.ts";
import type { Occupant } from "../../pool/occupants.ts";
import type { EngineContext } from "../engine-context.ts";
import type { Outbox } from "../outbox.ts";
import { TunnelEnd, type TunnelEvents } from "../tunnel-end.ts";

/** Silence, ms, that is taken for the end of something rather than its middle. */
const quiet = 1_000;
/** How long a peer may take to end after it was told of the end, ms. */
const patience = 2_000;

/** Whose end came first, or what ended it. */
export type EndedBy = "client" | "endpoint" | "drain" | "idle";

export interface RelayOwner {
  /** It is over. */
  relayed(fault: FaultCode | "", by: EndedBy): void;
  /** The endpoint reset it before a byte passed either way. Whether the client goes elsewhere, and the relay ends here. */
  untouched(): boolean;
}

export interface RelayPlan {
  readonly context: EngineContext;
  readonly endpoint: Endpoint;
  /** Longest silence, ms. */
  readonly idle: number;
  /** With the cell in which what comes in is counted. */
  readonly client: { readonly connection: Connection; readonly outbox: Outbox; readonly cell: number };
  readonly upstream: { readonly connection: Connection; readonly outbox: Outbox; readonly cell: number };
}

export class Relay implements Occupant, TunnelEvents {
  nextThere: Occupant | null = null;
  previousThere: Occupant | null = null;
  readonly tunnel = true;
  readonly patient = true;
  readonly since: number;
  readonly client: TunnelEnd;
  readonly upstream: TunnelEnd;
  /** When the endpoint's first byte came, clock ms; 0 = none did. */
  firstByteAt = 0;
  readonly #context: EngineContext;
  readonly #endpoint: Endpoint;
  readonly #owner: RelayOwner;
  readonly #idle: number;
  readonly #timer: Timer;
  /** For leaving; made when somebody asks. */
  #leaveTimer: Timer | null = null;
  /** When something passed last, of the wheel. */
  #passedAt: number;
  #by: EndedBy | "" = "";
  /** Both peers were told of the end. */
  #ending = false;
  #over = false;

  constructor({ context, endpoint, idle, client, upstream }: RelayPlan, owner: RelayOwner) {
    this.#context = context;
    this.#endpoint = endpoint;
    this.#owner = owner;
    this.#idle = idle;
    this.since = context.clock.now();
    this.#passedAt = context.wheel.now;
    const { cells } = context;
    this.client = new TunnelEnd(this, client.connection, client.outbox, null, cells, client.cell);
    this.upstream = new TunnelEnd(this, upstream.connection, upstream.outbox, null, cells, upstream.cell);
    this.client.other = this.upstream;
    this.upstream.other = this.client;
    client.connection.handler = this.client;
    upstream.connection.handler = this.upstream;
    this.#timer = new Timer(() => this.#silent());
    context.wheel.arm(this.#timer, idle);
    endpoint.enter(this, context.random);
  }

  // TunnelEvents

  touch(): void {
    if (this.#over) return;
    this.#passedAt = this.#context.wheel.now;
    if (this.firstByteAt === 0 && this.upstream.received > 0) this.#answered();
  }

  end(): void {
    this.#close("");
  }

  /** One side is gone: what it sent is delivered, then the other ends the same way. */
  lost(end: TunnelEnd, reason: CloseReason): void {
    if (this.#over) return;
    const other = end.other as TunnelEnd;
    // An endpoint that has ended has said all: what became of its connection since cuts nothing of that.
    if (reason === "closed" || (end === this.upstream && end.ended)) {
      if (other.outbox.blocked) {
        other.owesEnd = true;
        return;
      }
      this.#finish("", this.#by === "" ? this.#sideOf(end) : this.#by);
      if (!other.closed) other.connection.close();
      return;
    }
    const untouched = this.client.received === 0 && this.upstream.received === 0 && !this.client.ended;
    if (end === this.upstream) {
      this.#endpoint.tryFailed("upstream-reset", false);
      if (untouched && this.#moved()) return;
    }
    this.#finish(end === this.client ? "client-gone" : "connection-reset", this.#sideOf(end));
    other.outbox.clear();
    if (!other.closed) other.connection.reset();
  }

  saidGoodbye(): void {}
  farewellOver(): void {}

  peerEnded(end: TunnelEnd): void {
    if (this.#by === "") this.#by = this.#sideOf(end);
  }

  // Occupant

  closeAfter(ms: number): void {
    if (this.#over || this.#ending) return;
    if (ms >= 0) this.#armLeave(ms);
    else if (this.#leaveTimer !== null) this.#context.wheel.disarm(this.#leaveTimer);
  }

  cut(): void {
    this.cutFor("drain-window-over");
  }

  /** Resets both connections. */
  cutFor(fault: FaultCode): void {
    if (this.#ending) this.#close("");
    if (this.#over) return;
    this.#finish(fault, "drain");
    for (const end of [this.client, this.upstream]) {
      end.outbox.clear();
      if (!end.closed) end.connection.reset();
    }
  }

  /** The endpoint's first byte: it works. */
  #answered(): void {
    this.firstByteAt = this.#context.clock.now();
    this.#endpoint.count(EndpointCell.connections);
  }

  /** Ends both in order at a quiet moment; until there is one it looks again. */
  #leave(): void {
    if (this.#ending) {
      this.#close("");
      return;
    }
    const rest = this.#passedAt + quiet - this.#context.wheel.now;
    if (rest > 0 || this.client.outbox.blocked || this.upstream.outbox.blocked) {
      this.#armLeave(Math.max(rest, quiet / 4));
      return;
    }
    this.#ending = true;
    if (this.#by === "") this.#by = "drain";
    this.#endpoint.count(EndpointCell.tunnelsClosed);
    this.#armLeave(patience);
    this.client.endInOrder();
    this.upstream.endInOrder();
  }

  #armLeave(ms: number): void {
    this.#leaveTimer ??= new Timer(() => this.#leave());
    if (!this.#over) this.#context.wheel.arm(this.#leaveTimer, ms);
  }

  /** The idle clock is not wound with each piece; it looks how long ago the last one was. */
  #silent(): void {
    const left = this.#passedAt + this.#idle - this.#context.wheel.now;
    if (left > 0) {
      this.#context.wheel.arm(this.#timer, left);
      return;
    }
    this.#by = "idle";
    this.#close("tunnel-idle-timeout");
  }

  /** Closes both sides; one that did not take all it was sent is reset, so that it does not take a part for the whole. */
  #close(fault: FaultCode | ""): void {
    if (this.#over) return;
    const cut = [this.client, this.upstream].filter(({ outbox }) => outbox.blocked);
    this.#finish(fault, this.#by === "" ? "client" : this.#by);
    for (const end of [this.client, this.upstream]) {
      if (end.closed) continue;
      if (cut.includes(end)) end.connection.reset();
      else end.connection.close();
    }
  }

  #sideOf(end: TunnelEnd): EndedBy {
    return end === this.client ? "client" : "endpoint";
  }

  #moved(): boolean {
    this.#stop();
    if (this.#owner.untouched()) return true;
    this.#over = false;
    return false;
  }

  #finish(fault: FaultCode | "", by: EndedBy): void {
    this.#stop();
    this.#owner.relayed(fault, by);
  }

  #stop(): void {
    this.#over = true;
    this.#context.wheel.disarm(this.#timer);
    if (this.#leaveTimer !== null) this.#context.wheel.disarm(this.#leaveTimer);
    this.#endpoint.occupants.leave(this);
  }
}
