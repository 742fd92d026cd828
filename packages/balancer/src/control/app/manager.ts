// The process manager of `plimsoll up`: keeps N instances running, and traffic on those that can take it.
import { backoffDelay, countFailures } from "./backoff.ts";
import { explainFailedStart, lostPort, type FailedStart } from "./diagnosis.ts";
import type { AppEvent } from "./events.ts";
import type { AppPlan, EndpointsSink, Host, LivenessPlan, Stream } from "./host.ts";
import { lifeless } from "./liveness.ts";
import { nextRollStep, type Place } from "./rolling.ts";
import { endRun, Run, startRun, untilReady } from "./run.ts";

/** How often a start is tried again at once because its port was taken in the meantime. */
const portTries = 5;
/** Starts that may fail in a row, nobody having been ready ever, before it is taken for a mistake in the command. */
const hopeless = 3;

/** Where one instance is; its runs come and go. */
interface Slot {
  readonly name: string;
  readonly index: number;
  runs: number;
  /** The run that traffic goes to. */
  serving: Run | null;
  /** The run that is not ready yet. */
  starting: Run | null;
  failures: number;
  everReady: boolean;
  /** A rolling replacement is at work here; restarts keep out. */
  rolling: boolean;
  /** Settles when the restart at work, if any, is over. */
  restart: Promise<void>;
  cancelRestart: (() => void) | null;
}

/** How the manager speaks to the outside. */
export interface AppVoice {
  tell(event: AppEvent): void;
  /** One line of an instance's output; borrowed. Its reading goes on when the promise, if any, is settled. */
  print(name: string, index: number, stream: Stream, line: Uint8Array): void | Promise<void>;
}

/** What one instance is doing, for status. */
export interface InstanceFacts {
  readonly name: string;
  readonly id: string;
  readonly pid: number;
  readonly port: number;
  readonly serving: boolean;
}

export class AppManager {
  readonly #plan: AppPlan;
  readonly #host: Host;
  readonly #sink: EndpointsSink;
  readonly #voice: AppVoice;
  readonly #slots: Slot[];
  /** Runs that get traffic, the draining ones included. */
  readonly #listed = new Set<Run>();
  /** Runs of which something is left. */
  readonly #alive = new Set<Run>();
  readonly #started = Promise.withResolvers<string>();
  #published: Promise<boolean> = Promise.resolve(true);
  #earlyFailures = 0;
  #stopping = false;
  #roll: Promise<boolean> | null = null;
  #rollAgain = false;
  /** The slot that is restarted because it did not live, until it serves again. */
  #reviving: Slot | null = null;

