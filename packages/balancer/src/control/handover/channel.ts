// control/handover/: one program takes over from another that runs: sockets, states, the admin address. It must not know how
// workers are run or what a plan says; the supervisor of each side does what is asked of it here.
//
// This file: messages and descriptors between the two, over a Unix socket that keeps boundaries. It is looked at every few
// milliseconds rather than waited for: the runtime does not wait for such sockets, and a handover is short.
import { closeFd } from "../../net/libc.ts";
import type { Timers } from "../../net/clock.ts";
import { receiveDescriptors, sendDescriptors } from "../../net/descriptor-passing.ts";

/** Ms between two looks. */
const lookEvery = 5;

export interface ChannelListener<In> {
  /** Descriptors belong to whoever is told. */
  hear(message: In, fds: readonly number[]): void;
  /** The other side is gone. Told once, last; not after our own `close`. */
  gone(): void;
}

export class HandoverChannel<In extends { readonly kind: string }, Out> {
  readonly #fd: number;
  readonly #listener: ChannelListener<In>;
  #stopLooking: () => void;
  #open = true;
  #reset = false;

  /** Takes the descriptor over. */
  constructor(fd: number, timers: Timers, listener: ChannelListener<In>) {
    this.#fd = fd;
    this.#listener = listener;
    this.#stopLooking = timers.every(lookEvery, () => this.look());
  }

  /** "" or why it cannot be sent. */
  send(message: Out, fds: readonly number[] = []): string {
    if (!this.#open) return "the other program is gone";
    try {
      sendDescriptors(this.#fd, fds, new TextEncoder().encode(JSON.stringify(message)));
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#stopLooking();
    closeFd(this.#fd);
  }

  /** Takes in what has arrived. */
  look(): void {
    while (this.#open) {
      let received: ReturnType<typeof receiveDescriptors>;
      try {
        received = receiveDescriptors(this.#fd);
      } catch {
        // Somebody who ends with unread messages resets the connection, which is told before what it said last.
        if (this.#reset) this.#end();
        this.#reset = true;
        continue;
      }
      if (received === null) return;
      if (received.payload.length === 0) {
        this.#end();
        return;
      }
      this.#listener.hear(JSON.parse(new TextDecoder().decode(received.payload)) as In, received.fds);
    }
  }

  #end(): void {
    this.close();
    this.#listener.gone();
  }
}
