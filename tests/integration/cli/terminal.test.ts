// `plimsoll up` at a real terminal, through the launcher: Ctrl-C, and a window that is closed.
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { fixtures, survivors, until } from "../up/stage.ts";

setDefaultTimeout(60_000);

const node = Bun.which("node") ?? "node";
const launcher = join(import.meta.dir, "../../../packages/cli/bin/plimsoll.mjs");

async function atTerminal(deed: "interrupt" | "close"): Promise<{ code: string; seen: string }> {
  const up = [node, launcher, "up", "-n", "2", "--port", "0", "--admin", "off", "--workers", "1", "--", node];
  const python = Bun.which("python3") ?? "python3";
  const script = join(import.meta.dir, "fixtures/terminal.py");
  const child = Bun.spawn([python, script, deed, "are ready behind", ...up, `${fixtures}/node-app.mjs`], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const text = await new Response(child.stdout).text();
  await child.exited;
  const newline = text.indexOf("\n");
  return { code: text.slice(0, newline), seen: text.slice(newline + 1) };
}

function groupsIn(seen: string): number[] {
  return [...seen.matchAll(/\(process (\d+)\)/g)].map((match) => Number(match[1]));
}

test("Ctrl-C, which reaches program and launcher both, stops once and in order", async () => {
  const { code, seen } = await atTerminal("interrupt");
  expect(seen).toContain("stopping: SIGINT");
  expect(seen).not.toContain("ending now");
  expect(seen).toContain("all instances have ended");
  expect(code).toBe("0");
  // A terminal gets colours.
  expect(seen).toContain("\u001b[36mapp-1    | \u001b[0m");
  expect(survivors(groupsIn(seen))).toEqual([]);
});

test("a closed terminal stops it, although SIGHUP means something else otherwise", async () => {
  const { seen } = await atTerminal("close");
  const groups = groupsIn(seen);
  expect(groups.length).toBe(2);
  await until("the instances are gone", () => survivors(groups).length === 0);
});
