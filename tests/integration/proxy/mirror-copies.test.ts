// Mirrors: the second pool gets what the first one gets, and whatever it does with it, the client never notices.
import { describe, expect, test } from "bun:test";
import { textOf } from "@plimsoll/testbed/answers";
import type { Script } from "@plimsoll/testbed/script";
import {
  answerText,
  closeOnConnect,
  garbage,
  neverAnswers,
  neverReads,
  ok,
  resetMidway,
  slow,
  trailing,
  unaskedUpgrade,
} from "@plimsoll/testbed/scripts";
import { eventually } from "@plimsoll/testbed/waiting";
import { withEngine } from "./engine-under-test.ts";
import type { PlanOptions } from "./plans.ts";

type Both = { readonly app: { readonly port: number }; readonly copy: { readonly port: number } };

const mirrored =
  (copy: Partial<PlanOptions["pools"][string]> = {}) =>
  (origins: Both): PlanOptions => ({
    routes: [{ mirror: "shadow" }],
    pools: {
      app: { endpoints: [origins.app] },
      shadow: { endpoints: [origins.copy], ...copy },
    },
  });

const sized: Script = { onRequest: (request, one) => void one.write(answerText(`${request.bodyLength}`)) };
const get = (number: number) => `GET /${number} HTTP/1.1\r\nHost: a.test\r\nX-Number: ${number}\r\n\r\n`;

