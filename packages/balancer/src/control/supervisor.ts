// The supervisor: puts together what all workers share (plan, sockets, table, states, probes, admin) and answers for the
// program as a whole: how it starts, what it says of itself, how it ends.
import { tmpdir } from "node:os";
import type { Plan } from "../config/plan.ts";
import { renderProblems, type Problem } from "../config/problem.ts";
import { createBunTransport } from "../net/bun-transport.ts";
import { after, every, systemClock, systemRandom, systemTimers } from "../net/clock.ts";
import { runCommand } from "../net/run-command.ts";
import { shakeHands } from "../net/tls-handshake.ts";
import type { Log } from "../observe/log.ts";
import { renderMetrics } from "../observe/prometheus.ts";
import { SharedTable, WorkerCell } from "../observe/table.ts";
import { makeProbes } from "../pool/probe/table.ts";
import type { EnginePlan } from "../proxy/assemble.ts";
import { createAcme } from "./acme/create.ts";
import type { AcmeManager } from "./acme/manager.ts";
import { AdminDoor, type AdminListener } from "./admin-door.ts";
import { limitProblem, raiseLimit, slotUse, tableShape, workerCount } from "./capacity.ts";
import { CertificateWatch } from "./certificate-watch.ts";
import { Drains } from "./drains.ts";
import { createDiscovery, type Discovery } from "./discovery/dns.ts";
import { EndpointStates, type AskedState } from "./endpoint-states.ts";
import { copySessions, gather, restore } from "./handover/carried.ts";
import type { Inheritance, Predecessor } from "./handover/predecessor.ts";
import type { Successor } from "./handover/successor.ts";
import { Upgrades, type StartAgain, type UpgradeResult } from "./handover/upgrade.ts";
import { Outliers } from "./outliers.ts";
import { Probes } from "./probes.ts";
import { RunningPlan, type ChangeResult } from "./reload.ts";
import { runtimeEndpointPlan, type RuntimeEndpoint } from "./runtime-endpoint.ts";
import { makeRuntimeDirectory, runtimeBases, type RuntimeDirectory } from "./runtime-directory.ts";
import { listenForSignals } from "./signals.ts";
import type { Activation } from "./service/activation.ts";
import { serviceEnvironment, ServiceNotes } from "./service/notes.ts";
import { Slots } from "./slots.ts";
import { ListeningSockets } from "./sockets.ts";
import { hostPort, listenerStatus, poolStatus, workerStatus, type Readiness, type Status } from "./status.ts";
import { defaultWorkerCommand } from "./worker-command.ts";
import { Workers } from "./workers.ts";

/** What loading the configuration again gave. */
export type LoadedPlan =
  | { readonly plan: Plan; readonly warnings?: readonly Problem[] }
  | { readonly problems: readonly Problem[] };

