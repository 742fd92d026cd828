// Tries, times and cancelling over real sockets: what clients and applications see of them.
import { describe, expect, test } from "bun:test";
import { field, textOf } from "@plimsoll/testbed/answers";
import type { Script } from "@plimsoll/testbed/script";
import { answerText, ok } from "@plimsoll/testbed/scripts";
import { eventually } from "@plimsoll/testbed/waiting";
import { withEngine } from "./engine-under-test.ts";

const get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const silent: Script = { onRequest: () => {} };

describe("a client that goes away while it waits", () => {
  for (const how of ["FIN of a program that was killed", "RST"] as const) {
    test(`${how}: its endpoint sees the connection end`, async () => {
      await withEngine(
        { app: silent },
        ({ app }) => ({ listener: { timeouts: { halfClose: 100 } }, pools: { app: { endpoints: [app] } } }),
        async (under) => {
          const client = await under.connect();
          await client.send(get);
          await under.origin().request(1);
          if (how === "RST") client.reset();
          else client.close();
          await eventually("the exchange is cancelled", () => under.origin().connections[0]!.ending !== "open");
          expect((await under.record(0)).fault).toBe("client-gone");
          expect(under.pool("app", "cancelled")).toBe(1);
        },
      );
    });
  }

  test("a route that does not cancel: the endpoint may finish, and its connection is used again", async () => {
    let finish = (): void => {};
    const script: Script = {
      onRequest: (request, one) => {
        if (request.index > 0) one.write(answerText("second"));
        else finish = () => one.write(answerText("first"));
      },
    };
    await withEngine(
      { app: script },
      ({ app }) => ({ routes: [{ cancel: false }], pools: { app: { endpoints: [app] } } }),
      async (under) => {
        const client = await under.connect();
        await client.send(get);
        await under.origin().request(1);
        client.reset();
        await under.record(0);
        const id = under.origin().address;
        expect(under.endpoint("app", id, "inFlight")).toBe(1);
        finish();
        await eventually("it is done", () => under.endpoint("app", id, "inFlight") === 0);
        const next = await under.connect();
        await next.send(get);
        expect(textOf(await next.readAnswer())).toBe("second");
        expect(under.origin().requests[1]!.connection).toBe(0);
      },
    );
  });

  test("one that only closed its half gets its answer", async () => {
    const script: Script = {
      onRequest: async (_, one) => {
        await Bun.sleep(50);
        one.write(answerText("still"));
      },
    };
    await withEngine({ app: script }, undefined, async (under) => {
      const client = await under.connect();
      await client.send(get);
      client.shutdown();
      expect(textOf(await client.readAnswer())).toBe("still");
      expect(await client.readEnd()).toBe("fin");
    });
  });
});

test("a try that takes too long is left for another endpoint, and its answer never arrives", async () => {
  const late: Script = {
    onRequest: async (_, one) => {
      await Bun.sleep(400);
      one.write(answerText("late"));
    },
  };
  await withEngine(
    { late, app: ok("in time") },
    (all) => ({ pools: { app: { endpoints: [all.late, all.app], balance: "first", timeouts: { perTry: 100 } } } }),
    async (under) => {
      const client = await under.connect();
      for (let i = 0; i < 3; i++) {
        await client.send(get);
        expect(textOf(await client.readAnswer())).toBe("in time");
      }
      await Bun.sleep(400);
      expect(client.unread.length).toBe(0);
      expect(under.origin("app").requests.map((one) => one.header("x-plimsoll-attempt"))).toEqual(["2", "2", "2"]);
    },
  );
});

test("hedged: one slow endpoint of two is hardly felt", async () => {
  const slow: Script = {
    onRequest: async (_, one) => {
      await Bun.sleep(1_500);
      one.write(answerText("slow"));
    },
  };
  await withEngine(
    { slow, quick: ok("quick") },
    (all) => ({
      pools: { app: { endpoints: [all.slow, all.quick], balance: "roundRobin", retry: { hedge: 60, budget: 1 } } },
    }),
    async (under) => {
      const client = await under.connect();
      for (let i = 0; i < 8; i++) {
        await client.send(get);
        expect(textOf(await client.readAnswer())).toBe("quick");
      }
      expect(under.pool("app", "hedgesWon")).toBeGreaterThan(0);
      expect(under.pool("app", "hedges")).toBe(under.pool("app", "hedgesWon"));
    },
  );
});

test("a status that is tried again, with a body, on an endpoint that keeps its connections", async () => {
  const busy: Script = { onRequest: (_, one) => void one.write(answerText("busy", "503 Busy")) };
  const stores: Script = { onRequest: (request, one) => void one.write(answerText(`${request.bodyLength}`)) };
  await withEngine(
    { busy, stores },
    (all) => ({
      pools: { app: { endpoints: [all.busy, all.stores], balance: "first", retry: { on: ["connect", "reset", 503] } } },
    }),
    async (under) => {
      const client = await under.connect();
      const body = "x".repeat(60_000);
      for (let i = 0; i < 5; i++) {
        await client.send(`PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
        expect(textOf(await client.readAnswer())).toBe(String(body.length));
      }
      expect(under.origin("busy").connections).toHaveLength(1);
      expect(under.records.map((record) => record.tries.map((one) => one.status))).toEqual(
        Array.from({ length: 5 }, () => [503, 200]),
      );
    },
  );
});

test("a deadline reaches the endpoint with what the queue took off, and is kept", async () => {
  await withEngine(
    { app: silent },
    ({ app }) => ({
      listener: { trustedProxies: ["127.0.0.0/8"] },
      pools: {
        app: {
          endpoints: [app],
          deadlineHeader: "x-request-deadline",
          limits: { inFlight: 1, queue: 10, queueTimeout: 5_000 },
        },
      },
    }),
    async (under) => {
      const asking = (ms: number) => `GET / HTTP/1.1\r\nHost: a.test\r\nX-Request-Deadline: ${ms}\r\n\r\n`;
      const [first, second, third] = [await under.connect(), await under.connect(), await under.connect()];
      await first.send(asking(400));
      await under.origin().request(1);
      await second.send(asking(200));
      await third.send(asking(2_000));
      const codes = await Promise.all(
        [second, first].map(async (one) => {
          const answer = await one.readAnswer();
          return `${answer.status} ${/details="([^"]*)"/.exec(field(answer, "proxy-status") ?? "")?.[1]}`;
        }),
      );
      expect(codes).toEqual(["504 deadline-exceeded-queued", "504 deadline-exceeded"]);
      const seen = await under.origin().request(2);
      const left = Number(seen.header("x-request-deadline"));
      expect(left).toBeLessThan(1_800);
      expect(left).toBeGreaterThan(500);
      expect(under.origin().requests).toHaveLength(2);
      third.reset();
    },
  );
});
