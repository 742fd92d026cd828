// Any order of falls, replacements and time: what must hold of the process manager whatever happens.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { FakeHost, FakeSink, type Script } from "./fake-host.ts";
import { AppManager } from "./manager.ts";

const instances = 3;

/** How the nth run of an instance behaves: mostly well. */
const script: fc.Arbitrary<Script> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ listens: fc.nat(400), term: fc.nat(300) }) },
  { weight: 1, arbitrary: fc.record({ exits: fc.nat(600) }) },
  {
    weight: 1,
    arbitrary: fc.record({ listens: fc.nat(400), exits: fc.integer({ min: 400, max: 5000 }), leftover: fc.nat(500) }),
  },
  { weight: 1, arbitrary: fc.record({ listens: fc.nat(400), term: fc.constant(Infinity) }) },
);

const deed = fc.oneof(
  { weight: 5, arbitrary: fc.record({ wait: fc.nat(1500) }) },
  { weight: 1, arbitrary: fc.constant({ roll: true } as const) },
  { weight: 1, arbitrary: fc.record({ kill: fc.nat(5) }) },
);

test("nobody is lost, nobody is left, and in the end all serve", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(script, { maxLength: 24 }), fc.array(deed, { maxLength: 24 }), async (scripts, deeds) => {
      let starts = 0;
      const host = new FakeHost(() => scripts[starts++] ?? { listens: 50, term: 50 });
      const sink = new FakeSink(host);
      const plan = {
        name: "app",
        command: ["app"],
        instances,
        readyPath: null,
        liveness: null,
        readyTimeout: 3000,
        grace: 1000,
        env: {},
      };
      let gaveUp = false;
      const manager = new AppManager(plan, host, sink, { tell: () => undefined, print: () => undefined });
      void manager.start().then((why) => (gaveUp = why !== ""));
      const check = (): void => {
        const alive = new Set(host.programs.filter((program) => program.alive()).map((program) => program.port));
        // Traffic goes only where somebody is, and to nobody twice.
        for (const endpoint of sink.current) expect(alive.has(endpoint.port)).toBe(true);
        expect(new Set(sink.current.map(({ port }) => port)).size).toBe(sink.current.length);
        expect(sink.taking()).toBeLessThanOrEqual(instances + 1);
        // One more than wanted while one is replaced, and those that take their time to end.
        const wanted = host.programs.filter((program) => program.alive() && program.signals.length === 0);
        expect(wanted.length).toBeLessThanOrEqual(instances + 1);
      };
      for (const each of deeds) {
        if ("wait" in each) await host.advance(each.wait);
        else if ("roll" in each) void manager.roll();
        else host.programs.filter((program) => program.alive())[each.kill]?.end({ code: null, signal: "SIGSEGV" });
        await host.advance(0);
        check();
      }
      // Scripts run out, so everything behaves from here on, however long the last backoff was.
      for (let turn = 0; turn < 40 && !gaveUp; turn++) await host.advance(5000);
      if (!gaveUp) expect(sink.taking()).toBe(instances);
      check();
      const stopped = manager.stop();
      await host.advance(10_000);
      await stopped;
      expect(host.programs.filter((program) => program.alive()).length).toBe(0);
      const before = host.programs.length;
      await host.advance(120_000);
      expect(host.programs.length).toBe(before);
    }),
    { numRuns: 150 },
  );
}, 60_000);
