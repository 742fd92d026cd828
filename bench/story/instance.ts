// The instances that the balancers stand before: Node processes that serve, restart, and fail in four ways.
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { freePort, type Program, startProgram } from "@plimsoll/testbed/processes";

const script = join(import.meta.dir, "instance-app.mjs");

export type Manner = "good" | "silent" | "slow" | "reset" | "refuse" | "hole";

export interface InstanceOptions {
  readonly manner?: Manner;
  /** Node's keepAliveTimeout in ms; 5 s, its default, unless told. */
  readonly keepAlive?: number;
  /** Ms between SIGTERM, when it says that it is not ready, and its closing. */
  readonly lag?: number;
}

/** What an instance has seen, by balancer. */
export interface InstanceStory {
  readonly seen: Readonly<Record<string, number>>;
  readonly inFlight: Readonly<Record<string, number>>;
}

export class Instance {
  readonly port: number;
  readonly #options: InstanceOptions;
  readonly #fillers: Socket[] = [];
  #program: Program | undefined;

  private constructor(port: number, program: Program | undefined, options: InstanceOptions) {
    this.port = port;
    this.#program = program;
    this.#options = options;
  }

  static async start(options: InstanceOptions = {}): Promise<Instance> {
    if (options.manner === "refuse") return new Instance(await freePort(), undefined, options);
    const program = await startProgram(command(0, options), { ready: /^listening on \d+$/ });
    const port = Number((await program.line(/^listening on (\d+)$/))[1]);
    const instance = new Instance(port, program, options);
    if (options.manner === "hole") await instance.#becomeHole(program);
    return instance;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async story(): Promise<InstanceStory> {
    const answer = await fetch(`http://${this.address}/story`, { headers: { connection: "close" } });
    return (await answer.json()) as InstanceStory;
  }

  /** Makes its readiness say yes or no; everything else goes on. */
  async setReady(ready: boolean): Promise<void> {
    await fetch(`http://${this.address}/ready?is=${ready ? "yes" : "no"}`, { headers: { connection: "close" } });
  }

  /** SIGTERM, until it has ended by itself; then the same on the same port. */
  async restart(): Promise<void> {
    await this.#program?.stop(20_000);
    this.#program = await startProgram(command(this.port, this.#options), { ready: /^listening on \d+$/ });
  }

  async end(): Promise<void> {
    for (const filler of this.#fillers) filler.destroy();
    await this.#program?.kill();
  }

  /**
   * A port whose packets are lost, on loopback: its process is stopped and the queue of its listening socket full, so the
   * kernel drops every further SYN.
   */
  async #becomeHole(program: Program): Promise<void> {
    program.signal("SIGSTOP");
    for (let tries = 0; tries < 100; tries++) {
      const filler = connect({ port: this.port, host: "127.0.0.1" }).on("error", () => {});
      this.#fillers.push(filler);
      const made = await Promise.race([
        new Promise<boolean>((resolve) => filler.once("connect", () => resolve(true))),
        Bun.sleep(300).then(() => false),
      ]);
      if (!made) return;
    }
    throw new Error("the queue of a stopped process did not fill");
  }
}

function command(port: number, { manner = "good", keepAlive = 5000, lag = 0 }: InstanceOptions): readonly string[] {
  return ["node", script, String(port), String(keepAlive), String(lag), manner];
}

/** Starts instances, runs `body`, and ends them whatever happens. */
export async function withInstances<T>(
  options: readonly InstanceOptions[],
  body: (instances: readonly Instance[]) => Promise<T>,
): Promise<T> {
  const started = await Promise.allSettled(options.map((one) => Instance.start(one)));
  const instances = started.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  try {
    for (const one of started) if (one.status === "rejected") throw one.reason;
    return await body(instances);
  } finally {
    await Promise.all(instances.map((one) => one.end()));
  }
}
