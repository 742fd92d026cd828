// The whole data plane in this process, on real sockets: an engine in front of origins that judge every byte they get. A
// test speaks to it as any client does, and what it leaves behind is counted when it closes.
import { createBunTransport } from "../../../packages/balancer/src/net/bun-transport.ts";
import { every, systemClock, systemRandom } from "../../../packages/balancer/src/net/clock.ts";
import { startWheel, Wheel } from "../../../packages/balancer/src/net/wheel.ts";
import type { AccessRecord } from "../../../packages/balancer/src/observe/access-record.ts";
import {
  EndpointCell,
  ListenerCell,
  PoolCell,
  SharedTable,
  WorkerCell,
} from "../../../packages/balancer/src/observe/table.ts";
import { type FaultCode, faultCodes } from "../../../packages/balancer/src/base/fault.ts";
import { createEngine, type Engine } from "../../../packages/balancer/src/proxy/engine.ts";
import { openSockets } from "@plimsoll/testbed/leaks";
import { startOrigin, type Origin } from "@plimsoll/testbed/origin";
import { connectRaw, type RawClient, type RawClientOptions } from "@plimsoll/testbed/raw-client";
import type { Script } from "@plimsoll/testbed/script";
import { eventually } from "@plimsoll/testbed/waiting";
import { makePlan, type PlanOptions, Rows } from "./plans.ts";

/** A plan, or what makes one of the origins that were started for it. */
export type Planned<Name extends string> = (origins: Readonly<Record<Name, Origin>>) => PlanOptions;

/**
 * Starts an origin for each script and an engine in front of them. Without `plan`, every origin is an endpoint of the pool
 * `app`. Close it, also when the test failed; `withEngine` does.
 */
export async function startEngine<Name extends string>(
  scripts: Readonly<Record<Name, Script>>,
  plan?: Planned<Name>,
): Promise<EngineUnderTest<Name>> {
  const sockets = openSockets();
  const origins = {} as Record<Name, Origin>;
  for (const name of Object.keys(scripts) as Name[]) origins[name] = await startOrigin({ script: scripts[name] });
  return new EngineUnderTest(
    origins,
    plan ?? ((all) => ({ pools: { app: { endpoints: Object.values<Origin>(all) } } })),
    sockets,
  );
}

/** Runs `body` with a started engine and closes it: throws also when an origin was sent what it must not be, or a leak. */
export async function withEngine<Name extends string>(
  scripts: Readonly<Record<Name, Script>>,
  plan: Planned<Name> | undefined,
  body: (under: EngineUnderTest<Name>) => Promise<void>,
): Promise<void> {
  const under = await startEngine(scripts, plan);
  try {
    await body(under);
  } catch (error) {
    await under.abandon();
    throw error;
  }
  await under.close();
}

export class EngineUnderTest<Name extends string = string> {
  readonly origins: Readonly<Record<Name, Origin>>;
  readonly engine: Engine;
  readonly table: SharedTable;
  readonly port: number;
  /** What the access log was told, in order. */
  readonly records: AccessRecord[] = [];
  readonly #rows = new Rows();
  readonly #clients: RawClient[] = [];
  readonly #sockets: number;
  readonly #stops: (() => void)[] = [];

  constructor(origins: Record<Name, Origin>, plan: Planned<Name>, sockets: number) {
    this.origins = origins;
    this.#sockets = sockets;
    this.table = SharedTable.local({ workers: 1, endpoints: 64, pools: 16, listeners: 1 });
    const wheel = new Wheel(systemClock.now());
    this.#stops.push(startWheel(wheel, systemClock));
    this.engine = createEngine({
      transport: createBunTransport(),
      clock: systemClock,
      random: systemRandom,
      wheel,
      table: this.table,
      row: 0,
      log: { exchange: (record) => void this.records.push({ ...record }) },
    });
    this.commit(plan(origins));
    this.port = this.engine.listen("web", undefined, { kind: "tcp", host: "127.0.0.1", port: 0 }).port;
    this.#stops.push(every(25, () => this.engine.tick(systemClock.now())));
  }

  /** Swaps in another plan, as a reload does. Throws when it is refused. */
  commit(options: PlanOptions): void {
    const prepared = this.engine.prepare(makePlan(options, this.#rows));
    if ("problem" in prepared) throw new Error(prepared.problem);
    prepared.commit();
  }

  /** A client of its own, closed with everything else. */
  async connect(options: RawClientOptions = {}): Promise<RawClient> {
    const client = await connectRaw(this.port, options);
    this.#clients.push(client);
    return client;
  }

  /** The origin of that name; for tests with one, it need not be said. */
  origin(name = Object.keys(this.origins)[0] as Name): Origin {
    return this.origins[name];
  }

  /** The access log's next record from the `from`-th on, counted from 0. */
  record(from = this.records.length): Promise<AccessRecord> {
    return eventually(`record ${from} of the access log`, () => this.records[from], 5000, 2);
  }

  /** One number of the listener's. */
  listener(cell: keyof typeof ListenerCell): number {
    return this.table.cells[this.table.listener(0, 0) + ListenerCell[cell]] ?? 0;
  }

  /** One number of an endpoint's; `id` is "127.0.0.1:<port>" unless its plan says otherwise. */
  endpoint(pool: string, id: string, cell: keyof typeof EndpointCell): number {
    return this.table.cells[this.table.endpoint(0, this.#rows.endpoint(pool, id)) + EndpointCell[cell]] ?? 0;
  }

  pool(name: string, cell: keyof typeof PoolCell): number {
    return this.table.cells[this.table.pool(0, this.#rows.pool(name)) + PoolCell[cell]] ?? 0;
  }

  /** How often a fault was counted. */
  faults(code: FaultCode): number {
    return this.table.cells[this.table.worker(0) + WorkerCell.faults + faultCodes.indexOf(code)] ?? 0;
  }

  /** Everything that is under way by the shared table, by name, zeros left out. All of it must end. */
  get underWay(): Readonly<Record<string, number>> {
    const all: Record<string, number> = {
      open: this.engine.open,
      busy: this.engine.busy,
      cells: this.listener("open"),
    };
    for (const [name, row] of this.#rows.endpoints) {
      const first = this.table.endpoint(0, row);
      all[`${name} in flight`] = this.table.cells[first + EndpointCell.inFlight] ?? 0;
      all[`${name} tunnels`] = this.table.cells[first + EndpointCell.tunnels] ?? 0;
    }
    for (const [name, row] of this.#rows.pools) {
      all[`${name} queued`] = this.table.cells[this.table.pool(0, row) + PoolCell.queued] ?? 0;
    }
    return Object.fromEntries(Object.entries(all).filter(([, count]) => count !== 0));
  }

  /**
   * Closes the clients, stops the engine and the origins. Throws when anything is still counted as under way, when a socket
   * is left open, or when an origin received what no strict reader accepts.
   */
  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    try {
      await eventually("nothing under way", () => Object.keys(this.underWay).length === 0, 5000).catch(() => {
        throw new Error(`still under way: ${JSON.stringify(this.underWay)}`);
      });
      for (const origin of Object.values<Origin>(this.origins)) origin.assertClean();
    } finally {
      await this.abandon();
    }
    await eventually("all sockets closed", () => openSockets() <= this.#sockets, 6000).catch(() => {
      throw new Error(`${openSockets()} sockets are open, and ${this.#sockets} were before`);
    });
  }

  /** Stops everything and judges nothing: for tests that have failed already. */
  async abandon(): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.engine.stop(0);
    for (const stop of this.#stops) stop();
    for (const origin of Object.values<Origin>(this.origins)) await origin.close();
  }
}
