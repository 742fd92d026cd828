// How many cores this process may use: what its affinity (a cpuset of its control group is part of that) and the quotas of its
// control groups leave of the machine. The runtime knows of the first only: in a container with two cores' time on a machine of
// 64 it would say 64, and 64 workers would take turns at being throttled.
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { controlGroups, systemReader, type ReadSystem } from "./control-groups.ts";

/** What leaves the fewest, and how many. */
export interface Cores {
  readonly count: number;
  /** "the quota of its control group", "its affinity", "the machine". */
  readonly because: string;
}

/** Cores by what lies under `root`, as on Linux; `machine` is how many there are. */
export function coresAllowed(root = "/", machine = availableParallelism()): Cores {
  const read = systemReader(root);
  let cores: Cores = { count: Math.max(1, machine), because: "the machine" };
  const affinity = countList(/^Cpus_allowed_list:\s*(\S+)/m.exec(read("proc/self/status") ?? "")?.[1] ?? "");
  if (affinity > 0 && affinity < cores.count) cores = { count: affinity, because: "its affinity" };
  const quota = quotaOf(read);
  // A quota of one and a half keeps two workers busy for three quarters of the time.
  const whole = Math.max(1, Math.ceil(quota));
  if (whole < cores.count) cores = { count: whole, because: "the quota of its control group" };
  return cores;
}

/** The smallest quota of all control groups that this process is in, in cores; Infinity where there is none. */
function quotaOf(read: ReadSystem): number {
  let least = Infinity;
  for (const { second, folder } of controlGroups(read, "cpu")) {
    least = Math.min(least, second ? secondQuota(read, folder) : firstQuota(read, folder));
  }
  return least;
}

/** cpu.max of version 2: "150000 100000", "max 100000". */
function secondQuota(read: ReadSystem, group: string): number {
  const [quota = "", period = ""] = (read(join(group, "cpu.max")) ?? "").split(" ");
  return share(quota, period);
}

function firstQuota(read: ReadSystem, group: string): number {
  return share(read(join(group, "cpu.cfs_quota_us")) ?? "", read(join(group, "cpu.cfs_period_us")) ?? "");
}

/** Quota by period, both in microseconds; Infinity for "max", -1 and what is no number. */
function share(quota: string, period: string): number {
  const [whole, part] = [Number(period), Number(quota)];
  return quota !== "" && whole > 0 && part > 0 ? part / whole : Infinity;
}

/** How many a list such as "0-3,8" names; 0 for none. */
function countList(list: string): number {
  let count = 0;
  for (const range of list.split(",")) {
    const [, from, to] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? [];
    if (from !== undefined) count += Number(to ?? from) - Number(from) + 1;
  }
  return count;
}
