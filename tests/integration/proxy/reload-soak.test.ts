// Everything at once, by chance: clients that ask, upload, pipeline, open tunnels and leave at any moment; endpoints that
// answer well, late, badly or not at all; commits in between. No answer ever reaches another request, no counter goes
// below zero, and at the end nothing is left.
import { expect, test } from "bun:test";
import { field, textOf } from "@plimsoll/testbed/answers";
import { between, type Chance, forSeeds, oneOf } from "@plimsoll/testbed/chance";
import type { Origin } from "@plimsoll/testbed/origin";
import type { OriginConnection } from "@plimsoll/testbed/origin-connection";
import type { Script, SeenRequest } from "@plimsoll/testbed/script";
import { answerText } from "@plimsoll/testbed/scripts";
import { type EngineUnderTest, withEngine } from "./engine-under-test.ts";
import type { PlanOptions } from "./plans.ts";

type Client = Awaited<ReturnType<EngineUnderTest["connect"]>>;
type Act = (request: SeenRequest, connection: OriginConnection, whole: string) => void | Promise<void>;

/** What an origin makes of a request; most of it is good. */
const acts: readonly Act[] = [
  ...Array.from({ length: 12 }, (): Act => (_, one, whole) => void one.write(whole)),
  async (_, one, whole) => {
    await Bun.sleep(7);
    one.write(whole);
  },
  async (_, one, whole) => {
    const at = Math.floor(whole.length / 2);
    one.write(whole.slice(0, at));
    await Bun.sleep(2);
    one.write(whole.slice(at));
  },
  (_, one, whole) => {
    one.write(whole.replace("\r\n", "\r\nConnection: close\r\n"));
    one.end();
  },
  (_, one) => one.end(),
  (_, one) => one.reset(),
  (_, one) => void one.write("HTTP/1.1 200 OK\r\nContent-Length: 1\nX: y\r\n\r\n"),
  (_, one, whole) => {
    one.write(whole.slice(0, -1));
    one.end();
  },
  (_, one, whole) => void one.write(`${whole}stray`),
  () => undefined,
];

function random(chance: Chance): Script {
  return {
    onRequest: (request, connection) => {
      const id = request.header("x-load-id") ?? "";
      if (request.header("upgrade") !== undefined) {
        connection.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n");
        connection.tunnel((bytes) => void connection.write(bytes.slice()));
        return;
      }
      const body = request.method === "HEAD" ? "" : `${id}:${request.bodyLength}`;
      return oneOf(chance, acts)(request, connection, answerText(body, "200 OK", { "X-Load-Id": id }));
    },
  };
}

/** One client's life: request after request, on connections that it keeps, leaves or tears. Returns how many went well. */
async function live(under: EngineUnderTest, chance: Chance, name: string, rounds: number): Promise<number> {
  let client: Client | undefined;
  let good = 0;
  for (let round = 0; round < rounds; round++) {
    const current: Client = client ?? (await under.connect({ timeout: 4000 }));
    const id = `${name}-${round}`;
    try {
      client = (await oneOf(chance, lives)(current, chance, id)) ? current : undefined;
      good++;
    } catch (error) {
      // A connection that broke says what became of its request; anything else is a finding.
      if (current.ending === "open" || !/closed|reset|did not come|inside|ends/.test(String(error))) throw error;
      current.close();
      client = undefined;
    }
    if (client?.ending !== "open") client = undefined;
  }
  client?.close();
  return good;
}

/** Whether this was the answer to `id`, and not one of ours for an endpoint that failed. Throws if it was another's. */
function judged(answer: Awaited<ReturnType<Client["readAnswer"]>>, id: string, length: number): void {
  if (answer.status >= 500) {
    expect(field(answer, "proxy-status")).toStartWith("plimsoll; error=");
    return;
  }
  expect([answer.status, field(answer, "x-load-id"), textOf(answer)]).toEqual([200, id, `${id}:${length}`]);
}

