// limits.inFlight and the queue before it: who waits, in which order they are served, what those are told who wait too long
// or are one too many, and that whoever leaves takes no place with them.
import { describe, expect, test } from "bun:test";
import { field, textOf } from "@plimsoll/testbed/answers";
import type { Script } from "@plimsoll/testbed/script";
import { answerText, ok, upgradeEcho } from "@plimsoll/testbed/scripts";
import { eventually } from "@plimsoll/testbed/waiting";
import { type EngineUnderTest, withEngine } from "./engine-under-test.ts";

type Client = Awaited<ReturnType<EngineUnderTest["connect"]>>;

const get = (target: string) => `GET ${target} HTTP/1.1\r\nHost: a.test\r\n\r\n`;

/** An origin that answers when it is told to, in the order of the requests. */
function held(): { readonly script: Script; readonly order: string[]; answer(): void } {
  const waiting: (() => void)[] = [];
  const order: string[] = [];
  return {
    order,
    script: {
      onRequest: (request, one) => {
        order.push(request.target);
        waiting.push(() => one.write(answerText(`${request.target} ${request.bodyLength}`)));
      },
    },
    answer: () => waiting.shift()?.(),
  };
}

const limited =
  (limits: { inFlight: number; queue: number; queueTimeout?: number }) =>
  ({ app }: { readonly app: { readonly port: number } }) => ({ pools: { app: { endpoints: [app], limits } } });

async function code(client: Client): Promise<string> {
  const answer = await client.readAnswer();
  return `${answer.status} ${/details="([^"]*)"/.exec(field(answer, "proxy-status") ?? "")?.[1] ?? textOf(answer)}`;
}

/** Sends one request from a client of its own and waits until the engine has it. */
async function asks(under: EngineUnderTest, target: string, request = get(target)): Promise<Client> {
  const before = under.listener("requests");
  const client = await under.connect();
  await client.send(request);
  await eventually(`${target} is taken`, () => under.listener("requests") > before, 5000, 1);
  return client;
}

