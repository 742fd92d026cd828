// The supervisor answers for the program as a whole: how it starts, what changes it, what it says of itself. Its parts are put
// together in program-parts.ts, and how it ends is in ending.ts.
import type { Plan } from "../config/plan.ts";
import { renderProblems, type Problem } from "../config/problem.ts";
import { after, every, systemClock, systemTimers } from "../net/clock.ts";
import { renderMetrics } from "../observe/prometheus.ts";
import type { EnginePlan } from "../proxy/assemble.ts";
import type { AdminListener } from "./admin-door.ts";
import { workersBecause } from "./capacity.ts";
import { Ending } from "./ending.ts";
import type { AskedState } from "./endpoint-states.ts";
import { copySessions, gather } from "./handover/carried.ts";
import { Upgrades, type StartAgain, type UpgradeResult } from "./handover/upgrade.ts";
import { assembleProgram, type ProgramOptions, type ProgramParts } from "./program-parts.ts";
import type { ChangeResult } from "./reload.ts";
import { runtimeEndpointPlan, type RuntimeEndpoint } from "./runtime-endpoint.ts";
import { isAlive } from "./runtime-directory.ts";
import { listenForSignals } from "./signals.ts";
import { hostPort, listenerStatus, poolStatus, workerStatus, type Readiness, type Status } from "./status.ts";

/** What loading the configuration again gave. */
export type LoadedPlan =
  | { readonly plan: Plan; readonly warnings?: readonly Problem[] }
  | { readonly problems: readonly Problem[] };

export interface SupervisorOptions extends ProgramOptions {
  /** Reads the configuration again, for SIGHUP and `plimsoll reload`. */
  readonly reloadPlan: () => Promise<LoadedPlan>;
  /** Serves the admin API (admin/serve.ts brings it); without it the plan's admin address is not opened. */
  readonly openAdmin?: (address: NonNullable<Plan["admin"]>, supervisor: Supervisor, beside: boolean) => AdminListener;
  /** False leaves all signals to the caller. Default true. */
  readonly signals?: boolean;
  /** What SIGHUP does; default `reload`. */
  readonly onHangup?: () => void;
  /** How an upgrade starts the new program. */
  readonly again?: StartAgain;
}

/** A running balancer. */
export interface Supervisor {
  /** Resolves when all workers serve; `runSupervisor` returns no sooner. */
  readonly ready: Promise<void>;
  /** Resolves with the exit code once everything has stopped: 0 in order, 1 if it was hurried or had to kill a worker. */
  readonly stopped: Promise<number>;
  readonly readiness: Readiness;
  /** Base address of the admin API; "" if it has none. */
  readonly adminUrl: string;
  /** Reads the configuration again and applies it, all or nothing. Calls are served one after another. */
  reload(): Promise<ChangeResult>;
  /** Stops in order: lag, `Connection: close`, window. A second call waits for the same end. Resolves with the exit code. */
  stop(reason?: string): Promise<number>;
  /** Starts a new program that takes over everything; nothing changes unless it serves. Then this one finishes and goes. */
  upgrade(why: string): Promise<UpgradeResult>;
  /** Ends at once, whatever is in flight. */
  stopNow(reason?: string): Promise<number>;
  /** Replaces the endpoints of a pool until they are replaced again; a reload keeps them. */
  updateEndpoints(pool: string, endpoints: readonly RuntimeEndpoint[]): Promise<ChangeResult>;
  /**
   * Returns "" or a sentence that says what is wrong. `window` is for draining: ms until what is left is cut; null or left out
   * means what the pool says.
   */
  setEndpointState(pool: string, endpoint: string, state: AskedState, reason?: string, window?: number | null): string;
  /** Resolves when every worker that serves knows the states as they are now: after a tick, or after a second at most. */
  statesKnown(): Promise<void>;
  status(): Status;
  /** Prometheus text. */
  metrics(): string;
  /** The plan that runs, names resolved and slots given out. */
  plan(): EnginePlan;
  /** Opens the access log's file again. */
  reopenLogs(): void;
}

/** Why a program could not start; the message is for people. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/**
 * Starts workers for a plan and keeps them running. Resolves when all of them serve; throws a StartError, with nothing left
 * behind, when that cannot be.
 */
export async function runSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const supervisor = new RunningSupervisor(options);
  await supervisor.start();
  return supervisor;
}

/** Ms for which all workers must have served before an old program lets go. */
const probation = 1_000;
/** How often it is looked whether all workers know a state, ms: they look every 25 ms. */
const statesPoll = 5;

class RunningSupervisor implements Supervisor {
  readonly ready: Promise<void>;
  readonly #options: SupervisorOptions;
  readonly #parts: ProgramParts;
  readonly #ending: Ending;
  readonly #upgrades: Upgrades;
  readonly #started = systemClock.wall();
  readonly #settleReady: () => void;
  readonly #reloads = { applied: 0, refused: 0, lastApplied: this.#started, lastOk: true };
  #lastReload: Status["lastReload"] = null;
  #lastUpgrade: Status["lastUpgrade"] = null;
  #forgetSignals: () => void = () => {};
  #stopReminding: () => void = () => {};

