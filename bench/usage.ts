// What the processes of one program have used, from /proc.
import { readFileSync } from "node:fs";
import { processTree } from "@plimsoll/testbed/processes";

/** The kernel counts CPU time for /proc in these; a constant of its interface on every architecture we run on. */
const ticksPerSecond = 100;

/** User and system time of a program and everything it started, children that have ended included, in microseconds. */
export function cpuMicroseconds(pid: number): number {
  let ticks = 0;
  for (const one of processTree(pid)) ticks += ticksOf(stat(one));
  return (ticks * 1_000_000) / ticksPerSecond;
}

/** utime, stime, cutime and cstime of a line of /proc/<pid>/stat. */
export function ticksOf(line: string): number {
  // The command may hold spaces and parentheses: fields are counted from the last one.
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field || 0), 0);
}

/**
 * Resident memory of a program and everything it started, in bytes. Pages that several of its processes share count
 * once (PSS), so that a balancer is not charged for its program text as often as it has processes.
 */
export function residentMemory(pid: number): number {
  let kilobytes = 0;
  for (const one of processTree(pid)) {
    kilobytes += Number(/^Pss:\s+(\d+) kB$/m.exec(read(`/proc/${one}/smaps_rollup`))?.[1] ?? 0);
  }
  return kilobytes * 1024;
}

function stat(pid: number): string {
  return read(`/proc/${pid}/stat`);
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
