// All balancers at once before the same endpoints, so that whatever else the machine does meets them all.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, processTree, startProgram } from "@plimsoll/testbed/processes";
import { eventually } from "@plimsoll/testbed/waiting";
import { pinned } from "../cores.ts";
import type { RunningBalancer, StoryBalancer, StorySetting } from "./balancers/balancer.ts";

/** What a chapter may set; the rest is as here. */
export type Wishes = Partial<Limits> & {
  /** Core that the balancers are kept on; any unless told. */
  readonly core?: number;
};

type Limits = Omit<StorySetting, "port" | "adminPort" | "folder" | "endpoints">;

const usual: Limits = {
  probe: { interval: 500, timeout: 400, rise: 2, fall: 2 },
  connect: 1000,
  firstByte: 12_000,
  keepAlive: 5000,
  window: 15_000,
};

const folders = new Set<string>();

/** For the end by a signal: everything that this process has started, and every file. */
export function clearAway(): void {
  for (const pid of processTree(process.pid).slice(1)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // Gone already.
    }
  }
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}

/** Starts the balancers, runs `body` when all of them answer, and leaves nothing behind. */
export async function withBalancers<T>(
  kinds: readonly StoryBalancer[],
  endpoints: readonly string[],
  wishes: Wishes,
  body: (balancers: readonly RunningBalancer[]) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "plimsoll-story-"));
  folders.add(folder);
  const running: RunningBalancer[] = [];
  try {
    for (const kind of kinds) running.push(await start(kind, endpoints, wishes, join(folder, kind.name)));
    return await body(running);
  } finally {
    await Promise.all(running.map((one) => one.program.stop(3000)));
    rmSync(folder, { recursive: true, force: true });
    folders.delete(folder);
  }
}

async function start(
  kind: StoryBalancer,
  endpoints: readonly string[],
  { core, ...limits }: Wishes,
  folder: string,
): Promise<RunningBalancer> {
  mkdirSync(folder, { recursive: true });
  const setting: StorySetting = {
    ...usual,
    ...limits,
    port: await freePort(),
    adminPort: await freePort(),
    folder,
    endpoints,
  };
  const { argv, env } = await kind.prepare(setting);
  const program = await startProgram(core === undefined ? argv : pinned(core, argv), {
    ...(env && { env }),
    ready: setting.port,
  });
  try {
    await program.orEnd(eventually(`${kind.name} to answer`, () => answers(setting.port), 20_000, 50));
  } catch (error) {
    await program.stop(3000);
    throw error;
  }
  return { kind, name: kind.name, port: setting.port, program, setting, left: new Set() };
}

async function answers(port: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/story`, { headers: { connection: "close" } });
    await answer.arrayBuffer();
    return answer.status === 200;
  } catch {
    return false;
  }
}

/** All balancers are told, each in its own way. */
export async function leaveAll(balancers: readonly RunningBalancer[], endpoint: string): Promise<void> {
  for (const one of balancers) one.left.add(endpoint);
  await Promise.all(balancers.map((one) => one.kind.leave(one, endpoint)));
}

export async function comeBackAll(balancers: readonly RunningBalancer[], endpoint: string): Promise<void> {
  for (const one of balancers) one.left.delete(endpoint);
  await Promise.all(balancers.map((one) => one.kind.comeBack(one, endpoint)));
}
