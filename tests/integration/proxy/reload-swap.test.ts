// A new snapshot under traffic: what is under way ends as it began, what comes next sees the new, connections are not
// touched; and the end of an engine, in order and with a window.
import { describe, expect, test } from "bun:test";
import { field, textOf } from "@plimsoll/testbed/answers";
import type { OriginConnection } from "@plimsoll/testbed/origin-connection";
import { connectRaw } from "@plimsoll/testbed/raw-client";
import type { Script } from "@plimsoll/testbed/script";
import { answerText, echo, ok, slow, upgradeEcho } from "@plimsoll/testbed/scripts";
import { eventually } from "@plimsoll/testbed/waiting";
import { withEngine } from "./engine-under-test.ts";
import { makePlan, type PlanOptions, Rows } from "./plans.ts";

const get = (target = "/") => `GET ${target} HTTP/1.1\r\nHost: a.test\r\n\r\n`;
const fixed = (body: string): PlanOptions => ({
  routes: [{ to: { kind: "fixed", status: 200, contentType: "text/plain", body } }],
  pools: {},
});

/** An origin whose answers wait for the test. */
function held(): { readonly script: Script; next(): Promise<OriginConnection> } {
  const waiting: OriginConnection[] = [];
  return {
    script: { onRequest: (_, connection) => void waiting.push(connection) },
    next: () => eventually("a request", () => waiting.shift(), 5000, 1),
  };
}

