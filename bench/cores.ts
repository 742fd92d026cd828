// Which core everything runs on. The balancer has one for itself; load and origin share another, or have one each.
// This folder measures the balancer beside its rivals; it must not know how any of them works inside.
import { availableParallelism } from "node:os";

export const cores = {
  balancer: 0,
  load: 1,
  origin: availableParallelism() > 2 ? 2 : 1,
} as const;

/** A command line that stays on one core. */
export function pinned(core: number, argv: readonly string[]): readonly string[] {
  return ["taskset", "-c", String(core), ...argv];
}

/** How much of each core this machine's other work took during `ms`, as shares from 0 to 1. */
export async function busyCores(ms: number): Promise<readonly number[]> {
  const before = await ticks();
  await Bun.sleep(ms);
  const after = await ticks();
  return after.map(({ busy, total }, at) => {
    const was = before[at] ?? { busy: 0, total: 0 };
    return total > was.total ? (busy - was.busy) / (total - was.total) : 0;
  });
}

async function ticks(): Promise<readonly { busy: number; total: number }[]> {
  const lines = (await Bun.file("/proc/stat").text()).split("\n").filter((line) => /^cpu\d/.test(line));
  return lines.map((line) => {
    const numbers = line.split(/\s+/).slice(1).map(Number);
    const total = numbers.slice(0, 8).reduce((sum, one) => sum + one, 0);
    return { busy: total - (numbers[3] ?? 0) - (numbers[4] ?? 0), total };
  });
}
