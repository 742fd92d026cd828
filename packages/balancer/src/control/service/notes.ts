// control/service/: what a service manager (systemd) is told and gives: notes on how the program is, a watchdog, sockets that it
// opened. It must not know how any of it is done, nor fail where there is no such manager.
//
// This file: the notes (sd_notify(3)). Each is a line or more of NAME=value, in one datagram.
import { monotonicMicroseconds } from "../../net/libc.ts";
import { sendNote } from "../../net/note-socket.ts";
import type { Timers } from "../../net/clock.ts";

/** What the manager said in our environment. */
export interface ServiceEnvironment {
  /** NOTIFY_SOCKET; "" where nobody wants to hear. */
  readonly socket: string;
  /** WATCHDOG_USEC as ms; 0 where nobody watches us. */
  readonly watchdog: number;
}

export function serviceEnvironment(env: Readonly<Record<string, string | undefined>>, pid: number): ServiceEnvironment {
  const socket = env["NOTIFY_SOCKET"] ?? "";
  const watched = Number(env["WATCHDOG_USEC"] ?? "0");
  // Meant for another process: a launcher's, or that of the program that we took over from.
  const ours = env["WATCHDOG_PID"] === undefined || env["WATCHDOG_PID"] === String(pid);
  return { socket, watchdog: ours && Number.isFinite(watched) ? Math.max(0, watched / 1000) : 0 };
}

/** Ms beyond lag and window that a stop may take. */
const margin = 5_000;

export class ServiceNotes {
  readonly #environment: ServiceEnvironment;
  readonly #timers: Timers;
  #stopWatching: () => void = () => {};

  constructor(environment: ServiceEnvironment, timers: Timers) {
    this.#environment = environment;
    this.#timers = timers;
  }

  /** It serves, again after a reload too. */
  ready(status: string): void {
    this.#send(`READY=1\nSTATUS=${line(status)}`);
  }

  /** A reload begins; `ready` ends it, whatever came of it. */
  reloading(): void {
    this.#send(`RELOADING=1\nMONOTONIC_USEC=${monotonicMicroseconds()}\nSTATUS=reloading`);
  }

  /** It stops, and needs up to `longest` ms for that. */
  stopping(status: string, longest: number): void {
    this.#send(`STOPPING=1\nSTATUS=${line(status)}\nEXTEND_TIMEOUT_USEC=${Math.round((longest + margin) * 1000)}`);
  }

  /** Another process is the service from now on. From here on we say nothing more. */
  replacedBy(pid: number): void {
    this.#send(`MAINPID=${pid}`);
    this.#stopWatching();
  }

  /** Says twice in each watchdog's time that all is well, as long as `alive` says so. */
  watch(alive: () => boolean): void {
    const { socket, watchdog } = this.#environment;
    if (socket === "" || watchdog === 0) return;
    const tell = () => {
      if (alive()) this.#send("WATCHDOG=1");
    };
    this.#stopWatching = this.#timers.every(watchdog / 2, tell);
    tell();
  }

  close(): void {
    this.#stopWatching();
  }

  /** A manager that does not hear is its own affair. */
  #send(text: string): void {
    if (this.#environment.socket !== "") sendNote(this.#environment.socket, text);
  }
}

/** One line, for a text that may have more. */
function line(text: string): string {
  return text.split("\n").join(" | ").slice(0, 1000);
}
