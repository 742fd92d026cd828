// Which failed try is made again: whatever an endpoint cannot have acted on, and nothing else. Connect failures for any
// method, the keep-alive race for idempotent ones, never after a byte of an answer or of a body.
import { describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import { field, textOf } from "@plimsoll/testbed/answers";
import type { OriginConnection } from "@plimsoll/testbed/origin-connection";
import type { Script } from "@plimsoll/testbed/script";
import { answerText, closeMidway, closeOnConnect, garbage, ok, resetMidway } from "@plimsoll/testbed/scripts";
import { eventually } from "@plimsoll/testbed/waiting";
import { type EngineUnderTest, withEngine } from "./engine-under-test.ts";

type Client = Awaited<ReturnType<EngineUnderTest["connect"]>>;

const get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const requests = {
  GET: get,
  HEAD: "HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n",
  PUT: "PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n",
  DELETE: "DELETE / HTTP/1.1\r\nHost: a.test\r\n\r\n",
  OPTIONS: "OPTIONS / HTTP/1.1\r\nHost: a.test\r\n\r\n",
  POST: "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n",
  PATCH: "PATCH / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n",
  PURGE: "PURGE / HTTP/1.1\r\nHost: a.test\r\n\r\n",
} as const;
const idempotent = new Set(["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]);
const postBody = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello";

/** The body, or status and fault code of an answer of ours. */
async function outcome(client: Client, method = "GET"): Promise<string> {
  const answer = await client.readAnswer({ method });
  const code = /details="([^"]*)"/.exec(field(answer, "proxy-status") ?? "")?.[1];
  return code === undefined ? `${answer.status} ${textOf(answer).trim()}`.trim() : `${answer.status} ${code}`;
}

/** A port where nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe("a refused connect", () => {
  for (const method of Object.keys(requests) as (keyof typeof requests)[]) {
    test(`${method}: goes to another endpoint`, async () => {
      const dead = await closedPort();
      await withEngine(
        { app: ok() },
        ({ app }) => ({ pools: { app: { endpoints: [dead, app], balance: "first" } } }),
        async (under) => {
          const client = await under.connect();
          await client.send(requests[method]);
          expect((await client.readAnswer({ method })).status).toBe(200);
          expect(under.origin().requests).toHaveLength(1);
          expect((await under.record(0)).attempts).toBe(2);
          expect(under.endpoint("app", `127.0.0.1:${dead}`, "connectFailures")).toBe(1);
          expect(under.endpoint("app", under.origin().address, "retries")).toBe(1);
          expect(under.pool("app", "retries")).toBe(1);
        },
      );
    });
  }

  test("with a body: nothing of it was sent, all of it goes to the other", async () => {
    const dead = await closedPort();
    const size = 3_000_000;
    await withEngine(
      { app: { onRequest: (request, one) => void one.write(answerText(`${request.bodyLength}`)) } },
      ({ app }) => ({ pools: { app: { endpoints: [dead, app], balance: "first" } } }),
      async (under) => {
        const client = await under.connect();
        client.push(`POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${size}\r\n\r\n`);
        client.push(Buffer.alloc(size));
        expect(await outcome(client)).toBe(`200 ${size}`);
      },
    );
  });

  test("everywhere: as many tries as allowed, then 502", async () => {
    const ports = await Promise.all([closedPort(), closedPort(), closedPort()]);
    for (const attempts of [1, 2, 3, 5]) {
      await withEngine(
        { app: ok() },
        () => ({ pools: { app: { endpoints: ports, retry: { attempts, budget: 0.2 } } } }),
        async (under) => {
          const client = await under.connect();
          await client.send(postBody);
          expect(await outcome(client)).toBe("502 connect-refused");
          const tries = ports.reduce((sum, port) => sum + under.endpoint("app", `127.0.0.1:${port}`, "connects"), 0);
          expect([tries, (await under.record(0)).attempts]).toEqual([attempts, attempts]);
          expect(under.faults("connect-refused")).toBe(1);
        },
      );
    }
  });

  test("the attempts of a route go before those of its pool", async () => {
    const dead = await closedPort();
    await withEngine(
      { app: ok() },
      ({ app }) => ({
        routes: [{ path: "/once", retry: { attempts: 1, budget: 0.2 } }, {}],
        pools: { app: { endpoints: [dead, app], balance: "first" } },
      }),
      async (under) => {
        const client = await under.connect();
        await client.send("GET /once HTTP/1.1\r\nHost: a.test\r\n\r\n");
        expect(await outcome(client)).toBe("502 connect-refused");
      },
    );
  });

  test("a budget that is used up: 502 at once, and what was denied is counted", async () => {
    const dead = await closedPort();
    await withEngine(
      { app: ok() },
      // One endpoint, so that it is never ejected and each request finds it refusing.
      () => ({ pools: { app: { endpoints: [dead], retry: { attempts: 2, budget: 0 } } } }),
      async (under) => {
        const client = await under.connect();
        for (let i = 0; i < 40; i++) {
          await client.send(get);
          expect(await outcome(client)).toBe("502 connect-refused");
        }
        const made = under.pool("app", "retries");
        // Three a second over ten seconds are always allowed; not one more, while ten seconds have not passed.
        expect(made).toBeGreaterThanOrEqual(29);
        expect(made).toBeLessThanOrEqual(31);
        expect(under.pool("app", "retriesDenied")).toBe(40 - made);
        expect(under.endpoint("app", `127.0.0.1:${dead}`, "connects")).toBe(40 + made);
      },
    );
  });
});

describe("a fresh connection that dies", () => {
  const dying: Readonly<Record<string, readonly [Script, string]>> = {
    "before an answer, by FIN": [closeMidway("", 0), "502 upstream-closed"],
    "before an answer, by RST": [resetMidway("", 0), "502 upstream-reset"],
    "at once, by FIN": [closeOnConnect(), "502 upstream-closed"],
    "within its head": [closeMidway(answerText("x"), 9), "502 answer-truncated"],
    "with something that is no answer": [garbage(), "502 answer-malformed"],
  };
  for (const [name, [script, expected]] of Object.entries(dying)) {
    const again = name !== "with something that is no answer";
    test(`${name}: ${again ? "another is asked what is safe to repeat" : "nobody else is asked"}`, async () => {
      await withEngine(
        { app: script, other: ok("other") },
        ({ app, other }) => ({ pools: { app: { endpoints: [app, other], balance: "first" } } }),
        async (under) => {
          for (const method of ["GET", "POST"] as const) {
            const client = await under.connect();
            await client.send(requests[method]);
            // A connection that ends as it begins may be seen by its write first; the fault then says so.
            const seen = await outcome(client);
            if (again && method === "GET") expect(seen).toBe("200 other");
            else if (name.startsWith("at once")) expect(["502 upstream-closed", "502 upstream-reset"]).toContain(seen);
            else expect(seen).toBe(expected);
          }
          expect(under.origin("other").requests.map((one) => one.method)).toEqual(again ? ["GET"] : []);
        },
      );
    });
  }
});

describe("the keep-alive race", () => {
  /** Answers the first request of a connection, and kills the connection when the second comes. */
  function racing(kill: (connection: OriginConnection) => void): Script {
    return {
      onRequest: (request, connection) => {
        if (request.onConnection === 0) connection.write(answerText(`on ${request.connection}\n`));
        else kill(connection);
      },
    };
  }
  const kills = { FIN: (one: OriginConnection) => one.end(), RST: (one: OriginConnection) => one.reset() } as const;

  for (const [how, kill] of Object.entries(kills)) {
    for (const method of Object.keys(requests) as (keyof typeof requests)[]) {
      const again = idempotent.has(method);
      test(`${method}, ${how}: ${again ? "asked again on a fresh connection" : "not asked again"}`, async () => {
        await withEngine({ app: racing(kill) }, undefined, async (under) => {
          const client = await under.connect();
          await client.send(get);
          expect(await outcome(client)).toBe("200 on 0");
          await client.send(requests[method]);
          const seen = await outcome(client, method);
          if (again) expect(seen).toBe(method === "HEAD" ? "200" : "200 on 1");
          else expect(seen).toBe(how === "FIN" ? "502 upstream-closed" : "502 upstream-reset");
          expect(under.origin().requests).toHaveLength(again ? 3 : 2);
          expect(under.endpoint("app", under.origin().address, "reuses")).toBe(1);
          const record = await under.record(1);
          expect([record.attempts, record.reusedConnection]).toEqual(again ? [2, false] : [1, true]);
        });
      });
    }
  }

  test("PUT whose body was on its way: what was sent of it is sent again, then the rest", async () => {
    const script: Script = {
      onHead: (request, one) => {
        if (request.onConnection > 0) one.end();
      },
      onRequest: (request, one) => {
        if (request.onConnection === 0) one.write(answerText(`got ${Buffer.from(request.body).toString()}`));
      },
    };
    await withEngine({ app: script }, undefined, async (under) => {
      const client = await under.connect();
      await client.send(get);
      expect(await outcome(client)).toBe("200 got");
      await client.send("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 11\r\n\r\nhello");
      await eventually("another try", () => under.pool("app", "retries") === 1);
      await client.send(" world");
      expect(await outcome(client)).toBe("200 got hello world");
    });
  });

  test("POST, after one byte of an answer: not asked again", async () => {
    const script: Script = {
      onRequest: (request, one) => {
        if (request.onConnection === 0) return void one.write(answerText("first"));
        one.write("H");
        one.end();
      },
    };
    await withEngine({ app: script }, undefined, async (under) => {
      const client = await under.connect();
      await client.send(get);
      expect(await outcome(client)).toBe("200 first");
      await client.send(requests.POST);
      expect(await outcome(client)).toBe("502 answer-truncated");
      expect(under.pool("app", "retries")).toBe(0);
    });
  });

  test("after an informational answer: not asked again", async () => {
    const script: Script = {
      onRequest: (request, one) => {
        if (request.onConnection === 0) return void one.write(answerText("first"));
        one.write("HTTP/1.1 103 Early Hints\r\n\r\n");
        one.end();
      },
    };
    await withEngine({ app: script }, undefined, async (under) => {
      const client = await under.connect();
      await client.send(get);
      expect(await outcome(client)).toBe("200 first");
      await client.send(get);
      expect(await outcome(client)).toBe("502 answer-truncated");
      expect(under.pool("app", "retries")).toBe(0);
    });
  });
});

