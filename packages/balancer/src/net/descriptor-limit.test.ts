import { expect, test } from "bun:test";
import { join } from "node:path";
import { readDescriptorLimit } from "./descriptor-limit.ts";

test("the limit read is the one in /proc", async () => {
  const line = (await Bun.file("/proc/self/limits").text())
    .split("\n")
    .find((each) => each.startsWith("Max open files"))!;
  const [soft, hard] = line
    .slice(15)
    .trim()
    .split(/\s+/)
    .map((word) => (word === "unlimited" ? Infinity : Number(word)));
  expect(readDescriptorLimit()).toEqual({ soft: soft!, hard: hard! });
});

test("raising goes up to the hard limit, in a process of its own", async () => {
  const script = `
    import { libc } from "./libc.ts";
    import { raiseDescriptorLimit, readDescriptorLimit } from "./descriptor-limit.ts";
    libc.setrlimit(7, new BigUint64Array([128n, 512n]));
    console.log(JSON.stringify([readDescriptorLimit(), raiseDescriptorLimit(), readDescriptorLimit()]));`;
  const child = Bun.spawn([process.execPath, "-e", script], {
    cwd: join(import.meta.dir),
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [before, answer, after] = JSON.parse(await child.stdout.text());
  expect(before).toEqual({ soft: 128, hard: 512 });
  expect(answer).toEqual({ soft: 512, hard: 512 });
  expect(after).toEqual({ soft: 512, hard: 512 });
});
