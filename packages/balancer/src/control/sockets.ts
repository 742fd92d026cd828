// The supervisor's listening sockets: one for each worker and listener, on the same address (SO_REUSEPORT), so that the
// kernel spreads connections evenly and a worker that dies leaves its queue for the one that replaces it. Some may have been
// opened by somebody else: by the program that this one takes over from, or by systemd.
import { closeFd, isDatagramSocket, openListeningSocket } from "../net/listening-socket.ts";
import { duplicate } from "../net/libc.ts";
import type { ListenerPlan } from "../proxy/plan.ts";
import type { SocketOffer } from "./messages.ts";

/** The sockets of one listener on one address. */
export interface SocketSet extends SocketOffer {
  readonly host: string;
  /** The real one, also when 0 was asked for. */
  readonly port: number;
  /** At least one for each worker. */
  readonly fds: readonly number[];
  /** Whether each is a queue of its own (SO_REUSEPORT); otherwise all are one. */
  readonly shared: boolean;
  /** Whether it was found by its listener's name, wherever it is; so will whoever takes over from us. */
  readonly named: boolean;
  /** For datagrams: a port of its own kind, which may have the number of another. */
  readonly datagram: boolean;
}

/** A socket that listens already. */
export interface InheritedSocket {
  /** Name of the listener that it was opened for; "" when nobody said. */
  readonly listener: string;
  readonly host: string;
  /** As it was asked for: 0 for any; -1 when the listener's name alone finds it. */
  readonly asked: number;
  /** The real one. */
  readonly port: number;
  /** Whether others may be opened beside it (SO_REUSEPORT). */
  readonly shared: boolean;
  readonly fd: number;
}

/** One descriptor that a worker is given. */
export interface SocketShare extends SocketOffer {
  readonly fd: number;
}

/** What makes a socket the same over reloads. */
export function socketKey(listener: Pick<ListenerPlan, "name" | "address" | "protocol">): string {
  const { name, address, protocol } = listener;
  return JSON.stringify([name, address.host, address.port, ...(protocol === "udp" ? ["udp"] : [])]);
}

/**
 * What worker `row` of `workers` accepts from. Where there are more sockets than workers (a program with more of them was
 * taken over from), each is somebody's: what waits in the queue of a socket that is closed would be reset.
 */
export function sharesOf(sets: readonly SocketSet[], row: number, workers: number): SocketShare[] {
  return sets.flatMap(({ key, listener, fds }) =>
    fds.flatMap((fd, index) => {
      if (index % workers !== row) return [];
      return { key: index < workers ? key : `${key}#${Math.floor(index / workers)}`, listener, fd };
    }),
  );
}

/** All sockets of one program. */
export class ListeningSockets {
  readonly #workers: number;
  #sets = new Map<string, SocketSet>();
  #inherited: InheritedSocket[];

  constructor(workers: number, inherited: readonly InheritedSocket[] = []) {
    this.#workers = workers;
    this.#inherited = [...inherited];
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

  /** Closes the inherited ones that no listener wanted; returns their addresses. */
  closeUnclaimed(): string[] {
    const left = this.#inherited.splice(0);
    for (const { fd } of left) closeFd(fd);
    return [...new Set(left.map(({ host, port }) => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`)))];
  }

  #openSet(listener: ListenerPlan): SocketSet {
    const { host, port } = listener.address;
    const datagram = listener.protocol === "udp";
    const given = this.#claim(listener);
    const [first] = given;
    const fds = given.map(({ fd }) => fd);
    try {
      if (first === undefined && port !== 0 && !this.#holds(host, port, datagram)) proveFree(host, port, datagram);
      let real = first?.port ?? port;
      while (fds.length < this.#workers) {
        if (first !== undefined && !first.shared) {
          // Nobody else may bind there: all workers accept from one queue.
          fds.push(duplicate(first.fd));
          continue;
        }
        const socket = openListeningSocket({ kind: "tcp", host, port: real }, { reusePort: true, datagram });
        fds.push(socket.fd);
        real = socket.port;
      }
      return {
        key: socketKey(listener),
        listener: listener.name,
        host: first?.host ?? host,
        port: real,
        fds,
        shared: first?.shared ?? true,
        named: first !== undefined && first.asked < 0 && first.listener === listener.name,
        datagram,
      };
    } catch (error) {
      for (const fd of fds) closeFd(fd);
      throw error;
    }
  }

  /** Inherited sockets for a listener: those of its name first, else those on its address. */
  #claim({ name, protocol, address: { host, port } }: ListenerPlan): InheritedSocket[] {
    const fitting = this.#inherited.filter((each) => isDatagramSocket(each.fd) === (protocol === "udp"));
    const named = fitting.filter(
      (each) => each.listener === name && (each.asked === port ? sameHost(each.host, host) : each.asked < 0),
    );
    const claimed =
      named.length > 0
        ? named
        : fitting.filter((each) => port !== 0 && each.port === port && sameHost(each.host, host));
    this.#inherited = this.#inherited.filter((each) => !claimed.includes(each));
    return claimed;
  }

  #holds(host: string, port: number, datagram: boolean): boolean {
    return this.all.some((set) => set.port === port && set.host === host && set.datagram === datagram);
  }
}

function sameHost(a: string, b: string): boolean {
  return a === b || (a.includes(":") && b.includes(":") && shortest(a) === shortest(b));
}

function shortest(host: string): string {
  return URL.canParse(`http://[${host}]`) ? new URL(`http://[${host}]`).hostname : host;
}

/**
 * With SO_REUSEPORT a second program of the same user may bind the same address, and half of the traffic goes astray
 * without any error. So the address is bound once without it, which fails if anybody listens there. It is only bound: a
 * socket that listened for that moment could be the one a client reaches, and would reset it.
 */
export function proveFree(host: string, port: number, datagram = false): void {
  closeFd(openListeningSocket({ kind: "tcp", host, port }, { bindOnly: true, datagram }).fd);
}
