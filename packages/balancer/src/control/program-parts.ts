// The parts of one program, put together: what all workers share (plan, sockets, table, states, probes, admin), and what each
// part asks of another. How the program lives and ends with them is told elsewhere (supervisor.ts, ending.ts).
import { tmpdir } from "node:os";
import type { Plan } from "../config/plan.ts";
import { createBunTransport } from "../net/bun-transport.ts";
import { systemClock, systemRandom, systemTimers } from "../net/clock.ts";
import { runCommand } from "../net/run-command.ts";
import { shakeHands } from "../net/tls-handshake.ts";
import type { Log } from "../observe/log.ts";
import { SharedTable } from "../observe/table.ts";
import { makeProbes } from "../pool/probe/table.ts";
import { createAcme } from "./acme/create.ts";
import type { AcmeManager } from "./acme/manager.ts";
import { AdminDoor, type AdminListener } from "./admin-door.ts";
import { limitProblem, raiseLimit, slotUse, tableShape, workerCount } from "./capacity.ts";
import { CertificateWatch } from "./certificate-watch.ts";
import { createDiscovery, type Discovery } from "./discovery/dns.ts";
import { Drains } from "./drains.ts";
import { EndpointStates } from "./endpoint-states.ts";
import { copySessions, restore } from "./handover/carried.ts";
import { EarlierTable } from "./handover/earlier-table.ts";
import type { Inheritance, Predecessor } from "./handover/predecessor.ts";
import { Outliers } from "./outliers.ts";
import { Probes } from "./probes.ts";
import { RunningPlan } from "./reload.ts";
import { makeRuntimeDirectory, runtimeBases, type RuntimeDirectory } from "./runtime-directory.ts";
import type { Activation } from "./service/activation.ts";
import { serviceEnvironment, ServiceNotes } from "./service/notes.ts";
import { Slots } from "./slots.ts";
import { ListeningSockets } from "./sockets.ts";
import { defaultWorkerCommand } from "./worker-command.ts";
import { Workers } from "./workers.ts";

/** What a program is made from. */
export interface ProgramOptions {
  readonly plan: Plan;
  readonly version: string;
  readonly log: Log;
  /** Program and arguments that run a worker; by default this runtime and worker-entry.ts. */
  readonly workerCommand?: readonly string[];
  /** Seconds without a sign of life after which a worker is killed. Default 10. */
  readonly stuckAfter?: number;
  /** The program that this one takes over from, and what it gave. */
  readonly inherited?: { readonly predecessor: Predecessor; readonly given: Inheritance };
  /** Sockets that a service manager opened for us. */
  readonly activation?: Activation;
  /** Folder for the runtime directory; by default the best of runtimeBases. */
  readonly runtimeBase?: string;
}

/** What the parts ask of whoever runs them. */
export interface ProgramNeeds {
  /** Serves the admin API; null opens none. */
  readonly openAdmin: ((address: NonNullable<Plan["admin"]>, beside: boolean) => AdminListener) | null;
  /** Names have other addresses than before. */
  namesChanged(): void;
}

/** The parts; each is told of in its own file. */
export interface ProgramParts {
  readonly directory: RuntimeDirectory;
  readonly table: SharedTable;
  readonly sockets: ListeningSockets;
  readonly drains: Drains;
  readonly states: EndpointStates;
  readonly probes: Probes;
  readonly outliers: Outliers;
  readonly discovery: Discovery;
  readonly acme: AcmeManager;
  readonly workers: Workers;
  readonly admin: AdminDoor;
  readonly running: RunningPlan;
  readonly certificates: CertificateWatch;
  readonly service: ServiceNotes;
  /** That of the program that this one takes over from; null when there is none. */
  readonly earlier: EarlierTable | null;
}

/** Makes all parts; nothing of them runs yet. Throws what the system says when the runtime directory cannot be made. */
export function assembleProgram(options: ProgramOptions, needs: ProgramNeeds): ProgramParts {
  const { plan, log } = options;
  const given = options.inherited?.given;
  const limit = limitProblem(plan, raiseLimit(log));
  if (limit !== "") log.event("warn", "program.limit", limit);
  const count = workerCount(plan);
  const directory = makeRuntimeDirectory(options.runtimeBase ?? runtimeBases(process.env)[0] ?? tmpdir(), process.pid);
  const table = SharedTable.create(directory.table, tableShape(plan, count), process.pid);
  const earlier = given === undefined ? null : new EarlierTable(table, given.carried);
  const sockets = new ListeningSockets(count, [...(given?.sockets ?? []), ...(options.activation?.sockets ?? [])]);
  const drains = new Drains({
    table,
    clock: systemClock,
    timers: systemTimers,
    log,
    reviewed: () => workers.reviewed,
  });
  const states = new EndpointStates(table, systemClock, log, drains);
  const probes = new Probes({
    probes: makeProbes({
      transport: createBunTransport(),
      clock: systemClock,
      timers: systemTimers,
      shakeHands,
      runCommand,
    }),
    states,
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
  });
  const outliers = new Outliers({
    table,
    clock: systemClock,
    timers: systemTimers,
    log,
    pools: () => running.engine.pools,
  });
  const discovery = createDiscovery({
    log,
    onChange: () => needs.namesChanged(),
    ...(given === undefined ? {} : { answers: new Map(Object.entries(given.carried.names)) }),
  });
  const acme = createAcme(log, options.version, (why) => running.refresh(why));
  const admin = new AdminDoor(needs.openAdmin, given?.admin);
  const workers = new Workers({
    count,
    command: options.workerCommand ?? defaultWorkerCommand(),
    table,
    tablePath: directory.table,
    timers: systemTimers,
    clock: systemClock,
    log,
    stuckAfter: options.stuckAfter ?? 10,
  });
  const running: RunningPlan = new RunningPlan(plan, {
    clock: systemClock,
    log,
    slots: new Slots(table.shape, slotUse(table)),
    sockets,
    states,
    prober: probes,
    names: discovery,
    issuer: acme,
    workers,
    admin,
    adopt: (engine) => {
      if (given === undefined) return;
      earlier?.begin(engine);
      restore({ table, states, drains, outliers }, engine, given.carried, systemClock);
      copySessions(table, engine, given.carried);
    },
  });
  const certificates = new CertificateWatch({ log, running });
  const service = new ServiceNotes(serviceEnvironment(process.env, process.pid), systemTimers);
  return {
    directory,
    table,
    sockets,
    drains,
    states,
    probes,
    outliers,
    discovery,
    acme,
    workers,
    admin,
    running,
    certificates,
    service,
    earlier,
  };
}