export interface SupervisorOptions {
  readonly plan: Plan;
  readonly version: string;
  /** Reads the configuration again, for SIGHUP and `plimsoll reload`. */
  readonly reloadPlan: () => Promise<LoadedPlan>;
  readonly log: Log;
  /** Serves the admin API (admin/serve.ts brings it); without it the plan's admin address is not opened. */
  readonly openAdmin?: (address: NonNullable<Plan["admin"]>, supervisor: Supervisor, beside: boolean) => AdminListener;
  /** Program and arguments that run a worker; by default this runtime and worker-entry.ts. */
  readonly workerCommand?: readonly string[];
  /** False leaves all signals to the caller. Default true. */
  readonly signals?: boolean;
  /** What SIGHUP does; default `reload`. */
  readonly onHangup?: () => void;
  /** Seconds without a sign of life after which a worker is killed. Default 10. */
  readonly stuckAfter?: number;
  /** The program that this one takes over from, and what it gave. */
  readonly inherited?: { readonly predecessor: Predecessor; readonly given: Inheritance };
  /** Sockets that a service manager opened for us. */
  readonly activation?: Activation;
  /** How an upgrade starts the new program. */
  readonly again?: StartAgain;
  /** Folder for the runtime directory; by default the best of runtimeBases. */
  readonly runtimeBase?: string;
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

/** How often it is looked whether all workers know a state, ms: they look every 25 ms. */
const statesPoll = 5;

class RunningSupervisor implements Supervisor {
  readonly ready: Promise<void>;
  readonly stopped: Promise<number>;
  readiness: Readiness = "starting";
  readonly #options: SupervisorOptions;
  readonly #log: Log;
  readonly #started = systemClock.wall();
  readonly #directory: RuntimeDirectory;
  readonly #table: SharedTable;
  readonly #sockets: ListeningSockets;
  readonly #drains: Drains;
  readonly #states: EndpointStates;
  readonly #probes: Probes;
  readonly #outliers: Outliers;
  readonly #discovery: Discovery;
  readonly #acme: AcmeManager;
  readonly #workers: Workers;
  readonly #admin: AdminDoor;
  readonly #running: RunningPlan;
  readonly #certificates: CertificateWatch;
  readonly #upgrades: Upgrades;
  readonly #service = new ServiceNotes(serviceEnvironment(process.env, process.pid), systemTimers);
  readonly #settleReady: () => void;
  readonly #settleStopped: (code: number) => void;
  readonly #reloads = { applied: 0, refused: 0, lastApplied: this.#started, lastOk: true };
  #lastReload: Status["lastReload"] = null;
  #lastUpgrade: Status["lastUpgrade"] = null;
  #forgetSignals: () => void = () => {};
  /** As they were before they were closed: status goes on telling the ports. */
  #lastSockets: ListeningSockets["all"] | null = null;
  #stopReminding: () => void = () => {};
  #stopping = false;
  #hurried = false;
  #hurry: () => void = () => {};

