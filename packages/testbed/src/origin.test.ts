import { afterEach, expect, test } from "bun:test";
import { field, textOf } from "./answers.ts";
import { cuts, forSeeds } from "./chance.ts";
import { type Origin, startOrigin } from "./origin.ts";
import { connectRaw, exchangeRaw } from "./raw-client.ts";
import type { Script } from "./script.ts";
import * as scripts from "./scripts.ts";
import { eventually } from "./waiting.ts";

let origin: Origin | undefined;
afterEach(async () => {
  await origin?.close();
  origin = undefined;
});

async function start(script?: Script, keep?: number): Promise<Origin> {
  origin = await startOrigin({ ...(script && { script }), ...(keep !== undefined && { keep }) });
  return origin;
}

const get = "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n";

test("echoes what tells an answer from another", async () => {
  const { port, requests } = await start();
  const post = "POST /p HTTP/1.1\r\nHost: x\r\nX-Load-Id: 7\r\nContent-Length: 3\r\n\r\nabc";
  const answer = await exchangeRaw(port, post);
  expect(textOf(answer)).toBe("abc");
  expect(field(answer, "x-load-id")).toBe("7");
  expect(requests[0]).toMatchObject({ method: "POST", target: "/p", bodyLength: 3, connection: 0, onConnection: 0 });
  expect((await exchangeRaw(port, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", { method: "HEAD" })).body.length).toBe(0);
  origin?.assertClean();
});

test("pipelined requests, cut anywhere, are framed, counted and answered in order", async () => {
  const { port, requests } = await start();
  const chunked =
    "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;e=1\r\nc\r\n0\r\nT: v\r\n\r\n";
  const sized = "PUT /s HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n\r\n\r\n";
  const all = get + chunked + sized + get;
  await forSeeds(5, async (chance) => {
    const client = await connectRaw(port);
    await client.send(all, { cuts: cuts(chance, all.length), gap: 0 });
    const bodies: string[] = [];
    for (let at = 0; at < 4; at++) bodies.push(textOf(await client.readAnswer()));
    client.close();
    expect(bodies).toEqual(["", "abc", "\r\n\r\n", ""]);
  });
  expect(requests.slice(-4).map((one) => [one.target, one.onConnection])).toEqual([
    ["/a?b", 0],
    ["/c", 1],
    ["/s", 2],
    ["/a?b", 3],
  ]);
  origin?.assertClean();
});

test.each([
  ["no Host", "GET / HTTP/1.1\r\n\r\n"],
  ["two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na"],
  [
    "length and coding",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  ],
  ["a space before the colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n"],
  ["a bare LF", "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"],
  ["a fold", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"],
  ["a bad chunk", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n"],
  ["a bad trailer", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA : b\r\n\r\n"],
  ["the beginning of garbage", "\0\0\0\r\n"],
])("%s is a violation, named once", async (_, text) => {
  const { port, violations } = await start();
  const client = await connectRaw(port);
  await client.send(text);
  client.shutdown();
  await eventually("a violation", () => violations.length > 0, 2000);
  await Bun.sleep(5);
  expect(violations).toHaveLength(1);
  expect(() => origin?.assertClean()).toThrow("must not");
  client.close();
});

test("a request that ends too early is no violation, but is noticed", async () => {
  const { port, connections } = await start();
  const client = await connectRaw(port);
  await client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
  client.shutdown();
  await eventually("the cut", () => connections[0]?.cutShort);
  origin?.assertClean();
  client.close();
});

test("bodies larger than what is kept are counted whole and judged by their head", async () => {
  const { port } = await start(scripts.ok(), 1000);
  const client = await connectRaw(port);
  await client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n");
  await client.send("z".repeat(300_000));
  await client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (let at = 0; at < 30; at++) await client.send(`2710\r\n${"y".repeat(10_000)}\r\n`);
  await client.send("0\r\n\r\n");
  await client.readAnswer();
  await client.readAnswer();
  client.close();
  const seen = origin?.requests ?? [];
  expect(seen.map((one) => [one.bodyLength, one.body.length])).toEqual([
    [300_000, 1000],
    [300_000, 1000],
  ]);
  origin?.assertClean();
});

test("scripts: how an answer is cut, cut off, delayed, or never comes", async () => {
  const answer = scripts.answerText("hello");
  const { port } = await start(scripts.bytes(answer, { cuts: [1, 20, 39], delay: 5 }));
  const over = async (script: Script, request = get): Promise<string> => {
    if (origin) origin.script = script;
    try {
      return String((await exchangeRaw(port, request, { timeout: 300 })).status);
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(textOf(await exchangeRaw(port, get))).toBe("hello");
  expect(await over(scripts.slow(5))).toBe("200");
  expect(await over(scripts.closeMidway(answer, answer.length - 1))).toContain("cut short");
  expect(await over(scripts.resetMidway(answer, 10))).toContain("rst");
  expect(await over(scripts.resetMidway(answer, 0))).toContain("reset before an answer");
  expect(await over(scripts.closeOnConnect())).toContain("closed before an answer");
  expect(await over(scripts.garbage())).toContain("status line");
  expect(await over(scripts.neverAnswers())).toContain("not within 300 ms");
  expect(await over(scripts.unaskedUpgrade())).toBe("101");
  expect(await over(scripts.sequence(scripts.ok("1"), scripts.ok("2")))).toBe("200");
  const expecting = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
  expect(await over(scripts.answersEarly(scripts.answerText("no\n", "413 Too Large")), expecting)).toBe("413");
});

test("scripts: bytes before the question, and behind the answer", async () => {
  const { port } = await start(scripts.early("HTTP/1.1 408 T\r\nContent-Length: 0\r\n\r\n"));
  const client = await connectRaw(port);
  expect((await client.readAnswer()).status).toBe(408);
  client.close();
  if (origin) origin.script = scripts.trailing(scripts.answerText("x"), "HTTP/1.1 666");
  const other = await connectRaw(port);
  await other.send(get);
  expect((await other.readAnswer()).status).toBe(200);
  expect(Buffer.from(await other.readBytes(12)).toString()).toBe("HTTP/1.1 666");
  other.close();
});

test("scripts: one that never reads makes the sender stall", async () => {
  const { port } = await start(scripts.neverReads());
  const client = await connectRaw(port);
  const megabyte = new Uint8Array(1_048_576);
  let sent = 0;
  while (client.push(megabyte) && sent < 256) sent++;
  expect(sent).toBeLessThan(256);
  client.reset();
});

test("scripts: an upgrade that was asked for becomes a tunnel", async () => {
  const { port } = await start(scripts.upgradeEcho());
  const client = await connectRaw(port);
  await client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\nfirst");
  expect((await client.readAnswer()).status).toBe(101);
  await client.send("GET / no HTTP");
  expect(Buffer.from(await client.readBytes(18)).toString()).toBe("firstGET / no HTTP");
  client.close();
  origin?.assertClean();
});

test("a closed origin refuses", async () => {
  const { port } = await start();
  await origin?.close();
  await expect(connectRaw(port)).rejects.toThrow();
  origin = undefined;
});
