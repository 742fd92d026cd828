// Limits hold to the byte, wherever they are set, and every clock that runs out ends the connection: with 408 where
// something was asked, without a word where nothing was.
import { describe, expect, test } from "bun:test";
import { field, textOf } from "@plimsoll/testbed/answers";
import type { RawClient } from "@plimsoll/testbed/raw-client";
import { echo, neverAnswers, slow } from "@plimsoll/testbed/scripts";
import type { Script } from "@plimsoll/testbed/script";
import { eventually } from "@plimsoll/testbed/waiting";
import { type EngineUnderTest, withEngine } from "./engine-under-test.ts";
import type { ListenerOptions, RouteOptions } from "./plans.ts";

type Engine = EngineUnderTest<"app">;

async function withListener(
  listener: ListenerOptions,
  body: (engine: Engine, client: RawClient) => Promise<void>,
  { route = {}, script = echo() }: { readonly route?: RouteOptions; readonly script?: Script } = {},
): Promise<void> {
  await withEngine(
    { app: script },
    ({ app }) => ({
      listener,
      routes: [route, { path: "/fixed", to: { kind: "fixed", status: 200, contentType: "text/plain", body: "fixed" } }],
      pools: { app: { endpoints: [app] } },
    }),
    async (engine) => body(engine, await engine.connect()),
  );
}

/** Status of the answer to this request on a connection of its own. */
async function statusOf(engine: Engine, bytes: string): Promise<number> {
  const client = await engine.connect();
  await client.send(bytes);
  const { status } = await client.readAnswer();
  client.close();
  return status;
}

const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

describe("sizes", () => {
  test("a target may be exactly as long as the limit", async () => {
    await withListener({ limits: { targetBytes: 300 } }, async (engine) => {
      const target = (length: number): string => `GET /${"a".repeat(length - 1)} HTTP/1.1\r\nHost: x\r\n\r\n`;
      expect([await statusOf(engine, target(300)), await statusOf(engine, target(301))]).toEqual([200, 414]);
    });
  });

  test("a head may be exactly as long as the limit", async () => {
    await withListener({ limits: { headBytes: 1024 } }, async (engine) => {
      const head = (length: number): string =>
        `GET / HTTP/1.1\r\nHost: x\r\nA: ${"a".repeat(length - 32)}\r\n\r\n`.padEnd(length);
      expect([head(1024).length, await statusOf(engine, head(1024)), await statusOf(engine, head(1025))]).toEqual([
        1024, 200, 431,
      ]);
    });
  });

  test("a field may be exactly as long as the limit", async () => {
    await withListener({ limits: { fieldBytes: 256 } }, async (engine) => {
      const head = (length: number): string => `GET / HTTP/1.1\r\nHost: x\r\nA: ${"a".repeat(length - 3)}\r\n\r\n`;
      expect([await statusOf(engine, head(256)), await statusOf(engine, head(257))]).toEqual([200, 431]);
    });
  });

  test("fields are counted, Host with them", async () => {
    await withListener({ limits: { fields: 10 } }, async (engine) => {
      const head = (count: number): string => `GET / HTTP/1.1\r\nHost: x\r\n${"A: b\r\n".repeat(count - 1)}\r\n`;
      expect([await statusOf(engine, head(10)), await statusOf(engine, head(11))]).toEqual([200, 431]);
    });
  });

  test("trailers count as fields, by the listener's own limits", async () => {
    const body = (count: number): string =>
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + `0\r\n${"A: b\r\n".repeat(count)}\r\n`;
    await withListener({ limits: { fields: 10 } }, async (engine) => {
      expect([await statusOf(engine, body(8)), await statusOf(engine, body(9))]).toEqual([200, 431]);
    });
    await withListener({ limits: { fields: 300 } }, async (engine) => {
      expect([await statusOf(engine, body(298)), await statusOf(engine, body(299))]).toEqual([200, 431]);
    });
  });

  test("a larger head is taken where the listener says so", async () => {
    await withListener({ limits: { headBytes: 65_536, fieldBytes: 65_536, targetBytes: 65_536 } }, async (engine) => {
      expect(await statusOf(engine, `GET /${"a".repeat(30_000)} HTTP/1.1\r\nHost: x\r\n\r\n`)).toBe(200);
      expect(await statusOf(engine, `GET / HTTP/1.1\r\nHost: x\r\nA: ${"a".repeat(60_000)}\r\n\r\n`)).toBe(200);
      expect(engine.origin().requests[1]?.header("a")?.length).toBe(60_000);
    });
  });
});