describe("a copy", () => {
  test("is the same request, its answer thrown away, its connection used again", async () => {
    await withEngine({ app: ok("real\n"), copy: ok("copied\n") }, mirrored(), async (under) => {
      const client = await under.connect();
      for (let i = 0; i < 5; i++) {
        await client.send(get(i));
        expect(textOf(await client.readAnswer())).toBe("real\n");
        await under.origin("copy").request(i + 1);
      }
      const [one, other] = [under.origin("app").requests, under.origin("copy").requests];
      expect(other.map(({ method, target, headers }) => ({ method, target, headers }))).toEqual(
        one.map(({ method, target, headers }) => ({ method, target, headers })),
      );
      expect(under.origin("copy").connections).toHaveLength(1);
      expect(under.pool("shadow", "mirrored")).toBe(5);
      expect(under.records).toHaveLength(5);
    });
  });

  for (const framing of ["length", "chunked"] as const) {
    test(`has the body, framed by ${framing}, however it comes`, async () => {
      const body = Buffer.alloc(40_000);
      for (let i = 0; i < body.length; i++) body[i] = i * 7;
      const lines = framing === "length" ? `Content-Length: ${body.length}` : "Transfer-Encoding: chunked";
      await withEngine({ app: sized, copy: sized }, mirrored(), async (under) => {
        const client = await under.connect();
        await client.send(`POST / HTTP/1.1\r\nHost: a.test\r\n${lines}\r\n\r\n`);
        for (let at = 0; at < body.length; at += 7000) {
          const piece = body.subarray(at, at + 7000);
          if (framing === "chunked") await client.send(`${piece.length.toString(16)}\r\n`);
          await client.send(piece);
          if (framing === "chunked") await client.send("\r\n");
          await Bun.sleep(2);
        }
        if (framing === "chunked") await client.send("0\r\n\r\n");
        expect(textOf(await client.readAnswer())).toBe(`${body.length}`);
        const copy = await under.origin("copy").request(1);
        expect(Buffer.compare(copy.body, body)).toBe(0);
      });
    });
  }

  test("has a body that came before its connection was there", async () => {
    const body = "b".repeat(30_000);
    const plan = (origins: Both): PlanOptions => ({
      ...mirrored()(origins),
      routes: [{ path: "/warm" }, { mirror: "shadow" }],
    });
    await withEngine({ app: sized, copy: sized }, plan, async (under) => {
      const client = await under.connect();
      // The real endpoint has a connection already, so that the body goes on before the copy's is made.
      await client.send("GET /warm HTTP/1.1\r\nHost: a.test\r\n\r\n");
      await client.readAnswer();
      await client.send(`POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      expect(textOf(await client.readAnswer())).toBe(`${body.length}`);
      expect(Buffer.from((await under.origin("copy").request(1)).body).toString()).toBe(body);
    });
  });

  test("of a large body, to an endpoint that keeps up", async () => {
    const size = 8_000_000;
    await withEngine({ app: sized, copy: sized }, mirrored(), async (under) => {
      const client = await under.connect();
      // The connections first: what comes before a copy's connection is kept for it only up to a bound.
      await client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx");
      await client.readAnswer();
      await under.origin("copy").request(1);
      await client.send(`POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${size}\r\n\r\n`);
      for (let sent = 0; sent < size; sent += 20_000) {
        client.push(Buffer.alloc(20_000));
        await Bun.sleep(0);
      }
      expect(textOf(await client.readAnswer())).toBe(`${size}`);
      expect((await under.origin("copy").request(2)).bodyLength).toBe(size);
    });
  });

  test("goes nowhere when its pool has nobody", async () => {
    await withEngine({ app: ok(), copy: ok() }, mirrored({ limits: { inFlight: 1 } }), async (under) => {
      under.origin("copy").script = neverAnswers();
      const client = await under.connect();
      for (let i = 0; i < 3; i++) {
        await client.send(get(i));
        expect((await client.readAnswer()).status).toBe(200);
      }
      expect(under.origin("copy").requests.length).toBeLessThanOrEqual(1);
      expect(under.pool("shadow", "mirrored")).toBe(1);
      expect(under.pool("shadow", "queued")).toBe(0);
      await under.origin("copy").close();
    });
  });
});

describe("whatever the mirror does, the client does not notice", () => {
  const bad: Readonly<Record<string, Script>> = {
    "never answers": neverAnswers(),
    "never reads": neverReads(),
    "closes at once": closeOnConnect(),
    "resets within its answer": resetMidway(answerText("x".repeat(100)), 60),
    "sends garbage": garbage(),
    "switches protocols": unaskedUpgrade(),
    "sends more than it announced": trailing(answerText("copied"), answerText("smuggled")),
    "answers 500": { onRequest: (_, one) => void one.write(answerText("broken", "500 Internal Server Error")) },
    "answers slowly": slow(100),
    "answers before the body": { onHead: (_, one) => void one.write(answerText("early")) },
    "sends informational answers without end": {
      onRequest: (_, one) => void one.write("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100)),
    },
    "sends an answer of 20 MB": { onRequest: (_, one) => void one.write(answerText(Buffer.alloc(20_000_000))) },
  };
  for (const [name, script] of Object.entries(bad)) {
    test(name, async () => {
      await withEngine(
        { app: sized, copy: script },
        mirrored({ timeouts: { firstByte: 200, idle: 200, connect: 200 } }),
        async (under) => {
          const clients = await Promise.all(Array.from({ length: 4 }, () => under.connect()));
          await Promise.all(
            clients.map(async (client, number) => {
              for (let i = 0; i < 4; i++) {
                const size = [0, 1000, 300_000, 5][i] as number;
                client.push(`POST /${number} HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${size}\r\n\r\n`);
                client.push(Buffer.alloc(size));
                expect(textOf(await client.readAnswer())).toBe(`${size}`);
              }
            }),
          );
          expect(under.records.map(({ status, fault }) => `${status}${fault}`)).toEqual(Array(16).fill("200"));
          const endpoint = `127.0.0.1:${under.origin("copy").port}`;
          await eventually("the copies end", () => under.endpoint("shadow", endpoint, "inFlight") === 0);
        },
      );
    });
  }

  test("is not there at all", async () => {
    await withEngine({ app: sized, copy: ok() }, mirrored(), async (under) => {
      await under.origin("copy").close();
      const client = await under.connect();
      for (let i = 0; i < 5; i++) {
        await client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
        expect(textOf(await client.readAnswer())).toBe("5");
      }
      expect(under.records.map(({ status, fault }) => `${status}${fault}`)).toEqual(Array(5).fill("200"));
    });
  });

  test("a client that leaves within its upload: no copy looks complete", async () => {
    await withEngine({ app: sized, copy: sized }, mirrored(), async (under) => {
      const client = await under.connect();
      await client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\nhalf");
      await eventually("both began", () => ["app", "copy"].every((name) => under.origin(name as "app").open === 1));
      await Bun.sleep(20);
      client.reset();
      await eventually("both are let go", () =>
        ["app", "copy"].every((name) => under.origin(name as "app").connections[0]?.ending === "rst"),
      );
      expect([under.origin("app").requests.length, under.origin("copy").requests.length]).toEqual([0, 0]);
    });
  });
});
