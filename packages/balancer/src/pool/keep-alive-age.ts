// How long an endpoint leaves idle connections open, learned from what it says and from what it does, so that none is used
// again at the moment in which the endpoint closes it (docs/timeouts.md). Whoever sends then gets a reset, and nobody can
// tell whether the request was worked on: Node closes after 5 s, gunicorn after 2 s.

/** Closings that are no further apart than this, ms, have one cause. */
const burstGap = 100;
/** A younger connection that was closed, ms, tells of a setting only if more like it follow. */
const shortest = 1_000;
/** How many of those, in bursts of their own, make a setting. */
const shortNeeded = 3;
/** An endpoint that refuses connections so soon after closing some, ms, was restarted. */
const restartTime = 5_000;

/**
 * The age in ms up to which a connection can be used again when the endpoint closes it at `age`: a second less, because the
 * request must be there before the close; half of what is shorter than two seconds.
 */
export function safeAge(age: number): number {
  return age >= 2_000 ? age - 1_000 : age / 2;
}

/**
 * One endpoint's. What it says (`Keep-Alive: timeout=5`) counts at once. What it does counts with doubt: a closing that
 * comes early lowers the age at once, because waiting for a second one could cost a request, and a connection that is
 * watched while it lives longer raises it again. A restart closes connections of all ages together and teaches nothing.
 */
export class KeepAliveAge {
  /** Safe ages; -1 = unknown. */
  #told = -1;
  #seen = -1;
  #seconds = -1;
  /** A higher age that was seen once; a second one makes it count. */
  #higher = -1;
  // The closings that came together last.
  #burstAt = Number.NEGATIVE_INFINITY;
  #youngest = 0;
  #oldest = 0;
  /** What was known before them. */
  #before = -1;
  // Closings of young connections, one after the other.
  #shortCount = 0;
  #shortAge = 0;

  /** `learned`: safe age in ms that was learned by whoever was here before; 0 = nothing. */
  constructor(learned = 0) {
    if (learned > 0) this.#seen = learned;
  }

  /** Age in ms from which an idle connection is not used again; `planned` while nothing is known. */
  limit(planned: number): number {
    const told = this.#told;
    const seen = this.#seen;
    if (told < 0) return seen < 0 ? planned : seen;
    return seen >= 0 && seen < told ? seen : told;
  }

  /** Safe age in ms that was learned; -1 = nothing yet. */
  get learned(): number {
    return this.limit(-1);
  }

  /** Whether watching an idle connection until the endpoint closes it would teach anything. */
  get curious(): boolean {
    return this.#told < 0 || this.#seen >= 0;
  }

  /** An answer said `Keep-Alive: timeout=<seconds>`. */
  told(seconds: number): void {
    if (seconds === this.#seconds) return;
    this.#seconds = seconds;
    this.#told = safeAge(seconds * 1000);
    // Another setting: what was seen belongs to the one before.
    this.#seen = this.#higher = -1;
  }

  /** The endpoint closed a connection that had been idle for `age` ms; at `now`, of the same clock as in all other calls. */
  closed(age: number, now: number): void {
    const together = now - this.#burstAt <= burstGap;
    this.#burstAt = now;
    if (together) {
      this.#youngest = Math.min(this.#youngest, age);
      this.#oldest = Math.max(this.#oldest, age);
    } else {
      this.#before = this.#seen;
      this.#youngest = this.#oldest = age;
    }
    if (this.#oldest > 2 * this.#youngest + 50) {
      // No timeout ends connections of such different ages at once.
      this.#seen = this.#before;
      this.#shortCount = 0;
    } else if (age >= shortest) {
      // Of those that were closed together the youngest tells most.
      const safe = safeAge(age);
      if (!together || this.#seen < 0 || safe < this.#seen) this.#see(safe);
    } else if (!together) this.#short(age);
  }

  /** A connection that is watched has been idle for `age` ms and is still open. */
  survived(age: number, planned: number): void {
    const safe = safeAge(age);
    const seen = this.#seen;
    if (seen < 0 || safe <= seen) return;
    const usual = this.#told < 0 ? planned : this.#told;
    this.#seen = safe >= usual && seen < usual ? -1 : safe;
    this.#shortCount = 0;
  }

  /** The endpoint refused a connection: what it closed just before, it closed because it went down. */
  refused(now: number): void {
    if (now - this.#burstAt < restartTime) this.#seen = this.#before;
    this.#shortCount = 0;
  }

  #short(age: number): void {
    const alike = this.#shortCount > 0 && age <= this.#shortAge * 1.5 + 50 && this.#shortAge <= age * 1.5 + 50;
    this.#shortAge = alike ? Math.min(age, this.#shortAge) : age;
    this.#shortCount = alike ? this.#shortCount + 1 : 1;
    if (this.#shortCount >= shortNeeded) this.#see(safeAge(this.#shortAge));
  }

  #see(safe: number): void {
    const seen = this.#seen;
    if (this.#told >= 0 && safe >= this.#told) return;
    if (seen >= 0 && safe > seen) {
      this.#seen = this.#higher < 0 ? seen : Math.min(this.#higher, safe);
      this.#higher = this.#higher < 0 ? safe : -1;
      return;
    }
    this.#higher = -1;
    this.#seen = safe;
  }
}
