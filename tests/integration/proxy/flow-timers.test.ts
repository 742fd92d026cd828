// Every rung of the timeouts, each with a peer that stands still just there, and beside it one that is slow and goes on:
// time is counted by progress, so the second is never cut.
import { describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import { closeFd, openListeningSocket } from "../../../packages/balancer/src/net/listening-socket.ts";
import { field, textOf } from "@plimsoll/testbed/answers";
import type { Script } from "@plimsoll/testbed/script";
import { answerText, neverAnswers, neverReads, ok, slow } from "@plimsoll/testbed/scripts";
import { eventually } from "@plimsoll/testbed/waiting";
import { type EngineUnderTest, withEngine } from "./engine-under-test.ts";
import type { PlanOptions } from "./plans.ts";

const get = (target = "/") => `GET ${target} HTTP/1.1\r\nHost: a.test\r\n\r\n`;
const details = /details="([^"]*)"/;

/** The status and fault code of the next answer. */
async function faultOf(client: Awaited<ReturnType<EngineUnderTest["connect"]>>): Promise<string> {
  const answer = await client.readAnswer();
  return `${answer.status} ${details.exec(field(answer, "proxy-status") ?? "")?.[1] ?? ""}`;
}

function timed(
  timeouts: NonNullable<PlanOptions["pools"][string]["timeouts"]>,
  listener: PlanOptions["listener"] = {},
): (origins: { readonly app: { readonly port: number } }) => PlanOptions {
  return ({ app }) => ({
    listener,
    pools: { app: { endpoints: [app], timeouts, retry: { attempts: 1, budget: 0.2 } } },
  });
}

/** A port whose queue of unaccepted connections is full, so that a further SYN gets no answer. */
async function silentPort(): Promise<{ readonly port: number; close(): void }> {
  const { fd, port } = openListeningSocket({ kind: "tcp", host: "127.0.0.1", port: 0 }, { backlog: 0 });
  const { connect } = await import("node:net");
  const fillers = Array.from({ length: 4 }, () => connect({ host: "127.0.0.1", port }).on("error", () => undefined));
  await eventually("the queue is full", () => fillers.some((one) => one.readyState === "open"));
  return {
    port,
    close() {
      for (const one of fillers) one.destroy();
      closeFd(fd);
    },
  };
}

