// Upgrades byte by byte: what becomes a tunnel and what does not, bytes that come with or before the 101, halves that
// close by themselves, back-pressure, and the clock of a tunnel that is silent.
import { describe, expect, test } from "bun:test";
import { field, textOf } from "@plimsoll/testbed/answers";
import type { OriginConnection } from "@plimsoll/testbed/origin-connection";
import type { Script } from "@plimsoll/testbed/script";
import { answerText, echo, upgradeEcho } from "@plimsoll/testbed/scripts";
import { eventually } from "@plimsoll/testbed/waiting";
import { type EngineUnderTest, withEngine } from "./engine-under-test.ts";

const upgrade = "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

type Client = Awaited<ReturnType<EngineUnderTest["connect"]>>;

/**
 * An origin that switches, and gives the connection to the test together with what it received in the tunnel. It never ends
 * its own half by itself.
 */
function switching(first = switched): {
  readonly script: Script;
  readonly seen: Uint8Array[];
  next(): Promise<OriginConnection>;
} {
  const waiting: OriginConnection[] = [];
  const seen: Uint8Array[] = [];
  return {
    seen,
    script: {
      onRequest: (_, connection) => {
        connection.write(first);
        connection.tunnel((bytes) => seen.push(bytes.slice()));
        waiting.push(connection);
      },
      onEnd: () => undefined,
    },
    next: () => eventually("an upgrade", () => waiting.shift(), 5000, 1),
  };
}

const textSeen = (seen: readonly Uint8Array[]): string => Buffer.concat(seen).toString("latin1");

async function upgraded(under: EngineUnderTest): Promise<Client> {
  const client = await under.connect();
  await client.send(upgrade);
  await client.readUntil("\r\n\r\n");
  return client;
}

