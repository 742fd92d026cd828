// What is under way at one endpoint in one worker, oldest first: exchanges on their connections, and tunnels. A list threaded
// through its members, so that the data plane pays a few stores for it and nothing is allocated.

/** An exchange or a tunnel. The links belong to the list: start them as null and leave them alone. */
export interface Occupant {
  nextThere: Occupant | null;
  previousThere: Occupant | null;
  /** A tunnel ends when somebody ends it; an exchange ends by itself. */
  readonly tunnel: boolean;
  /**
   * A tunnel in which nobody knows what is under way: it has nearly all of a drain's window to end by itself, where others are
   * asked to end as soon as they can.
   */
  readonly patient: boolean;
  /** Clock ms when it began. */
  readonly since: number;
  /** Asks a tunnel to end in good order in `ms`; -1 takes that back if it has not begun. Exchanges do nothing. */
  closeAfter(ms: number): void;
  /** The drain's window is over: it ends now, whatever is lost. It leaves the list before this returns. */
  cut(): void;
}

export class Occupants {
  /** The oldest. */
  first: Occupant | null = null;
  #last: Occupant | null = null;

  enter(one: Occupant): void {
    const last = this.#last;
    one.previousThere = last;
    one.nextThere = null;
    if (last === null) this.first = one;
    else last.nextThere = one;
    this.#last = one;
  }

  /** Takes it out; no matter if it is not here. */
  leave(one: Occupant): void {
    const previous = one.previousThere;
    const next = one.nextThere;
    if (previous === null && this.first !== one) return;
    if (previous === null) this.first = next;
    else previous.nextThere = next;
    if (next === null) this.#last = previous;
    else next.previousThere = previous;
    one.nextThere = one.previousThere = null;
  }

  /** All at this moment: what is done with one may take others out. */
  all(): Occupant[] {
    const all: Occupant[] = [];
    for (let one = this.first; one !== null; one = one.nextThere) all.push(one);
    return all;
  }
}