  constructor(options: SupervisorOptions) {
    const { plan, log, openAdmin } = options;
    this.#options = options;
    this.#log = log;
    const ready = Promise.withResolvers<void>();
    const stopped = Promise.withResolvers<number>();
    [this.ready, this.#settleReady] = [ready.promise, ready.resolve];
    [this.stopped, this.#settleStopped] = [stopped.promise, stopped.resolve];
    const limit = limitProblem(plan, raiseLimit(log));
    if (limit !== "") log.event("warn", "program.limit", limit);
    const count = workerCount(plan);
    this.#directory = makeRuntimeDirectory(
      options.runtimeBase ?? runtimeBases(process.env)[0] ?? tmpdir(),
      process.pid,
    );
    this.#table = SharedTable.create(this.#directory.table, tableShape(plan, count), process.pid);
    const given = options.inherited?.given;
    this.#sockets = new ListeningSockets(count, [...(given?.sockets ?? []), ...(options.activation?.sockets ?? [])]);
    this.#drains = new Drains({
      table: this.#table,
      clock: systemClock,
      timers: systemTimers,
      log,
      reviewed: () => this.#reviewed(),
    });
    this.#states = new EndpointStates(this.#table, systemClock, log, this.#drains);
    this.#probes = new Probes({
      probes: makeProbes({
        transport: createBunTransport(),
        clock: systemClock,
        timers: systemTimers,
        shakeHands,
        runCommand,
      }),
      states: this.#states,
      clock: systemClock,
      timers: systemTimers,
      random: systemRandom,
    });
    this.#outliers = new Outliers({
      table: this.#table,
      clock: systemClock,
      timers: systemTimers,
      log,
      pools: () => this.#running.engine.pools,
    });
    this.#discovery = createDiscovery({
      log,
      onChange: () => void this.#namesChanged(),
      ...(given === undefined ? {} : { answers: new Map(Object.entries(given.carried.names)) }),
    });
    this.#acme = createAcme(log, options.version, (why) => this.#running.refresh(why));
    this.#admin = new AdminDoor(
      openAdmin === undefined ? null : (address, beside) => openAdmin(address, this, beside),
      given?.admin,
    );
    this.#workers = new Workers({
      count,
      command: options.workerCommand ?? defaultWorkerCommand(),
      table: this.#table,
      tablePath: this.#directory.table,
      timers: systemTimers,
      clock: systemClock,
      log,
      stuckAfter: options.stuckAfter ?? 10,
    });
    this.#running = new RunningPlan(plan, {
      clock: systemClock,
      log,
      slots: new Slots(this.#table.shape, slotUse(this.#table)),
      sockets: this.#sockets,
      states: this.#states,
      prober: this.#probes,
      names: this.#discovery,
      issuer: this.#acme,
      workers: this.#workers,
      admin: this.#admin,
      adopt: (engine) => {
        if (given === undefined) return;
        restore(this.#parts(), engine, given.carried, systemClock);
        copySessions(this.#table, engine, given.carried);
      },
    });
    this.#certificates = new CertificateWatch({ log, running: this.#running });
    this.#upgrades = new Upgrades({
      again: options.again ?? { refusal: "this program was not told how to start itself again" },
      version: options.version,
      directory: this.#directory,
      sockets: this.#sockets,
      admin: this.#admin,
      timers: systemTimers,
      log,
      gather: () => gather(this.#parts(), this.#running.engine, this.#directory.table, this.#discovery.answers),
      alone: (work) => this.#running.alone(() => (this.#stopping ? Promise.resolve() : work())),
      stopping: () => this.#stopping,
      yieldTo: (successor) => this.#yieldTo(successor),
    });
  }

  get adminUrl(): string {
    return this.#admin.url;
  }

  async start(): Promise<void> {
    // From the first moment: a Ctrl-C while starting must leave nothing behind either.
    if (this.#options.signals !== false) this.#forgetSignals = this.#hearSignals();
    let problem: string;
    try {
      problem = await this.#running.begin();
    } catch (error) {
      problem = (error as Error).message;
    }
    if (this.#stopping) problem = "the program was told to stop while it started";
    if (problem !== "") {
      await this.#giveUpStarting(problem);
      throw new StartError(problem);
    }
    this.readiness = "ready";
    // Before an old program lets go of them: it sees to what waits there.
    const unclaimed = this.#sockets
      .closeUnclaimed()
      .map((address) => `no listener is on ${address}, which was handed to us`);
    for (const problem of [...unclaimed, ...(this.#options.activation?.problems ?? [])])
      this.#log.event("warn", "sockets.unused", problem);
    await this.#takeOver();
    this.#outliers.start();
    this.#acme.apply(this.#running.plan.acme);
    this.#certificates.start();
    this.#stopReminding = every(1_000, () => this.#states.remind());
    this.#tellRunning();
    this.#log.event("info", "program.ready", this.#serving(), { workers: this.#workers.rows.length });
    this.#service.ready(this.#serving());
    this.#service.watch(() => this.readiness !== "ready" || this.#workers.alive);
    this.#settleReady();
  }

  #serving(): string {
    const where = this.status().listeners.map(({ name, host, port }) => `${name} on ${hostPort(host, port)}`);
    return `serving ${where.join(", ")}`;
  }

  async reload(): Promise<ChangeResult> {
    this.#service.reloading();
    const result = await this.#running.change(() => this.#load(), "reload");
    if (this.readiness === "ready")
      this.#service.ready(result.ok ? this.#serving() : `reload refused: ${result.problems.join("; ")}`);
    const at = systemClock.wall();
    this.#reloads.lastOk = result.ok;
    this.#lastReload = { at, ok: result.ok, problems: result.ok ? [] : result.problems };
    if (result.ok) {
      this.#reloads.applied++;
      this.#reloads.lastApplied = at;
      this.#acme.apply(this.#running.plan.acme);
      this.#tellRunning();
      if (result.changes.length === 0) this.#log.event("info", "config.unchanged", "reload: nothing has changed");
    } else {
      this.#reloads.refused++;
      this.#log.event("error", "config.refused", `nothing was changed: ${result.problems.join("; ")}`);
    }
    return result;
  }

  async #giveUpStarting(problem: string): Promise<void> {
    const { inherited, plan } = this.#options;
    this.#stopping = true;
    inherited?.predecessor.failed(problem);
    // Workers that came up may have taken connections from the queues that the old program serves, too.
    if (inherited === undefined) this.#workers.kill();
    else this.#workers.abandon();
    await this.#workers.stop(inherited === undefined ? 0 : plan.shutdown.window, true);
    await this.#leave(1);
  }

  /** Everything is proved: the old program may let go. */
  async #takeOver(): Promise<void> {
    const { inherited } = this.#options;
    if (inherited === undefined) return;
    const { predecessor, given } = inherited;
    predecessor.onAsked = ({ pool, endpoint, state, reason, window }) =>
      void this.#states.ask(pool, endpoint, state, reason, window);
    // Whoever looks finds one program at every moment: this one says whom it replaces.
    this.#tellRunning();
    await predecessor.ready();
    copySessions(this.#table, this.#running.engine, given.carried);
    this.#lastUpgrade = {
      at: systemClock.wall(),
      ok: true,
      problem: "",
      from: { pid: given.pid, version: given.version },
    };
    this.#log.event("info", "upgrade.done", `took over from process ${given.pid}, version ${given.version}`);
  }

  async upgrade(why: string): Promise<UpgradeResult> {
    const result = await this.#upgrades.run(why);
    if (!result.ok && !result.refused)
      this.#lastUpgrade = { at: systemClock.wall(), ok: false, problem: result.problem, from: null };
    return result;
  }

  /** Another program serves the same sockets: what is in flight here is finished. */
  #yieldTo(successor: Successor): void {
    const { window } = this.#running.plan.shutdown;
    this.#stopping = true;
    this.readiness = "replaced";
    const text = `process ${successor.pid}, version ${successor.version}, serves now; what is in flight here is finished`;
    this.#log.event("info", "program.replaced", text, { window });
    this.#service.replacedBy(successor.pid);
    // What it was ordering the other one orders; whoever holds the lock of a folder keeps it from that.
    void this.#acme.close();
    this.#directory.hush();
    this.#admin.retire();
    this.#lastSockets = this.#sockets.all;
    this.#sockets.keep([]);
    successor.letGo();
    void this.#running
      .close()
      .then(() => this.#workers.stop(this.#hurried ? 0 : window, true))
      .then((orderly) => this.#leave(orderly && !this.#hurried ? 0 : 1));
  }

  #parts(): Parameters<typeof gather>[0] {
    return { table: this.#table, states: this.#states, drains: this.#drains, outliers: this.#outliers };
  }

  updateEndpoints(pool: string, endpoints: readonly RuntimeEndpoint[]): Promise<ChangeResult> {
    return this.#running.replaceEndpoints(pool, endpoints.map(runtimeEndpointPlan));
  }

  setEndpointState(
    pool: string,
    endpoint: string,
    state: AskedState,
    reason = "asked for by an operator",
    window: number | null = null,
  ): string {
    const problem = this.#states.ask(pool, endpoint, state, reason, window);
    if (problem === "") this.#upgrades.tell({ pool, endpoint, state, reason, window });
    return problem;
  }

  async statesKnown(): Promise<void> {
    const written = systemClock.wall();
    for (let waited = 0; waited < 1_000 && this.#reviewed() <= written; waited += statesPoll) {
      await new Promise<void>((resolve) => void after(statesPoll, resolve));
    }
  }

  status(): Status {
    const { engine, generation, plan } = this.#running;
    return {
      version: this.#options.version,
      pid: process.pid,
      readiness: this.readiness,
      uptime: systemClock.wall() - this.#started,
      generation,
      admin: this.adminUrl,
      workers: workerStatus(this.#table, engine, this.#workers.rows),
      workerRestarts: this.#workers.restarts,
      listeners: listenerStatus(this.#table, engine, this.#lastSockets ?? this.#sockets.all),
      pools: poolStatus(
        this.#table,
        engine,
        this.#states,
        this.#drains,
        this.#outliers,
        this.#probes,
        plan.shutdown,
        systemClock.wall(),
      ),
      leaving: this.#drains.leaving(),
      certificates: this.#acme.status(),
      lastReload: this.#lastReload,
      lastUpgrade: this.#lastUpgrade,
    };
  }

  metrics(): string {
    const { listeners, pools } = this.#running.engine;
    return renderMetrics({
      table: this.#table,
      version: this.#options.version,
      started: this.#started,
      ready: this.readiness === "ready",
      listeners,
      pools,
      workers: { serving: this.#workers.rows.map((row) => row.serving), restarts: this.#workers.restarts },
      reloads: this.#reloads,
      acme: { ...this.#acme.counts, certificates: this.#acme.status() },
    });
  }

  plan(): EnginePlan {
    return this.#running.engine;
  }

  reopenLogs(): void {
    this.#log.event("info", "log.reopened", "the access log is opened again");
    this.#workers.reopenLogs();
  }

  stop(reason = "asked to stop"): Promise<number> {
    if (!this.#stopping) {
      this.#stopping = true;
      // While it starts, start() itself sees to the end.
      this.#upgrades.giveUp();
      if (this.readiness === "starting") this.#endStarting();
      else void this.#stopInOrder(reason);
    }
    return this.stopped;
  }

  stopNow(reason = "asked to stop at once"): Promise<number> {
    this.#log.event("warn", "program.cut", `ending now: ${reason}`);
    const end = this.stop(reason);
    this.#hurried = true;
    this.#hurry();
    this.#workers.kill();
    return end;
  }

  #endStarting(): void {
    if (this.#options.inherited === undefined) this.#workers.kill();
    else this.#workers.abandon();
  }

  async #stopInOrder(reason: string): Promise<void> {
    const { lag, window } = this.#running.plan.shutdown;
    // What is under way is given up, rather than counted as refused by whoever stops.
    void this.#acme.close();
    this.readiness = "stopping";
    this.#log.event("info", "program.stopping", `stopping: ${reason}`, { lag, window });
    this.#service.stopping(`stopping: ${reason}`, lag + window);
    // Whoever routes to us sees /readyz turn first and sends nothing more; until then new connections are served.
    if (lag > 0) {
      this.#workers.announceStop();
      await new Promise<void>((resolve) => {
        this.#hurry = resolve;
        after(lag, resolve);
        if (this.#hurried) resolve();
      });
    }
    this.#lastSockets = this.#sockets.all;
    await this.#running.close();
    // Before the workers close theirs: what nobody accepts must be refused at once, so that whoever asks can go elsewhere. The
    // last to hold a socket must be who accepts from it: closed by somebody else, it resets what waits in its queue.
    this.#sockets.keep([]);
    const orderly = await this.#workers.stop(this.#hurried ? 0 : window);
    await this.#leave(orderly && !this.#hurried ? 0 : 1);
  }

  /** Wall-clock ms of the last look at endpoint states of the worker that looked longest ago. */
  #reviewed(): number {
    const table = this.#table;
    let first = Number.POSITIVE_INFINITY;
    for (const [row, { serving }] of this.#workers.rows.entries()) {
      if (serving) first = Math.min(first, table.cells[table.worker(row) + WorkerCell.reviewed] ?? 0);
    }
    return first;
  }

  /** Gives back everything. */
  async #leave(code: number): Promise<void> {
    this.#probes.stop();
    this.#outliers.stop();
    this.#certificates.stop();
    this.#stopReminding();
    this.#drains.close();
    this.#discovery.close();
    this.#service.close();
    await this.#acme.close();
    await this.#admin.close();
    this.#sockets.keep([]);
    this.#directory.remove();
    this.#forgetSignals();
    this.#log.event(
      "info",
      "program.stopped",
      code === 0 ? "stopped in order" : "stopped; not everything could be finished",
    );
    this.#settleStopped(code);
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
    const result = await this.#running.refresh("names resolve to other addresses");
    if (result.ok || this.#stopping) return;
    this.#log.event("error", "discovery.refused", `new addresses cannot be used: ${result.problems.join("; ")}`);
  }

  #tellRunning(): void {
    const { version } = this.#options;
    const replaces = this.#options.inherited?.given.pid;
    this.#directory.tell({
      pid: process.pid,
      version,
      started: this.#started,
      admin: this.adminUrl,
      ...(replaces === undefined ? {} : { replaces }),
    });
  }
}
