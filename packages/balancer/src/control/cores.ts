// How many cores this process may use: what its affinity (a cpuset of its control group is part of that) and the quotas of its
// control groups leave of the machine. The runtime knows of the first only: in a container with two cores' time on a machine of
// 64 it would say 64, and 64 workers would take turns at being throttled.
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

/** What leaves the fewest, and how many. */
export interface Cores {
  readonly count: number;
  /** "the quota of its control group", "its affinity", "the machine". */
  readonly because: string;
}

/** Cores by what lies under `root`, as on Linux; `machine` is how many there are. */
export function coresAllowed(root = "/", machine = availableParallelism()): Cores {
  const read = (path: string): string | null => {
    try {
      return readFileSync(join(root, path), "utf8").trim();
    } catch {
      return null;
    }
  };
  let cores: Cores = { count: Math.max(1, machine), because: "the machine" };
  const affinity = countList(/^Cpus_allowed_list:\s*(\S+)/m.exec(read("proc/self/status") ?? "")?.[1] ?? "");
  if (affinity > 0 && affinity < cores.count) cores = { count: affinity, because: "its affinity" };
  const quota = quotaOf(read);
  // A quota of one and a half keeps two workers busy for three quarters of the time.
  const whole = Math.max(1, Math.ceil(quota));
  if (whole < cores.count) cores = { count: whole, because: "the quota of its control group" };
  return cores;
}

type Read = (path: string) => string | null;

/** The smallest quota of all control groups that this process is in, in cores; Infinity where there is none. */
function quotaOf(read: Read): number {
  let least = Infinity;
  for (const line of (read("proc/self/cgroup") ?? "").split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    const second = controllers === "";
    if (!second && !controllers.split(",").includes("cpu")) continue;
    const mounts = second
      ? ["sys/fs/cgroup", "sys/fs/cgroup/unified"]
      : ["sys/fs/cgroup/cpu", `sys/fs/cgroup/${controllers}`];
    for (const mount of mounts) {
      // Those above bind as well. In a container the path may be the host's, and only the mount's root be there.
      for (const group of upwards(path)) {
        least = Math.min(least, second ? secondQuota(read, join(mount, group)) : firstQuota(read, join(mount, group)));
      }
    }
  }
  return least;
}

/** "/a/b", "/a", "/". */
function upwards(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== "..");
  return parts.map((_, index) => `/${parts.slice(0, parts.length - index).join("/")}`).concat("/");
}

/** cpu.max of version 2: "150000 100000", "max 100000". */
function secondQuota(read: Read, group: string): number {
  const [quota = "", period = ""] = (read(join(group, "cpu.max")) ?? "").split(" ");
  return share(quota, period);
}

function firstQuota(read: Read, group: string): number {
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
