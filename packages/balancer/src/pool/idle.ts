// pool/: which endpoint gets the next exchange, and what is known of each one. Knows counters, states, time and chance as
// arguments; must not know HTTP messages, routes or sockets (probes reach the network through net/ only).

/** Longest time that one is watched, ms: beyond it nobody's setting makes a difference to us. */
const longestWatch = 140_000;

/** A kept-alive connection to an endpoint that waits for its next exchange. */
export interface IdleConnection {
  /** Clock ms since when it has been idle; set by the owner before `put`. */
  idleSince: number;
  /** Exchanges it has carried so far. */
  exchanges: number;
  /** Close it: it will not be used again. May call back into `remove`. */
  retire(): void;
}

/**
 * The idle connections to one endpoint in one worker, newest on top. The newest is reused first, so that a burst's extra
 * connections grow old together and are closed, instead of all being kept just alive by turns.
 */
export class IdleConnections {
  /** Most that are kept; replaced when a snapshot is committed. */
  maxIdle: number;
  /** False while the endpoint drains: what comes back is closed, so that it can stop without waiting for us. */
  accepting = true;
  readonly #stack: IdleConnection[] = [];
  #closed = false;
  /** Whether one that is too old to be used is kept until the endpoint closes it, to see when it does. */
  watching = false;
  #watched: IdleConnection | null = null;
  /** The newest was given up for its age, and nobody has asked since. */
  #aged = false;

  constructor(maxIdle: number) {
    this.maxIdle = maxIdle;
  }

  /** How many wait now; the one that is only watched counts too. */
  get size(): number {
    return this.#stack.length + (this.#watched === null ? 0 : 1);
  }

  /** How long the one that is watched has been idle, ms; 0 when none is. */
  watchedFor(now: number): number {
    return this.#watched === null ? 0 : now - this.#watched.idleSince;
  }

  /** The connection used last if it is younger than `maxAge` ms, else null; then all are too old and given up. */
  take(now: number, maxAge: number): IdleConnection | null {
    const newest = this.#stack.pop();
    if (newest === undefined) return null;
    if (now - newest.idleSince < maxAge) return newest;
    this.#aged = true;
    this.#stack.push(newest);
    this.#giveUp(this.#stack.length);
    return null;
  }

  /** Whether `take` would have returned a connection were it not for its age; true once for each time. */
  aged(): boolean {
    const aged = this.#aged;
    this.#aged = false;
    return aged;
  }

  /** Keeps a connection; false when there is no place for it, and then the caller closes it. */
  put(connection: IdleConnection, now: number): boolean {
    if (this.#closed || !this.accepting || this.#stack.length >= this.maxIdle) return false;
    connection.idleSince = now;
    this.#stack.push(connection);
    this.#aged = false;
    return true;
  }

  /** Forgets a connection that ended while idle; no matter if it is not here. */
  remove(connection: IdleConnection): void {
    if (connection === this.#watched) {
      this.#watched = null;
      return;
    }
    // At most maxIdle long, and the ones that die are mostly found at the far end; an index in every connection would
    // have to be kept right by take and put, which run a thousand times as often.
    const at = this.#stack.indexOf(connection);
    if (at >= 0) this.#stack.splice(at, 1);
  }

  /** Gives up those that have been idle for `maxAge` ms or more. */
  prune(now: number, maxAge: number): void {
    const watched = this.#watched;
    if (watched !== null && (!this.watching || now - watched.idleSince >= longestWatch)) {
      this.#watched = null;
      watched.retire();
    }
    const stack = this.#stack;
    let old = 0;
    while (old < stack.length && now - stack[old]!.idleSince >= maxAge) old++;
    if (old === 0) return;
    this.#aged = old === stack.length;
    this.#giveUp(old);
  }

  /** Retires all; later ones are welcome again. */
  clear(): void {
    const watched = this.#watched;
    this.#watched = null;
    watched?.retire();
    for (const connection of this.#stack.splice(0)) connection.retire();
  }

  /** Retires all and keeps none from now on: the endpoint has left the configuration. */
  retireAll(): void {
    this.#closed = true;
    this.clear();
  }

  /** Retires the oldest `count`; the very oldest is watched instead, if one is wanted. */
  #giveUp(count: number): void {
    for (const connection of this.#stack.splice(0, count)) {
      if (this.watching && this.#watched === null) this.#watched = connection;
      else connection.retire();
    }
  }
}
