// Runs the scenarios: all rivals side by side, round after round, so that whatever else the machine does meets them all.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Program } from "@plimsoll/testbed/processes";
import { holdIdle, measureMemory, measureRate, type MemorySample, type RateSample, startRival } from "./measure.ts";
import { startEcho } from "./echo.ts";
import { firstPort, startOrigin } from "./origin.ts";
import type { Rival, RunningRival } from "./rivals/rival.ts";
import type { Scale, Scenario } from "./scenarios/scenario.ts";
import { takeTurn } from "./turn.ts";

export interface RunOptions {
  readonly scale: Scale;
  readonly rounds: number;
  /** Seconds of each measured run. */
  readonly seconds: number;
}

/** What one scenario gave for one rival: samples by round, or why there are none. */
export interface Outcome {
  readonly rival: string;
  readonly rates: readonly RateSample[];
  readonly memory: MemorySample | undefined;
  readonly problem: string | undefined;
}

export interface ScenarioResult {
  readonly scenario: Scenario;
  readonly outcomes: readonly Outcome[];
}

/** Ports of the rivals' listeners; below the kernel's range for outgoing connections, above the origin's. */
const listenerPort = 23_000;

/** Runs one scenario for all rivals. Nothing is left running afterwards, whatever happens. */
export async function runScenario(
  scenario: Scenario,
  rivals: readonly Rival[],
  options: RunOptions,
  say: (text: string) => void,
): Promise<ScenarioResult> {
  const endTurn = await takeTurn(() => say("  waiting: another measurement runs on this machine"));
  const folder = mkdtempSync(join(tmpdir(), "plimsoll-bench-"));
  const programs: Program[] = [];
  try {
    programs.push(await originOf(scenario, options.scale, folder));
    const outcomes =
      scenario.measures === "memory"
        ? await runMemory(scenario, rivals, options, folder, say)
        : await runRates(scenario, rivals, options, folder, programs, say);
    return { scenario, outcomes };
  } finally {
    // The last one first: clients, balancers, origin. In order, so that each clears away its own files.
    for (const program of programs.reverse()) await program.stop(3000);
    rmSync(folder, { recursive: true, force: true });
    await endTurn();
  }
}

function originOf(scenario: Scenario, scale: Scale, folder: string): Promise<Program> {
  const ports = scenario.endpoints(scale);
  if (scenario.layer === "udp") return startEcho("udp", firstPort, ports);
  if (scenario.load(scale).tunnels) return startEcho("ws", firstPort, ports);
  return startOrigin(folder, ports, scenario.proxyProtocol);
}

async function runRates(
  scenario: Scenario,
  rivals: readonly Rival[],
  options: RunOptions,
  folder: string,
  programs: Program[],
  say: (text: string) => void,
): Promise<readonly Outcome[]> {
  const { scale, rounds, seconds } = options;
  const load = scenario.load(scale);
  const entries: {
    rival: Rival;
    running: RunningRival | undefined;
    rates: RateSample[];
    problem: string | undefined;
  }[] = [];
  const able = rivals.filter((rival) => {
    if (scenario.layer === "udp") return rival.datagrams === true;
    return scenario.layer !== "tcp" || !rival.httpOnly;
  });
  for (const [at, rival] of able.entries()) {
    const entry = {
      rival,
      running: undefined as RunningRival | undefined,
      rates: [],
      problem: undefined as string | undefined,
    };
    entries.push(entry);
    try {
      entry.running = await startRival(rival, scenario, scale, place(folder, rival, at));
      programs.push(entry.running.program);
      const holder = await holdIdle(entry.running.setting.port, scenario.idle(scale));
      if (holder) programs.push(holder);
      // Connections to the endpoints, compiled code, grown buffers: nothing of that is what is measured.
      if (scale === "full") await measureRate(entry.running, load, 3);
    } catch (error) {
      entry.problem = messageOf(error);
      say(`  ${rival.name}: ${entry.problem}`);
    }
  }
  for (let round = 0; round < rounds; round++) {
    for (const entry of entries) {
      if (!entry.running || entry.problem) continue;
      try {
        const sample = await measureRate(entry.running, load, seconds);
        entry.rates.push(sample);
        say(`  round ${round + 1} ${entry.rival.name}: ${sampleText(sample)}`);
      } catch (error) {
        entry.problem = messageOf(error);
        say(`  round ${round + 1} ${entry.rival.name}: ${entry.problem}`);
      }
    }
  }
  return entries.map(({ rival, rates, problem }) => ({ rival: rival.name, rates, memory: undefined, problem }));
}

/** One rival at a time: memory does not mind what other programs do. */
async function runMemory(
  scenario: Scenario,
  rivals: readonly Rival[],
  options: RunOptions,
  folder: string,
  say: (text: string) => void,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  const first = options.scale === "full" ? 100_000 : 500;
  for (const [at, rival] of rivals.entries()) {
    let running: RunningRival | undefined;
    try {
      running = await startRival(rival, scenario, options.scale, place(folder, rival, at));
      const memory = await measureMemory(running, scenario.load(options.scale), first);
      outcomes.push({ rival: rival.name, rates: [], memory, problem: undefined });
      say(`  ${rival.name}: ${megabytes(memory.firstBytes)} MB, then ${megabytes(memory.lastBytes)} MB`);
    } catch (error) {
      outcomes.push({ rival: rival.name, rates: [], memory: undefined, problem: messageOf(error) });
      say(`  ${rival.name}: ${messageOf(error)}`);
    } finally {
      await running?.program.stop(3000);
    }
  }
  return outcomes;
}

function place(folder: string, rival: Rival, at: number): { port: number; adminPort: number; folder: string } {
  const own = join(folder, rival.name);
  mkdirSync(own, { recursive: true });
  return { port: listenerPort + at * 2, adminPort: listenerPort + at * 2 + 1, folder: own };
}

function sampleText(sample: RateSample): string {
  const errors = sample.errors > 0 ? `, ${sample.errors} errors` : "";
  return `${Math.round(sample.requestsPerSecond)} requests/s, ${sample.cpuUs.toFixed(1)} us CPU each${errors}`;
}

export function megabytes(bytes: number): string {
  return (bytes / 1_000_000).toFixed(1);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.split("\n").slice(0, 4).join(" | ") : String(error);
}
