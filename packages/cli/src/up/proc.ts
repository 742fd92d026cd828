// What /proc tells of a process group. Everything is empty or "unknown" on systems without it.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { listeningSockets, processStat, socketInode } from "@plimsoll/balancer/src/control/app/listening-ports.ts";

/** Processes of a group that really run (no zombies); null where there is no /proc. */
export function groupMembers(group: number): readonly number[] | null {
  const names = attempt(() => readdirSync("/proc"));
  if (names === null || !names.includes("self")) return null;
  return names.flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    const stat = processStat(attempt(() => readFileSync(`/proc/${name}/stat`, "utf8")) ?? "");
    return stat !== null && stat.group === group && stat.state !== "Z" && stat.state !== "X" ? [Number(name)] : [];
  });
}

/** A process that carries a mark. */
export interface Marked {
  readonly pid: number;
  /** Its program's name, at most 15 characters. */
  readonly name: string;
}

const zero = Buffer.alloc(1);

/**
 * Processes that really run and began with `entry` ("NAME=value") in their environment; empty where there is no /proc. Those
 * of other users are not seen.
 */
export function markedProcesses(entry: string): Marked[] {
  const wanted = Buffer.from(`\0${entry}\0`);
  return (attempt(() => readdirSync("/proc")) ?? []).flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    const environment = attempt(() => readFileSync(`/proc/${pid}/environ`));
    if (environment === null || !Buffer.concat([zero, environment, zero]).includes(wanted)) return [];
    const text = attempt(() => readFileSync(`/proc/${pid}/stat`, "utf8")) ?? "";
    const state = processStat(text)?.state ?? "X";
    if (state === "Z" || state === "X") return [];
    return [{ pid: Number(pid), name: text.slice(text.indexOf("(") + 1, text.lastIndexOf(")")) }];
  });
}

/** TCP ports on which processes of the group listen, in order. */
export function groupListens(group: number): readonly number[] {
  const ports = new Set<number>();
  for (const pid of groupMembers(group) ?? []) {
    const sockets = new Map<string, number>();
    for (const table of ["tcp", "tcp6"]) {
      const text = attempt(() => readFileSync(`/proc/${pid}/net/${table}`, "utf8")) ?? "";
      for (const [inode, port] of listeningSockets(text)) sockets.set(inode, port);
    }
    for (const fd of attempt(() => readdirSync(`/proc/${pid}/fd`)) ?? []) {
      const port = sockets.get(socketInode(attempt(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? ""));
      if (port !== undefined) ports.add(port);
    }
  }
  return [...ports].sort((a, b) => a - b);
}

/** First and last port that the system gives to outgoing connections. */
export function ephemeralPorts(): readonly [number, number] {
  const text = attempt(() => readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8")) ?? "";
  const [first, last] = text.trim().split(/\s+/).map(Number);
  return first === undefined || last === undefined || !(first > 0) ? [32_768, 60_999] : [first, last];
}

/** Processes come and go between two looks; what has gone has nothing to tell. */
function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
