// How a program ends, whatever the way: told to stop, told to hurry, replaced by another program, or given up while it starts.
// Each way gives back everything, once, and its exit code says whether all was finished.
import { after } from "../net/clock.ts";
import type { Log } from "../observe/log.ts";
import type { Predecessor } from "./handover/predecessor.ts";
import type { Successor } from "./handover/successor.ts";
import type { ProgramParts } from "./program-parts.ts";
import type { SocketSet } from "./sockets.ts";
import type { Readiness } from "./status.ts";

export interface EndingNeeds {
  readonly log: Log;
  readonly parts: ProgramParts;
  /** Whom the program takes over from, who still serves while it starts; null when there is nobody. */
  readonly predecessor: Predecessor | null;
  /** This program ends: whoever was to take over from it does not. */
  giveUpUpgrade(): void;
  /** Last of all: what was begun outside the parts. */
  left(): void;
}

export class Ending {
  /** Resolves with the exit code once everything has stopped: 0 in order, 1 if it was hurried or had to kill a worker. */
  readonly stopped: Promise<number>;
  readiness: Readiness = "starting";
  /** Whether the end has begun. */
  begun = false;
  readonly #needs: EndingNeeds;
  readonly #settle: (code: number) => void;
  /** As they were before they were closed: status goes on telling the ports. */
  #lastSockets: readonly SocketSet[] | null = null;
  #hurried = false;
  #hurry: () => void = () => {};

  constructor(needs: EndingNeeds) {
    this.#needs = needs;
    const stopped = Promise.withResolvers<number>();
    [this.stopped, this.#settle] = [stopped.promise, stopped.resolve];
  }

  /** The listening sockets that there are, or were. */
  get sockets(): readonly SocketSet[] {
    return this.#lastSockets ?? this.#needs.parts.sockets.all;
  }

  /** Ends in order: lag, `Connection: close`, window. A second call waits for the same end. */
  stop(reason: string): Promise<number> {
    if (!this.begun) {
      this.begun = true;
      this.#needs.giveUpUpgrade();
      // While it starts, whoever starts it sees to the end (`giveUpStarting`).
      if (this.readiness === "starting") this.#endStarting();
      else void this.#stopInOrder(reason);
    }
    return this.stopped;
  }

  /** Ends at once, whatever is in flight. */
  stopNow(reason: string): Promise<number> {
    this.#needs.log.event("warn", "program.cut", `ending now: ${reason}`);
    const end = this.stop(reason);
    this.#hurried = true;
    this.#hurry();
    this.#needs.parts.workers.kill();
    return end;
  }

  /** It cannot start, because of `problem`. Resolves when nothing of it is left. */
  async giveUpStarting(problem: string): Promise<void> {
    const { predecessor, parts } = this.#needs;
    this.begun = true;
    predecessor?.failed(problem);
    this.#endStarting();
    await parts.workers.stop(predecessor === null ? 0 : parts.running.plan.shutdown.window, true);
    await this.#leave(1);
  }

  /** Another program serves the same sockets: what is in flight here is finished. */
  yieldTo(successor: Successor): void {
    const { log, parts } = this.#needs;
    const { window } = parts.running.plan.shutdown;
    this.begun = true;
    this.readiness = "replaced";
    const text = `process ${successor.pid}, version ${successor.version}, serves now; what is in flight here is finished`;
    log.event("info", "program.replaced", text, { window });
    parts.service.replacedBy(successor.pid);
    // What it was ordering the other one orders; whoever holds the lock of a folder keeps it from that.
    void parts.acme.close();
    parts.directory.hush();
    parts.admin.retire();
    this.#lastSockets = parts.sockets.all;
    parts.sockets.keep([]);
    successor.letGo();
    void parts.running
      .close()
      .then(() => parts.workers.stop(this.#hurried ? 0 : window, true))
      .then((orderly) => this.#leave(orderly && !this.#hurried ? 0 : 1));
  }

  #endStarting(): void {
    const { predecessor, parts } = this.#needs;
    // Workers that came up may have taken connections from the queues that the old program serves, too.
    if (predecessor === null) parts.workers.kill();
    else parts.workers.abandon();
  }

  async #stopInOrder(reason: string): Promise<void> {
    const { log, parts } = this.#needs;
    const { lag, window } = parts.running.plan.shutdown;
    // What is under way is given up, rather than counted as refused by whoever stops.
    void parts.acme.close();
    this.readiness = "stopping";
    log.event("info", "program.stopping", `stopping: ${reason}`, { lag, window });
    parts.service.stopping(`stopping: ${reason}`, lag + window);
    // Whoever routes to us sees /readyz turn first and sends nothing more; until then new connections are served.
    if (lag > 0) {
      parts.workers.announceStop();
      await new Promise<void>((resolve) => {
        this.#hurry = resolve;
        after(lag, resolve);
        if (this.#hurried) resolve();
      });
    }
    this.#lastSockets = parts.sockets.all;
    await parts.running.close();
    // Before the workers close theirs: what nobody accepts must be refused at once, so that whoever asks can go elsewhere. The
    // last to hold a socket must be who accepts from it: closed by somebody else, it resets what waits in its queue.
    parts.sockets.keep([]);
    const orderly = await parts.workers.stop(this.#hurried ? 0 : window);
    await this.#leave(orderly && !this.#hurried ? 0 : 1);
  }

  /** Gives back everything. */
  async #leave(code: number): Promise<void> {
    const { log, parts } = this.#needs;
    parts.probes.stop();
    parts.outliers.stop();
    parts.certificates.stop();
    parts.drains.close();
    parts.discovery.close();
    parts.service.close();
    parts.earlier?.close();
    await parts.acme.close();
    await parts.admin.close();
    parts.sockets.keep([]);
    parts.directory.remove();
    this.#needs.left();
    const text = code === 0 ? "stopped in order" : "stopped; not everything could be finished";
    log.event("info", "program.stopped", text);
    this.#settle(code);
  }
}
