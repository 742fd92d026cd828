import { describe, expect, test } from "bun:test";
import { describeEvent, type AppEvent } from "./events.ts";
import { FakeHost, FakeSink, type Script } from "./fake-host.ts";
import type { AppPlan } from "./host.ts";
import { AppManager } from "./manager.ts";

const plan: AppPlan = {
  name: "app",
  command: ["node", "server.js", "--port", "$PORT"],
  instances: 3,
  readyPath: null,
  liveness: null,
  readyTimeout: 60_000,
  grace: 10_000,
  env: { COLOUR: "blue" },
};

function stage(script: (name: string, nth: number) => Script | string, change: Partial<AppPlan> = {}) {
  const host = new FakeHost(script);
  const sink = new FakeSink(host);
  const events: AppEvent[] = [];
  const printed: string[] = [];
  const manager = new AppManager({ ...plan, ...change }, host, sink, {
    tell: (event) => void events.push(event),
    print: (name, _index, stream, line) => void printed.push(`${name} ${stream} ${new TextDecoder().decode(line)}`),
  });
  const kinds = (): string[] => events.map((event) => event.kind);
  return { host, sink, events, printed, manager, kinds };
}

describe("starting", () => {
  test("gives each its port and name, and puts it into rotation when it answers", async () => {
    const { host, sink, manager, printed } = stage(() => ({ listens: 300, prints: "hello\nwor" }));
    const started = manager.start();
    await host.advance(200);
    expect(sink.current).toEqual([]);
    await host.advance(400);
    expect(await started).toBe("");
    expect(sink.current.map((endpoint) => endpoint.id)).toEqual(["app-1.1", "app-2.1", "app-3.1"]);
    expect(new Set(sink.current.map((endpoint) => endpoint.port)).size).toBe(3);
    for (const program of host.programs) {
      expect(program.env).toEqual({ COLOUR: "blue", PORT: String(program.port), PLIMSOLL_INSTANCE: program.name });
      expect(program.command).toEqual(["node", "server.js", "--port", String(program.port)]);
    }
    expect(printed).toEqual(["app-1 stdout hello", "app-2 stdout hello", "app-3 stdout hello"]);
    // The unfinished line is passed on after a while, because it may be a question.
    await host.advance(1000);
    expect(printed.slice(3)).toEqual(["app-1 stdout wor", "app-2 stdout wor", "app-3 stdout wor"]);
  });

  test("takes another port at once when its port was taken in the meantime", async () => {
    const { host, manager, kinds } = stage(
      (_, nth) =>
        nth === 1
          ? { exits: 50, prints: "Error: listen EADDRINUSE: address already in use :::20001\n" }
          : { listens: 1 },
      { instances: 1 },
    );
    const started = manager.start();
    await host.advance(500);
    expect(await started).toBe("");
    expect(host.programs.length).toBe(2);
    expect(kinds()).not.toContain("not-started");
  });

  test("gives up, with the reason and the last output, when nothing ever comes up", async () => {
    const { host, manager, events } = stage(() => ({ exits: 100, prints: "SyntaxError: unexpected token\n" }));
    const started = manager.start();
    await host.advance(1000);
    expect(await started).toContain("exited with code 1");
    const told = events.filter((event) => event.kind === "not-started").map(describeEvent);
    expect(told.length).toBe(3);
    expect(told[0]).toContain("SyntaxError: unexpected token");
    await manager.stop();
  });

  test("tries a single instance three times before it gives up", async () => {
    const { host, manager } = stage(() => ({ exits: 100 }), { instances: 1 });
    const started = manager.start();
    await host.advance(10_000);
    expect(await started).toContain("exited with code 1");
    expect(host.programs.length).toBe(3);
  });

  test("gives up at once when there is no such program", async () => {
    const { host, manager } = stage(() => "no such program: nmp");
    const started = manager.start();
    await host.advance(1);
    expect(await started).toContain("no such program: nmp");
  });

  test("says so when no port is left, and goes on with those that run", async () => {
    const { host, sink, manager, events } = stage(() => ({ listens: 10 }), { instances: 2 });
    host.portsLeft = 1;
    void manager.start();
    await host.advance(1000);
    expect(sink.taking()).toBe(1);
    expect(events.map(describeEvent).join("\n")).toContain("app-2: it could not be started: no TCP port is free");
    host.portsLeft = 1;
    await host.advance(10_000);
    expect(sink.taking()).toBe(2);
  });

  test("does not give up while others are ready", async () => {
    const { host, sink, manager } = stage((name) => (name === "app-2" ? { exits: 50 } : { listens: 10 }));
    void manager.start();
    await host.advance(20_000);
    expect(sink.taking()).toBe(2);
    expect(host.programs.filter((program) => program.name === "app-2").length).toBeGreaterThan(5);
    const stopped = manager.stop();
    await host.advance(100);
    await stopped;
  });

  test("says early when the application listens elsewhere, and why it failed in the end", async () => {
    const { host, manager, events } = stage(() => ({ elsewhere: [3000], term: 10 }), { instances: 1 });
    const started = manager.start();
    await host.advance(4000);
    expect(events.map(describeEvent).at(-1)).toContain(
      "listens on port 3000, not on the one it was given (PORT=20001)",
    );
    await host.advance(57_000);
    expect(await started).toContain("It listens on port 3000 instead");
    expect(host.programs[0]?.alive()).toBe(false);
  });
});

