import { afterEach, expect, test } from "bun:test";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LineWriter } from "./line-writer.ts";

const folders: string[] = [];
function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "plimsoll-lines-"));
  folders.push(made);
  return made;
}
afterEach(() => {
  for (const made of folders.splice(0)) rmSync(made, { recursive: true });
});

/** Time that passes when the test says so. */
function handTime() {
  const waiting: (() => void)[] = [];
  return {
    later: (_ms: number, run: () => void) => void waiting.push(run),
    pass() {
      for (const run of waiting.splice(0)) run();
    },
  };
}

test("lines gather until the wait is over, and close writes the rest", async () => {
  const path = join(folder(), "access.log");
  const time = handTime();
  const writer = new LineWriter({ to: path, later: time.later });
  writer.line("one\n");
  expect(readFileSync(path, "latin1")).toBe("");
  time.pass();
  while (readFileSync(path, "latin1") === "") await Bun.sleep(1);
  expect(readFileSync(path, "latin1")).toBe("one\n");
  writer.line("two\n");
  await writer.close();
  expect(readFileSync(path, "latin1")).toBe("one\ntwo\n");
  writer.line("too late\n");
  expect([writer.taken, writer.dropped]).toEqual([2, 1]);
});

test("a full buffer is written without waiting, and nothing is lost or doubled", async () => {
  const path = join(folder(), "access.log");
  const writer = new LineWriter({ to: path, later: () => {}, bound: 64 * 1024 * 1024 });
  let expected = "";
  for (let i = 0; i < 30_000; i++) {
    const line = `${i} ${"x".repeat(i % 97)}\n`;
    expected += line;
    writer.line(line);
  }
  writer.line(`${"y".repeat(200_000)}\n`);
  await writer.close();
  expect(readFileSync(path, "latin1")).toBe(`${expected}${"y".repeat(200_000)}\n`);
  expect(writer.dropped).toBe(0);
});

test("a destination that cannot follow costs lines, not memory", async () => {
  const path = join(folder(), "pipe");
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  const reader = openSync(path, "r+"); // both ends, so that nothing blocks on opening
  const time = handTime();
  const writer = new LineWriter({ to: path, later: time.later, bound: 100_000 });
  const line = `${"x".repeat(99)}\n`;
  for (let i = 0; i < 10_000; i++) {
    writer.line(line);
    if (i % 1000 === 0) await Bun.sleep(1);
  }
  expect(writer.taken + writer.dropped).toBe(10_000);
  // The pipe holds 64 KiB, the writer what it was allowed.
  expect(writer.taken * 100).toBeLessThanOrEqual(100_000 + 65_536);
  expect(writer.dropped).toBeGreaterThan(8_000);
  // Once somebody reads again, what was taken arrives whole.
  const closed = writer.close();
  const stream = Bun.file(path).stream().getReader();
  let read = 0;
  while (read < writer.taken * 100) {
    const { value } = await stream.read();
    for (let i = 0; i < (value?.length ?? 0); i++) {
      expect(value?.[i]).toBe((read + i) % 100 === 99 ? 10 : 120);
    }
    read += value?.length ?? 0;
  }
  await closed;
  expect(read).toBe(writer.taken * 100);
  writeSync(reader, "\n"); // wakes the stream's pending read
  await stream.cancel();
  closeSync(reader);
});

test("a write that fails drops its lines, tells once, and goes on", async () => {
  const troubles: string[] = [];
  const time = handTime();
  const writer = new LineWriter({ to: "/dev/full", later: time.later, onTrouble: (cause) => troubles.push(cause) });
  for (let i = 0; i < 3; i++) {
    writer.line("lost\n");
    time.pass();
    while (writer.dropped <= i) await Bun.sleep(1);
  }
  await writer.close();
  expect(writer.dropped).toBe(3);
  expect(troubles).toEqual([expect.stringContaining("ENOSPC")]);
});

test("reopen writes to the new file after a rename", async () => {
  const path = join(folder(), "access.log");
  const writer = new LineWriter({ to: path, later: () => {} });
  writer.line("before\n");
  writer.flush();
  while (readFileSync(path, "latin1") === "") await Bun.sleep(1);
  renameSync(path, `${path}.1`);
  writer.reopen();
  while (!existsSync(path)) await Bun.sleep(1); // after the write that is under way
  writer.line("after\n");
  await writer.close();
  expect(readFileSync(`${path}.1`, "latin1")).toBe("before\n");
  expect(readFileSync(path, "latin1")).toBe("after\n");
});

test("a file that cannot be reopened leaves the old one in use", async () => {
  const base = folder();
  const inner = join(base, "logs");
  expect(Bun.spawnSync(["mkdir", inner]).exitCode).toBe(0);
  const troubles: string[] = [];
  const writer = new LineWriter({
    to: join(inner, "a.log"),
    later: () => {},
    onTrouble: (cause) => troubles.push(cause),
  });
  renameSync(inner, join(base, "moved"));
  writer.reopen();
  writer.line("kept\n");
  await writer.close();
  expect(readFileSync(join(base, "moved", "a.log"), "latin1")).toBe("kept\n");
  expect(troubles).toEqual([expect.stringContaining("cannot reopen")]);
});