describe("bodies", () => {
  const route = { maxBodyBytes: 1000 };
  const withLength = (length: number): string =>
    `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n${"b".repeat(length)}`;
  const inChunks = (length: number, size: number): string => {
    const chunks = Array.from({ length: Math.ceil(length / size) }, (_, i) => Math.min(size, length - i * size));
    const text = chunks.map((one) => `${one.toString(16)};ext\r\n${"b".repeat(one)}\r\n`).join("");
    return `POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${text}0\r\n\r\n`;
  };

  test("by length, up to the limit and no further", async () => {
    await withListener(
      {},
      async (engine) => {
        expect([await statusOf(engine, withLength(1000)), await statusOf(engine, withLength(1001))]).toEqual([
          200, 413,
        ]);
        expect(engine.origin().requests.map(({ bodyLength }) => bodyLength)).toEqual([1000]);
        expect(engine.origin().connections.length).toBe(1);
      },
      { route },
    );
  });

  test("in chunks, framing and extensions not counted", async () => {
    await withListener(
      {},
      async (engine) => {
        for (const size of [1, 7, 999, 1000]) expect(await statusOf(engine, inChunks(1000, size))).toBe(200);
        for (const size of [1, 7, 1000, 1001]) expect(await statusOf(engine, inChunks(1001, size))).toBe(413);
        expect(engine.origin().requests.map(({ bodyLength }) => bodyLength)).toEqual([1000, 1000, 1000, 1000]);
      },
      { route },
    );
  });

  test("too large is said before the body is sent, and the body is no request", async () => {
    await withListener(
      {},
      async (engine, client) => {
        await client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n");
        const answer = await client.readAnswer();
        expect([answer.status, answer.interim.length, field(answer, "connection")]).toEqual([413, 0, "close"]);
        await client.send(get);
        expect(await client.readEnd()).toBe("fin");
        expect([client.unread.length, engine.origin().requests.length]).toEqual([0, 0]);
      },
      { route },
    );
  });

  test("a client that uploads on gets to read its 413", async () => {
    await withListener(
      {},
      async (_, client) => {
        const sending = client.send(withLength(4_000_000));
        expect((await client.readAnswer()).status).toBe(413);
        expect(await client.readEnd()).toBe("fin");
        await sending;
      },
      { route },
    );
  });

  test("are not limited unless told", async () => {
    await withListener({}, async (engine, client) => {
      const sending = client.send(withLength(3_000_000));
      expect((await client.readAnswer()).status).toBe(200);
      expect(engine.origin().requests[0]?.bodyLength).toBe(3_000_000);
      await sending;
    });
  });
});

