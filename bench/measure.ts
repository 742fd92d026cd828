// One balancer under one load: what is read before, during and after.
import { join } from "node:path";
import { type Program, startProgram } from "@plimsoll/testbed/processes";
import { eventually } from "@plimsoll/testbed/waiting";
import { cores, pinned } from "./cores.ts";
import { echoes } from "./echo.ts";
import { runLoad } from "./load.ts";
import { endpoints } from "./origin.ts";
import { certificateFiles, type Rival, type RunningRival, type Setting } from "./rivals/rival.ts";
import type { Load, Scale, Scenario } from "./scenarios/scenario.ts";
import { mustBeFree } from "./turn.ts";
import { cpuMicroseconds, residentMemory } from "./usage.ts";
import { type Seen, wrk, writeScript } from "./wrk.ts";

/** One run of one rival. */
export interface RateSample {
  readonly requestsPerSecond: number;
  readonly p50us: number;
  readonly p99us: number;
  /** CPU microseconds of all its processes for each request. */
  readonly cpuUs: number;
  readonly memoryBytes: number;
  readonly requests: number;
  readonly errors: number;
  /** Share of the TLS connections that were resumed, where that is what is measured. */
  readonly resumed?: number;
}

export interface MemorySample {
  readonly startBytes: number;
  readonly firstRequests: number;
  readonly firstBytes: number;
  readonly lastRequests: number;
  readonly lastBytes: number;
  readonly errors: number;
}

/** Starts a rival as a scenario wants it and waits until it serves. */
export async function startRival(
  rival: Rival,
  scenario: Scenario,
  scale: Scale,
  ports: Pick<Setting, "port" | "adminPort" | "folder">,
): Promise<RunningRival> {
  await mustBeFree([ports.port, ports.adminPort]);
  const setting: Setting = {
    ...ports,
    endpoints: endpoints(scenario.endpoints(scale)),
    routes: scenario.routes(scale),
    layer: scenario.layer,
    tunnels: scenario.load(scale).tunnels,
    proxyProtocol: scenario.proxyProtocol,
    connections: scenario.idle(scale) + 2048,
  };
  if (setting.layer === "https") await writeCertificate(setting.folder);
  const command = await rival.prepare(setting);
  const argv = pinned(cores.balancer, command.argv);
  const program = await startProgram(argv, { ...(command.env && { env: command.env }), timeout: 60_000 });
  try {
    const url = `${schemeOf(setting)}://127.0.0.1:${setting.port}${scenario.load(scale).paths[0] ?? "/"}`;
    const answering = () => (scenario.layer === "udp" ? echoes(setting.port) : answers(url));
    await program.orEnd(eventually(`${rival.name} to answer`, answering, 60_000, 50));
  } catch (error) {
    await program.stop(3000);
    const last = program.output.trim().split("\n").slice(-5).join(" | ");
    throw new Error(`${error instanceof Error ? error.message : String(error)}; it said: ${last}`, { cause: error });
  }
  return { rival, program, setting };
}

function schemeOf(setting: Setting): "http" | "https" {
  return setting.layer === "https" ? "https" : "http";
}

/** ECDSA on P-256, self-signed, from the tests of the runtime. */
const certificates = join(import.meta.dir, "../tests/integration/runtime/certificates");

async function writeCertificate(folder: string): Promise<void> {
  const files = certificateFiles(folder);
  const cert = await Bun.file(join(certificates, "a-ec.crt")).text();
  const key = await Bun.file(join(certificates, "a-ec.key")).text();
  await Promise.all([
    Bun.write(files.cert, cert),
    Bun.write(files.key, key, { mode: 0o600 }),
    Bun.write(files.both, cert + key),
  ]);
}

/** Whether the origin's answer comes through. A 404 is one, too: the origin has no files for some of the paths. */
async function answers(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { headers: { connection: "close" }, tls: { rejectUnauthorized: false } });
    await answer.arrayBuffer();
    return answer.status < 500;
  } catch {
    return false;
  }
}

/** Opens connections that rest, in a process of their own. */
export async function holdIdle(port: number, count: number): Promise<Program | undefined> {
  if (count === 0) return undefined;
  const argv = [process.execPath, join(import.meta.dir, "idle-holder.ts"), String(port), String(count)];
  return startProgram(pinned(cores.load, argv), { ready: /^holding \d+$/, timeout: 60_000 });
}

/** One measured run; the CPU time is that of exactly this run. */
export async function measureRate(running: RunningRival, load: Load, seconds: number): Promise<RateSample> {
  const { program, setting } = running;
  const script = await writeScript(load, setting.folder, setting.port);
  const before = cpuMicroseconds(program.pid);
  const seen = await put(load, setting, script, seconds);
  const cpu = cpuMicroseconds(program.pid) - before;
  return {
    requestsPerSecond: seen.requests / seen.seconds,
    p50us: seen.p50us,
    p99us: seen.p99us,
    cpuUs: cpu / Math.max(1, seen.requests),
    memoryBytes: residentMemory(program.pid),
    requests: seen.requests,
    errors: seen.errors,
    ...(seen.resumed !== undefined && { resumed: seen.resumed }),
  };
}

/** Puts the load on, by whoever can make it. */
function put(load: Load, setting: Setting, script: string, seconds: number): Promise<Seen> {
  const { port, layer } = setting;
  const args = [port, load.paths[0] ?? "/", load.connections, seconds];
  if (layer === "udp") return runLoad("udp-load.ts", [port, load.connections, seconds]);
  if (load.resuming) return runLoad("tls-load.ts", args);
  if (load.tunnels) return runLoad("ws-load.ts", args);
  return wrk(port, load, script, seconds, schemeOf(setting));
}

/** Resident memory after `first` requests and after ten times as many. */
export async function measureMemory(running: RunningRival, load: Load, first: number): Promise<MemorySample> {
  const { program, setting } = running;
  const script = await writeScript(load, setting.folder, setting.port);
  const startBytes = residentMemory(program.pid);
  let requests = 0;
  let errors = 0;
  const until = async (count: number): Promise<void> => {
    while (requests < count) {
      const seen = await wrk(setting.port, load, script, 1);
      if (seen.requests === 0) throw new Error(`${running.rival.name} answered nothing for a second`);
      requests += seen.requests;
      errors += seen.errors;
    }
  };
  await until(first);
  const firstRequests = requests;
  const firstBytes = residentMemory(program.pid);
  await until(first * 10);
  return {
    startBytes,
    firstRequests,
    firstBytes,
    lastRequests: requests,
    lastBytes: residentMemory(program.pid),
    errors,
  };
}