describe("listening where nobody asks", () => {
  test("its own port is not called another one, and the address is what is wrong", async () => {
    const { host, manager, events } = stage(() => ({ elsewhere: [20_001], term: 10 }), { instances: 1 });
    const started = manager.start();
    await host.advance(4000);
    expect(events.map(describeEvent).join("\n")).not.toContain("not on the one it was given");
    await host.advance(57_000);
    expect(await started).toContain("It listens on its port (20001), but neither on 127.0.0.1 nor on ::1");
  });
});

describe("falling", () => {
  test("takes the fallen out of rotation at once and starts it again, later each time", async () => {
    const { host, sink, manager, events } = stage((name, nth) =>
      name === "app-1" ? (nth === 1 ? { listens: 0, exits: 20_000 } : { exits: 100 }) : { listens: 0 },
    );
    void manager.start();
    await host.advance(19_990);
    expect(sink.taking()).toBe(3);
    await host.advance(11);
    expect(sink.current.map((endpoint) => endpoint.id)).toEqual(["app-2.1", "app-3.1"]);
    await host.advance(60_000);
    const delays = events.flatMap((event) => (event.kind === "again" ? [event.delay] : []));
    expect(delays.slice(0, 7)).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000]);
  });

  test("what a fallen program left behind is ended before its successor starts", async () => {
    const { host, manager } = stage(
      (_, nth) => (nth === 1 ? { listens: 0, exits: 1000, leftover: 3000 } : { listens: 0 }),
      {
        instances: 1,
      },
    );
    void manager.start();
    await host.advance(2000);
    expect(host.programs.length).toBe(1);
    expect(host.programs[0]?.signals).toEqual(["SIGTERM"]);
    await host.advance(4000);
    expect(host.programs.length).toBe(2);
    expect(host.programs[1]?.startedAt).toBeGreaterThanOrEqual(4000);
  });

  test("a run that was stable is started again without the old failures counting", async () => {
    const { host, manager, events } = stage(() => ({ listens: 0, exits: 15_000 }), { instances: 1 });
    void manager.start();
    await host.advance(100_000);
    const delays = events.flatMap((event) => (event.kind === "again" ? [event.delay] : []));
    expect(new Set(delays)).toEqual(new Set([250]));
  });
});

