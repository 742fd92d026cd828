// The supervisor's listening sockets: one for each worker and listener, on the same address (SO_REUSEPORT), so that the
// kernel spreads connections evenly and a worker that dies leaves its queue for the one that replaces it.
import { closeFd, openListeningSocket } from "../net/listening-socket.ts";
import type { ListenerPlan } from "../proxy/plan.ts";
import type { SocketOffer } from "./messages.ts";

/** The sockets of one listener on one address. */
export interface SocketSet extends SocketOffer {
  readonly host: string;
  /** The real one, also when 0 was asked for. */
  readonly port: number;
  /** One for each worker. */
  readonly fds: readonly number[];
}

/** What makes a socket the same over reloads. */
export function socketKey(listener: Pick<ListenerPlan, "name" | "address">): string {
  return JSON.stringify([listener.name, listener.address.host, listener.address.port]);
}

/** All sockets of one program. */
export class ListeningSockets {
  readonly #workers: number;
  #sets = new Map<string, SocketSet>();

  constructor(workers: number) {
    this.#workers = workers;
  }

  get all(): readonly SocketSet[] {
    return [...this.#sets.values()];
  }

  /** Those of `listeners`, which are open. */
  of(listeners: readonly ListenerPlan[]): SocketSet[] {
    return listeners.flatMap((listener) => this.#sets.get(socketKey(listener)) ?? []);
  }

  /**
   * Opens what `listeners` need and is not open yet. All or nothing: on a problem everything opened here is closed again.
   * Until `keep` is called with the whole list, old and new ones are open side by side.
   */
  open(listeners: readonly ListenerPlan[]): { readonly opened: readonly SocketSet[] } | { readonly problem: string } {
    const opened: SocketSet[] = [];
    for (const listener of listeners) {
      if (this.#sets.has(socketKey(listener))) continue;
      try {
        opened.push(this.#openSet(listener));
      } catch (error) {
        this.discard(opened);
        return { problem: `listener ${listener.name}: ${(error as Error).message}` };
      }
    }
    for (const set of opened) this.#sets.set(set.key, set);
    return { opened };
  }

  /** Closes what was opened for a change that did not come. */
  discard(opened: readonly SocketSet[]): void {
    for (const set of opened) {
      this.#sets.delete(set.key);
      for (const fd of set.fds) closeFd(fd);
    }
  }

  /** Closes all but those of `listeners`. Workers hold descriptors of their own, and close theirs when they are told. */
  keep(listeners: readonly ListenerPlan[]): void {
    const wanted = new Set(listeners.map(socketKey));
    this.discard(this.all.filter((set) => !wanted.has(set.key)));
  }

  #openSet(listener: ListenerPlan): SocketSet {
    const { host, port } = listener.address;
    const fds: number[] = [];
    try {
      if (port !== 0 && !this.#holds(host, port)) proveFree(host, port);
      let real = port;
      while (fds.length < this.#workers) {
        const socket = openListeningSocket({ kind: "tcp", host, port: real }, { reusePort: true });
        fds.push(socket.fd);
        real = socket.port;
      }
      return { key: socketKey(listener), listener: listener.name, host, port: real, fds };
    } catch (error) {
      for (const fd of fds) closeFd(fd);
      throw error;
    }
  }

  #holds(host: string, port: number): boolean {
    return this.all.some((set) => set.port === port && set.host === host);
  }
}

/**
 * With SO_REUSEPORT a second program of the same user may bind the same address, and half of the traffic goes astray
 * without any error. So the address is bound once without it, which fails if anybody listens there. It is only bound: a
 * socket that listened for that moment could be the one a client reaches, and would reset it.
 */
function proveFree(host: string, port: number): void {
  closeFd(openListeningSocket({ kind: "tcp", host, port }, { bindOnly: true }).fd);
}
