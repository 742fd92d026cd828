// No input makes the origin see a request that is not one, and no connection of another client notices anything. Every case
// of the corpus is sent whole, byte by byte, in two pieces and in twenty, and a clean request follows on another connection.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { field } from "@plimsoll/testbed/answers";
import { between, type Chance, seeded } from "@plimsoll/testbed/chance";
import { echo } from "@plimsoll/testbed/scripts";
import { eventually } from "@plimsoll/testbed/waiting";
import { type EngineUnderTest, startEngine } from "./engine-under-test.ts";
import { type Attack, attacks, caseHost } from "./smuggling-corpus.ts";

let under: EngineUnderTest<"app">;
let cases = 0;

beforeAll(async () => {
  under = await startEngine({ app: echo() });
});

afterAll(async () => {
  await under.close();
});

/** Sends the attack under a host of its own and says what came of it: what the origin saw, and what the client. */
async function attack({ bytes, upstream, ending }: Attack, cuts: readonly number[]): Promise<unknown> {
  const number = String(++cases).padStart(6, "0");
  const host = caseHost.replace("000000", number);
  const client = await under.connect();
  // Bytes behind a refusal may meet a closed connection.
  const sent = client.send(bytes.replaceAll(caseHost, host), { cuts });
  const statuses: number[] = [];
  const methods = bytes.startsWith("HEAD") ? ["HEAD"] : [];
  for (let n = 0; n < upstream.length; n++) {
    statuses.push((await client.readAnswer({ method: methods[n] ?? "GET" })).status);
  }
  let refusal = "none";
  if (ending === "refused") {
    const { status } = await client.readAnswer();
    refusal = [400, 413, 417, 431, 501, 505].includes(status) ? "some" : String(status);
  }
  if (ending !== "open") await client.readEnd();
  else await answersOn(client, host);
  const stray = client.unread.length;
  await sent;
  client.close();
  await victim(number);
  const seen = under
    .origin()
    .requests.filter((request) => request.header("host")?.startsWith(host) && request.target !== "/canary");
  return {
    statuses,
    refusal,
    stray,
    upstream: seen.map(({ target, body }) => [target, Buffer.from(body).toString("latin1").replaceAll(host, caseHost)]),
  };
}

/** The connection goes on exactly where the attack's bytes ended. */
async function answersOn(client: Awaited<ReturnType<typeof under.connect>>, host: string): Promise<void> {
  await client.send(`GET /canary HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  expect(field(await client.readAnswer(), "x-target")).toBe("/canary");
}

/** A request of somebody else, which must get its own answer. */
async function victim(number: string): Promise<void> {
  const client = await under.connect();
  const body = `v${number}`;
  await client.send(`POST /victim${number} HTTP/1.1\r\nHost: victim\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  const answer = await client.readAnswer();
  expect([answer.status, field(answer, "x-target"), Buffer.from(answer.body).toString()]).toEqual([
    200,
    `/victim${number}`,
    body,
  ]);
  client.close();
}

function expected({ upstream, ending }: Attack): unknown {
  return { statuses: upstream.map(() => 200), refusal: ending === "refused" ? "some" : "none", stray: 0, upstream };
}

/** All attacks, some at a time; what came of each is told with its name. */
async function attackAll(cut: (length: number, chance: Chance) => readonly number[]): Promise<void> {
  const chance = seeded(11);
  const waiting = [...attacks];
  const runner = async (): Promise<void> => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      const outcome = await attack(one, cut(one.bytes.length, chance));
      expect({ name: one.name, outcome }).toEqual({ name: one.name, outcome: expected(one) });
    }
  };
  await Promise.all(Array.from({ length: 16 }, runner));
}

function places(chance: Chance, length: number, count: number): readonly number[] {
  const all = new Set(Array.from({ length: count }, () => between(chance, 1, length - 1)));
  return [...all].sort((a, b) => a - b);
}

test("the corpus is what it claims to be", () => {
  expect(attacks.length).toBeGreaterThan(250);
  expect(new Set(attacks.map(({ name }) => name)).size).toBe(attacks.length);
});

describe("sent whole", () => {
  for (const one of attacks) {
    test(one.name, async () => {
      expect(await attack(one, [])).toEqual(expected(one));
    });
  }
});

test("sent byte by byte", async () => {
  await attackAll((length) => Array.from({ length: Math.min(length, 800) - 1 }, (_, i) => i + 1));
}, 60_000);

test("sent in two pieces", async () => {
  for (let round = 0; round < 4; round++) await attackAll((length, chance) => places(chance, length, 1));
}, 60_000);

test("sent in twenty pieces", async () => {
  await attackAll((length, chance) => places(chance, length, 20));
}, 60_000);

test("afterwards no request of any attack stands open at the origin", async () => {
  await eventually("nothing in flight", () => Object.keys(under.underWay).every((name) => name === "open"));
  expect(under.origin().requests.filter(({ target }) => target.includes("evil"))).toEqual([]);
  expect(under.origin().violations).toEqual([]);
});