describe("what becomes a tunnel", () => {
  test("an upgrade that is asked for and granted; any protocol but h2c", async () => {
    await withEngine({ app: upgradeEcho() }, undefined, async (under) => {
      for (const protocol of ["websocket", "WebSocket", "tcp", "foo/2"]) {
        const client = await under.connect();
        await client.send(
          `GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: ${protocol}\r\nConnection: keep-alive, Upgrade\r\n\r\n`,
        );
        const answer = await client.readAnswer();
        expect([answer.status, field(answer, "upgrade"), field(answer, "connection")?.toLowerCase()]).toEqual([
          101,
          protocol,
          "upgrade",
        ]);
        await client.send("through");
        await client.readUntil("through");
        client.close();
      }
    });
  });

  test("the handshake's own fields pass both ways, hop-by-hop ones do not", async () => {
    const answer =
      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade, X-Hop\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: abc\r\nX-Hop: 1\r\n\r\n";
    const { script } = switching(answer);
    await withEngine({ app: script }, undefined, async (under) => {
      const client = await under.connect();
      await client.send(upgrade.replace("Upgrade\r\n", "Upgrade, X-Mine\r\nX-Mine: 1\r\nSec-WebSocket-Key: key\r\n"));
      const head = Buffer.from(await client.readUntil("\r\n\r\n")).toString();
      expect(head).toContain("Sec-WebSocket-Accept: abc\r\n");
      expect(head.toLowerCase()).not.toContain("x-hop");
      const seen = await under.origin().request(1);
      expect([
        seen.header("sec-websocket-key"),
        seen.header("x-mine"),
        seen.header("connection")?.toLowerCase(),
      ]).toEqual(["key", undefined, "upgrade"]);
      client.reset();
    });
  });

  const dropped = {
    h2c: "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    "h2c in another case": "Connection: Upgrade\r\nUpgrade: H2C\r\n",
    "h2c among others": "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
    "an Upgrade that Connection does not name": "Upgrade: websocket\r\n",
    "a Connection without Upgrade": "Connection: Upgrade\r\n",
  };
  for (const [name, lines] of Object.entries(dropped)) {
    test(`${name}: dropped, and the request answered`, async () => {
      await withEngine({ app: echo() }, undefined, async (under) => {
        const client = await under.connect();
        await client.send(`GET / HTTP/1.1\r\nHost: a.test\r\n${lines}\r\n`);
        expect((await client.readAnswer()).status).toBe(200);
        const seen = await under.origin().request(1);
        expect([seen.header("upgrade"), seen.header("http2-settings")]).toEqual([undefined, undefined]);
        // The connection is an ordinary one.
        await client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        expect((await client.readAnswer()).status).toBe(200);
      });
    });
  }

  test("an Upgrade in HTTP/1.0, or with a body, is not passed on", async () => {
    await withEngine({ app: echo() }, undefined, async (under) => {
      const old = await under.connect();
      await old.send("GET / HTTP/1.0\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
      expect((await old.readAnswer()).status).toBe(200);
      const posting = await under.connect();
      await posting.send(
        "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi",
      );
      expect((await posting.readAnswer()).status).toBe(200);
      expect(under.origin().requests.map((one) => one.header("upgrade"))).toEqual([undefined, undefined]);
    });
  });

  test("refused by the origin: an answer like any other, and both connections go on", async () => {
    await withEngine(
      {
        app: {
          onRequest: (_, one) => void one.write(answerText("no\n", "426 Upgrade Required", { Upgrade: "TLS/1.0" })),
        },
      },
      undefined,
      async (under) => {
        const client = await under.connect();
        for (let round = 0; round < 3; round++) {
          await client.send(upgrade);
          const answer = await client.readAnswer();
          expect([answer.status, textOf(answer)]).toEqual([426, "no\n"]);
        }
        expect(under.origin().connections).toHaveLength(1);
        expect(under.endpoint("app", under.origin().address, "tunnels")).toBe(0);
      },
    );
  });
});

describe("bytes", () => {
  test("that the client sends behind its request, before the 101: they come first in the tunnel", async () => {
    const { script, seen, next } = switching();
    await withEngine({ app: script }, undefined, async (under) => {
      const client = await under.connect();
      await client.send(`${upgrade}first`);
      await client.send("second");
      await client.readUntil("\r\n\r\n");
      await next();
      await client.send("third");
      await eventually("all of it", () => textSeen(seen) === "firstsecondthird");
      client.reset();
    });
  });

  test("that come with the 101, and with every split of it", async () => {
    for (let at = 1; at < switched.length; at += 7) {
      const script: Script = {
        onRequest: async (_, connection) => {
          connection.tunnel(() => undefined);
          connection.write(switched.slice(0, at));
          await Bun.sleep(1);
          connection.write(`${switched.slice(at)}hello`);
        },
      };
      await withEngine({ app: script }, undefined, async (under) => {
        const client = await under.connect();
        await client.send(upgrade);
        await client.readUntil("\r\n\r\nhello");
      });
    }
  });

  test("that look like HTTP pass untouched", async () => {
    await withEngine({ app: upgradeEcho() }, undefined, async (under) => {
      const client = await upgraded(under);
      const bytes = `GET / HTTP/1.1\r\nHost: a\nTransfer-Encoding: chunked\r\n\r\n\0\xff${"HTTP/1.1 101 x\r\n\r\n".repeat(3)}`;
      await client.send(bytes);
      expect(Buffer.from(await client.readBytes(bytes.length)).toString("latin1")).toBe(bytes);
    });
  });

  test("ten megabytes in each direction at once, unchanged", async () => {
    await withEngine({ app: upgradeEcho() }, undefined, async (under) => {
      const client = await upgraded(under);
      const sent = Buffer.alloc(10_000_000);
      for (let i = 0; i < sent.length; i += 4) sent.writeUInt32LE(i, i);
      client.push(sent);
      expect(Buffer.compare(await client.readBytes(sent.length), sent)).toBe(0);
    });
  });

  test("to a client that does not read: the origin is stopped", async () => {
    const { script, next } = switching();
    await withEngine({ app: script }, undefined, async (under) => {
      const client = await upgraded(under);
      client.pause();
      const origin = await next();
      let taken = 0;
      const block = Buffer.alloc(1_000_000);
      while (taken < 100_000_000) {
        origin.write(block);
        const flushed = await Promise.race([origin.flushed().then(() => true), Bun.sleep(200).then(() => false)]);
        if (!flushed) break;
        taken += block.length;
      }
      expect(taken).toBeLessThan(24_000_000);
      client.resume();
      await eventually("it flows again", () => client.received.length >= taken + block.length, 10_000, 50);
      client.reset();
    });
  });

  test("are in the log of the exchange, and the tunnel in its endpoint's numbers", async () => {
    await withEngine({ app: upgradeEcho() }, undefined, async (under) => {
      const client = await upgraded(under);
      expect(under.endpoint("app", under.origin().address, "tunnels")).toBe(1);
      await client.send("12345");
      await client.readBytes(5);
      client.close();
      const record = await under.record(0);
      expect([record.status, record.bytesIn, record.bytesOut, record.fault]).toEqual([101, 5, 5, ""]);
      expect(under.listener("answers1xx")).toBe(1);
      expect(under.endpoint("app", under.origin().address, "tunnels")).toBe(0);
    });
  });
});

describe("the end", () => {
  test("the client's half closes: the origin still speaks, then both end", async () => {
    const { script, seen, next } = switching();
    await withEngine({ app: script }, undefined, async (under) => {
      const client = await upgraded(under);
      const origin = await next();
      await client.send("last words");
      client.shutdown();
      await eventually("the origin sees the end", () => origin.ending === "fin");
      expect(textSeen(seen)).toBe("last words");
      origin.write("an answer to that");
      await client.readUntil("an answer to that");
      origin.end();
      expect(await client.readEnd()).toBe("fin");
    });
  });

  test("the origin's half closes: the client still speaks, then both end", async () => {
    const { script, seen, next } = switching();
    await withEngine({ app: script }, undefined, async (under) => {
      const client = await upgraded(under);
      const origin = await next();
      origin.write("bye");
      origin.end();
      await client.readUntil("bye");
      expect(await client.readEnd()).toBe("fin");
      await client.send("and this");
      await eventually("it arrives", () => textSeen(seen) === "and this");
      client.shutdown();
      await eventually("the origin sees the end", () => origin.ending === "fin");
    });
  });

  test("megabytes before the end, to a slow reader whose own half is closed: all of them arrive", async () => {
    const { script, next } = switching();
    await withEngine({ app: script }, undefined, async (under) => {
      const client = await upgraded(under);
      const origin = await next();
      client.pause();
      client.shutdown();
      origin.write(Buffer.alloc(9_000_000, 97));
      origin.end();
      await Bun.sleep(100);
      client.resume();
      expect((await client.readBytes(9_000_000)).length).toBe(9_000_000);
      expect(await client.readEnd()).toBe("fin");
    });
  });

  for (const side of ["client", "origin"] as const) {
    test(`a reset by the ${side} is a reset for the other`, async () => {
      const { script, next } = switching();
      await withEngine({ app: script }, undefined, async (under) => {
        const client = await upgraded(under);
        const origin = await next();
        if (side === "client") {
          client.reset();
          await eventually("the origin is told", () => origin.ending === "rst");
        } else {
          origin.reset();
          expect(await client.readEnd()).toBe("rst");
        }
      });
    });
  }

  test("silence: closed after tunnelIdle, while what speaks in one direction only goes on", async () => {
    const { script, next } = switching();
    await withEngine(
      { app: script },
      ({ app }) => ({ pools: { app: { endpoints: [app], timeouts: { tunnelIdle: 300, idle: 100, firstByte: 100 } } } }),
      async (under) => {
        const client = await upgraded(under);
        const origin = await next();
        for (let i = 0; i < 8; i++) {
          await Bun.sleep(100);
          origin.write(".");
        }
        await client.readBytes(8);
        expect(client.ending).toBe("open");
        await client.readEnd();
        await eventually("the origin is told", () => origin.ending !== "open");
        expect(under.faults("tunnel-idle-timeout")).toBe(1);
        expect((await under.record(0)).fault).toBe("tunnel-idle-timeout");
      },
    );
  });
});