describe("rolling", () => {
  test("one at a time: new in, old drained, out of the list, ended", async () => {
    const { host, sink, manager } = stage(() => ({ listens: 200, term: 300 }), { instances: 2 });
    void manager.start();
    await host.advance(1000);
    sink.story.length = 0;
    sink.fewest = sink.taking();
    const rolled = manager.roll();
    await host.advance(10_000);
    expect(await rolled).toBe(true);
    expect(sink.story).toEqual([
      "set app-1.1 app-2.1 app-1.2",
      "drain app-1.1",
      "drained app-1.1",
      "set app-2.1 app-1.2",
      "set app-2.1 app-1.2 app-2.2",
      "drain app-2.1",
      "drained app-2.1",
      "set app-1.2 app-2.2",
    ]);
    expect(sink.fewest).toBe(2);
    expect(host.programs.map((program) => program.alive())).toEqual([false, false, true, true]);
    expect(host.programs[0]?.signals).toEqual(["SIGTERM"]);
  });

  test("works with a single instance, with never fewer than one in rotation", async () => {
    const { host, sink, manager } = stage(() => ({ listens: 200 }), { instances: 1 });
    void manager.start();
    await host.advance(1000);
    sink.fewest = sink.taking();
    void manager.roll();
    await host.advance(5000);
    expect(sink.fewest).toBe(1);
    expect(sink.current.map((endpoint) => endpoint.id)).toEqual(["app-1.2"]);
  });

  test("stops at a new version that does not come up, and all old ones go on", async () => {
    const { host, sink, manager, kinds } = stage((_, nth) => (nth === 1 ? { listens: 0 } : { exits: 50 }));
    void manager.start();
    await host.advance(1000);
    const before = sink.current;
    const rolled = manager.roll();
    await host.advance(10_000);
    expect(await rolled).toBe(false);
    expect(sink.current).toEqual(before);
    expect(sink.draining.size).toBe(0);
    expect(kinds()).toContain("roll-abandoned");
    expect(host.programs.slice(0, 3).every((program) => program.alive())).toBe(true);
  });

  test("keeps the old one when the balancer does not take the new one into rotation", async () => {
    const { host, sink, manager } = stage(() => ({ listens: 10 }), { instances: 2 });
    void manager.start();
    await host.advance(1000);
    sink.refused.add("app-1.2");
    const rolled = manager.roll();
    await host.advance(5000);
    expect(await rolled).toBe(false);
    expect(sink.current.map((endpoint) => endpoint.id)).toEqual(["app-1.1", "app-2.1"]);
    expect(sink.draining.size).toBe(0);
    expect(host.programs.map((program) => program.alive())).toEqual([true, true, false]);
  });

  test("asked for thrice while one is at work: exactly one more follows", async () => {
    const { host, manager, kinds } = stage(() => ({ listens: 100 }));
    void manager.start();
    await host.advance(1000);
    const first = manager.roll();
    await host.advance(50);
    expect(await Promise.race([manager.roll(), manager.roll(), manager.roll(), Promise.resolve("later")])).toBe(
      "later",
    );
    await host.advance(20_000);
    expect(await first).toBe(true);
    expect(kinds().filter((kind) => kind === "rolled").length).toBe(2);
    expect(host.programs.length).toBe(9);
  });

  test("replaces a version that keeps falling without waiting for its backoff", async () => {
    let fixed = false;
    const { host, sink, manager } = stage((_, nth) =>
      fixed ? { listens: 100 } : nth === 1 ? { listens: 0, exits: 12_000 } : { exits: 100 },
    );
    void manager.start();
    await host.advance(40_000);
    expect(sink.taking()).toBe(0);
    fixed = true;
    const rolled = manager.roll();
    await host.advance(3000);
    expect(await rolled).toBe(true);
    expect(sink.taking()).toBe(3);
    const before = host.programs.length;
    await host.advance(60_000);
    // No forgotten restart fires afterwards.
    expect(host.programs.length).toBe(before);
  });

  test("an old instance that falls while its successor starts is replaced all the same, once", async () => {
    const { host, sink, manager } = stage((_, nth) => (nth === 1 ? { listens: 0, exits: 1100 } : { listens: 500 }), {
      instances: 1,
    });
    void manager.start();
    await host.advance(1000);
    void manager.roll();
    await host.advance(20_000);
    expect(sink.current.map((endpoint) => endpoint.id)).toEqual(["app-1.2"]);
    expect(host.programs.length).toBe(2);
  });

  test("a roll while the first start is under way starts the new version instead", async () => {
    const { host, sink, manager } = stage((_, nth) => (nth === 1 ? {} : { listens: 100 }));
    const started = manager.start();
    await host.advance(5000);
    void manager.roll();
    await host.advance(5000);
    expect(await started).toBe("");
    expect(sink.taking()).toBe(3);
    expect(host.programs.filter((program) => program.alive()).length).toBe(3);
  });
});

describe("stopping", () => {
  test("asks, waits, and forces whoever does not go", async () => {
    const { host, manager, events } = stage((name) => ({ listens: 0, term: name === "app-2" ? Infinity : 500 }));
    void manager.start();
    await host.advance(1000);
    const stopped = manager.stop();
    await host.advance(9000);
    expect(host.programs.map((program) => program.alive())).toEqual([false, true, false]);
    await host.advance(2000);
    await stopped;
    expect(host.programs.map((program) => program.signals)).toEqual([["SIGTERM"], ["SIGTERM", "SIGKILL"], ["SIGTERM"]]);
    expect(events.filter((event) => event.kind === "killed").map((event) => event.name)).toEqual(["app-2"]);
  });

  test("in the middle of a start, of a backoff and of a roll leaves nothing behind", async () => {
    for (const moment of [0, 10, 150, 260, 1000, 1050, 1150, 1230, 1290, 1500, 2000]) {
      const { host, manager } = stage((name, nth) =>
        name === "app-3" && nth < 3 ? { exits: 50 } : { listens: 100, term: 100 },
      );
      void manager.start();
      await host.advance(Math.min(moment, 1000));
      if (moment >= 1000) void manager.roll();
      await host.advance(Math.max(0, moment - 1000));
      const stopped = manager.stop();
      await host.advance(30_000);
      await stopped;
      expect([moment, host.programs.filter((program) => program.alive()).length]).toEqual([moment, 0]);
      const before = host.programs.length;
      await host.advance(60_000);
      expect([moment, host.programs.length]).toEqual([moment, before]);
    }
  });
});