describe("connections", () => {
  test("end in order with the last request they may carry", async () => {
    await withListener({ limits: { requestsPerConnection: 3 } }, async (engine, client) => {
      await client.send(get.repeat(5));
      const said: (string | undefined)[] = [];
      for (let n = 0; n < 3; n++) said.push(field(await client.readAnswer(), "connection"));
      expect(said).toEqual([undefined, undefined, "close"]);
      expect(await client.readEnd()).toBe("fin");
      expect([client.unread.length, engine.origin().requests.length]).toEqual([0, 3]);
    });
  });

  test("own answers count as well", async () => {
    await withListener({ limits: { requestsPerConnection: 2 } }, async (_, client) => {
      await client.send("GET /fixed HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3));
      expect(field(await client.readAnswer(), "connection")).toBeUndefined();
      expect(field(await client.readAnswer(), "connection")).toBe("close");
      expect(await client.readEnd()).toBe("fin");
    });
  });

  test("carry any number where the limit is 0", async () => {
    await withListener({ limits: { requestsPerConnection: 0 } }, async (_, client) => {
      await client.send(get.repeat(50));
      for (let n = 0; n < 50; n++) expect(field(await client.readAnswer(), "connection")).toBeUndefined();
      expect(client.ending).toBe("open");
    });
  });

  test("beyond the most at a time are closed at once, and counted; room comes back", async () => {
    await withListener({ limits: { maxConnections: 2 } }, async (engine, first) => {
      const second = await engine.connect();
      await first.send(get);
      await second.send(get);
      expect([(await first.readAnswer()).status, (await second.readAnswer()).status]).toEqual([200, 200]);
      const third = await engine.connect();
      await third.send(get);
      expect(await third.readEnd()).toBe("rst");
      expect([third.unread.length, engine.listener("refused"), engine.listener("open")]).toEqual([0, 1, 2]);
      first.close();
      await eventually("room", () => engine.listener("open") === 1);
      expect(await statusOf(engine, get)).toBe(200);
    });
  });

  test("what is sent ahead of an answer waits, however much it is", async () => {
    await withListener(
      {},
      async (engine, client) => {
        const count = 4000;
        const ahead = client.send(`GET / HTTP/1.1\r\nHost: x\r\nA: ${"a".repeat(300)}\r\n\r\n`.repeat(count));
        await engine.origin().request(1);
        engine.origin().script = echo();
        for (let n = 0; n < count; n++) expect((await client.readAnswer()).status).toBe(200);
        await ahead;
      },
      { script: slow(150) },
    );
  });
});

describe("clocks", () => {
  const headers = { timeouts: { headers: 120 } };
  const body = { timeouts: { body: 120 } };

  /** Sends the pieces with pauses until all are sent or the connection ended; says whether all were sent. */
  async function trickle(client: RawClient, pieces: readonly string[], gap: number): Promise<boolean> {
    for (const piece of pieces) {
      if (client.ending !== "open") return false;
      await client.send(piece);
      await Bun.sleep(gap);
    }
    return true;
  }

  async function expectTimeout(client: RawClient): Promise<void> {
    const answer = await client.readAnswer();
    expect([answer.status, field(answer, "connection")]).toEqual([408, "close"]);
    expect(await client.readEnd()).toBe("fin");
  }

  test("a head that stops is 408", async () => {
    await withListener(headers, async (engine, client) => {
      await client.send("GET / HTTP/1.1\r\nHost: x\r\n");
      await expectTimeout(client);
      expect(engine.faults("request-head-timeout")).toBe(1);
    });
  });

  test("a head that trickles is 408: its clock begins with its first byte, not with each", async () => {
    await withListener(headers, async (engine, client) => {
      const lines = Array.from({ length: 60 }, (_, i) => (i === 0 ? "GET / HTTP/1.1\r\n" : "A: b\r\n"));
      expect(await trickle(client, lines, 15)).toBe(false);
      await expectTimeout(client);
      expect(engine.origin().requests).toEqual([]);
    });
  });

  test("a head that trickles behind an answer, too", async () => {
    await withListener(headers, async (_, client) => {
      await client.send(`${get}GET`);
      expect((await client.readAnswer()).status).toBe(200);
      expect(
        await trickle(
          client,
          Array.from({ length: 60 }, () => "a"),
          15,
        ),
      ).toBe(false);
      await expectTimeout(client);
    });
  });

  test("empty lines buy no time", async () => {
    await withListener(headers, async (_, client) => {
      await trickle(client, ["\r\n", "\r\n", "\r\n"], 20);
      await expectTimeout(client);
    });
  });

  test("a connection on which nothing is asked ends without a word", async () => {
    await withListener(headers, async (engine, client) => {
      expect(await client.readEnd()).toBe("fin");
      expect([client.unread.length, engine.records.length]).toEqual([0, 0]);
    });
  });

  test("a kept connection ends without a word when its rest is over", async () => {
    await withListener({ timeouts: { idle: 120 } }, async (_, client) => {
      await client.send(get);
      await client.readAnswer();
      expect(await client.readEnd()).toBe("fin");
      expect(client.unread.length).toBe(0);
    });
  });

  test("a request within the rest is served, and the rest begins anew", async () => {
    await withListener({ timeouts: { idle: 250, headers: 10_000 } }, async (_, client) => {
      for (let n = 0; n < 4; n++) {
        await client.send(get);
        expect((await client.readAnswer()).status).toBe(200);
        await Bun.sleep(100);
      }
    });
  });

  test("no clock of the client runs while the origin thinks", async () => {
    await withListener(
      { timeouts: { headers: 100, body: 100, idle: 100 } },
      async (_, client) => {
        await client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na");
        expect(textOf(await client.readAnswer())).toBe("late");
      },
      { script: slow(400, "late") },
    );
  });

  for (const [name, head, piece] of [
    ["by length", "Content-Length: 1000", "b"],
    ["in chunks", "Transfer-Encoding: chunked", "1\r\nb\r\n"],
  ] as const) {
    test(`a body ${name} that stops is 408, and the origin sees it incomplete`, async () => {
      await withListener(
        body,
        async (engine, client) => {
          await client.send(`POST / HTTP/1.1\r\nHost: x\r\n${head}\r\n\r\n${piece}`);
          await expectTimeout(client);
          await eventually("the end at the origin", () => engine.origin().open === 0);
          expect([engine.origin().requests.length, engine.origin().connections[0]?.ending]).toEqual([0, "rst"]);
          expect(engine.faults("request-body-timeout")).toBe(1);
        },
        { script: neverAnswers() },
      );
    });

    test(`a body ${name} that goes on is not cut by the time for its silences`, async () => {
      await withListener({ timeouts: { body: 250 } }, async (_, client) => {
        const [last, header] = name === "by length" ? ["", "Content-Length: 8"] : ["0\r\n\r\n", head];
        await client.send(`POST / HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\n`);
        await trickle(
          client,
          Array.from({ length: 8 }, () => piece),
          60,
        );
        await client.send(last);
        expect(textOf(await client.readAnswer())).toBe("bbbbbbbb");
      });
    });
  }

  test("a chunk line that stops is 408 as well", async () => {
    await withListener(body, async (_, client) => {
      await client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n");
      await expectTimeout(client);
    });
  });

  test("two hundred connections whose time is up end together", async () => {
    await withListener({ timeouts: { headers: 300 } }, async (engine) => {
      const clients = await Promise.all(Array.from({ length: 200 }, () => engine.connect()));
      expect(new Set(await Promise.all(clients.map((client) => client.readEnd())))).toEqual(new Set(["fin"]));
      await eventually("all closed", () => engine.engine.open === 0);
    });
  });
});
