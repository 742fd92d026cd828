import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./raw-pair.ts";

test("Bun.mmap is shared between processes, both ways (decision: live counters in one mapped file)", async () => {
  const directory = mkdtempSync(join(tmpdir(), "plimsoll-mmap-"));
  try {
    const path = join(directory, "table");
    writeFileSync(path, new Uint8Array(4096));
    const ours = Bun.mmap(path, { shared: true });
    const cells = new Float64Array(ours.buffer, ours.byteOffset, 512);
    const script = `
      const view = Bun.mmap(${JSON.stringify(path)}, { shared: true });
      const cells = new Float64Array(view.buffer, view.byteOffset, 512);
      cells[1] = 4.5;
      const timer = setInterval(() => {
        if (cells[0] !== 1) return;
        cells[2] = 7;
        clearInterval(timer);
      }, 1);`;
    const child = Bun.spawn([process.execPath, "-e", script], { stdio: ["ignore", "inherit", "inherit"] });
    await until(() => cells[1] === 4.5);
    expect(cells[2]).toBe(0);
    cells[0] = 1;
    expect(await child.exited).toBe(0);
    expect(cells[2]).toBe(7);
    // The file may be unlinked while it is mapped: nothing is left behind when all have gone.
    rmSync(path);
    cells[3] = 1;
    expect(cells[3]).toBe(1);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("the mapping is aligned for 64-bit cells", () => {
  const directory = mkdtempSync(join(tmpdir(), "plimsoll-mmap-"));
  try {
    const path = join(directory, "table");
    writeFileSync(path, new Uint8Array(64));
    expect(Bun.mmap(path, { shared: true }).byteOffset % 8).toBe(0);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
