// What a process holds: descriptors and memory, before and after. For tests that say "and nothing is left".
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { eventually } from "./waiting.ts";

/** What every open descriptor of a process points to, by its kind: "socket", "pipe", "file", "anon". */
export function descriptors(pid: number | "self" = "self"): ReadonlyMap<string, number> {
  const kinds = new Map<string, number>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    const kind = kindOf(`/proc/${pid}/fd/${fd}`);
    if (kind) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return kinds;
}

/** How many sockets a process holds. */
export function openSockets(pid: number | "self" = "self"): number {
  return descriptors(pid).get("socket") ?? 0;
}

/** Resident memory of a process in bytes. */
export function residentBytes(pid: number | "self" = "self"): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes ?? 0) * 1024;
}

/**
 * Runs `body` and waits until the process holds no more sockets than before. Throws with both counts when that does not
 * happen within `patience` ms. `pid`: the process that is looked at, this one unless told.
 */
export async function withoutLeaks<T>(
  body: () => T | Promise<T>,
  pid: number | "self" = "self",
  patience = 5000,
): Promise<T> {
  const before = openSockets(pid);
  const result = await body();
  await eventually("all sockets closed", () => openSockets(pid) <= before, patience).catch(() => {
    throw new Error(`${openSockets(pid)} sockets are open, and ${before} were before`);
  });
  return result;
}

function kindOf(link: string): string | undefined {
  try {
    const target = readlinkSync(link);
    return /^(socket|pipe|anon_inode)/.exec(target)?.[1]?.replace("_inode", "") ?? "file";
  } catch {
    // Closed between the listing and the look: the listing's own descriptor, most often.
    return undefined;
  }
}
