// Lets a few handshakes begin in each turn of the loop, in the order in which their clients came.
//
// Bun reads five sockets that shake hands in a turn; who is too many waits in a queue of its own, from which the newest is taken
// first (tests/integration/runtime/tls.test.ts). Each handshake is read twice, hello and end, so with two begun a turn that queue
// stays empty, and a client that is half through does not wait for those who come after it. With half a core and 256 clients
// that come anew all the time the slowest hundredth waited 570 ms without it, some for more than 10 s; with it 39 ms, at the
// same rate and cost. Bun's five allow no more than two and a half a turn either.

/** What is let in. */
export interface Entrant {
  /** It is not read until it is let in. */
  hold(): void;
  /** False when it is gone: it takes nobody's place. */
  letIn(): boolean;
}

const mostPerTurn = 2;

/** One for each listener. */
export class Turnstile {
  readonly #afterTurn: (fn: () => void) => void;
  /** Begun in this turn. */
  #begun = 0;
  /** Those that are held: waiting[first ...]. */
  #waiting: Entrant[] = [];
  #first = 0;
  #turning = false;

  /** `afterTurn` calls once, in the next turn of the loop. */
  constructor(afterTurn: (fn: () => void) => void = setImmediate) {
    this.#afterTurn = afterTurn;
  }

  get held(): number {
    return this.#waiting.length - this.#first;
  }

  /** Takes a connection that was just accepted. */
  enter(entrant: Entrant): void {
    if (this.#begun < mostPerTurn && this.held === 0) this.#begun++;
    else {
      entrant.hold();
      this.#waiting.push(entrant);
    }
    if (!this.#turning) this.#turn();
  }

  #turn(): void {
    this.#turning = true;
    this.#afterTurn(this.#next);
  }

  readonly #next = (): void => {
    this.#turning = false;
    this.#begun = 0;
    while (this.#begun < mostPerTurn && this.held > 0) {
      if (this.#waiting[this.#first++]!.letIn()) this.#begun++;
    }
    // Those that went in are let go of, in pieces: a queue that never empties is a busy one.
    if (this.held === 0 || this.#first === 1024) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    if (this.#begun > 0) this.#turn();
  };
}
