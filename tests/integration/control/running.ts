// A balancer in processes of its own, with an origin behind it, for the tests of this folder.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runningPrograms, type FoundProgram } from "../../../packages/balancer/src/control/runtime-directory.ts";
import type { Status } from "../../../packages/balancer/src/control/status.ts";

/** One event of the program's log. */
export interface LoggedEvent {
  readonly event: string;
  readonly text: string;
  readonly level: string;
  readonly pid?: number;
}

const cleanups: (() => void | Promise<void>)[] = [];

/**
 * Ends and removes what a test began. Each test file registers it with `afterEach` itself: a hook that is registered here
 * would belong to the first file alone that imports this one.
 */
export async function cleanUp(): Promise<void> {
  const problems: unknown[] = [];
  for (const cleanup of cleanups.splice(0).reverse()) {
    try {
      await cleanup();
    } catch (error) {
      problems.push(error);
    }
  }
  if (problems.length > 0) throw new AggregateError(problems, "not everything could be cleaned up");
}

/** Does something when the test is over, last registered first. */
export function later(cleanup: () => void | Promise<void>): void {
  cleanups.push(cleanup);
}

/** A folder that is gone when the test is over. */
export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "control-test-"));
  later(() => rmSync(made, { recursive: true }));
  return made;
}

/** Waits until `see` gives something true; fails loudly after `patience` ms. */
export async function until<T>(
  what: string,
  see: () => T | Promise<T>,
  patience = 10_000,
): Promise<Exclude<NonNullable<T>, false>> {
  const end = performance.now() + patience;
  for (;;) {
    const seen = await see();
    if (seen !== null && seen !== undefined && seen !== false) return seen as Exclude<NonNullable<T>, false>;
    if (performance.now() > end) throw new Error(`waited in vain until ${what}`);
    await Bun.sleep(5);
  }
}

/** An origin that answers everything, slowly if the path says so ("/slow/200": after 200 ms). */
export function startOrigin(body = "hello"): { readonly port: number; stop(): Promise<void> } {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const slow = /^\/slow\/(\d+)$/.exec(new URL(request.url).pathname)?.[1];
      if (slow !== undefined) await Bun.sleep(Number(slow));
      return new Response(body);
    },
  });
  later(() => server.stop(true));
  return { port: server.port ?? 0, stop: () => server.stop(true) };
}

/** A configuration with one listener "web" and one pool "app"; `extra` replaces top-level keys. */
export function configFor(port: number, origins: readonly number[], extra: Record<string, unknown> = {}): object {
  return {
    listeners: { web: { address: `127.0.0.1:${port}`, routes: [{ pool: "app" }] } },
    pools: {
      app: {
        endpoints: origins.map((origin) => `127.0.0.1:${origin}`),
        readiness: { path: "/", interval: "1s", timeout: "1s" },
      },
    },
    admin: { address: "127.0.0.1:0" },
    log: { access: "none" },
    shutdown: { lag: "0s", window: "5s" },
    workers: 2,
    ...extra,
  };
}

/** The `turn`-th configuration of many reloads: each has a route of its own, and every second an endpoint less. */
export function configOfTurn(turn: number, origins: readonly number[], listener: object = {}): object {
  return configFor(0, turn % 2 === 0 ? origins : origins.slice(0, -1), {
    listeners: {
      web: {
        address: "127.0.0.1:0",
        ...listener,
        routes: [{ pool: "app" }, { match: { path: `/reload-${turn}` }, redirect: { to: "/there", status: 302 } }],
      },
    },
  });
}

export interface RunOptions {
  readonly stuckAfter?: number;
  /** A worker's program instead of the real one. */
  readonly worker?: string;
  /** Open files that it may have (`ulimit -n`), soft and hard. */
  readonly files?: number;
  /** A program and its arguments that start it. */
  readonly through?: readonly string[];
  /** Added to its environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A running program. */
export class Running {
  readonly events: LoggedEvent[] = [];
  readonly output: string[] = [];
  readonly file: string;
  readonly runtime: string;
  readonly process: Bun.Subprocess<"ignore", "pipe", "pipe">;
  /** Resolves when everything that the program wrote has been read. */
  readonly read: Promise<unknown>;

