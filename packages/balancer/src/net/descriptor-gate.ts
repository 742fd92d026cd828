// Counts the descriptors of connections and shuts the listeners before the last one is gone. Bun does not: when accept
// fails with EMFILE it tries again at once and for ever, a whole core for nothing. While the doors are shut the kernel
// queues new clients; nobody is refused.

import { readdirSync } from "node:fs";
import { systemTimers, type Timers } from "./clock.ts";
import { readDescriptorLimit } from "./descriptor-limit.ts";

/** A listener as the gate sees it. */
export interface Door {
  /** Accept again. May throw. */
  open(): void;
  /** Stop accepting, keep the queue. */
  shut(): void;
}

// For what is not a connection: epoll, log files, configuration files while they are read, pipes to children.
const reserve = 64;

/**
 * Most descriptors that are kept for connections to endpoints, whatever the limit. A client that rests has none, and of ten
 * thousand that keep their connections open few ask in the same moment.
 */
const mostForEndpoints = 4_096;

/** How it stands with the descriptors of connections. */
export interface DescriptorUse {
  /** The doors are shut. */
  readonly short: boolean;
  /** What the system said when it accepted nobody although there is room here, such as ENFILE; "" = there is no room. */
  readonly cause: string;
  /** Connections open, and how many there is room for; both of clients and to endpoints. */
  readonly open: number;
  readonly room: number;
}

/** Whoever takes descriptors for something else than connections asks here, so that accepting pauses in time. */
export type DescriptorAccount = Pick<DescriptorGate, "isFull" | "taken" | "freed">;

export class DescriptorGate {
  #open = 0;
  /** Those of them that were accepted. */
  #clients = 0;
  #max: number;
  #pauseAt = 0;
  #resumeAt = 0;
  #mostClients = 0;
  #resumeClients = 0;
  #paused = false;
  /** Shut for another reason than descriptors. */
  #held = false;
  #retry: (() => void) | undefined;
  /** Why the system accepts nobody; "" = it would. */
  #cause = "";
  readonly #timers: Timers;
  readonly #doors = new Set<Door>();
  readonly #tell: (use: DescriptorUse) => void;
  readonly #lacking: () => string;

  /** `tell` hears of each change of the doors; `lacking` says why the system would give no descriptor now, "" if it would. `max` undefined: found out from the process's limit when first needed, so that the limit can be raised before. */
  constructor(
    max: number | undefined,
    timers: Timers = systemTimers,
    tell: (use: DescriptorUse) => void = () => undefined,
    lacking: () => string = () => "",
  ) {
    this.#lacking = lacking;
    this.#max = 0;
    this.#timers = timers;
    this.#tell = tell;
    if (max !== undefined) this.#setMax(max);
  }

  /** No descriptor left for one more connection of any kind. */
  get isFull(): boolean {
    if (this.#max === 0) this.#measure();
    return this.#open >= this.#max;
  }

  /**
   * Enough accepted: each will need a connection to its endpoint, all at the same time if they ask at the same time, and an
   * endpoint would be blamed for the descriptor that we lack. An eighth is kept for those that idle at other endpoints.
   */
  get shouldPause(): boolean {
    if (this.#max === 0) this.#measure();
    return (this.#open >= this.#pauseAt || this.#clients >= this.#mostClients) && !this.#paused;
  }

  /** `client`: it was accepted. */
  taken(client: boolean): void {
    this.#open++;
    if (client) this.#clients++;
  }

  freed(client: boolean): void {
    this.#open--;
    if (client) this.#clients--;
    if (this.#paused && this.#cause === "" && this.#open <= this.#resumeAt && this.#clients <= this.#resumeClients)
      this.#resume();
  }

  add(door: Door): void {
    this.#doors.add(door);
    if (this.#paused || this.#held) door.shut();
  }

  /** Shuts the doors whatever descriptors there are, or lets them be open again. */
  hold(held: boolean): void {
    if (this.#held === held) return;
    this.#held = held;
    if (held) for (const door of this.#doors) door.shut();
    else if (!this.#paused) this.#resume();
  }

  delete(door: Door): void {
    this.#doors.delete(door);
  }

  pause(): void {
    this.#paused = true;
    for (const door of this.#doors) door.shut();
    this.#told(true);
  }

  /**
   * The system accepts nobody although there is room here: its table of open files is full (ENFILE), or its memory. That is
   * nothing that an end of a connection of ours would tell us of, so it is asked again each second.
   */
  starve(): void {
    if (this.#paused) return;
    this.#cause = this.#lacking() || "accept fails";
    this.pause();
    this.#retry = this.#timers.every(1000, () => this.#resume());
  }

  #resume(): void {
    if (this.#cause !== "" && this.#lacking() !== "") return;
    this.#cause = "";
    this.#paused = false;
    this.#retry?.();
    this.#retry = undefined;
    try {
      for (const door of this.#held ? [] : this.#doors) {
        door.shut();
        door.open();
      }
    } catch {
      // Somebody else in the process took the descriptors. Once a second is often enough and never spins.
      this.pause();
      this.#retry = this.#timers.every(1000, () => this.#resume());
      return;
    }
    this.#told(false);
  }

  #told(short: boolean): void {
    if (this.#max === 0) this.#measure();
    this.#tell({ short, cause: this.#cause, open: this.#open, room: this.#max });
  }

  #measure(): void {
    let inUse = reserve;
    try {
      inUse = readdirSync("/proc/self/fd").length;
    } catch {
      // No /proc in this container: the reserve is the guess.
    }
    // Where there is no limit, a number far above what memory allows.
    const soft = Math.min(readDescriptorLimit().soft, 100_000_000);
    this.#setMax(Math.max(16, soft - inUse - reserve + this.#open));
  }

  #setMax(max: number): void {
    this.#max = max;
    this.#pauseAt = Math.max(1, max - Math.ceil(max / 8));
    this.#resumeAt = Math.max(0, this.#pauseAt - Math.ceil(max / 32));
    this.#mostClients = Math.max(1, max - Math.min(Math.ceil(max / 2), mostForEndpoints));
    this.#resumeClients = Math.max(0, this.#mostClients - Math.ceil(max / 32));
  }
}
