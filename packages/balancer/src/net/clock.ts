// The real time and the real chance, for whoever takes them as arguments elsewhere. With wheel.ts the only place in the
// engine where the system's clock, its random numbers and its timers are touched.

import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";

/** The system's clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
};

/** The system's chance; not for secrets (use `crypto.getRandomValues` there). */
export const systemRandom: Random = Math.random;

/** Timers for control code; the data plane uses the wheel. A returned function cancels and may be called again. */
export interface Timers {
  /** Calls `fn` every `ms`, first after `ms`. Does not keep the process alive. */
  every(ms: number, fn: () => void): () => void;
  /** Calls `fn` once after `ms`. Does not keep the process alive. */
  after(ms: number, fn: () => void): () => void;
}

/** The system's timers. */
export const systemTimers: Timers = {
  every(ms, fn) {
    const timer = setInterval(fn, ms);
    timer.unref();
    return () => clearInterval(timer);
  },
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Calls `fn` every `ms` until the returned function is called. */
export const every = systemTimers.every;

/** Calls `fn` once after `ms` unless the returned function was called before. */
export const after = systemTimers.after;