  constructor(config: object, options: RunOptions = {}) {
    const folder = mkdtempSync(join(tmpdir(), "control-test-"));
    this.file = join(folder, "plimsoll.yaml");
    this.runtime = join(folder, "run");
    Bun.spawnSync(["mkdir", this.runtime]);
    this.configure(config);
    this.process = Bun.spawn(
      [
        ...(options.through ?? []),
        ...(options.files === undefined ? [] : ["sh", "-c", `ulimit -n ${options.files} && exec "$@"`, "sh"]),
        process.execPath,
        join(import.meta.dir, "program.ts"),
        this.file,
        String(options.stuckAfter ?? 10),
        options.worker ?? "",
      ],
      { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, XDG_RUNTIME_DIR: this.runtime, ...options.env } },
    );
    this.read = Promise.all([this.#readEvents(), this.#readOutput()]);
    later(async () => {
      const workers = this.workerPids();
      // It may have been taken over from.
      for (const { pid } of runningPrograms([this.runtime])) killIfAlive(pid);
      this.process.kill("SIGKILL");
      await this.process.exited;
      for (const pid of workers) killIfAlive(pid);
      await this.read;
      rmSync(folder, { recursive: true });
    });
  }

  /** Writes the configuration (JSON is YAML). */
  configure(config: object | string): void {
    writeFileSync(this.file, typeof config === "string" ? config : JSON.stringify(config));
  }

  /** The real port of a listener, once the program serves. */
  async port(listener = "web"): Promise<number> {
    const status = await this.status();
    return status.listeners.find((each) => each.name === listener)?.port ?? 0;
  }

  async ready(): Promise<this> {
    await until("the program serves", () => {
      if (this.process.exitCode !== null)
        throw new Error(`it exited: ${JSON.stringify(this.events)} ${this.output.join("")}`);
      return this.event("program.ready");
    });
    return this;
  }

  event(name: string): LoggedEvent | undefined {
    return this.events.findLast((event) => event.event === name);
  }

  /** The same, waited for: an answer of the admin address may be here before the log's line. */
  told(name: string): Promise<LoggedEvent> {
    return until(`it tells of ${name}`, () => this.event(name));
  }

  count(name: string): number {
    return this.events.filter((event) => event.event === name).length;
  }

  /** What the runtime directory says of the program that is to be found there. */
  note(): FoundProgram {
    const [found] = runningPrograms([this.runtime]);
    if (found === undefined) throw new Error("no program has told that it runs");
    return found;
  }

  async admin(
    method: string,
    path: string,
    body?: object,
  ): Promise<{ status: number; json: Record<string, unknown>; text: string }> {
    const answer = await fetch(this.note().admin + path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    const json = text.startsWith("{") ? (JSON.parse(text) as Record<string, unknown>) : {};
    return { status: answer.status, json, text };
  }

  async status(): Promise<Status> {
    return (await this.admin("GET", "/status")).json as unknown as Status;
  }

  /** Ids of all worker processes that were ever told of. */
  workerPids(): number[] {
    return [...new Set(this.events.flatMap((event) => (event.event === "worker.serving" ? (event.pid ?? []) : [])))];
  }

  async #readEvents(): Promise<void> {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const bytes of this.process.stderr) {
      rest += decoder.decode(bytes, { stream: true });
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line.startsWith("{")) this.events.push(JSON.parse(line) as LoggedEvent);
        else this.output.push(`${line}\n`);
      }
    }
  }

  async #readOutput(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of this.process.stdout) this.output.push(decoder.decode(bytes, { stream: true }));
  }
}

export async function run(config: object, options: RunOptions = {}): Promise<Running> {
  return new Running(config, options).ready();
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function killIfAlive(pid: number): void {
  if (isAlive(pid)) process.kill(pid, "SIGKILL");
}
