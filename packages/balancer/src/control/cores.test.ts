import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { coresAllowed } from "./cores.ts";

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

/** A system's files, by path. */
function system(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), "cores-"));
  roots.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${text}\n`);
  }
  return root;
}

const status = (list: string) => `Name:\tbun\nCpus_allowed:\tff\nCpus_allowed_list:\t${list}\nMems_allowed_list:\t0`;
const quota = "the quota of its control group";

test("nothing known: the machine's", () => {
  expect(coresAllowed(system({}), 8)).toEqual({ count: 8, because: "the machine" });
  expect(coresAllowed(system({ "proc/self/cgroup": "nonsense\n::\n0:x", "proc/self/status": "?" }), 8).count).toBe(8);
});

test("the affinity, which a cpuset narrows", () => {
  const of = (list: string) => coresAllowed(system({ "proc/self/status": status(list) }), 64);
  expect(of("0-3")).toEqual({ count: 4, because: "its affinity" });
  expect(of("5")).toEqual({ count: 1, because: "its affinity" });
  expect(of("0-1,8-9,63")).toEqual({ count: 5, because: "its affinity" });
  expect(of("0-63")).toEqual({ count: 64, because: "the machine" });
});

test("version 2: the smallest cpu.max from the own group upwards, rounded up", () => {
  const of = (files: Readonly<Record<string, string>>) =>
    coresAllowed(system({ "proc/self/cgroup": "0::/system.slice/plimsoll.service", ...files }), 64);
  const own = "sys/fs/cgroup/system.slice/plimsoll.service/cpu.max";
  expect(of({ [own]: "200000 100000" })).toEqual({ count: 2, because: quota });
  expect(of({ [own]: "150000 100000" }).count).toBe(2);
  expect(of({ [own]: "10000 100000" }).count).toBe(1);
  expect(of({ [own]: "max 100000" }).count).toBe(64);
  expect(of({ [own]: "max 100000", "sys/fs/cgroup/system.slice/cpu.max": "300000 100000" }).count).toBe(3);
  expect(of({ [own]: "800000 100000", "sys/fs/cgroup/system.slice/cpu.max": "300000 100000" }).count).toBe(3);
});

test("version 2 in a container: its group is the root that it sees", () => {
  const root = system({ "proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "100000 50000" });
  expect(coresAllowed(root, 16)).toEqual({ count: 2, because: quota });
  const hosts = system({ "proc/self/cgroup": "0::/../../docker/4711", "sys/fs/cgroup/cpu.max": "100000 100000" });
  expect(coresAllowed(hosts, 16).count).toBe(1);
});

test("version 1: quota and period of the group that counts the cpu", () => {
  const groups = "12:cpuset:/docker/x\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x\n0::/docker/x";
  const files = (quotaUs: string, folder: string) => ({
    "proc/self/cgroup": groups,
    [`sys/fs/cgroup/${folder}/cpu.cfs_quota_us`]: quotaUs,
    [`sys/fs/cgroup/${folder}/cpu.cfs_period_us`]: "100000",
  });
  expect(coresAllowed(system(files("250000", "cpu/docker/x")), 16)).toEqual({ count: 3, because: quota });
  expect(coresAllowed(system(files("-1", "cpu/docker/x")), 16).count).toBe(16);
  // The mount that has both names, and a container that sees its own group as the root.
  expect(coresAllowed(system(files("400000", "cpu,cpuacct/docker/x")), 16).count).toBe(4);
  expect(coresAllowed(system(files("400000", "cpu")), 16).count).toBe(4);
});

test("whatever leaves fewer", () => {
  const files = { "proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "600000 100000" };
  expect(coresAllowed(system({ ...files, "proc/self/status": status("0-1") }), 64).because).toBe("its affinity");
  expect(coresAllowed(system({ ...files, "proc/self/status": status("0-31") }), 64).because).toBe(quota);
});

test("this machine has at least one, and not more than it has", () => {
  const { count } = coresAllowed();
  expect(count).toBeGreaterThanOrEqual(1);
  expect(count).toBeLessThanOrEqual(availableParallelism());
});
