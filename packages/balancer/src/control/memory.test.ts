import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { WorkerCell } from "../observe/table.ts";
import { memoryAllowed, MemoryWatch } from "./memory.ts";

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

/** What is allowed on a machine of 1,000,000 bytes with these files. */
function allowed(files: Readonly<Record<string, string>>): number {
  const root = mkdtempSync(join(tmpdir(), "memory-"));
  roots.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${text}\n`);
  }
  return memoryAllowed(root, 1_000_000);
}

test("the smallest limit of the control groups, of either version, or the machine's memory", () => {
  expect(allowed({})).toBe(1_000_000);
  const second = { "proc/self/cgroup": "0::/system.slice/plimsoll.service" };
  const own = "sys/fs/cgroup/system.slice/plimsoll.service/memory.max";
  expect(allowed({ ...second, [own]: "max" })).toBe(1_000_000);
  expect(allowed({ ...second, [own]: "5000" })).toBe(5_000);
  expect(allowed({ ...second, [own]: "5000", "sys/fs/cgroup/system.slice/memory.max": "4000" })).toBe(4_000);
  expect(allowed({ ...second, [own]: "0", "sys/fs/cgroup/memory.max": "many" })).toBe(1_000_000);
  const first = { "proc/self/cgroup": "9:memory:/docker/x\n4:cpu:/docker/x" };
  expect(allowed({ ...first, "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": "9223372036854771712" })).toBe(
    1_000_000,
  );
  expect(allowed({ ...first, "sys/fs/cgroup/memory/memory.limit_in_bytes": "7000" })).toBe(7_000);
});

interface Stage {
  readonly watch: MemoryWatch;
  readonly done: string[];
  open: number;
  since(): number;
}

function stage(): Stage {
  const cells = new Float64Array(WorkerCell.size);
  const done: string[] = [];
  const clock = { now: () => 0, wall: () => 1_000 };
  const relief = {
    open: () => made.open,
    shed: () => void done.push("shed"),
    hold: (held: boolean) => void done.push(held ? "hold" : "release"),
  };
  const watch = new MemoryWatch(cells, 0, clock, relief, (level, name) => done.push(`${level} ${name}`));
  const made: Stage = { watch, done, open: 1_000, since: () => cells[WorkerCell.fullSince] ?? 0 };
  return made;
}

const MiB = 1024 * 1024;

test("idle connections go from 90 % on, nobody new comes from 95 %, until it is below 90 % again", () => {
  const { watch, done, since } = stage();
  const at = (share: number): string[] => {
    done.length = 0;
    watch.review(share * MiB, MiB);
    return [...done];
  };
  expect(at(0.89)).toEqual([]);
  expect(at(0.9)).toEqual(["shed", "warn worker.memory-high"]);
  expect(at(0.94)).toEqual(["shed"]);
  expect(at(0.95)).toEqual(["shed", "hold", "error worker.memory-full"]);
  expect(since()).toBe(1_000);
  expect(at(0.99)).toEqual(["shed"]);
  expect(at(0.91)).toEqual(["shed"]);
  expect(at(0.89)).toEqual(["release", "info worker.memory-enough"]);
  expect(since()).toBe(0);
  expect(at(0.9)).toEqual(["shed", "warn worker.memory-high"]);
});

test("doors are not shut for memory that no connections hold, and not kept shut", () => {
  const made = stage();
  made.open = 63;
  made.watch.review(MiB, MiB);
  expect(made.done).not.toContain("hold");
  made.open = 64;
  made.watch.review(MiB, MiB);
  expect(made.done).toContain("hold");
  made.open = 63;
  made.watch.review(MiB, MiB);
  expect(made.done).toContain("release");
});
