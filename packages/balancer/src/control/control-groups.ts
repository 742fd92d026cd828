// The control groups of this process, both versions: where the limits lie that bind it.
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The text of a file of the system without white space around it; null if it cannot be read. */
export type ReadSystem = (path: string) => string | null;

/** Reads below `root`. */
export function systemReader(root: string): ReadSystem {
  return (path) => {
    try {
      return readFileSync(join(root, path), "utf8").trim();
    } catch {
      return null;
    }
  };
}

export interface ControlGroup {
  /** Of version 2: one tree for all controllers. */
  readonly second: boolean;
  /** Where its files are, if it is there at all. */
  readonly folder: string;
}

/** Every group that this process may be in for a controller ("cpu", "memory"), with those above, which bind as well. */
export function controlGroups(read: ReadSystem, controller: string): ControlGroup[] {
  return (read("proc/self/cgroup") ?? "").split("\n").flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) return [];
    const second = controllers === "";
    if (!second && !controllers.split(",").includes(controller)) return [];
    const mounts = second
      ? ["sys/fs/cgroup", "sys/fs/cgroup/unified"]
      : [`sys/fs/cgroup/${controller}`, `sys/fs/cgroup/${controllers}`];
    // In a container the path may be the host's, and only the mount's root be there.
    return mounts.flatMap((mount) => upwards(path).map((group) => ({ second, folder: join(mount, group) })));
  });
}

/** "/a/b", "/a", "/". */
function upwards(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== "..");
  return parts.map((_, index) => `/${parts.slice(0, parts.length - index).join("/")}`).concat("/");
}
