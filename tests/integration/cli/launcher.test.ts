// The launcher under Node, in a folder laid out as npm does it, with a tiny program in place of the real one.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProgram } from "../up/program.ts";
import { until } from "../up/stage.ts";

setDefaultTimeout(60_000);

const node = Bun.which("node") ?? "node";
const cli = join(import.meta.dir, "../../../packages/cli");
let folder = "";
let launcher = "";

/** Tells what it was started with; ends on SIGTERM with its own code, and says which signals came. */
const program = `
if (process.argv[2] === "tell") {
  console.log(JSON.stringify({ args: process.argv.slice(3), leaked: process.env.LEAKED ?? null, preloaded: globalThis.preloaded ?? null }));
  process.exit(Number(process.argv[3] ?? 0));
}
if (process.argv[2] === "crash") process.kill(process.pid, "SIGKILL");
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"]) {
  process.on(signal, () => {
    console.log("got " + signal);
    if (signal === "SIGTERM") setTimeout(() => process.exit(9), 100);
  });
}
console.log("waiting as " + process.pid);
setInterval(() => {}, 1000);
`;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "launcher-"));
  const own = join(folder, "node_modules/plimsoll");
  mkdirSync(join(own, "src"), { recursive: true });
  cpSync(join(cli, "bin"), join(own, "bin"), { recursive: true });
  cpSync(join(cli, "package.json"), join(own, "package.json"));
  writeFileSync(join(own, "src/main.ts"), program);
  // As after --ignore-scripts: the binary in its platform package, a placeholder in "bun".
  const cpu = process.arch === "arm64" ? "aarch64" : process.arch;
  const platform = join(folder, `node_modules/@oven/bun-${process.platform}-${cpu}/bin`);
  mkdirSync(platform, { recursive: true });
  symlinkSync(process.execPath, join(platform, "bun"));
  mkdirSync(join(folder, "node_modules/bun/bin"), { recursive: true });
  writeFileSync(join(folder, "node_modules/bun/bin/bun.exe"), "exit 1\n", { mode: 0o755 });
  // What must not be read from the folder that the user is in.
  writeFileSync(join(folder, ".env"), "LEAKED=yes\n");
  writeFileSync(join(folder, "bunfig.toml"), 'preload = ["./preload.ts"]\n');
  writeFileSync(join(folder, "preload.ts"), "globalThis.preloaded = true;\n");
  launcher = join(own, "bin/plimsoll.mjs");
});

afterAll(() => rmSync(folder, { recursive: true }));

function launch(args: readonly string[], env: Record<string, string> = {}) {
  return startProgram(args, { command: [node, launcher], cwd: folder, env });
}

describe("the launcher", () => {
  test("finds Bun without install scripts, and passes arguments and exit code", async () => {
    await using run = launch(["tell", "3", "--", "-n", "$HOME", "a b"], { PATH: "/nowhere" });
    expect(await run.exited).toBe(3);
    expect(run.err()).toBe("");
    expect(JSON.parse(run.out())).toEqual({
      args: ["3", "--", "-n", "$HOME", "a b"],
      leaked: null,
      preloaded: null,
    });
  });

  test("passes signals on, waits for the end that follows, and leaves nothing behind", async () => {
    await using run = launch(["wait"]);
    const pid = Number(await run.says(/waiting as (\d+)/));
    for (const signal of ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGINT"] as const) {
      run.signal(signal);
      await run.says(new RegExp(`got ${signal}`));
    }
    run.signal("SIGTERM");
    expect(await run.exited).toBe(9);
    expect(run.out().match(/got SIGTERM/g)?.length).toBe(1);
    await until("the program is gone", () => !isAlive(pid));
  });

  test("dies as its program died", async () => {
    const run = Bun.spawn([node, launcher, "crash"], { cwd: folder, stdout: "ignore", stderr: "ignore" });
    await run.exited;
    expect(run.signalCode).toBe("SIGKILL");
  });

  test("without Bun: says how to get it, exit code 127", async () => {
    const bare = mkdtempSync(join(tmpdir(), "launcher-bare-"));
    cpSync(join(cli, "bin"), join(bare, "bin"), { recursive: true });
    cpSync(join(cli, "package.json"), join(bare, "package.json"));
    const command = [node, join(bare, "bin/plimsoll.mjs")];
    await using run = startProgram(["version"], { command, cwd: bare, env: { PATH: "/nowhere" } });
    expect(await run.exited).toBe(127);
    expect(run.err()).toContain("npm install bun@");
    rmSync(bare, { recursive: true });
  });

  test("is the program itself under Bun", async () => {
    await using run = startProgram(["tell", "4"], { command: [process.execPath, launcher], cwd: "/" });
    expect(await run.exited).toBe(4);
    expect(JSON.parse(run.out()).args).toEqual(["4"]);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
