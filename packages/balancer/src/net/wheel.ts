// One coarse timing wheel for every timeout of a worker. Arming an armed timer later costs one store (the wheel moves it
// when its old slot comes up), because nearly every timeout is pushed back and nearly none fires. Nothing is allocated
// after the timers themselves: slots are rings threaded through the timers.

import type { Clock } from "../base/clock.ts";

/** Something that can expire. One object per connection, re-armed for each rung in turn. */
export class Timer {
  /** Wheel time in ms when it fires; 0 when disarmed. */
  deadline = 0;
  /** Wheel internals: the slot it lies in, -1 when in none. */
  slot = OUTSIDE;
  /** Wheel internals: its neighbours in the ring of that slot. */
  next: Timer = this;
  previous: Timer = this;
  /** Called once per expiry, from `tick`; may arm and disarm any timer, also this one. */
  readonly expire: () => void;
  constructor(expire: () => void) {
    this.expire = expire;
  }
}

/** How exact the wheel is, in ms: a timer never fires early and at most this (and the interval that drives it) late. */
export const wheelGranularity = 25;

// 512 slots of 25 ms: one turn takes 12.8 s. Idle timeouts are longer than a turn and are looked at once per turn, which
// for 10,000 idle connections is 800 looks a second.
const slotCount = 512;
const slotMask = slotCount - 1;
const OUTSIDE = -1;
// Taken out of its slot by the tick that runs now (or ran out of its allowance) and about to be looked at.
const DUE = -2;
// When ten thousand connections expire together (a rival's deploy, a network split), the requests in between still get
// their turn: what is left over goes on at the next tick.
const defaultAllowance = 2048;

/** What a wheel can be built with. */
export interface WheelOptions {
  /** How many timers one tick looks at before it leaves the rest to the next. */
  readonly allowance?: number;
  /** Told of an `expire` that threw, which is a defect of ours; the wheel goes on. */
  readonly onDefect?: (error: unknown) => void;
}

/** The wheel. It reads no clock: `tick` brings it the time. */
export class Wheel {
  /** The engine's coarse clock: the time of the last tick, in ms of whatever clock drives the wheel. */
  now: number;
  readonly #slots: Timer[] = [];
  readonly #due = new Timer(nothing);
  readonly #allowance: number;
  readonly #onDefect: (error: unknown) => void;
  /** The last tick number (time / granularity) whose slot was emptied. */
  #cursor: number;
  #size = 0;

  constructor(now: number, options: WheelOptions = {}) {
    this.now = now;
    this.#cursor = Math.floor(now / wheelGranularity);
    this.#allowance = options.allowance ?? defaultAllowance;
    this.#onDefect = options.onDefect ?? ((error) => console.error("plimsoll: a timer failed:", error));
    for (let i = 0; i < slotCount; i++) this.#slots.push(new Timer(nothing));
  }

  /** How many timers are armed. */
  get size(): number {
    return this.#size;
  }

  /** Lets `timer` expire `delayMs` after `now`, whatever it was armed for before. A delay of 0 means the next tick. */
  arm(timer: Timer, delayMs: number): void {
    const wanted = this.now + delayMs;
    // 0 means disarmed, and a virtual clock may well start there.
    const deadline = wanted > 0 ? wanted : Number.MIN_VALUE;
    timer.deadline = deadline;
    const slot = timer.slot;
    if (slot === DUE) return;
    if (slot === OUTSIDE) {
      this.#size++;
      this.#place(timer);
      return;
    }
    // The usual case: its slot comes up before the new deadline and will move it then.
    const visit = this.#cursor + 1 + ((slot - this.#cursor - 1) & slotMask);
    if (visit <= Math.ceil(deadline / wheelGranularity)) return;
    unlink(timer);
    this.#place(timer);
  }

  /** Lets `timer` not expire. Idempotent. It leaves the wheel at once, so that the wheel keeps no dead connection alive. */
  disarm(timer: Timer): void {
    timer.deadline = 0;
    if (timer.slot === OUTSIDE) return;
    unlink(timer);
    timer.slot = OUTSIDE;
    this.#size--;
  }

  /** Takes the new time and expires what is due, oldest slot first, at most the allowance. */
  tick(now: number): void {
    this.now = now;
    const target = Math.floor(now / wheelGranularity);
    // After a long stop of the process every slot is looked at once, not once per turn that was missed.
    if (target - this.#cursor > slotCount) this.#cursor = target - slotCount;
    let left = this.#allowance;
    for (;;) {
      left = this.#expireDue(now, left);
      if (left === 0 || this.#cursor >= target) return;
      this.#cursor++;
      this.#takeOut(this.#cursor & slotMask);
    }
  }

  #expireDue(now: number, allowance: number): number {
    const due = this.#due;
    let left = allowance;
    while (due.next !== due && left > 0) {
      left--;
      const timer = due.next;
      unlink(timer);
      if (timer.deadline > now) {
        this.#place(timer);
        continue;
      }
      timer.deadline = 0;
      timer.slot = OUTSIDE;
      this.#size--;
      try {
        timer.expire();
      } catch (error) {
        this.#onDefect(error);
      }
    }
    return left;
  }

  // The whole ring moves: a timer that belongs to a later turn of the same slot is put back into it, and must not be
  // met again on this round.
  #takeOut(slot: number): void {
    const head = this.#slots[slot]!;
    const due = this.#due;
    for (let timer = head.next; timer !== head; timer = timer.next) timer.slot = DUE;
    if (head.next === head) return;
    const first = head.next;
    const last = head.previous;
    head.next = head;
    head.previous = head;
    first.previous = due.previous;
    due.previous.next = first;
    last.next = due;
    due.previous = last;
  }

  #place(timer: Timer): void {
    const wanted = Math.ceil(timer.deadline / wheelGranularity);
    const index = (wanted > this.#cursor ? wanted : this.#cursor + 1) & slotMask;
    const head = this.#slots[index]!;
    timer.slot = index;
    timer.next = head;
    timer.previous = head.previous;
    head.previous.next = timer;
    head.previous = timer;
  }
}

/** Drives a wheel by a real interval that does not keep the process alive. Returns what stops it. */
export function startWheel(wheel: Wheel, clock: Clock): () => void {
  const interval = setInterval(() => wheel.tick(clock.now()), wheelGranularity);
  interval.unref();
  return () => clearInterval(interval);
}

function unlink(timer: Timer): void {
  timer.previous.next = timer.next;
  timer.next.previous = timer.previous;
  timer.next = timer;
  timer.previous = timer;
}

function nothing(): void {}
