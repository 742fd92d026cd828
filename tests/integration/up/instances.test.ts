// The process manager with real programs: what it starts, what it says, and that nothing of it stays.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { fixtures, openStage, survivors, until } from "./stage.ts";

setDefaultTimeout(60_000);

const node = Bun.which("node") ?? "node";
const nodeApp = [node, `${fixtures}/node-app.mjs`];

describe("programs of every kind", () => {
  test("a Node server: ports, names, environment, both outputs", async () => {
    const stage = openStage(nodeApp, { env: { EXTRA: "of the plan" } });
    expect(await stage.manager.start()).toBe("");
    const [first, second] = stage.endpoints();
    expect(stage.endpoints().length).toBe(2);
    expect(JSON.parse(await stage.get(first, "/env"))).toEqual({
      name: first?.id.replace(/\.1$/, ""),
      PORT: String(first?.port),
      MODE: "",
      extra: "of the plan",
    });
    expect(await stage.get(second)).toStartWith(second?.id.replace(/\.1$/, "") ?? "?");
    await until("both outputs came", () => stage.printed.length >= 4);
    expect(stage.printed.toSorted().slice(0, 2)).toEqual([
      "app-1 stderr a word on the other stream",
      "app-1 stdout listening as app-1",
    ]);
    await stage[Symbol.asyncDispose]();
    expect(stage.printed).toContain("app-1 stdout closing");
    expect(survivors(stage.groups)).toEqual([]);
  });

  test("an Express application on all addresses", async () => {
    await using stage = openStage([node, `${fixtures}/express-app.mjs`]);
    expect(await stage.manager.start()).toBe("");
    expect(await stage.get(stage.endpoints()[1])).toStartWith("express app-");
  });

  test("python3 -m http.server, which wants its port as an argument", async () => {
    await using stage = openStage([Bun.which("python3") ?? "python3", "-m", "http.server", "$PORT"]);
    expect(await stage.manager.start()).toBe("");
    expect(await stage.get(stage.endpoints()[0])).toContain("node-app.mjs");
  });

  test("one that listens on ::1 only gets its traffic there", async () => {
    await using stage = openStage(nodeApp, { instances: 1 }, { MODE: "ipv6" });
    expect(await stage.manager.start()).toBe("");
    expect(stage.endpoints()[0]?.host).toBe("::1");
    expect(await stage.get(stage.endpoints()[0])).toStartWith("app-1");
  });

  test("npm start: the whole tree ends, also what the script put into the background", async () => {
    const stage = openStage(["npm", "start", "--silent"], {}, {}, `${fixtures}/npm-app`);
    expect(await stage.manager.start()).toBe("");
    const pids = await Promise.all(
      stage.endpoints().map(async (each) => Number((await stage.get(each)).split(" ")[1])),
    );
    // The application is not the program that was started, but belongs to its group.
    for (const pid of pids) expect(stage.groups.has(pid)).toBe(false);
    expect(survivors(stage.groups)).toEqual(expect.arrayContaining(pids));
    await stage[Symbol.asyncDispose]();
    expect(survivors(stage.groups)).toEqual([]);
  });
});

describe("programs in trouble", () => {
  test("one that falls is replaced, with a new port, and its exit is told", async () => {
    await using stage = openStage(nodeApp);
    expect(await stage.manager.start()).toBe("");
    const fallen = stage.endpoints().find((each) => each.id.startsWith("app-2"));
    await stage.get(fallen, "/die").catch(() => "");
    await until("the second run serves", () => stage.endpoints().some((each) => each.id === "app-2.2"));
    expect(stage.told()).toContain("app-2 exited with code 7");
    expect(stage.endpoints().length).toBe(2);
    expect(await stage.get(stage.endpoints().find((each) => each.id === "app-2.2"))).toStartWith("app-2 ");
  });

  test("one that throws at once: why, its last words, and no end without an end", async () => {
    const stage = openStage(nodeApp, {}, { MODE: "throws" });
    expect(await stage.manager.start()).toContain("it exited with code 1");
    expect(stage.told()).toContain("no database today");
    await stage[Symbol.asyncDispose]();
    expect(survivors(stage.groups)).toEqual([]);
  });

  test("one that does not read PORT: where it listens instead", async () => {
    const spare = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const own = spare.port;
    spare.stop(true);
    const stage = openStage(nodeApp, { instances: 1, readyTimeout: 1500 }, { MODE: "own-port", OWN_PORT: String(own) });
    expect(await stage.manager.start()).toContain(`It listens on port ${own} instead of the one it was given`);
    await stage[Symbol.asyncDispose]();
    expect(survivors(stage.groups)).toEqual([]);
  });

  test("two that do not read PORT: the second one's complaint is understood", async () => {
    const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    await using stage = openStage(nodeApp, { instances: 1 }, { MODE: "own-port", OWN_PORT: String(taken.port) });
    expect(await stage.manager.start()).toContain(`It wanted port ${taken.port} instead of the one it was given`);
    taken.stop(true);
  });

  test("one whose readiness never comes", async () => {
    await using stage = openStage(
      nodeApp,
      { instances: 1, readyPath: "/readyz", readyTimeout: 1500 },
      { MODE: "never-ready" },
    );
    expect(await stage.manager.start()).toContain("GET /readyz got status 503");
  });

  test("one that is not there, and one that a shell does not find", async () => {
    await using stage = openStage(["no-such-program-of-anyone"]);
    expect(await stage.manager.start()).toContain('there is no program "no-such-program-of-anyone"');
    await using shell = openStage(["sh", "-c", "no-such-program-of-anyone"], { instances: 1 });
    expect(await shell.manager.start()).toContain("a shell did not find the command");
  });

  test("one that ignores SIGTERM is killed after its grace", async () => {
    const stage = openStage(nodeApp, { instances: 1, grace: 300 }, { MODE: "ignores-term" });
    expect(await stage.manager.start()).toBe("");
    await stage[Symbol.asyncDispose]();
    expect(stage.told()).toContain("did not end within 300 ms of SIGTERM and was killed");
    expect(survivors(stage.groups)).toEqual([]);
  });
});

test("replacing all: other processes, none of the old ones left", async () => {
  await using stage = openStage(nodeApp);
  expect(await stage.manager.start()).toBe("");
  const old = new Set(stage.groups);
  expect(await stage.manager.roll()).toBe(true);
  expect(
    stage
      .endpoints()
      .map((each) => each.id)
      .toSorted(),
  ).toEqual(["app-1.2", "app-2.2"]);
  expect(survivors(old)).toEqual([]);
  for (const endpoint of stage.endpoints()) expect(await stage.get(endpoint)).toStartWith("app-");
});

test("the program itself killed with -9: the watcher ends the instances", async () => {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/fixtures/holder.ts`], {
    stdout: "pipe",
    stdin: "ignore",
  });
  let text = "";
  for await (const bytes of child.stdout) {
    text += new TextDecoder().decode(bytes);
    if (text.includes("\n")) break;
  }
  const groups = (JSON.parse(text) as number[]).map(Number);
  expect(survivors(groups).length).toBeGreaterThanOrEqual(2);
  child.kill("SIGKILL");
  await child.exited;
  await until("the instances are gone", () => survivors(groups).length === 0);
});