describe("how long a connection is kept", () => {
  /** Connections that were used, in order, for `count` requests with a pause between them. */
  async function used(under: EngineUnderTest, count: number, pause: number): Promise<readonly number[]> {
    const client = await under.connect();
    const first = under.origin().requests.length;
    for (let i = 0; i < count; i++) {
      if (i > 0) await Bun.sleep(pause);
      await client.send(get);
      await client.readAnswer();
    }
    return under
      .origin()
      .requests.slice(first)
      .map((one) => one.connection);
  }

  test("Keep-Alive: timeout=N is believed, less a second, or half of a short one", async () => {
    for (const [lines, pause, expected] of [
      [{ "Keep-Alive": "timeout=1" }, 0, [0, 0, 0]],
      [{ "Keep-Alive": "timeout=1" }, 600, [0, 1, 2]],
      [{ "Keep-Alive": "timeout=0" }, 0, [0, 1, 2]],
      [{ "Keep-Alive": "timeout=60, max=1000" }, 300, [0, 0, 0]],
      [{}, 0, [0, 0, 0]],
      [{}, 300, [0, 1, 2]],
    ] as const) {
      await withEngine(
        { app: ok("ok", lines as Record<string, string>) },
        ({ app }) => ({ pools: { app: { endpoints: [app], keepAlive: { idle: 200 } } } }),
        async (under) => expect(await used(under, 3, pause)).toEqual(expected),
      );
    }
  });

  test("what the endpoint shows by closing is learned", async () => {
    const script: Script = {
      onRequest: async (request, one) => {
        one.write(answerText("ok"));
        if (request.index > 0) return;
        await Bun.sleep(1150);
        one.end();
      },
    };
    await withEngine({ app: script }, undefined, async (under) => {
      expect(await used(under, 1, 0)).toEqual([0]);
      await eventually("the endpoint closes", () => under.origin().connections[0]?.ending !== "open");
      // It lasted a little more than a second: half of that is safe.
      expect(await used(under, 2, 0)).toEqual([1, 1]);
      expect(await used(under, 2, 700)).toEqual([1, 2]);
    });
  });

  test("Connection: close and HTTP/1.0 are not kept, keep-alive in HTTP/1.0 is", async () => {
    const answers: Readonly<Record<string, readonly number[]>> = {
      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok": [0, 1, 2],
      "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok": [0, 1, 2],
      "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok": [0, 0, 0],
      "HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 2\r\n\r\nok": [0, 1, 2],
    };
    for (const [bytes, expected] of Object.entries(answers)) {
      await withEngine({ app: { onRequest: (_, one) => void one.write(bytes) } }, undefined, async (under) =>
        expect(await used(under, 3, 0)).toEqual(expected),
      );
    }
  });

  test("keepAlive.maxRequests and maxIdle", async () => {
    for (const [keepAlive, expected] of [
      [{ maxRequests: 2 }, [0, 0, 1, 1, 2]],
      [{ maxIdle: 0 }, [0, 1, 2, 3, 4]],
    ] as const) {
      await withEngine(
        { app: ok() },
        ({ app }) => ({ pools: { app: { endpoints: [app], keepAlive } } }),
        async (under) => {
          expect(await used(under, 5, 0)).toEqual(expected);
          const closed = under.origin().requests.map((one) => one.header("connection") ?? "");
          expect(closed).toEqual(closed.map(() => ("maxIdle" in keepAlive ? "close" : "")));
        },
      );
    }
  });
});