describe("liveness", () => {
  const liveness = { path: "/healthz", interval: 1000, fall: 3 };

  test("who stops to live is taken out, ended and started again", async () => {
    const { host, sink, events, manager, kinds } = stage(() => ({ listens: 10 }), { liveness });
    void manager.start();
    await host.advance(5000);
    expect(kinds()).not.toContain("not-alive");
    host.paths.set("/healthz", (port) => (port === host.programs[0]?.port ? 500 : 200));
    await host.advance(1500);
    expect(kinds()).not.toContain("not-alive");
    await host.advance(1000);
    const [told] = events.filter((event) => event.kind === "not-alive").map(describeEvent);
    expect(told).toBe("app-1 is restarted: 3 liveness probes in a row failed, the last one: status 500 (GET /healthz)");
    expect(host.programs[0]?.signals).toEqual(["SIGTERM"]);
    await host.advance(1000);
    expect(sink.current.map((endpoint) => endpoint.id).toSorted()).toEqual(["app-1.2", "app-2.1", "app-3.1"]);
    expect(kinds()).not.toContain("fell");
    // It left before it was told to end.
    expect(sink.story.indexOf("set app-2.1 app-3.1")).toBeGreaterThan(0);
    await host.advance(20_000);
    expect(kinds().filter((kind) => kind === "not-alive").length).toBe(1);
  });

  test("one bad answer between good ones is nothing", async () => {
    const { host, manager, kinds } = stage(() => ({ listens: 10 }), { liveness });
    void manager.start();
    const asked = new Map<number, number>();
    host.paths.set("/healthz", (port) => {
      const times = asked.get(port) ?? 0;
      asked.set(port, times + 1);
      return times % 3 === 2 ? 200 : 503;
    });
    await host.advance(60_000);
    expect(Math.min(...asked.values())).toBeGreaterThan(50);
    expect(kinds()).not.toContain("not-alive");
  });

  test("what fails everywhere at once restarts one after another, never all", async () => {
    const { host, sink, manager, kinds } = stage(() => ({ listens: 3000 }), { liveness });
    void manager.start();
    await host.advance(4000);
    sink.fewest = 3;
    host.paths.set("/healthz", () => 500);
    await host.advance(60_000);
    expect(kinds().filter((kind) => kind === "not-alive").length).toBeGreaterThan(3);
    expect(sink.fewest).toBe(2);
  });

  test("a rolling replacement is not disturbed, and readiness restarts nobody", async () => {
    const { host, manager, kinds } = stage(() => ({ listens: 2000 }), { liveness, readyPath: "/readyz" });
    void manager.start();
    await host.advance(3000);
    host.paths.set("/healthz", (port) => (port === host.programs[0]?.port ? 500 : 200));
    await host.advance(1500);
    const rolled = manager.roll();
    await host.advance(30_000);
    expect(await rolled).toBe(true);
    expect(kinds()).not.toContain("not-alive");
    const started = host.programs.length;
    // Ready no more, but alive: that is the balancer's affair.
    host.paths.set("/readyz", () => 503);
    await host.advance(60_000);
    expect(host.programs.length).toBe(started);
  });

  test("one that does not hear SIGTERM either is killed after its grace", async () => {
    const { host, sink, manager, kinds } = stage(
      (_, nth) => ({ listens: 10, ...(nth === 1 ? { term: Infinity } : {}) }),
      {
        liveness,
        instances: 1,
      },
    );
    void manager.start();
    await host.advance(500);
    host.paths.set("/healthz", (port) => (port === host.programs[0]?.port ? null : 200));
    await host.advance(20_000);
    expect(host.programs[0]?.signals).toEqual(["SIGTERM", "SIGKILL"]);
    expect(kinds()).toContain("killed");
    expect(sink.current.map((endpoint) => endpoint.id)).toEqual(["app-1.2"]);
    const stopped = manager.stop();
    await host.advance(100);
    await stopped;
  });
});
