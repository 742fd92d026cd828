// The new program's side of a handover: finds the one that runs, is given its sockets and states, and tells it when it may go.
import { readFileSync } from "node:fs";
import { closeFd } from "../../net/libc.ts";
import type { Timers } from "../../net/clock.ts";
import { takeOver } from "../../net/listening-socket.ts";
import { connectForPackets } from "../../net/packet-socket.ts";
import type { InheritedSocket } from "../sockets.ts";
import { HandoverChannel } from "./channel.ts";
import {
  handoverVariable,
  helloOf,
  type Carried,
  type CarriedAdmin,
  type ToPredecessor,
  type ToSuccessor,
} from "./messages.ts";

type Asked = ToSuccessor & { kind: "asked" };

/** Ms that the old program may take to give what it has, and to let go. */
const patience = 10_000;

/** What was handed over. */
export interface Inheritance {
  readonly pid: number;
  readonly version: string;
  readonly sockets: readonly InheritedSocket[];
  readonly admin: CarriedAdmin | null;
  readonly carried: Carried;
}

/** The program that this one takes over from. */
export class Predecessor {
  readonly #timers: Timers;
  readonly #channel: HandoverChannel<ToSuccessor, ToPredecessor>;
  readonly #sockets: InheritedSocket[] = [];
  readonly #given = Promise.withResolvers<Inheritance | { readonly problem: string }>();
  readonly #free = Promise.withResolvers<boolean>();
  #asked: Asked[] = [];
  #onAsked: ((asked: Asked) => void) | null = null;

  private constructor(path: string, version: string, timers: Timers) {
    this.#timers = timers;
    this.#channel = new HandoverChannel<ToSuccessor, ToPredecessor>(connectForPackets(path), timers, {
      hear: (message, fds) => this.#hear(message, fds),
      gone: () => this.#gone(),
    });
    this.#channel.send(helloOf(process.pid, version));
  }

  /**
   * The program that our environment names; null when there is none. Throws an Error in words when it is not there. The
   * variable is gone afterwards: no program that we start takes over from anybody.
   */
  static meet(env: Record<string, string | undefined>, version: string, timers: Timers): Predecessor | null {
    const path = env[handoverVariable];
    if (path === undefined) return null;
    delete env[handoverVariable];
    return new Predecessor(path, version, timers);
  }

  /** Resolves with all that it gives, or with why it gives nothing. */
  async given(): Promise<Inheritance | { readonly problem: string }> {
    const cancel = this.#timers.after(patience, () =>
      this.#given.resolve({ problem: "the program to take over from does not answer" }),
    );
    const given = await this.#given.promise;
    cancel();
    return given;
  }

  /** Whom to tell what operators ask of it meanwhile. */
  set onAsked(tell: (asked: Asked) => void) {
    this.#onAsked = tell;
    for (const asked of this.#asked.splice(0)) tell(asked);
  }

  /** Tells it that we serve. Resolves with true when it has let go, with false when it is gone or says nothing. */
  async ready(): Promise<boolean> {
    this.#channel.send({ kind: "ready" });
    const cancel = this.#timers.after(patience, () => this.#free.resolve(false));
    const released = await this.#free.promise;
    cancel();
    this.#channel.close();
    return released;
  }

  /** Tells it why we do not start. */
  failed(problem: string): void {
    this.#channel.send({ kind: "failed", problem });
    this.#channel.close();
  }

  #hear(message: ToSuccessor, fds: readonly number[]): void {
    switch (message.kind) {
      case "sockets":
        message.sockets.forEach((socket, index) => {
          const fd = fds[index];
          if (fd === undefined) return;
          takeOver(fd);
          this.#sockets.push({ ...socket, fd });
        });
        return;
      case "begin":
        this.#begin(message);
        return;
      case "asked":
        if (this.#onAsked === null) this.#asked.push(message);
        else this.#onAsked(message);
        return;
      case "yours":
        this.#free.resolve(true);
        return;
      default:
        for (const fd of fds) closeFd(fd);
    }
  }

  #begin({ pid, version, carried, admin }: ToSuccessor & { kind: "begin" }): void {
    try {
      const told = JSON.parse(readFileSync(carried, "utf8")) as Carried;
      this.#given.resolve({ pid, version, sockets: this.#sockets, admin, carried: told });
    } catch (error) {
      this.#given.resolve({ problem: `what it hands over cannot be read: ${(error as Error).message}` });
    }
  }

  /** It ended by itself, or was killed. What it gave is ours now. */
  #gone(): void {
    this.#given.resolve({ problem: "the program to take over from is gone" });
    this.#free.resolve(false);
  }
}