describe("a commit", () => {
  test("changes what the next request on an open connection meets, and closes no connection", async () => {
    await withEngine(
      { one: ok("one"), two: ok("two") },
      ({ one }) => ({ pools: { app: { endpoints: [one] } } }),
      async (under) => {
        const client = await under.connect();
        const ask = async (): Promise<string> => {
          await client.send(get());
          return textOf(await client.readAnswer());
        };
        expect(await ask()).toBe("one");
        under.commit({ pools: { app: { endpoints: [under.origin("two")] } } });
        expect(await ask()).toBe("two");
        under.commit(fixed("by ourselves"));
        expect(await ask()).toBe("by ourselves");
        under.commit({ pools: { app: { endpoints: [under.origin("one"), under.origin("two")] } } });
        expect(new Set([await ask(), await ask()])).toEqual(new Set(["one", "two"]));
        expect(under.listener("accepted")).toBe(1);
      },
    );
  });

  test("the same plan again touches nothing: idle connections are used on", async () => {
    const plan = (endpoint: { readonly port: number }): PlanOptions => ({ pools: { app: { endpoints: [endpoint] } } });
    await withEngine(
      { app: ok() },
      ({ app }) => plan(app),
      async (under) => {
        const client = await under.connect();
        for (let i = 0; i < 10; i++) {
          await client.send(get());
          await client.readAnswer();
          under.commit(plan(under.origin()));
        }
        expect(under.origin().connections).toHaveLength(1);
        expect(under.endpoint("app", under.origin().address, "requests")).toBe(10);
      },
    );
  });

  test("an endpoint that left finishes what it has, gets nothing more, and its idle connections close", async () => {
    const { script, next } = held();
    await withEngine(
      { old: script, fresh: ok("fresh") },
      ({ old }) => ({ pools: { app: { endpoints: [old] } } }),
      async (under) => {
        const waits = await under.connect();
        await waits.send(get("/held"));
        const origin = await next();
        const other = await under.connect();
        await other.send(get("/quick"));
        (await next()).write(answerText("quick"));
        await other.readAnswer();
        expect(under.origin("old").open).toBe(2);

        under.commit({ pools: { app: { endpoints: [under.origin("fresh")] } } });
        await eventually("the idle connection closes", () => under.origin("old").open === 1);
        await other.send(get());
        expect(textOf(await other.readAnswer())).toBe("fresh");
        origin.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nfin");
        await Bun.sleep(10);
        origin.write("ish");
        expect(textOf(await waits.readAnswer())).toBe("finish");
        await eventually("the last connection closes", () => under.origin("old").open === 0);
        expect(under.origin("old").requests).toHaveLength(2);
      },
    );
  });

  test("an upload and a tunnel on a pool that left go on to their end", async () => {
    await withEngine(
      { app: upgradeEcho(), up: { onRequest: (r, one) => void one.write(answerText(`${r.bodyLength}`)) } },
      ({ app, up }) => ({
        routes: [{ path: "/up", to: "up" }, {}],
        pools: { app: { endpoints: [app] }, up: { endpoints: [up] } },
      }),
      async (under) => {
        const tunnel = await under.connect();
        await tunnel.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n");
        await tunnel.readUntil("\r\n\r\n");
        const upload = await under.connect();
        await upload.send("POST /up HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello");
        await eventually("the upload began", () => under.origin("up").open === 1);
        under.commit(fixed("alone"));
        await upload.send("world");
        expect(textOf(await upload.readAnswer())).toBe("10");
        await tunnel.send("still");
        await tunnel.readUntil("still");
        await upload.send(get());
        expect(textOf(await upload.readAnswer())).toBe("alone");
        tunnel.close();
        await eventually(
          "the tunnel's place is free",
          () => under.endpoint("app", under.origin("app").address, "tunnels") === 0,
        );
      },
    );
  });

  test("requests that wait in a queue are served by the new pool", async () => {
    const { script, next } = held();
    await withEngine(
      { app: script, more: ok("more") },
      ({ app }) => ({
        pools: { app: { endpoints: [app], limits: { inFlight: 1, queue: 10, queueTimeout: 5000 } } },
      }),
      async (under) => {
        const served = await under.connect();
        await served.send(get());
        const origin = await next();
        const waits = await Promise.all([under.connect(), under.connect()]);
        for (const client of waits) await client.send(get());
        await eventually("both wait", () => under.pool("app", "queued") === 2);
        const limits = { inFlight: 1, queue: 10, queueTimeout: 5000 };
        under.commit({ pools: { app: { endpoints: [under.origin("app"), under.origin("more")], limits } } });
        for (const client of waits) expect(textOf(await client.readAnswer())).toBe("more");
        origin.write(answerText("last"));
        expect(textOf(await served.readAnswer())).toBe("last");
      },
    );
  });

  test("requests that wait in a pool that left are told so in time", async () => {
    const { script, next } = held();
    await withEngine(
      { app: script },
      ({ app }) => ({
        pools: { app: { endpoints: [app], limits: { inFlight: 1, queue: 10, queueTimeout: 200 } } },
      }),
      async (under) => {
        const served = await under.connect();
        await served.send(get());
        const origin = await next();
        const waits = await under.connect();
        await waits.send(get());
        await eventually("it waits", () => under.pool("app", "queued") === 1);
        under.commit(fixed("alone"));
        const answer = await waits.readAnswer();
        expect([answer.status, field(answer, "proxy-status")]).toEqual([
          503,
          'plimsoll; error=connection_limit_reached; details="pool-queue-timeout"',
        ]);
        origin.write(answerText("last"));
        expect(textOf(await served.readAnswer())).toBe("last");
      },
    );
  });
});

describe("a plan that is not taken", () => {
  test("refused: nothing changes and the reason is told", async () => {
    await withEngine({ app: echo() }, undefined, async (under) => {
      const client = await under.connect();
      await client.send(get());
      await client.readAnswer();
      const refused = under.engine.prepare(makePlan({ routes: [{ to: "nowhere" }], pools: {} }, new Rows()));
      expect(refused).toEqual({ problem: expect.stringContaining("nowhere") as string });
      await client.send(get());
      expect((await client.readAnswer()).status).toBe(200);
      expect(under.origin().connections).toHaveLength(1);
    });
  });

  test("prepared and discarded, or prepared and forgotten: nothing changes", async () => {
    await withEngine({ app: echo() }, undefined, async (under) => {
      const prepared = under.engine.prepare(makePlan(fixed("other"), new Rows()));
      if ("problem" in prepared) throw new Error(prepared.problem);
      const client = await under.connect();
      await client.send(get());
      expect(field(await client.readAnswer(), "x-origin")).toBe("origin");
      prepared.discard();
      await client.send(get());
      expect(field(await client.readAnswer(), "x-origin")).toBe("origin");
      expect(under.origin().connections).toHaveLength(1);
    });
  });
});

