// A whole engine in this process, on real sockets, running a configuration as an operator writes it: text to plan to
// snapshot. What these tests say of routing is said of the bytes that clients and origins see.
import { compose } from "../../../packages/balancer/src/control/compose.ts";
import { slotUse, tableShape } from "../../../packages/balancer/src/control/capacity.ts";
import { Slots } from "../../../packages/balancer/src/control/slots.ts";
import { loadConfig } from "../../../packages/balancer/src/config/index.ts";
import { createBunTransport } from "../../../packages/balancer/src/net/bun-transport.ts";
import { every, systemClock } from "../../../packages/balancer/src/net/clock.ts";
import { startWheel, Wheel } from "../../../packages/balancer/src/net/wheel.ts";
import { SharedTable } from "../../../packages/balancer/src/observe/table.ts";
import { createEngine } from "../../../packages/balancer/src/proxy/engine.ts";
import { startOrigin, type Origin } from "@plimsoll/testbed/origin";
import { exchangeRaw } from "@plimsoll/testbed/raw-client";
import { field, textOf, type Answer } from "@plimsoll/testbed/answers";
import { seeded } from "@plimsoll/testbed/chance";
import type { Script } from "@plimsoll/testbed/script";
import { echo } from "@plimsoll/testbed/scripts";

const noFiles = {
  readFile: (path: string): never => {
    throw new Error(`no file is read here: ${path}`);
  },
  resolve: (_: string, path: string): string => path,
};

/** One running engine with an origin for each pool. */
export class Stage {
  readonly port: number;
  readonly #origins: ReadonlyMap<string, Origin>;
  readonly #stop: () => Promise<void>;

  constructor(port: number, origins: ReadonlyMap<string, Origin>, stop: () => Promise<void>) {
    this.port = port;
    this.#origins = origins;
    this.#stop = stop;
  }

  origin(pool: string): Origin {
    const origin = this.#origins.get(pool);
    if (origin === undefined) throw new Error(`no pool is called ${pool}`);
    return origin;
  }

  /** Sends "GET target" with further lines and reads the answer. `host` "" sends none, as HTTP/1.0. */
  ask(
    target: string,
    lines: readonly string[] = [],
    { method = "GET", host = "www.example.com", body = "" } = {},
  ): Promise<Answer> {
    const head = host === "" ? [`${method} ${target} HTTP/1.0`] : [`${method} ${target} HTTP/1.1`, `Host: ${host}`];
    const length = body === "" ? [] : [`Content-Length: ${body.length}`];
    return exchangeRaw(this.port, [...head, ...length, ...lines, "", body].join("\r\n"), { method });
  }

  /** Name of the pool whose origin answered, or the status when none did. */
  async taker(...asked: Parameters<Stage["ask"]>): Promise<string> {
    const answer = await this.ask(...asked);
    return field(answer, "x-origin") ?? `${answer.status} ${textOf(answer)}`.trim();
  }

  /** The request that reached a pool's origin last. */
  seen(pool: string): Origin["requests"][number] {
    const last = this.origin(pool).requests.at(-1);
    if (last === undefined) throw new Error(`nothing reached ${pool}`);
    return last;
  }

  /** Stops everything, then throws if an origin received what no strict reader accepts. */
  async close(): Promise<void> {
    await this.#stop();
    for (const origin of this.#origins.values()) await origin.close();
    for (const origin of this.#origins.values()) origin.assertClean();
  }
}

/**
 * Starts an origin for each pool and an engine with these routes (YAML, below `routes:`). Throws with every problem when the
 * configuration is refused.
 */
export async function stage(routes: string, pools: Readonly<Record<string, Script | null>>): Promise<Stage> {
  const origins = new Map<string, Origin>();
  for (const [name, script] of Object.entries(pools))
    origins.set(name, await startOrigin({ script: script ?? echo(name) }));
  const text = [
    "listeners:",
    "  web:",
    '    address: "127.0.0.1:0"',
    "    routes:",
    ...routes
      .trim()
      .split("\n")
      .map((line) => "      " + line.replace(/^ {4}/, "")),
    "pools:",
    ...[...origins].map(([name, origin]) => `  ${name}: { endpoints: ["${origin.address}"] }`),
  ].join("\n");
  const loaded = loadConfig({ text, file: "stage.yaml" }, {}, noFiles);
  if ("problems" in loaded) {
    for (const origin of origins.values()) await origin.close();
    throw new Error(loaded.problems.map((problem) => `${problem.path}: ${problem.message}`).join("\n"));
  }

  const table = SharedTable.local(tableShape(loaded.plan, 1));
  const wheel = new Wheel(systemClock.now());
  const claim = new Slots(table.shape, slotUse(table)).claim(compose(loaded.plan, new Map(), new Map()), 0);
  if ("problem" in claim) throw new Error(claim.problem);
  const random = seeded(1);
  const engine = createEngine({
    transport: createBunTransport(),
    clock: systemClock,
    random,
    wheel,
    table,
    row: 0,
    log: null,
  });
  const prepared = engine.prepare(claim.plan);
  if ("problem" in prepared) throw new Error(prepared.problem);
  prepared.commit();
  const listener = engine.listen("web", undefined, { kind: "tcp", host: "127.0.0.1", port: 0 });
  const stopWheel = startWheel(wheel, systemClock);
  const stopTicks = every(25, () => engine.tick(systemClock.now()));
  return new Stage(listener.port, origins, async () => {
    await engine.stop(0);
    stopTicks();
    stopWheel();
  });
}
