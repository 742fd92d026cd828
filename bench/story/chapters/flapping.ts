import { join } from "node:path";
import { type Program, startProgram } from "@plimsoll/testbed/processes";
import { cores, pinned } from "../../cores.ts";
import { median } from "../../report.ts";
import { load as plainLoad } from "../../scenarios/scenario.ts";
import { cpuMicroseconds } from "../../usage.ts";
import { wrk, writeScript } from "../../wrk.ts";
import type { RunningBalancer } from "../balancers/balancer.ts";
import { withBalancers } from "../stage.ts";
import { type Chapter, line } from "./chapter.ts";

const scales = {
  full: { endpoints: 1000, flapping: 100, rounds: 5, seconds: 8 },
  quick: { endpoints: 30, flapping: 3, rounds: 1, seconds: 1 },
} as const;

const load = plainLoad();

/** A thousand at this pace are five hundred probes a second, flapping or not. */
const probe = { interval: 2000, timeout: 1000, rise: 1, fall: 1 } as const;

interface Flapped {
  readonly quiet: number[];
  readonly flapping: number[];
  errors: number;
  requests: number;
}

/** CPU of all of a balancer's processes for each request, in turns without and with endpoints that come and go. */
export const flapping: Chapter = {
  name: "flapping",
  title: "1,000 endpoints, 100 of them flapping: CPU for each request",
  takes: "5 min",
  async run(kinds, scale, say) {
    const lacking = ["wrk", "taskset"].filter((name) => !Bun.which(name));
    if (lacking.length > 0) throw new Error(`it needs ${lacking.join(" and ")}`);
    const { endpoints, flapping: some, rounds, seconds } = scales[scale];
    const argv = [process.execPath, join(import.meta.dir, "../many-endpoints.ts"), String(endpoints), String(some)];
    const origin = await startProgram(pinned(cores.origin, argv), { ready: /^listening on / });
    const results = new Map<string, Flapped>();
    try {
      const ports = (await origin.line(/^listening on (.*)$/))[1]?.split(",") ?? [];
      const addresses = ports.map((port) => `127.0.0.1:${port}`);
      // One after the other: probes of those that wait would be work on the same cores.
      for (const kind of kinds) {
        await withBalancers([kind], addresses, { probe, core: cores.balancer }, async ([one]) => {
          if (!one) return;
          const seen: Flapped = { quiet: [], flapping: [], errors: 0, requests: 0 };
          results.set(kind.name, seen);
          if (scale === "full") await measure(one, 3, [], seen);
          for (let round = 0; round < rounds; round++) await oneRound(one, origin, seconds, seen);
          say(
            `  ${kind.name}: quiet ${seen.quiet.map(micro).join(" ")}, flapping ${seen.flapping.map(micro).join(" ")}`,
          );
        });
      }
    } finally {
      await origin.kill();
    }
    return [
      line("CPU for each request", "us", results, ({ quiet, flapping: flaps }) => {
        const [without, with_] = [median(quiet), median(flaps)];
        const more = ((with_ - without) / without) * 100;
        const text = `${micro(without)} us without, ${micro(with_)} us with (${more < 0 ? "" : "+"}${more.toFixed(1)} %)`;
        return { text, bad: with_ / without };
      }),
      line("requests that failed", "count", results, ({ errors, requests }) => ({
        text: `${errors} of ${requests}`,
        bad: errors,
      })),
    ];
  },
};

async function oneRound(one: RunningBalancer, origin: Program, seconds: number, seen: Flapped): Promise<void> {
  await measure(one, seconds, seen.quiet, seen);
  origin.signal("SIGUSR2");
  try {
    await measure(one, seconds, seen.flapping, seen);
  } finally {
    origin.signal("SIGUSR2");
  }
  // Everybody is in again before the next quiet measurement.
  await Bun.sleep(probe.interval * 1.5);
}

async function measure(one: RunningBalancer, seconds: number, into: number[], seen: Flapped): Promise<void> {
  const script = await writeScript(load, one.setting.folder, one.port);
  const before = cpuMicroseconds(one.program.pid);
  const told = await wrk(one.port, load, script, seconds);
  into.push((cpuMicroseconds(one.program.pid) - before) / Math.max(1, told.requests));
  seen.errors += told.errors;
  seen.requests += told.requests;
}

function micro(us: number): string {
  return us.toFixed(1);
}
