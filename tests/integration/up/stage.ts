// Runs the process manager on the real machine with a sink that only remembers, for the tests of this folder.
import { describeEvent, type AppEvent } from "@plimsoll/balancer/src/control/app/events.ts";
import type { AppEndpoint, AppPlan } from "@plimsoll/balancer/src/control/app/host.ts";
import { AppManager } from "@plimsoll/balancer/src/control/app/manager.ts";
import { openMachine } from "plimsoll/src/up/machine.ts";
import { groupMembers } from "plimsoll/src/up/proc.ts";

export const fixtures = `${import.meta.dir}/fixtures`;

export interface Stage extends AsyncDisposable {
  readonly manager: AppManager;
  readonly events: AppEvent[];
  readonly printed: string[];
  /** Process groups that were started. */
  readonly groups: Set<number>;
  endpoints(): readonly AppEndpoint[];
  told(): string;
  get(endpoint: AppEndpoint | undefined, path?: string): Promise<string>;
}

/** Begins with `command`; everything is ended when the stage is disposed. */
export function openStage(
  command: readonly string[],
  change: Partial<AppPlan> = {},
  env: Record<string, string> = {},
  cwd = fixtures,
): Stage {
  const grace = change.grace ?? 5000;
  const machine = openMachine(cwd, { ...process.env, ...env }, grace);
  let current: readonly AppEndpoint[] = [];
  const events: AppEvent[] = [];
  const printed: string[] = [];
  const groups = new Set<number>();
  const sink = {
    set: (endpoints: readonly AppEndpoint[]) => Promise.resolve(((current = endpoints), true)),
    drain: () => Promise.resolve(),
  };
  const plan: AppPlan = {
    name: "app",
    command,
    instances: 2,
    readyPath: null,
    liveness: null,
    readyTimeout: 20_000,
    grace,
    env: {},
    ...change,
  };
  const manager = new AppManager(plan, machine, sink, {
    tell: (event) => {
      events.push(event);
      if (event.kind === "starting") groups.add(event.pid);
    },
    print: (name, _index, stream, line) => void printed.push(`${name} ${stream} ${new TextDecoder().decode(line)}`),
  });
  return {
    manager,
    events,
    printed,
    groups,
    endpoints: () => current,
    told: () => events.map(describeEvent).join("\n"),
    get: async (endpoint, path = "/") => {
      const host = endpoint?.host.includes(":") === true ? `[${endpoint.host}]` : endpoint?.host;
      const answer = await fetch(`http://${host}:${endpoint?.port}${path}`, { headers: { connection: "close" } });
      return answer.text();
    },
    [Symbol.asyncDispose]: async () => {
      await manager.stop();
      machine.close();
    },
  };
}

/** Processes of these groups that still run. */
export function survivors(groups: Iterable<number>): number[] {
  return [...groups].flatMap((group) => groupMembers(group) ?? []);
}

/** Waits until something is so; fails with what it was waiting for. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, limit = 15_000): Promise<void> {
  const end = performance.now() + limit;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`waited ${limit} ms in vain until ${what}`);
    await Bun.sleep(20);
  }
}
