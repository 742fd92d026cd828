// The old program's side of a handover: starts the new one, gives it all it needs, and waits for it to prove itself. Until it
// has, nothing changes here; if it does not, it is ended and nothing has changed.
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { formatDuration } from "../../base/units.ts";
import { closeFd } from "../../net/libc.ts";
import type { Timers } from "../../net/clock.ts";
import { acceptPackets, listenForPackets } from "../../net/packet-socket.ts";
import type { InheritedSocket } from "../sockets.ts";
import { HandoverChannel } from "./channel.ts";
import {
  handoverVariable,
  helloProblem,
  type Carried,
  type CarriedAdmin,
  type ToPredecessor,
  type ToSuccessor,
} from "./messages.ts";

/** Below the kernel's limit for one message, and their names below that for its payload. */
const descriptorsAtOnce = 100;
/** Ms between two looks for a connection. */
const lookEvery = 10;
/** Ms from SIGTERM to SIGKILL for a new program that has not proved itself. */
const grace = 5_000;

export interface SuccessorNeeds {
  /** Program and arguments. */
  readonly command: readonly string[];
  readonly version: string;
  /** Folder for the socket and the file, which only this user can reach. */
  readonly folder: string;
  readonly sockets: readonly InheritedSocket[];
  readonly admin: CarriedAdmin | null;
  readonly carried: () => Carried;
  readonly timers: Timers;
  /** Ms that it may take until it serves. */
  readonly patience: number;
}

/** A program that serves, and waits for us to let go. */
export interface Successor {
  readonly pid: number;
  readonly version: string;
  /** It may open what we had open alone. */
  letGo(): void;
}

/** The attempt; `problem` resolves when it is decided. */
export class Succession {
  readonly decided: Promise<Successor | { readonly problem: string }>;
  readonly #needs: SuccessorNeeds;
  readonly #socket: string;
  readonly #file: string;
  #decide: (result: Successor | { readonly problem: string }) => void = () => {};
  #over = false;
  #listening = -1;
  #channel: HandoverChannel<ToPredecessor, ToSuccessor> | null = null;
  #process: Subprocess | null = null;
  #hello: { readonly pid: number; readonly version: string } | null = null;
  readonly #cancels: (() => void)[] = [];

  constructor(needs: SuccessorNeeds) {
    this.#needs = needs;
    this.#socket = join(needs.folder, "handover");
    this.#file = join(needs.folder, "carried.json");
    const { promise, resolve } = Promise.withResolvers<Successor | { readonly problem: string }>();
    this.decided = promise;
    this.#decide = resolve;
    try {
      this.#begin();
    } catch (error) {
      this.#fail(`cannot be started: ${(error as Error).message}`);
    }
  }

  /** Passes on what an operator asked while the new program comes up. */
  tell(message: ToSuccessor & { kind: "asked" }): void {
    this.#channel?.send(message);
  }

  /** Gives up, because this program ends. */
  giveUp(problem: string): void {
    this.#fail(problem);
  }

  #begin(): void {
    const { command, timers, patience } = this.#needs;
    const [program = ""] = command;
    this.#listening = listenForPackets(this.#socket);
    const { WATCHDOG_PID: _, LISTEN_PID: __, LISTEN_FDS: ___, LISTEN_FDNAMES: ____, ...env } = process.env;
    this.#process = Bun.spawn([...command], {
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...env, [handoverVariable]: this.#socket },
      onExit: (_process, code, signal) => {
        // What it said last may not have been heard yet.
        this.#accept();
        this.#channel?.look();
        const how = signal === null ? `exited with code ${code}` : `was ended by signal ${signal}`;
        this.#fail(`${how} before it served; what it printed is in this program's output`);
      },
    });
    // It outlives us.
    this.#process.unref();
    this.#cancels.push(
      timers.every(lookEvery, () => this.#accept()),
      timers.after(patience, () =>
        this.#fail(
          this.#hello === null
            ? `did not say anything within ${formatDuration(patience)}; is ${program} a Plimsoll that can take over?`
            : `did not serve within ${formatDuration(patience)}`,
        ),
      ),
    );
  }

  #accept(): void {
    if (this.#channel !== null || this.#over) return;
    const fd = acceptPackets(this.#listening);
    if (fd < 0) return;
    this.#channel = new HandoverChannel<ToPredecessor, ToSuccessor>(fd, this.#needs.timers, {
      hear: (message, fds) => {
        for (const each of fds) closeFd(each);
        this.#hear(message);
      },
      gone: () => this.#fail("went away before it served; what it printed is in this program's output"),
    });
  }

  #hear(message: ToPredecessor): void {
    switch (message.kind) {
      case "hello":
        this.#welcome(message);
        return;
      case "failed":
        this.#fail(`does not start: ${message.problem}`);
        return;
      case "ready":
        this.#succeed();
        return;
    }
  }

  #welcome(hello: ToPredecessor & { kind: "hello" }): void {
    this.#hello = { pid: hello.pid, version: hello.version };
    const stranger = helloProblem(hello);
    if (stranger !== "") {
      this.#fail(stranger);
      return;
    }
    const { sockets, admin, carried } = this.#needs;
    try {
      writeFileSync(this.#file, JSON.stringify(carried()), { mode: 0o600 });
    } catch (error) {
      this.#fail(`cannot be told what runs: ${(error as Error).message}`);
      return;
    }
    let problem = "";
    for (let from = 0; from < sockets.length; from += descriptorsAtOnce) {
      const some = sockets.slice(from, from + descriptorsAtOnce);
      problem ||= this.#send(
        {
          kind: "sockets",
          sockets: some.map(({ listener, host, asked, port, shared }) => ({ listener, host, asked, port, shared })),
        },
        some.map(({ fd }) => fd),
      );
    }
    problem ||= this.#send({
      kind: "begin",
      pid: process.pid,
      version: this.#needs.version,
      carried: this.#file,
      admin,
    });
    if (problem === "") return;
    // If it is gone already, what it said last is still to be heard, and tells more.
    const tell = () => this.#fail(`cannot be given the sockets: ${problem}`);
    this.#cancels.push(this.#needs.timers.after(lookEvery, tell));
  }

  #send(message: ToSuccessor, fds: readonly number[] = []): string {
    return this.#channel?.send(message, fds) ?? "it is gone";
  }

  #succeed(): void {
    if (this.#over || this.#hello === null) return;
    this.#over = true;
    this.#tidy();
    this.#decide({
      ...this.#hello,
      letGo: () => {
        this.#send({ kind: "yours" });
        this.#channel?.close();
      },
    });
  }

  #fail(why: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#tidy();
    this.#channel?.close();
    this.#end();
    this.#decide({ problem: `the new program ${why}` });
  }

  /** In order first: what its workers were given already, they finish. */
  #end(): void {
    const child = this.#process;
    // A launcher may stand between us and the program.
    const pids = [child?.pid, this.#hello?.pid].flatMap((pid) => pid ?? []);
    if (child === null || child.exitCode !== null) return;
    for (const pid of new Set(pids)) signal(pid, "SIGTERM");
    const cancel = this.#needs.timers.after(grace, () => {
      for (const pid of new Set(pids)) signal(pid, "SIGKILL");
    });
    void child.exited.then(cancel);
  }

  #tidy(): void {
    for (const cancel of this.#cancels.splice(0)) cancel();
    if (this.#listening >= 0) closeFd(this.#listening);
    this.#listening = -1;
    rmSync(this.#socket, { force: true });
    rmSync(this.#file, { force: true });
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already.
  }
}