  constructor(plan: AppPlan, host: Host, sink: EndpointsSink, voice: AppVoice) {
    this.#plan = plan;
    this.#host = host;
    this.#sink = sink;
    this.#voice = voice;
    this.#slots = Array.from({ length: plan.instances }, (_, index) => ({
      name: `${plan.name}-${index + 1}`,
      index,
      runs: 0,
      serving: null,
      starting: null,
      failures: 0,
      everReady: false,
      rolling: false,
      restart: Promise.resolve(),
      cancelRestart: null,
    }));
  }

  /** Starts all instances. Resolves to "" when each has been ready once, or to why none ever will be. */
  start(): Promise<string> {
    for (const slot of this.#slots) this.#restart(slot);
    return this.#started.promise;
  }

  /**
   * Replaces all instances, one by one, without losing a request. Resolves to whether all were replaced. A call while
   * one is at work makes it begin anew afterwards, once, however many calls there were.
   */
  roll(): Promise<boolean> {
    if (this.#roll !== null) {
      this.#rollAgain = true;
      return this.#roll;
    }
    this.#roll = this.#rollAll().finally(() => (this.#roll = null));
    return this.#roll;
  }

  /** Ends all instances: SIGTERM, grace, SIGKILL. Traffic must have been taken away before. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#started.resolve("stopped");
    for (const slot of this.#slots) slot.cancelRestart?.();
    // A start that is between two steps may still add a run; it sees #stopping and ends it, and we look again.
    while (this.#alive.size > 0) await Promise.all([...this.#alive].map((run) => this.#end(run)));
    await Promise.all(this.#slots.map((slot) => slot.restart));
  }

  /** Ends all at once and without grace: for the second Ctrl-C. */
  kill(): void {
    for (const run of this.#alive) run.group.signal("SIGKILL");
  }

  instances(): readonly InstanceFacts[] {
    return this.#slots.flatMap((slot) => {
      const run = slot.serving ?? slot.starting;
      if (run === null) return [];
      return [{ name: slot.name, id: run.id, pid: run.group.pid, port: run.port, serving: run === slot.serving }];
    });
  }

  /** Begins a restart in the background; #stopping and a rolling replacement call it off. */
  #restart(slot: Slot): void {
    slot.cancelRestart = null;
    slot.restart = this.#bringBack(slot);
  }

  async #bringBack(slot: Slot): Promise<void> {
    if (this.#stopping || slot.rolling || slot.serving !== null) return;
    const run = await this.#bringUp(slot);
    if (run === null) {
      if (!slot.rolling && !this.#stopping) this.#restartLater(slot, -1);
      return;
    }
    await this.#list(run);
    if (run.exit === null && !this.#stopping) this.#serve(slot, run);
  }

  #restartLater(slot: Slot, readyFor: number): void {
    slot.failures = countFailures(slot.failures, readyFor);
    const delay = backoffDelay(slot.failures, this.#host.random);
    this.#voice.tell({ kind: "again", name: slot.name, delay, failures: slot.failures });
    slot.cancelRestart = this.#host.after(delay, () => this.#restart(slot));
  }

  /** One new run, ready but not yet in rotation; null when it does not come up, which has then been told. */
  async #bringUp(slot: Slot): Promise<Run | null> {
    for (let attempt = 1; ; attempt++) {
      const port = await this.#host.freePort();
      if (this.#stopping) return null;
      const id = `${slot.name}.${++slot.runs}`;
      const run = startRun(this.#plan, this.#host, slot.name, id, port, (stream, line) =>
        this.#voice.print(slot.name, slot.index, stream, line),
      );
      if (!(run instanceof Run)) return this.#notStarted(slot, run);
      this.#alive.add(run);
      slot.starting = run;
      void run.ended.then(() => this.#onEnd(slot, run));
      this.#voice.tell({ kind: "starting", name: slot.name, port, pid: run.group.pid });
      const outcome = await untilReady(run, this.#plan, this.#host, (ports) =>
        this.#voice.tell({ kind: "elsewhere", name: slot.name, port, ports }),
      );
      slot.starting = null;
      if ("doubt" in outcome && run.exit === null && !this.#stopping && !run.unwanted) {
        const after = run.readyAt - run.startedAt;
        this.#voice.tell({ kind: "ready", name: slot.name, port, after, doubt: outcome.doubt });
        return run;
      }
      const calledOff = run.unwanted;
      await this.#end(run);
      if (calledOff || this.#stopping) return null;
      if ("doubt" in outcome) {
        // Ready and gone in the same breath.
        const lived = this.#host.now() - run.startedAt;
        this.#voice.tell({ kind: "fell", name: slot.name, exit: run.exit ?? { code: null, signal: "" }, lived });
        return null;
      }
      if (!lostPort(outcome) || attempt === portTries) return this.#notStarted(slot, outcome);
    }
  }

  #notStarted(slot: Slot, start: FailedStart): null {
    const why = explainFailedStart(start);
    this.#voice.tell({ kind: "not-started", name: slot.name, why, lastLines: start.lastLines });
    this.#earlyFailures++;
    const patience = start.spawnError !== "" ? 1 : start.exit === null ? 1 : Math.max(hopeless, this.#slots.length);
    if (this.#earlyFailures >= patience && !this.#slots.some((other) => other.everReady || other.starting !== null)) {
      this.#stopping = true;
      this.#started.resolve(why);
    }
    return null;
  }

  /** Puts a run into rotation; false when it does not get there. */
  #list(run: Run): Promise<boolean> {
    if (run.exit !== null) return Promise.resolve(false);
    this.#listed.add(run);
    return this.#publish();
  }

  #serve(slot: Slot, run: Run): void {
    slot.serving = run;
    slot.everReady = true;
    if (this.#reviving === slot) this.#reviving = null;
    const { liveness } = this.#plan;
    if (liveness !== null) this.#askLater(slot, run, liveness, 0);
    if (this.#slots.every((other) => other.everReady)) this.#started.resolve("");
  }

  #askLater(slot: Slot, run: Run, liveness: LivenessPlan, failures: number): void {
    this.#host.after(liveness.interval, () => void this.#askLife(slot, run, liveness, failures));
  }

  /** Asks until the run serves no more. It begins when the run is ready, so a slow start is nobody's death. */
  async #askLife(slot: Slot, run: Run, liveness: LivenessPlan, failures: number): Promise<void> {
    const serves = (): boolean => slot.serving === run && run.exit === null && !run.unwanted && !this.#stopping;
    if (!serves()) return;
    const seen = lifeless(await this.#host.knock(run.port, liveness.path));
    if (!serves()) return;
    const inRow = seen === "" ? 0 : failures + 1;
    // One at a time: a path that looks at what all share fails everywhere at once, and then restarting all would turn a
    // failure into an outage. A rolling replacement ends it anyway.
    const mayRestart = !slot.rolling && (this.#reviving === null || this.#reviving === slot);
    if (inRow < liveness.fall || !mayRestart) {
      this.#askLater(slot, run, liveness, inRow);
      return;
    }
    this.#reviving = slot;
    this.#voice.tell({ kind: "not-alive", name: slot.name, path: liveness.path, seen, inRow });
    slot.serving = null;
    const readyFor = this.#host.now() - run.readyAt;
    // From here on its end is ours: it must not be taken for a fall.
    run.unwanted = true;
    this.#listed.delete(run);
    await this.#publish();
    await this.#end(run);
    if (slot.serving === null && !slot.rolling && !this.#stopping) this.#restartLater(slot, readyFor);
  }

  /** Tells the sink what is listed now. Calls are in order; each resolves when its state, or a later one, is in force. */
  #publish(): Promise<boolean> {
    this.#published = this.#published.then(() =>
      this.#sink.set(
        [...this.#listed].map((run) => ({ id: run.id, stableId: run.name, host: run.address, port: run.port })),
      ),
    );
    return this.#published;
  }

  /** A program has ended by itself or by us: no traffic for it from now on, and a new one if it was missed. */
  async #onEnd(slot: Slot, run: Run): Promise<void> {
    if (this.#listed.delete(run) && !this.#stopping) void this.#publish();
    if (run.unwanted || slot.starting === run || run.exit === null) return;
    const lived = this.#host.now() - run.startedAt;
    this.#voice.tell({ kind: "fell", name: slot.name, exit: run.exit, lived });
    if (slot.serving === run) slot.serving = null;
    const readyFor = this.#host.now() - run.readyAt;
    // What it started may have outlived it (the `node` of an `npm start`), and must not meet its successor.
    await this.#end(run);
    if (slot.serving === null && !slot.rolling && !this.#stopping) this.#restartLater(slot, readyFor);
  }

  async #end(run: Run): Promise<void> {
    const forced = await endRun(run, this.#host, this.#plan.grace);
    if (this.#alive.delete(run) && forced) {
      this.#voice.tell({ kind: "killed", name: run.name, grace: this.#plan.grace });
    }
  }

  async #rollAll(): Promise<boolean> {
    let whole: boolean;
    do {
      this.#rollAgain = false;
      whole = await this.#rollOnce();
    } while (this.#rollAgain && !this.#stopping);
    return whole;
  }

  async #rollOnce(): Promise<boolean> {
    const replaced = new Set<string>();
    const replacements = new Map<string, Run | null>();
    for (;;) {
      const step = nextRollStep(
        this.#slots.map((slot): Place => {
          const replacement = replacements.get(slot.name);
          return {
            name: slot.name,
            serving: replaced.has(slot.name) ? "new" : slot.serving === null ? "none" : "old",
            replacement: replacement === undefined ? "none" : replacement === null ? "failed" : "ready",
          };
        }),
      );
      if (this.#stopping) return false;
      if (step.kind === "done") {
        this.#voice.tell({ kind: "rolled", instances: replaced.size });
        return true;
      }
      const slot = this.#slots.find((other) => other.name === step.name);
      if (slot === undefined) return false;
      if (step.kind === "abort") {
        this.#voice.tell({ kind: "roll-abandoned", name: slot.name, left: this.#slots.length - replaced.size });
        slot.rolling = false;
        if (slot.serving === null) this.#restartLater(slot, -1);
        return false;
      }
      if (step.kind === "start") {
        const position = replaced.size + 1;
        this.#voice.tell({ kind: "replacing", name: slot.name, position, of: this.#slots.length });
        replacements.set(slot.name, await this.#replacementFor(slot));
      } else if (await this.#swap(slot, replacements.get(slot.name) ?? null)) {
        replacements.delete(slot.name);
        replaced.add(slot.name);
      } else {
        replacements.set(slot.name, null);
      }
    }
  }

  async #replacementFor(slot: Slot): Promise<Run | null> {
    slot.rolling = true;
    slot.cancelRestart?.();
    slot.cancelRestart = null;
    // A start of the old version that is still under way would only be replaced in its turn.
    if (slot.starting !== null) await this.#end(slot.starting);
    await slot.restart;
    return this.#bringUp(slot);
  }

  /** The new run in, then the old one out. false when the new one fell before it served. */
  async #swap(slot: Slot, run: Run | null): Promise<boolean> {
    if (run === null) return false;
    const listed = await this.#list(run);
    if (!listed && run.exit === null && !this.#stopping) {
      // The old one is worth more than one that the balancer's own probe does not believe.
      this.#listed.delete(run);
      await this.#publish();
      await this.#end(run);
    }
    if (!listed || run.exit !== null || this.#stopping) return false;
    const old = slot.serving;
    this.#serve(slot, run);
    slot.rolling = false;
    slot.failures = 0;
    if (old !== null && old.exit === null) {
      this.#voice.tell({ kind: "draining", name: slot.name });
      await this.#sink.drain(old.id);
      this.#listed.delete(old);
      await this.#publish();
      await this.#end(old);
    }
    this.#voice.tell({ kind: "replaced", name: slot.name });
    return true;
  }
}