describe("a listener that leaves", () => {
  test("accepts no more, lets what is under way finish and says so, closes what is idle", async () => {
    await withEngine({ app: slow(150, "late") }, undefined, async (under) => {
      const idle = await under.connect();
      await idle.send(get());
      await idle.readAnswer();
      const busy = await under.connect();
      await busy.send(get());
      await eventually("it is under way", () => under.engine.busy === 1);
      const prepared = under.engine.prepare({ listeners: [], pools: [] });
      if ("problem" in prepared) throw new Error(prepared.problem);
      prepared.commit();
      expect(await idle.readEnd()).toBe("fin");
      await expect(connectRaw(under.port)).rejects.toThrow();
      const answer = await busy.readAnswer();
      expect([textOf(answer), field(answer, "connection")]).toEqual(["late", "close"]);
      expect(await busy.readEnd()).toBe("fin");
      await eventually("nothing is open", () => under.engine.open === 0);
    });
  });
});

describe("stop", () => {
  test("lets what is under way finish within the window, and resolves then, not later", async () => {
    await withEngine({ app: slow(150, "late") }, undefined, async (under) => {
      const idle = await under.connect();
      await idle.send(get());
      await idle.readAnswer();
      const clients = await Promise.all(Array.from({ length: 10 }, () => under.connect()));
      for (const client of clients) await client.send(get());
      await eventually("they are under way", () => under.engine.busy === 10);
      const stopped = under.engine.stop(20_000);
      expect(await idle.readEnd()).toBe("fin");
      await expect(connectRaw(under.port)).rejects.toThrow();
      for (const client of clients) {
        const answer = await client.readAnswer();
        expect([textOf(answer), field(answer, "connection")]).toEqual(["late", "close"]);
      }
      await stopped;
      expect([under.engine.open, under.engine.busy]).toEqual([0, 0]);
    });
  });

  test("cuts what is left after the window: exchanges, uploads and tunnels", async () => {
    await withEngine(
      { app: upgradeEcho(), never: {}, half: { onRequest: (_, one) => void one.write("HTTP/1.1 200 OK\r\n\r\nhalf") } },
      ({ app, never, half }) => ({
        routes: [{ path: "/never", to: "never" }, { path: "/half", to: "half" }, {}],
        pools: { app: { endpoints: [app] }, never: { endpoints: [never] }, half: { endpoints: [half] } },
      }),
      async (under) => {
        const tunnel = await under.connect();
        await tunnel.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n");
        await tunnel.readUntil("\r\n\r\n");
        const waits = await under.connect();
        await waits.send(get("/never"));
        const half = await under.connect();
        await half.send(get("/half"));
        await half.readUntil("half");
        const upload = await under.connect();
        await upload.send("POST /never HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nx");
        await eventually("all are under way", () => under.engine.busy === 4);
        await under.engine.stop(150);
        expect([under.engine.open, under.engine.busy]).toEqual([0, 0]);
        expect(await Promise.all([waits, half, upload].map((one) => one.readEnd()))).toEqual(["rst", "rst", "rst"]);
        await tunnel.readEnd();
        expect(under.faults("draining")).toBe(3);
      },
    );
  });

  test("twice: the second may be sooner, and both resolve", async () => {
    await withEngine({ app: {} }, undefined, async (under) => {
      const client = await under.connect();
      await client.send(get());
      await eventually("it is under way", () => under.engine.busy === 1);
      const first = under.engine.stop(60_000);
      await Promise.all([first, under.engine.stop(50)]);
      expect(await client.readEnd()).toBe("rst");
    });
  });

  test("a head that had begun is read to its end and answered", async () => {
    await withEngine({ app: ok("late") }, undefined, async (under) => {
      const client = await under.connect();
      await client.send("GET / HTTP/1.1\r\nHo");
      await eventually("it has begun", () => under.engine.busy === 1);
      const stopped = under.engine.stop(20_000);
      await client.send("st: a.test\r\n\r\n");
      const answer = await client.readAnswer();
      expect([textOf(answer), field(answer, "connection")]).toEqual(["late", "close"]);
      await stopped;
    });
  });
});
