// What becomes of an exchange after 101 Switching Protocols: two connections joined, bytes passed as they come in both
// directions, each half closed by itself. A drain ends it in good order: a WebSocket by close frames, others by FIN.
import { clientCloseFrame, FrameTracker, goingAway, serverCloseFrame } from "@plimsoll/wire/websocket";
import type { FaultCode } from "../base/fault.ts";
import type { CloseReason, Connection } from "../net/transport.ts";
import { Timer } from "../net/wheel.ts";
import { EndpointCell } from "../observe/table.ts";
import type { Endpoint } from "../pool/endpoint.ts";
import type { Occupant } from "../pool/occupants.ts";
import type { EngineContext } from "./engine-context.ts";
import { type Outbox, settle } from "./outbox.ts";
import { TunnelEnd, type TunnelEvents } from "./tunnel-end.ts";

/** How far the leaving has come. */
const Leaving = {
  no: 0,
  /** It has its moment and waits for it. */
  asked: 1,
  /** The client gets or got a close frame. What it still sends, its own close frame above all, goes on to the endpoint. */
  client: 2,
  /** The client did not answer it, so the endpoint gets one from us. */
  endpoint: 3,
  /** Both connections were ended; their peers' ends are waited for. */
  ending: 4,
} as const;

/** How long a peer may take to answer a close frame or an end, ms. */
const answerPatience = 2_000;

/** One side: `cell` counts what comes in there. */
export interface TunnelSide {
  readonly connection: Connection;
  readonly outbox: Outbox;
  readonly cell: number;
}

/** What a tunnel is made of. */
export interface TunnelPlan {
  readonly context: EngineContext;
  readonly endpoint: Endpoint;
  /** Longest silence, ms. */
  readonly idle: number;
  readonly webSocket: boolean;
  readonly client: TunnelSide;
  readonly upstream: TunnelSide;
  /** Told once, at the end: bytes from the client and from the endpoint. */
  readonly ended: (fault: FaultCode | "", up: number, down: number) => void;
}

export class Tunnel implements Occupant, TunnelEvents {
  nextThere: Occupant | null = null;
  previousThere: Occupant | null = null;
  readonly tunnel = true;
  readonly patient = false;
  readonly since: number;
  readonly client: TunnelEnd;
  readonly upstream: TunnelEnd;
  readonly #plan: TunnelPlan;
  readonly #timer: Timer;
  /** For leaving; made when somebody asks. */
  #leaveTimer: Timer | null = null;
  #leaving: number = Leaving.no;
  #over = false;

  constructor(plan: TunnelPlan) {
    const { context, client, upstream, webSocket } = plan;
    this.#plan = plan;
    this.since = context.wheel.now;
    const { cells } = context;
    const track = (side: TunnelSide, fromClient: boolean): TunnelEnd =>
      new TunnelEnd(
        this,
        side.connection,
        side.outbox,
        webSocket ? new FrameTracker(fromClient) : null,
        cells,
        side.cell,
      );
    this.client = track(client, true);
    this.upstream = track(upstream, false);
    this.client.other = this.upstream;
    this.upstream.other = this.client;
    client.connection.handler = this.client;
    upstream.connection.handler = this.upstream;
    this.#timer = new Timer(() => this.#end("tunnel-idle-timeout"));
    this.touch();
    plan.endpoint.enter(this, context.random);
  }

  /** Something passed: the idle clock starts again. */
  touch(): void {
    if (!this.#over) this.#plan.context.wheel.arm(this.#timer, this.#plan.idle);
  }

  // Occupant

  closeAfter(ms: number): void {
    if (this.#over || this.#leaving > Leaving.asked) return;
    if (ms < 0) {
      this.#leaving = Leaving.no;
      if (this.#leaveTimer !== null) this.#plan.context.wheel.disarm(this.#leaveTimer);
      return;
    }
    this.#leaving = Leaving.asked;
    this.#armLeave(ms);
  }

  cut(): void {
    this.cutFor("drain-window-over");
  }

  /** Resets both connections. */
  cutFor(fault: FaultCode): void {
    if (this.#over) return;
    this.#finish(fault);
    for (const end of [this.client, this.upstream]) {
      end.outbox.clear();
      if (!end.closed) end.connection.reset();
    }
  }

  // TunnelEvents

  end(): void {
    this.#end("");
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

  saidGoodbye(): void {
    if (this.#leaving !== Leaving.client && this.#leaving !== Leaving.endpoint) return;
    if (this.client.frames?.closed === true && this.upstream.frames?.closed === true) this.#endBoth();
  }

  farewellOver(): void {
    this.#armLeave(answerPatience);
  }

  peerEnded(end: TunnelEnd): void {
    // A client that hangs up on our close frame without a word of its own: the endpoint still gets to know why.
    if (end === this.client && this.#leaving === Leaving.client) end.farewell(this.#clientClose());
  }

  // Leaving

  /** The next step: its moment has come, or patience is over. */
  #leave(): void {
    switch (this.#leaving) {
      case Leaving.asked:
        this.#leaving = Leaving.client;
        this.#plan.endpoint.count(EndpointCell.tunnelsClosed);
        this.#say(this.upstream, serverCloseFrame(goingAway));
        break;
      case Leaving.client:
        this.#leaving = Leaving.endpoint;
        this.#say(this.client, this.#clientClose());
        break;
      case Leaving.endpoint:
        this.#endBoth();
        break;
      default:
        this.#end("");
    }
    settle();
  }

  /**
   * Has a close frame put into what `from` sends. While it waits for the end of a frame, no clock runs: a large message to a
   * slow client may take what is left of the window.
   */
  #say(from: TunnelEnd, frame: Uint8Array): void {
    if (!from.farewell(frame)) this.#endBoth();
    else if (from.farewellDone) this.#armLeave(answerPatience);
  }

  #clientClose(): Uint8Array {
    return clientCloseFrame(goingAway, Math.floor(this.#plan.context.random() * 2 ** 32));
  }

  #endBoth(): void {
    this.#leaving = Leaving.ending;
    this.#armLeave(answerPatience);
    this.client.endInOrder();
    this.upstream.endInOrder();
  }

  #armLeave(ms: number): void {
    this.#leaveTimer ??= new Timer(() => this.#leave());
    if (!this.#over) this.#plan.context.wheel.arm(this.#leaveTimer, ms);
  }

  // The end

  /** Closes both sides; one that did not take all it was sent is reset, so that it does not take a part for the whole. */
  #end(fault: FaultCode | ""): void {
    if (this.#over) return;
    const cut = [this.client, this.upstream].filter(({ outbox }) => outbox.blocked);
    this.#finish(fault);
    for (const end of [this.client, this.upstream]) {
      if (end.closed) continue;
      if (cut.includes(end)) end.connection.reset();
      else end.connection.close();
    }
  }

  #finish(fault: FaultCode | ""): void {
    const { context, endpoint, ended } = this.#plan;
    this.#over = true;
    context.wheel.disarm(this.#timer);
    if (this.#leaveTimer !== null) context.wheel.disarm(this.#leaveTimer);
    endpoint.occupants.leave(this);
    ended(fault, this.client.received, this.upstream.received);
  }
}
