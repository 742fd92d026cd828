// Needs: strace
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { AcceptWatch } from "./accept-watch.ts";

/** A watch whose looks the test takes, and what it told. */
function staged() {
  const looks = new Set<() => void>();
  let failing = 0;
  const every = (_: number, fn: () => void) => (looks.add(fn), () => void looks.delete(fn));
  const watch = new AcceptWatch(() => failing++, { every, after: every });
  const look = (times: number) => {
    for (let i = 0; i < times; i++) for (const fn of looks) fn();
    return failing;
  };
  return { watch, look, looks };
}

test("somebody who waits while nobody is accepted, look after look, is told of, and again if it goes on", () => {
  const { watch, look, looks } = staged();
  const queue = { accepted: 0, waiting: true, waits: () => queue.waiting };
  watch.add(queue);
  expect(look(3)).toBe(0);
  // One was accepted: whoever waits now has just come.
  queue.accepted++;
  expect(look(4)).toBe(0);
  queue.waiting = false;
  expect(look(1)).toBe(0);
  queue.waiting = true;
  expect(look(3)).toBe(0);
  expect(look(1)).toBe(1);
  expect(look(3)).toBe(1);
  expect(look(1)).toBe(2);
  watch.delete(queue);
  expect(looks.size).toBe(0);
});

test("one queue of several is enough, and one that is added later is looked at", () => {
  const { watch, look } = staged();
  const busy = {
    get accepted() {
      return (this.count += 1);
    },
    count: 0,
    waits: () => true,
  };
  watch.add(busy);
  expect(look(10)).toBe(0);
  watch.add({ accepted: 7, waits: () => true });
  expect(look(4)).toBe(1);
});

/** Processor time of a process so far, ms. */
function used(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

test("a table of open files that is full: accepting pauses, does not spin, and is tried again", async () => {
  // The system's own table cannot be filled in a test, and never is for root: strace answers accept in the kernel's place. -D makes
  // our child the program, and the tracer a grandchild. That it goes on when there is room is tested in descriptor-gate.test.ts.
  const program = [process.execPath, join(import.meta.dir, "fixtures/acceptor.ts")];
  const inject = ["-f", "-e", "trace=accept4", "-e", "inject=accept4:error=ENFILE"];
  const child = Bun.spawn(["strace", "-D", "-qq", "-o", "/dev/null", ...inject, ...program], { stdout: "pipe" });
  const lines: string[] = [];
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of child.stdout) lines.push(...decoder.decode(bytes, { stream: true }).trim().split("\n"));
  })();
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) {
      if (child.exitCode !== null) throw new Error(`it ended: ${lines.join(" | ")}`);
      await Bun.sleep(5);
    }
  };
  try {
    await until(() => lines.length > 0);
    const port = Number(lines[0]!.replace("port ", ""));
    let received = "";
    const client = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: { data: (_, bytes) => void (received += bytes.toString()) },
    });
    await until(() => lines.length > 1);
    expect(lines[1]).toBe("shut accept fails");
    // A loop that spins takes all of a core; what else runs here can only make this number smaller.
    const [before, from] = [used(child.pid), performance.now()];
    await Bun.sleep(3_000);
    expect((used(child.pid) - before) / (performance.now() - from)).toBeLessThan(0.6);
    // It was asked again, and found no better.
    await until(() => lines.filter((one) => one.startsWith("shut ")).length > 1);
    expect(received).toBe("");
    client.terminate();
  } finally {
    child.kill("SIGKILL");
    await Promise.all([child.exited, reading]);
  }
}, 30_000);