/** Each returns whether the connection is good for more. */
const lives: readonly ((client: Client, chance: Chance, id: string) => Promise<boolean>)[] = [
  async (client, _, id) => {
    await client.send(`GET /${id} HTTP/1.1\r\nHost: a.test\r\nX-Load-Id: ${id}\r\n\r\n`);
    judged(await client.readAnswer(), id, 0);
    return true;
  },
  async (client, chance, id) => {
    const size = oneOf(chance, [0, 1, 500, 20_000, 300_000]);
    const body = Buffer.alloc(size, 97);
    const chunked = chance() < 0.5;
    const lines = chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${size}`;
    client.push(`${oneOf(chance, ["POST", "PUT"])} / HTTP/1.1\r\nHost: a.test\r\nX-Load-Id: ${id}\r\n${lines}\r\n\r\n`);
    if (chance() < 0.5) await Bun.sleep(1);
    if (!chunked) client.push(body);
    else
      client.push(
        Buffer.concat([
          Buffer.from(size > 0 ? `${size.toString(16)}\r\n` : ""),
          body,
          Buffer.from(size > 0 ? "\r\n0\r\n\r\n" : "0\r\n\r\n"),
        ]),
      );
    judged(await client.readAnswer(), id, size);
    return client.ending === "open";
  },
  async (client, _, id) => {
    const ids = [0, 1, 2, 3].map((number) => `${id}.${number}`);
    client.push(ids.map((one) => `GET / HTTP/1.1\r\nHost: a.test\r\nX-Load-Id: ${one}\r\n\r\n`).join(""));
    for (const one of ids) judged(await client.readAnswer(), one, 0);
    return true;
  },
  async (client, chance, id) => {
    await client.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n");
    const answer = await client.readAnswer();
    if (answer.status !== 101) return client.ending === "open";
    await client.send(id);
    expect(Buffer.from(await client.readBytes(id.length)).toString()).toBe(id);
    if (chance() < 0.5) client.close();
    else client.reset();
    return false;
  },
  async (client, chance, id) => {
    const whole = `POST / HTTP/1.1\r\nHost: a.test\r\nX-Load-Id: ${id}\r\nContent-Length: 1000\r\n\r\n${"x".repeat(1000)}`;
    await client.send(whole.slice(0, between(chance, 1, whole.length)));
    if (chance() < 0.5) await Bun.sleep(between(chance, 0, 8));
    if (chance() < 0.5) client.close();
    else client.reset();
    return false;
  },
  async (client, _, id) => {
    await client.send(`GET / HTTP/1.1\r\nHost: a.test\r\nX-Load-Id: ${id}\r\n\r\n`);
    client.shutdown();
    judged(await client.readAnswer(), id, 0);
    expect(await client.readEnd()).toBe("fin");
    client.close();
    return false;
  },
];

/** Any plan over some of the origins, or none. */
function anyPlan(chance: Chance, origins: Readonly<Record<string, Origin>>): PlanOptions {
  const some = Object.values(origins).filter(() => chance() < 0.7);
  const limits = oneOf(chance, [
    { inFlight: 0, queue: 0 },
    { inFlight: 2, queue: 20, queueTimeout: 200 },
    { inFlight: 1, queue: 2, queueTimeout: 50 },
  ]);
  const timeouts = { firstByte: 150, idle: 150, connect: 150, tunnelIdle: 300 };
  const pool = {
    endpoints: some.length > 0 ? some : Object.values(origins),
    balance: oneOf(chance, ["roundRobin", "leastOutstanding", "p2c", "peakEwma", "random", "first"] as const),
    limits,
    timeouts,
    keepAlive: { maxIdle: oneOf(chance, [0, 1, 64]), maxRequests: oneOf(chance, [0, 3]) },
  };
  return {
    listener: { timeouts: { headers: 400, body: 400, idle: 400 } },
    routes: [{ mirror: chance() < 0.2 ? "app" : "" }],
    pools: { app: pool },
  };
}

test("a soak of clients, endpoints and commits that do anything at any moment", async () => {
  await forSeeds(3, async (chance) => {
    const scripts = Object.fromEntries(["a", "b", "c", "d"].map((name) => [name, random(chance)]));
    await withEngine(
      scripts,
      (origins) => anyPlan(chance, origins),
      async (under) => {
        let over = false;
        const commits = async (): Promise<void> => {
          while (!over) {
            await Bun.sleep(between(chance, 1, 12));
            under.commit(anyPlan(chance, under.origins));
            for (const [name, count] of Object.entries(under.underWay)) {
              expect(count, name).toBeGreaterThan(0);
              expect(count, name).toBeLessThan(2000);
            }
          }
        };
        const lived = Promise.all(Array.from({ length: 24 }, (_, i) => live(under, chance, `c${i}`, 40)));
        const [good] = await Promise.all([lived.finally(() => (over = true)), commits()]);
        // Not a soak of failures only.
        expect(good.reduce((sum, one) => sum + one)).toBeGreaterThan(24 * 40 * 0.3);
        // Whatever was idle has been let go by itself, and what comes now is served as if nothing had been.
        const calm: Script = {
          onRequest: (request, one) =>
            void one.write(
              answerText(`${request.header("x-load-id") ?? ""}:0`, "200 OK", {
                "X-Load-Id": request.header("x-load-id") ?? "",
              }),
            ),
        };
        for (const origin of Object.values<Origin>(under.origins)) origin.script = calm;
        const answers = Object.values(under.origins);
        under.commit({ pools: { calm: { endpoints: answers } }, routes: [{ to: "calm" }] });
        const client = await under.connect();
        for (let i = 0; i < 20; i++) {
          await client.send(`GET / HTTP/1.1\r\nHost: a.test\r\nX-Load-Id: calm-${i}\r\n\r\n`);
          const answer = await client.readAnswer();
          expect([answer.status, textOf(answer)]).toEqual([200, `calm-${i}:0`]);
        }
      },
    );
  });
}, 90_000);
