import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { isAlive, makeRuntimeDirectory, runningPrograms, runtimeBases } from "./runtime-directory.ts";

const base = mkdtempSync(join(tmpdir(), "runtime-test-"));
afterAll(() => rmSync(base, { recursive: true }));

/** The id of a process that has ended. */
function deadPid(): number {
  const child = Bun.spawnSync(["true"]);
  return child.pid;
}

test("only its user may look into it, and it goes away", () => {
  const directory = makeRuntimeDirectory(base, process.pid);
  const folder = dirname(directory.table);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  writeFileSync(directory.table, "x");
  directory.remove();
  expect(existsSync(folder)).toBe(false);
  directory.remove();
});

test("running programs are found, youngest first, dead ones and strangers are not", () => {
  const told = { pid: process.pid, version: "1", admin: "http://127.0.0.1:9090" };
  const [old, young, silent] = [1, 2, 3].map(() => makeRuntimeDirectory(base, process.pid));
  old?.tell({ ...told, started: 1 });
  young?.tell({ ...told, started: 2 });
  young?.tell({ ...told, started: 3 });
  mkdirSync(join(base, "plimsoll-notes"));
  expect(runningPrograms([base])).toEqual([
    { ...told, started: 3, directory: dirname(young?.table ?? "") },
    { ...told, started: 1, directory: dirname(old?.table ?? "") },
  ]);
  young?.hush();
  expect(runningPrograms([base]).map(({ started }) => started)).toEqual([1]);
  for (const each of [old, young, silent]) each?.remove();
});

test("directories that another could have made, or can write to, are none", () => {
  const [linked, open, file] = ["Linked", "OpenAl", "AFilee"].map((end) =>
    join(base, `plimsoll-${process.pid}-${end}`),
  );
  const own = makeRuntimeDirectory(base, process.pid);
  own.tell({ pid: process.pid, version: "1", started: 1, admin: "" });
  symlinkSync(dirname(own.table), linked!);
  mkdirSync(open!, { mode: 0o755 });
  chmodSync(open!, 0o755);
  writeFileSync(join(open!, "running.json"), JSON.stringify({ pid: process.pid, version: "1", started: 9, admin: "" }));
  writeFileSync(file!, "");
  expect(runningPrograms([base]).map(({ directory }) => directory)).toEqual([dirname(own.table)]);
  for (const each of [linked, open, file]) rmSync(each!, { recursive: true });
  own.remove();
});

test("what a killed program left is swept by the next start, and nothing else", () => {
  const left = makeRuntimeDirectory(base, deadPid());
  left.tell({ pid: 1, version: "1", started: 0, admin: "" });
  const before = readdirSync(base).length;
  const directory = makeRuntimeDirectory(base, process.pid);
  expect(existsSync(dirname(left.table))).toBe(false);
  expect(existsSync(join(base, "plimsoll-notes"))).toBe(true);
  expect(readdirSync(base).length).toBe(before);
  directory.remove();
});

test("the user's own runtime folder comes first, if there is one that can be written", () => {
  expect(runtimeBases({ XDG_RUNTIME_DIR: base })[0]).toBe(base);
  expect(runtimeBases({}).at(-1)).toBe(tmpdir());
  for (const bad of ["", "relative", join(base, "missing")])
    expect(runtimeBases({ XDG_RUNTIME_DIR: bad })).toEqual(runtimeBases({}));
});

test("a process that has ended and that nobody asked about is not taken for one that runs", async () => {
  // The shell becomes a program that knows nothing of its child.
  const parent = Bun.spawn(["sh", "-c", "sleep 0.2 & echo $!; exec sleep 60"], { stdout: "pipe" });
  try {
    const { value } = await parent.stdout.getReader().read();
    const pid = Number(new TextDecoder().decode(value));
    expect(isAlive(parent.pid)).toBe(true);
    for (let looks = 0; looks < 2_000 && isAlive(pid); looks++) await Bun.sleep(5);
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(`/proc/${pid}`)).toBe(true);
  } finally {
    parent.kill("SIGKILL");
    await parent.exited;
  }
});
