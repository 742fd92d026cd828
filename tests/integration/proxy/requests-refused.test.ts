// What is refused is refused with the right status, the connection is closed, and not one byte of it goes upstream: neither
// the request itself nor what a careless reader would take for the next one.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { field } from "@plimsoll/testbed/answers";
import { cuts, seeded } from "@plimsoll/testbed/chance";
import { echo } from "@plimsoll/testbed/scripts";
import { type EngineUnderTest, startEngine } from "./engine-under-test.ts";
import { type Refusal, refusals } from "./refusals.ts";

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n";
let under: EngineUnderTest<"app">;

beforeAll(async () => {
  under = await startEngine({ app: echo() });
});

afterAll(async () => {
  await under.close();
});

/** Sends it with a request behind it and expects one answer, the end, and nothing at the origin. */
async function refused({ bytes, status, fault }: Refusal, at: readonly number[]): Promise<void> {
  const client = await under.connect();
  // What comes after the refusal may find the connection closed.
  const sent = client.send(bytes + smuggled, { cuts: at });
  const answer = await client.readAnswer();
  expect({
    status: answer.status,
    fault: /details="(.*)"/.exec(field(answer, "proxy-status") ?? "")?.[1],
    connection: field(answer, "connection"),
    date: field(answer, "date") !== undefined,
  }).toEqual({ status, fault, connection: "close", date: true });
  await client.readEnd();
  expect(client.unread.length).toBe(0);
  await sent;
  client.close();
}

describe("refused at once", () => {
  for (const refusal of refusals) {
    test(refusal.name, async () => {
      const before = under.origin().connections.reduce((sum, one) => sum + one.receivedBytes, 0);
      await refused(refusal, []);
      const after = under.origin().connections.reduce((sum, one) => sum + one.receivedBytes, 0);
      expect(after - before).toBe(0);
    });
  }
});

test("refused the same, byte by byte", async () => {
  const short = refusals.filter(({ bytes }) => bytes.length < 400);
  expect(short.length).toBeGreaterThan(120);
  await Promise.all(
    short.map((one) =>
      refused(
        one,
        Array.from({ length: one.bytes.length }, (_, i) => i + 1),
      ),
    ),
  );
  expect(under.origin().requests).toEqual([]);
});

test("refused the same, cut at random", async () => {
  const chance = seeded(7);
  await Promise.all(refusals.map((one) => refused(one, cuts(chance, Math.min(one.bytes.length, 400)))));
  expect(under.origin().requests).toEqual([]);
});

test("a refusal behind a good request: the good one is answered, the bad one refused", async () => {
  for (const [index, { bytes, status, name }] of refusals.entries()) {
    const client = await under.connect();
    const sent = client.send(`GET /good${index} HTTP/1.1\r\nHost: x\r\n\r\n${bytes}${smuggled}`);
    expect([name, field(await client.readAnswer(), "x-target")]).toEqual([name, `/good${index}`]);
    expect([name, (await client.readAnswer()).status]).toEqual([name, status]);
    await client.readEnd();
    expect(client.unread.length).toBe(0);
    await sent;
    client.close();
  }
  expect(under.origin().requests.map((request) => request.target)).toEqual(refusals.map((_, i) => `/good${i}`));
});

test("what looks odd but is legal goes through", async () => {
  const legal = [
    "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \t chunked \t \r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nTRANSFER-ENCODING:CHUNKED\r\n\r\n0\r\n\r\n",
    "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "M-SEARCH!#$%&'*+.^_`|~ / HTTP/1.1\r\nHost: x\r\n\r\n",
    "get / HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / HTTP/1.9\r\nHost: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost:x\r\nA:\r\nB:  \t\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x:\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    "GET http://X:80/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET http://x HTTP/1.1\r\nHost: x\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 000000000000001\r\n\r\na",
    "GET / HTTP/1.1\r\nHost: x\r\nA: \xe4\xf6\xfc\r\n\r\n",
    'GET /|^{}"<>`\\ HTTP/1.1\r\nHost: x\r\n\r\n',
  ];
  const client = await under.connect();
  for (const request of legal) {
    await client.send(request);
    expect([request, (await client.readAnswer()).status]).toEqual([request, 200]);
  }
  expect(client.ending).toBe("open");
});
