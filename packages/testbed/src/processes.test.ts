import { expect, test } from "bun:test";
import { accepts, freePort, isAlive, processTree, startProgram, waitForExit } from "./processes.ts";
import { eventually } from "./waiting.ts";

const bun = process.execPath;

test("waits for a line, also one written before it was asked for", async () => {
  const program = await startProgram(["sh", "-c", "echo one; sleep 0.05; echo port 81; sleep 60"], {
    ready: /^port (\d+)$/,
  });
  expect((await program.line(/port (\d+)/))[1]).toBe("81");
  expect((await program.line(/^one$/))[0]).toBe("one");
  expect(await program.stop()).toEqual({ code: 143, signal: "SIGTERM" });
});

test("waits for a port, and passes the environment on", async () => {
  const port = await freePort();
  const serve = "require('http').createServer((_, a) => a.end()).listen(+process.env.PORT, '127.0.0.1')";
  const program = await startProgram([bun, "-e", serve], { env: { PORT: String(port), HOME: undefined }, ready: port });
  expect(await accepts(port)).toBe(true);
  await program.kill();
  expect(await accepts(port)).toBe(false);
});

test("a program that ends, or stays silent, is told with its output, and is gone", async () => {
  await expect(startProgram(["sh", "-c", "echo why; exit 3"], { ready: /never/ })).rejects.toThrow(
    /ended with 3:\nwhy/,
  );
  const silent = startProgram(["sh", "-c", "echo $$; exec sleep 60"], { ready: /never/, timeout: 100 });
  const error = await silent.catch((one: unknown) => one as Error);
  const pid = Number(/^(\d+)$/m.exec((error as Error).message)?.[1]);
  expect(pid).toBeGreaterThan(1);
  expect(isAlive(pid)).toBe(false);
});

test("stopping takes the whole tree along, also what ignores SIGTERM or left the group", async () => {
  const script = "setsid sleep 71 & sh -c 'trap \"\" TERM; echo up; sleep 72; sleep 72' & wait";
  const program = await startProgram(["sh", "-c", script], { ready: /up/ });
  const tree = await eventually("four processes", () => {
    const pids = processTree(program.pid);
    return pids.length >= 4 ? pids : undefined;
  });
  await program.stop(500);
  for (const pid of tree) await waitForExit(pid);
  expect(tree.some(isAlive)).toBe(false);
  await program.kill();
});