  constructor(options: SupervisorOptions) {
    const { log, openAdmin } = options;
    this.#options = options;
    const ready = Promise.withResolvers<void>();
    [this.ready, this.#settleReady] = [ready.promise, ready.resolve];
    const parts = assembleProgram(options, {
      openAdmin: openAdmin === undefined ? null : (address, beside) => openAdmin(address, this, beside),
      namesChanged: () => void this.#namesChanged(),
    });
    this.#parts = parts;
    this.#ending = new Ending({
      log,
      parts,
      predecessor: options.inherited?.predecessor ?? null,
      giveUpUpgrade: () => this.#upgrades.giveUp(),
      left: () => {
        this.#stopReminding();
        this.#forgetSignals();
      },
    });
    this.#upgrades = new Upgrades({
      again: options.again ?? { refusal: "this program was not told how to start itself again" },
      version: options.version,
      directory: parts.directory,
      sockets: parts.sockets,
      admin: parts.admin,
      timers: systemTimers,
      log,
      gather: () => gather(parts, parts.running.engine, parts.directory.table, parts.discovery.answers),
      alone: (work) => parts.running.alone(() => (this.#ending.begun ? Promise.resolve() : work())),
      stopping: () => this.#ending.begun,
      yieldTo: (successor) => this.#ending.yieldTo(successor),
    });
  }

  get stopped(): Promise<number> {
    return this.#ending.stopped;
  }

  get readiness(): Readiness {
    return this.#ending.readiness;
  }

  get adminUrl(): string {
    return this.#parts.admin.url;
  }

  async start(): Promise<void> {
    // From the first moment: a Ctrl-C while starting must leave nothing behind either.
    if (this.#options.signals !== false) this.#forgetSignals = this.#hearSignals();
    let problem: string;
    try {
      problem = await this.#parts.running.begin();
    } catch (error) {
      problem = (error as Error).message;
    }
    // An old program goes on serving meanwhile, and if a worker of ours does not live through its first requests, after that.
    if (problem === "" && this.#options.inherited !== undefined) problem = await this.#parts.workers.steady(probation);
    if (this.#ending.begun) problem = "the program was told to stop while it started";
    if (problem !== "") {
      await this.#ending.giveUpStarting(problem);
      throw new StartError(problem);
    }
    this.#ending.readiness = "ready";
    // Before an old program lets go of them: it sees to what waits there.
    const unclaimed = this.#parts.sockets
      .closeUnclaimed()
      .map((address) => `no listener is on ${address}, which was handed to us`);
    for (const problem of [...unclaimed, ...(this.#options.activation?.problems ?? [])])
      this.#options.log.event("warn", "sockets.unused", problem);
    await this.#takeOver();
    this.#parts.outliers.start();
    this.#parts.acme.apply(this.#parts.running.plan.acme);
    this.#parts.certificates.start();
    this.#stopReminding = every(1_000, () => this.#parts.states.remind());
    this.#tellRunning();
    const workers = { workers: this.#parts.workers.rows.length, ...workersBecause(this.#options.plan) };
    this.#options.log.event("info", "program.ready", this.#serving(), workers);
    this.#parts.service.ready(this.#serving());
    this.#parts.service.watch(() => this.readiness !== "ready" || this.#parts.workers.alive);
    this.#settleReady();
  }

  #serving(): string {
    const where = this.status().listeners.map(({ name, host, port }) => `${name} on ${hostPort(host, port)}`);
    return `serving ${where.join(", ")}`;
  }

  async reload(): Promise<ChangeResult> {
    this.#parts.service.reloading();
    const result = await this.#parts.running.change(() => this.#load(), "reload");
    if (this.readiness === "ready")
      this.#parts.service.ready(result.ok ? this.#serving() : `reload refused: ${result.problems.join("; ")}`);
    const at = systemClock.wall();
    this.#reloads.lastOk = result.ok;
    this.#lastReload = { at, ok: result.ok, problems: result.ok ? [] : result.problems };
    if (result.ok) {
      this.#reloads.applied++;
      this.#reloads.lastApplied = at;
      this.#parts.acme.apply(this.#parts.running.plan.acme);
      this.#tellRunning();
      if (result.changes.length === 0)
        this.#options.log.event("info", "config.unchanged", "reload: nothing has changed");
    } else {
      this.#reloads.refused++;
      this.#options.log.event("error", "config.refused", `nothing was changed: ${result.problems.join("; ")}`);
    }
    return result;
  }

  /** Everything is proved: the old program may let go. */
  async #takeOver(): Promise<void> {
    const { inherited } = this.#options;
    if (inherited === undefined) return;
    const { predecessor, given } = inherited;
    predecessor.onAsked = ({ pool, endpoint, state, reason, window }) =>
      void this.#parts.states.ask(pool, endpoint, state, reason, window);
    // Whoever looks finds one program at every moment: this one says whom it replaces.
    this.#tellRunning();
    const released = await predecessor.ready();
    copySessions(this.#parts.table, this.#parts.running.engine, given.carried);
    this.#parts.earlier?.follow(systemTimers, isAlive, () => this.#parts.running.engine);
    this.#lastUpgrade = {
      at: systemClock.wall(),
      ok: true,
      problem: "",
      from: { pid: given.pid, version: given.version },
    };
    const how = released ? "" : ", which was gone before it let go";
    this.#options.log.event(
      "info",
      "upgrade.done",
      `took over from process ${given.pid}, version ${given.version}${how}`,
    );
  }

  async upgrade(why: string): Promise<UpgradeResult> {
    const result = await this.#upgrades.run(why);
    if (!result.ok && !result.refused)
      this.#lastUpgrade = { at: systemClock.wall(), ok: false, problem: result.problem, from: null };
    return result;
  }

  updateEndpoints(pool: string, endpoints: readonly RuntimeEndpoint[]): Promise<ChangeResult> {
    return this.#parts.running.replaceEndpoints(pool, endpoints.map(runtimeEndpointPlan));
  }

  setEndpointState(
    pool: string,
    endpoint: string,
    state: AskedState,
    reason = "asked for by an operator",
    window: number | null = null,
  ): string {
    const problem = this.#parts.states.ask(pool, endpoint, state, reason, window);
    if (problem === "") this.#upgrades.tell({ pool, endpoint, state, reason, window });
    return problem;
  }

  async statesKnown(): Promise<void> {
    const written = systemClock.wall();
    for (let waited = 0; waited < 1_000 && this.#parts.workers.reviewed <= written; waited += statesPoll) {
      await new Promise<void>((resolve) => void after(statesPoll, resolve));
    }
  }

  status(): Status {
    const { engine, generation, plan } = this.#parts.running;
    return {
      version: this.#options.version,
      pid: process.pid,
      readiness: this.readiness,
      uptime: systemClock.wall() - this.#started,
      generation,
      admin: this.adminUrl,
      workers: workerStatus(this.#parts.table, engine, this.#parts.workers.rows),
      workerRestarts: this.#parts.workers.restarts,
      listeners: listenerStatus(this.#parts.table, engine, this.#ending.sockets),
      pools: poolStatus(
        this.#parts.table,
        engine,
        this.#parts.states,
        this.#parts.drains,
        this.#parts.outliers,
        this.#parts.probes,
        plan.shutdown,
        systemClock.wall(),
      ),
      leaving: this.#parts.drains.leaving(),
      certificates: this.#parts.acme.status(),
      lastReload: this.#lastReload,
      lastUpgrade: this.#lastUpgrade,
    };
  }

  metrics(): string {
    const { listeners, pools } = this.#parts.running.engine;
    return renderMetrics({
      table: this.#parts.table,
      version: this.#options.version,
      started: this.#started,
      ready: this.readiness === "ready",
      listeners,
      pools,
      workers: { serving: this.#parts.workers.rows.map((row) => row.serving), restarts: this.#parts.workers.restarts },
      reloads: this.#reloads,
      acme: { ...this.#parts.acme.counts, certificates: this.#parts.acme.status() },
    });
  }

  plan(): EnginePlan {
    return this.#parts.running.engine;
  }

  reopenLogs(): void {
    this.#options.log.event("info", "log.reopened", "the access log is opened again");
    this.#parts.workers.reopenLogs();
  }

  stop(reason = "asked to stop"): Promise<number> {
    return this.#ending.stop(reason);
  }

  stopNow(reason = "asked to stop at once"): Promise<number> {
    return this.#ending.stopNow(reason);
  }

  #hearSignals(): () => void {
    return listenForSignals({
      stop: (signal) => void this.stop(signal),
      stopNow: (signal) => void this.stopNow(`a second ${signal}`),
      reload: this.#options.onHangup ?? (() => void this.reload()),
      reopenLogs: () => this.reopenLogs(),
      upgrade: () => void this.upgrade("SIGUSR2"),
    });
  }

  async #load(): Promise<Plan | { readonly problems: readonly string[] }> {
    try {
      const loaded = await this.#options.reloadPlan();
      if ("plan" in loaded) return loaded.plan;
      const errors = loaded.problems.filter((problem) => problem.severity === "error");
      return { problems: errors.map((problem) => renderProblems([problem], "").trimEnd()) };
    } catch (error) {
      return { problems: [`the configuration cannot be read: ${(error as Error).message}`] };
    }
  }

  async #namesChanged(): Promise<void> {
    const result = await this.#parts.running.refresh("names resolve to other addresses");
    if (result.ok || this.#ending.begun) return;
    this.#options.log.event(
      "error",
      "discovery.refused",
      `new addresses cannot be used: ${result.problems.join("; ")}`,
    );
  }

  #tellRunning(): void {
    const { version } = this.#options;
    const replaces = this.#options.inherited?.given.pid;
    this.#parts.directory.tell({
      pid: process.pid,
      version,
      started: this.#started,
      admin: this.adminUrl,
      ...(replaces === undefined ? {} : { replaces }),
    });
  }
}
