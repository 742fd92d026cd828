// The times of an exchange that belong to none of its connections: the whole of it, one try, the wait before a hedge. They
// share one timer, armed for the nearest; an exchange that has none of them has no clock.
import type { FaultCode } from "../base/fault.ts";
import { Timer, type Wheel } from "../net/wheel.ts";

/** What is told when a time is over. Each may set and clear times. */
export interface ClockOwner {
  /** The whole exchange: `fault` is what `limit` was given. */
  timeOver(fault: FaultCode): void;
  tryOver(): void;
  hedgeDue(): void;
}

/** Times are the wheel's; 0 = not set. */
export class ExchangeClock {
  readonly #wheel: Wheel;
  readonly #owner: ClockOwner;
  readonly #timer: Timer;
  #endAt = 0;
  #endFault: FaultCode = "total-timeout";
  #tryAt = 0;
  #hedgeAt = 0;

  constructor(wheel: Wheel, owner: ClockOwner) {
    this.#wheel = wheel;
    this.#owner = owner;
    this.#timer = new Timer(() => this.#expired());
  }

  /** Ms left for the try that is under way, by the nearest of its limits; -1 = no limit. */
  get left(): number {
    return this.#until(nearest(this.#endAt, this.#tryAt));
  }

  /** Ms left for another try that begins now and has `ms` for itself (0 = no limit). */
  leftBeside(ms: number): number {
    return this.#until(nearest(this.#endAt, ms === 0 ? 0 : this.#wheel.now + ms));
  }

  /** The exchange ends in `ms` at the latest, and `fault` is why; the shortest of several counts. */
  limit(ms: number, fault: FaultCode): void {
    const at = this.#wheel.now + ms;
    if (this.#endAt !== 0 && this.#endAt <= at) return;
    this.#endAt = at;
    this.#endFault = fault;
    this.#arm();
  }

  /** The try under way must begin its answer in `ms`; 0 = it need not. */
  limitTry(ms: number): void {
    this.#tryAt = ms === 0 ? 0 : this.#wheel.now + ms;
    this.#arm();
  }

  /** A hedge is due in `ms`; 0 = none is. */
  hedgeIn(ms: number): void {
    this.#hedgeAt = ms === 0 ? 0 : this.#wheel.now + ms;
    this.#arm();
  }

  /** The answer began: only the limit of the whole counts on. */
  answered(): void {
    this.#tryAt = this.#hedgeAt = 0;
    this.#arm();
  }

  clear(): void {
    this.#endAt = this.#tryAt = this.#hedgeAt = 0;
    this.#wheel.disarm(this.#timer);
  }

  #until(at: number): number {
    return at === 0 ? -1 : Math.max(0, Math.floor(at - this.#wheel.now));
  }

  #arm(): void {
    const at = nearest(nearest(this.#endAt, this.#tryAt), this.#hedgeAt);
    if (at === 0) this.#wheel.disarm(this.#timer);
    else this.#wheel.arm(this.#timer, at - this.#wheel.now);
  }

  #expired(): void {
    const { now } = this.#wheel;
    if (this.#endAt !== 0 && this.#endAt <= now) {
      const fault = this.#endFault;
      this.clear();
      this.#owner.timeOver(fault);
    } else if (this.#tryAt !== 0 && this.#tryAt <= now) {
      this.#tryAt = 0;
      this.#arm();
      this.#owner.tryOver();
    } else {
      this.#hedgeAt = 0;
      this.#arm();
      this.#owner.hedgeDue();
    }
  }
}

function nearest(a: number, b: number): number {
  return a === 0 ? b : b === 0 || a < b ? a : b;
}
