// Liveness under `plimsoll up`: who no longer lives is started again, who is not ready never is, and clients notice neither.
import { expect, setDefaultTimeout, test } from "bun:test";
import { startProgram, type Program } from "../up/program.ts";
import { survivors, until } from "../up/stage.ts";
import { app, App, node } from "./stage.ts";

setDefaultTimeout(60_000);

function up(args: readonly string[]): Program {
  const options = ["--port", "0", "--admin", "off", "--workers", "1", "--ready-path", "/readyz", "--grace", "300ms"];
  return startProgram(["up", "-n", "2", ...options, ...args, "--", node, app]);
}

/** All instances that were started, in that order. */
function started(program: Program): App[] {
  return [...program.err().matchAll(/starts with PORT=(\d+) \(process (\d+)\)/g)].map(
    (match) => new App(Number(match[1]), Number(match[2])),
  );
}

const url = (program: Program): string => /listening on (http:\S+?)(?:,|\s)/.exec(program.err())?.[1] ?? "";

const live = ["--live-path", "/healthz", "--live-interval", "100ms", "--live-fall", "3"];

test("an instance that fails its liveness is restarted, also when it hears no signal; requests go elsewhere", async () => {
  await using program = up(live);
  await until("both are ready", () => program.out().includes("instances are ready"));
  const [one, two] = started(program) as [App, App];
  await one.become(500, { path: "/healthz" });
  await until("it is told", () => program.err().includes("3 liveness probes in a row failed"));
  expect(program.err()).toContain("the last one: status 500 (GET /healthz)");
  await until("another one is ready", () => [...program.err().matchAll(/is ready on port/g)].length === 3);
  const third = started(program)[2] as App;
  expect([one.pid, two.pid]).not.toContain(third.pid);
  await until("the first one is gone", () => survivors([one.pid]).length === 0);
  // Stopped, it neither answers nor hears SIGTERM.
  process.kill(two.pid, "SIGSTOP");
  await until("it is told", () => program.err().includes("the last one: no answer (GET /healthz)"));
  await until("yet another one is ready", () => [...program.err().matchAll(/is ready on port/g)].length === 4);
  await until("the second one is gone", () => survivors([two.pid]).length === 0);
  const fourth = started(program)[3] as App;
  await until("both new ones work", async () => {
    const by = new Set<string>();
    for (let i = 0; i < 20; i++) by.add(await (await fetch(url(program), { keepalive: false })).text());
    return by.has(String(third.pid)) && by.has(String(fourth.pid)) && by.size === 2;
  });
  expect([...program.err().matchAll(/is restarted:/g)].length).toBe(2);
});

test("an instance that is not ready is never restarted", async () => {
  await using program = up(live);
  await until("both are ready", () => program.out().includes("instances are ready"));
  const [one, two] = started(program) as [App, App];
  await one.become(503);
  const { probes } = await one.seen();
  // Liveness and readiness go on meanwhile, many times over.
  await until("it was asked often", async () => (await one.seen()).probes > probes + 40);
  await until("it is out of rotation", async () => {
    const by = new Set<string>();
    for (let i = 0; i < 20; i++) by.add(await (await fetch(url(program), { keepalive: false })).text());
    return by.size === 1 && by.has(String(two.pid));
  });
  expect(started(program).length).toBe(2);
  expect(program.err()).not.toContain("is restarted");
});