describe("towards the endpoint", () => {
  test("connect: nobody takes the connection, 504 connect-timeout", async () => {
    const silent = await silentPort();
    try {
      await withEngine(
        { app: ok() },
        () => ({
          pools: { app: { endpoints: [silent], timeouts: { connect: 150 }, retry: { attempts: 1, budget: 0.2 } } },
        }),
        async (under) => {
          const client = await under.connect({ timeout: 3000 });
          await client.send(get());
          expect(await faultOf(client)).toBe("504 connect-timeout");
          // The same while a body is on its way: what waits for the connection is not an upload.
          const upload = await under.connect({ timeout: 3000 });
          await upload.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nhel");
          expect(await faultOf(upload)).toBe("504 connect-timeout");
          expect(under.faults("connect-timeout")).toBe(2);
          expect(under.endpoint("app", `127.0.0.1:${silent.port}`, "connectFailures")).toBe(2);
        },
      );
    } finally {
      silent.close();
    }
  });

  test("connect: another endpoint is asked when there is one", async () => {
    const silent = await silentPort();
    try {
      await withEngine(
        { app: ok("other\n") },
        ({ app }) => ({ pools: { app: { endpoints: [silent, app], balance: "first", timeouts: { connect: 150 } } } }),
        async (under) => {
          const client = await under.connect({ timeout: 3000 });
          await client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
          expect(textOf(await client.readAnswer())).toBe("other\n");
          expect(under.endpoint("app", under.origin().address, "retries")).toBe(1);
        },
      );
    } finally {
      silent.close();
    }
  });

  test("first byte: nothing comes, 504 first-byte-timeout, and the connection is given up", async () => {
    await withEngine({ app: neverAnswers() }, timed({ firstByte: 150 }), async (under) => {
      const client = await under.connect();
      await client.send(get());
      expect(await faultOf(client)).toBe("504 first-byte-timeout");
      await eventually("the endpoint's connection is reset", () => under.origin().connections[0]?.ending === "rst");
      // The client did nothing wrong: its connection goes on.
      await client.send(get());
      expect(await faultOf(client)).toBe("504 first-byte-timeout");
    });
  });

  test("first byte: counted from the end of the request, however long its body took", async () => {
    await withEngine({ app: ok("taken\n") }, timed({ firstByte: 200 }), async (under) => {
      const client = await under.connect();
      await client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\n");
      for (const byte of "hello") {
        await Bun.sleep(80);
        await client.send(byte);
      }
      expect(textOf(await client.readAnswer())).toBe("taken\n");
    });
  });

  test("first byte: 1xx answers are none", async () => {
    const script: Script = { onRequest: (_, one) => void one.write("HTTP/1.1 103 Early Hints\r\n\r\n") };
    await withEngine({ app: script }, timed({ firstByte: 150 }), async (under) => {
      const client = await under.connect();
      await client.send(get());
      const answer = await client.readAnswer();
      expect([answer.interim.length, answer.status]).toEqual([1, 504]);
    });
  });

  test("idle: an answer that stops within its body is cut", async () => {
    const script: Script = {
      onRequest: (_, one) => void one.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
    };
    await withEngine({ app: script }, timed({ idle: 150 }), async (under) => {
      const client = await under.connect();
      await client.send(get());
      expect(await client.readEnd()).toBe("rst");
      expect(under.faults("answer-idle-timeout")).toBe(1);
      expect((await under.record(0)).fault).toBe("answer-idle-timeout");
    });
  });

  test("idle: an answer that goes on, slowly, is not", async () => {
    const script: Script = {
      onRequest: async (_, one) => {
        one.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
        for (const byte of "slow-body") {
          await Bun.sleep(80);
          one.write(byte);
        }
      },
    };
    await withEngine({ app: script }, timed({ idle: 250, firstByte: 250 }), async (under) => {
      const client = await under.connect();
      await client.send(get());
      expect(textOf(await client.readAnswer())).toBe("slow-body");
    });
  });

  test("idle: an upload that nobody reads, 504 upload-idle-timeout", async () => {
    await withEngine({ app: neverReads() }, timed({ idle: 200 }), async (under) => {
      const client = await under.connect();
      await client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000000\r\n\r\n");
      client.push(Buffer.alloc(20_000_000));
      expect(await faultOf(client)).toBe("504 upload-idle-timeout");
      client.reset();
    });
  });

  test("idle: an answer that has begun and waits for its upload is not silent", async () => {
    const script: Script = {
      onHead: (_, one) => void one.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
      onRequest: (request, one) => void one.write(`5\r\n${Buffer.from(request.body).toString()}\r\n0\r\n\r\n`),
    };
    await withEngine({ app: script }, timed({ idle: 250 }), async (under) => {
      const client = await under.connect();
      await client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\n");
      for (const byte of "hello") {
        await Bun.sleep(100);
        await client.send(byte);
      }
      expect(textOf(await client.readAnswer())).toBe("hello");
    });
  });

  test("timeouts of a route go before those of its pool", async () => {
    await withEngine(
      { app: slow(300) },
      ({ app }) => ({
        routes: [{ path: "/slow", timeouts: { firstByte: 5000 } }, {}],
        pools: { app: { endpoints: [app], timeouts: { firstByte: 100 } } },
      }),
      async (under) => {
        const client = await under.connect();
        await client.send(get("/slow"));
        expect((await client.readAnswer()).status).toBe(200);
        await client.send(get("/"));
        expect(await faultOf(client)).toBe("504 first-byte-timeout");
      },
    );
  });
});

