import { expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openOutput } from "./output.ts";

test("everything is written, in order, whatever the pieces", async () => {
  const folder = mkdtempSync(join(tmpdir(), "output-"));
  const path = join(folder, "out");
  const fd = openSync(path, "w");
  const output = openOutput(fd);
  let expected = "";
  for (let at = 0; at < 5000; at++) {
    const line = `${at} ${"x".repeat(at % 97)}\n`;
    expected += line;
    const room = output.push(new TextEncoder().encode(line));
    if (at % 50 === 0) await room;
  }
  await output.flushed(5000);
  closeSync(fd);
  expect(readFileSync(path, "utf8")).toBe(expected);
  rmSync(folder, { recursive: true });
});

test("a reader that does not read makes the writer wait, and one that goes away does not", async () => {
  // The reading end belongs to `sleep`, which never reads.
  const fifo = join(mkdtempSync(join(tmpdir(), "output-")), "pipe");
  Bun.spawnSync(["mkfifo", fifo]);
  const holder = Bun.spawn(["sh", "-c", `exec sleep 60 < '${fifo}'`], { stdout: "ignore" });
  const fd = openSync(fifo, "w");
  const output = openOutput(fd);
  const piece = new Uint8Array(48 * 1024).fill(120);
  void output.push(piece);
  void output.push(piece);
  const room = output.push(piece);
  expect(room).toBeInstanceOf(Promise);
  expect(await Promise.race([room?.then(() => "room"), Bun.sleep(80).then(() => "waits")])).toBe("waits");
  holder.kill("SIGKILL");
  await holder.exited;
  // Writing now fails with EPIPE: what waits is dropped, and nobody waits any longer.
  expect(await Promise.race([room?.then(() => "room"), Bun.sleep(5000).then(() => "waits")])).toBe("room");
  closeSync(fd);
  rmSync(join(fifo, ".."), { recursive: true });
});
