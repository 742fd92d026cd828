// Time that only moves when a test moves it. Has the shape of the engine's Clock and Timers, without importing them.

interface Alarm {
  at: number;
  /** Alarms of the same moment run in the order they were set. */
  readonly order: number;
  /** 0 = once. */
  readonly every: number;
  readonly run: () => void;
}

/** A clock and its timers. All times in ms. */
export class VirtualTime {
  #now: number;
  readonly #epoch: number;
  #order = 0;
  #alarms: Alarm[] = [];

  /** `epoch` is what `wall()` says at the start: 1 January 2026 unless told. */
  constructor(start = 0, epoch = Date.UTC(2026, 0, 1)) {
    this.#now = start;
    this.#epoch = epoch - start;
  }

  readonly now = (): number => this.#now;
  readonly wall = (): number => this.#epoch + this.#now;

  /** Calls `run` every `ms`; returns what cancels it. */
  readonly every = (ms: number, run: () => void): (() => void) => this.#set(ms, Math.max(ms, 1), run);

  /** Calls `run` once after `ms`; returns what cancels it. */
  readonly after = (ms: number, run: () => void): (() => void) => this.#set(ms, 0, run);

  /** How many alarms are set. */
  get pending(): number {
    return this.#alarms.length;
  }

  /** Moves on by `ms` and runs what falls due on the way, each at its own moment. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (let next = this.#next(until); next; next = this.#next(until)) {
      this.#now = Math.max(this.#now, next.at);
      if (next.every > 0) next.at = this.#now + next.every;
      else this.#remove(next);
      next.run();
    }
    this.#now = until;
  }

  #set(ms: number, every: number, run: () => void): () => void {
    const alarm: Alarm = { at: this.#now + Math.max(0, ms), order: this.#order++, every, run };
    this.#alarms.push(alarm);
    return () => this.#remove(alarm);
  }

  #remove(alarm: Alarm): void {
    this.#alarms = this.#alarms.filter((one) => one !== alarm);
  }

  #next(until: number): Alarm | undefined {
    let best: Alarm | undefined;
    for (const one of this.#alarms) {
      if (one.at > until) continue;
      if (!best || one.at < best.at || (one.at === best.at && one.order < best.order)) best = one;
    }
    return best;
  }
}