describe("towards the client", () => {
  test("body: an upload that stops, 408 request-body-timeout", async () => {
    await withEngine({ app: ok() }, timed({}, { timeouts: { body: 150 } }), async (under) => {
      const client = await under.connect();
      await client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nhalf");
      expect(await faultOf(client)).toBe("408 request-body-timeout");
      expect(await client.readEnd()).toBe("fin");
      await eventually("the endpoint sees no whole request", () => under.origin().connections[0]?.ending === "rst");
      expect(under.origin().requests).toHaveLength(0);
    });
  });

  test("body: an upload that goes on, slowly, is not cut", async () => {
    await withEngine({ app: ok() }, timed({}, { timeouts: { body: 250 } }), async (under) => {
      const client = await under.connect();
      await client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
      for (const piece of ["2\r", "\nhe\r\n", "3", "\r\nll", "o\r\n", "0\r\n\r\n"]) {
        await Bun.sleep(100);
        await client.send(piece);
      }
      expect((await client.readAnswer()).status).toBe(200);
    });
  });

  test("reading: a client that takes nothing of its answer is cut, and its endpoint is let go", async () => {
    const flood: Script = { onRequest: (_, one) => void one.write(answerText(Buffer.alloc(60_000_000))) };
    await withEngine({ app: flood }, timed({}, { timeouts: { body: 300 } }), async (under) => {
      const client = await under.connect();
      client.pause();
      await client.send(get());
      await eventually("the fault is counted", () => under.faults("client-read-timeout") === 1);
      await eventually("the endpoint is free", () => under.endpoint("app", under.origin().address, "inFlight") === 0);
      expect((await under.record(0)).fault).toBe("client-read-timeout");
    });
  });

  test("reading: a client that takes its answer slowly is not", async () => {
    const size = 12_000_000;
    const flood: Script = { onRequest: (_, one) => void one.write(answerText(Buffer.alloc(size, 97))) };
    await withEngine({ app: flood }, timed({}, { timeouts: { body: 300 } }), async (under) => {
      const client = await under.connect();
      await client.send(get());
      let rests = 0;
      for (; under.faults("client-read-timeout") === 0 && client.received.length < size; rests++) {
        client.resume();
        await Bun.sleep(1);
        client.pause();
        await Bun.sleep(60);
      }
      client.resume();
      expect((await client.readAnswer()).body.length).toBe(size);
      expect(rests).toBeGreaterThan(2);
    });
  });

  test("idle: a client that asks nothing is closed without a word", async () => {
    await withEngine({ app: ok() }, timed({}, { timeouts: { idle: 150, headers: 150 } }), async (under) => {
      const silent = await under.connect();
      const served = await under.connect();
      await served.send(get());
      await served.readAnswer();
      expect(await Promise.all([silent.readEnd(), served.readEnd()])).toEqual(["fin", "fin"]);
      expect([silent.received.length, served.unread.length]).toEqual([0, 0]);
    });
  });

  test("a long answer is no idle client, and a long wait neither", async () => {
    await withEngine(
      { app: slow(500, "late\n") },
      timed({}, { timeouts: { idle: 150, headers: 150, body: 150 } }),
      async (under) => {
        const client = await under.connect();
        await client.send(get());
        expect(textOf(await client.readAnswer())).toBe("late\n");
        await client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
        expect(textOf(await client.readAnswer())).toBe("late\n");
      },
    );
  });
});

test("a port where nobody listens is no timeout", async () => {
  const closed = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => closed.once("listening", resolve));
  const { port } = closed.address() as { port: number };
  await new Promise((resolve) => closed.close(resolve));
  await withEngine(
    { app: ok() },
    () => ({ pools: { app: { endpoints: [port] } } }),
    async (under) => {
      const client = await under.connect();
      await client.send(get());
      expect(await faultOf(client)).toBe("502 connect-refused");
    },
  );
});