describe("the queue", () => {
  test("serves in the order of arrival, one place at a time", async () => {
    const { script, order, answer } = held();
    await withEngine({ app: script }, limited({ inFlight: 1, queue: 10, queueTimeout: 5000 }), async (under) => {
      const clients: Client[] = [];
      for (let i = 0; i < 6; i++) clients.push(await asks(under, `/${i}`));
      expect(under.pool("app", "queued")).toBe(5);
      expect(under.endpoint("app", under.origin().address, "inFlight")).toBe(1);
      for (let i = 0; i < 6; i++) {
        await eventually(`/${i} is with the origin`, () => order.length === i + 1, 5000, 1);
        answer();
        expect(await code(clients[i] as Client)).toBe(`200 /${i} 0`);
      }
      expect(order).toEqual(["/0", "/1", "/2", "/3", "/4", "/5"]);
      expect(under.origin().connections).toHaveLength(1);
      expect((await under.record(5)).queueMs).toBeGreaterThanOrEqual(0);
    });
  });

  test("keeps a body back while it waits, and sends all of it then", async () => {
    const { script, answer, order } = held();
    await withEngine({ app: script }, limited({ inFlight: 1, queue: 10, queueTimeout: 5000 }), async (under) => {
      const first = await asks(under, "/first");
      const size = 2_000_000;
      const uploads = await Promise.all(
        [`Content-Length: ${size}`, "Transfer-Encoding: chunked"].map(async (lines, i) => {
          const client = await asks(under, `/${i}`, `POST /${i} HTTP/1.1\r\nHost: a.test\r\n${lines}\r\n\r\n`);
          if (i === 1) client.push(`${size.toString(16)}\r\n`);
          client.push(Buffer.alloc(size));
          if (i === 1) client.push("\r\n0\r\n\r\n");
          return client;
        }),
      );
      await Bun.sleep(30);
      expect(order).toEqual(["/first"]);
      // Twice: over the connection that the first leaves behind, which no event of its own announces.
      for (let i = 0; i < 3; i++) {
        await eventually("the next", () => order.length === i + 1);
        answer();
      }
      expect(await code(first)).toBe("200 /first 0");
      for (const [i, client] of uploads.entries()) expect(await code(client)).toBe(`200 /${i} ${size}`);
    });
  });

  test("one too many: 503 pool-queue-full at once", async () => {
    const { script, answer } = held();
    await withEngine({ app: script }, limited({ inFlight: 1, queue: 1, queueTimeout: 5000 }), async (under) => {
      const served = await asks(under, "/served");
      const waits = await asks(under, "/waits");
      const refused = await asks(under, "/refused");
      expect(await code(refused)).toBe("503 pool-queue-full");
      expect(under.pool("app", "queueOverflows")).toBe(1);
      answer();
      expect(await code(served)).toBe("200 /served 0");
      await under.origin().request(2);
      answer();
      expect(await code(waits)).toBe("200 /waits 0");
      // The refused one did nothing wrong: its connection goes on.
      await refused.send(get("/again"));
      await under.origin().request(3);
      answer();
      expect(await code(refused)).toBe("200 /again 0");
    });
  });

  test("no queue: refused at once when there is no room", async () => {
    const { script, answer } = held();
    await withEngine({ app: script }, limited({ inFlight: 2, queue: 0 }), async (under) => {
      const served = [await asks(under, "/0"), await asks(under, "/1")];
      expect(await code(await asks(under, "/2"))).toBe("503 pool-queue-full");
      await under.origin().request(2);
      answer();
      answer();
      await Promise.all(served.map(code));
    });
  });

  test("too long: 503 pool-queue-timeout, while the one who is served goes on", async () => {
    const { script, answer } = held();
    await withEngine({ app: script }, limited({ inFlight: 1, queue: 5, queueTimeout: 150 }), async (under) => {
      const served = await asks(under, "/served");
      const late = [await asks(under, "/a"), await asks(under, "/b")];
      expect(await Promise.all(late.map(code))).toEqual(["503 pool-queue-timeout", "503 pool-queue-timeout"]);
      expect([under.pool("app", "queueTimeouts"), under.pool("app", "queued")]).toEqual([2, 0]);
      expect((await under.record(0)).queueMs).toBeGreaterThanOrEqual(150);
      answer();
      expect(await code(served)).toBe("200 /served 0");
      expect(under.origin().requests).toHaveLength(1);
    });
  });

  test("a client that leaves while it waits takes no place and is never sent", async () => {
    const { script, order, answer } = held();
    await withEngine({ app: script }, limited({ inFlight: 1, queue: 2, queueTimeout: 5000 }), async (under) => {
      const served = await asks(under, "/served");
      const leaves = await asks(under, "/leaves");
      leaves.reset();
      await eventually("it has left", () => under.pool("app", "queued") === 0);
      const stays = await asks(under, "/stays");
      answer();
      await code(served);
      await eventually("the next", () => order.length === 2);
      answer();
      expect(await code(stays)).toBe("200 /stays 0");
      expect(order).toEqual(["/served", "/stays"]);
      expect(under.faults("client-gone")).toBe(1);
    });
  });

  test("a place is free again however an exchange ends", async () => {
    const endings: Readonly<Record<string, Script>> = {
      reset: { onRequest: (_, one) => one.reset() },
      garbage: { onRequest: (_, one) => void one.write("garbage\r\n\r\n") },
      truncated: {
        onRequest: (_, one) => {
          one.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
          one.end();
        },
      },
      silence: {},
    };
    for (const [name, bad] of Object.entries(endings)) {
      await withEngine(
        {
          app: {
            onRequest: (request, one) => (request.target === "/first" ? bad : ok(name)).onRequest?.(request, one),
          },
        },
        ({ app }) => ({
          pools: {
            app: {
              endpoints: [app],
              limits: { inFlight: 1, queue: 5, queueTimeout: 5000 },
              timeouts: { firstByte: 100 },
              retry: { attempts: 1, budget: 0.2 },
            },
          },
        }),
        async (under) => {
          const first = await asks(under, "/first");
          const second = await asks(under, "/second");
          expect(await code(second)).toBe(`200 ${name}`);
          first.close();
        },
      );
    }
  });

  test("a tunnel holds its place until it ends", async () => {
    await withEngine({ app: upgradeEcho() }, limited({ inFlight: 1, queue: 5, queueTimeout: 5000 }), async (under) => {
      const upgrade = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n";
      const tunnel = await asks(under, "/", upgrade);
      await tunnel.readUntil("\r\n\r\n");
      const waits = await asks(under, "/", upgrade);
      expect(under.pool("app", "queued")).toBe(1);
      tunnel.close();
      await waits.readUntil("101");
    });
  });
});

test("the limit is each endpoint's own", async () => {
  const { script, answer, order } = held();
  await withEngine(
    { one: script, two: script },
    ({ one, two }) => ({
      pools: { app: { endpoints: [one, two], limits: { inFlight: 2, queue: 10, queueTimeout: 5000 } } },
    }),
    async (under) => {
      const clients: Client[] = [];
      for (let i = 0; i < 6; i++) clients.push(await asks(under, `/${i}`));
      await eventually("four are served", () => order.length === 4);
      expect(under.pool("app", "queued")).toBe(2);
      for (const name of ["one", "two"] as const) {
        expect(under.endpoint("app", under.origin(name).address, "inFlight")).toBe(2);
      }
      for (let i = 0; i < 6; i++) {
        await eventually("the next", () => order.length > i);
        answer();
      }
      expect((await Promise.all(clients.map(code))).every((one) => one.startsWith("200"))).toBe(true);
    },
  );
});
