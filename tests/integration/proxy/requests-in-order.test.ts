// One connection, many requests: answers leave in the order of the requests, connections are kept as long as both sides say
// so, and interim answers, empty bodies and half-closed clients get what HTTP promises them.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { field, textOf, type Answer } from "@plimsoll/testbed/answers";
import type { RawClient } from "@plimsoll/testbed/raw-client";
import type { Script } from "@plimsoll/testbed/script";
import { answersEarly, answerText, bytes, echo, neverAnswers, slow } from "@plimsoll/testbed/scripts";
import { eventually } from "@plimsoll/testbed/waiting";
import { type EngineUnderTest, type Planned, startEngine, withEngine } from "./engine-under-test.ts";

type Engine = EngineUnderTest<"app">;

/** Routes that the balancer answers by itself, and the rest for the origin. */
const mixed: Planned<"app"> = ({ app }) => ({
  routes: [
    {},
    { path: "/fixed", to: { kind: "fixed", status: 200, contentType: "text/plain", body: "fixed\n" } },
    { path: "/empty", to: { kind: "fixed", status: 204, contentType: "", body: "" } },
    { path: "/old", to: { kind: "redirect", to: "/new", status: 308 } },
    { path: "/none/*", match: { methods: ["POST"] } },
  ],
  pools: { app: { endpoints: [app] } },
});

let under: Engine;

beforeAll(async () => {
  under = await startEngine({ app: echo() }, mixed);
});

afterAll(async () => {
  await under.close();
});

async function withScript(script: Script, body: (engine: Engine, client: RawClient) => Promise<void>): Promise<void> {
  await withEngine({ app: script }, undefined, async (engine) => body(engine, await engine.connect()));
}

function get(target: string, ...lines: readonly string[]): string {
  return [`GET ${target} HTTP/1.1`, "Host: x", ...lines, "", ""].join("\r\n");
}

/** Reads answers and returns status, target and body of each. */
async function readAll(client: RawClient, methods: readonly string[]): Promise<readonly string[]> {
  const answers: string[] = [];
  for (const method of methods) {
    const answer = await client.readAnswer({ method });
    answers.push([answer.status, field(answer, "x-target") ?? "-", textOf(answer).trim()].join(" "));
  }
  return answers;
}

describe("pipelining", () => {
  const requests: readonly (readonly [bytes: string, answer: string, method?: string])[] = [
    [get("/1"), "200 /1 "],
    [get("/fixed"), "200 - fixed"],
    ["POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "200 /2 abc"],
    [get("/empty"), "204 - "],
    ["HEAD /3 HTTP/1.1\r\nHost: x\r\n\r\n", "200 /3 ", "HEAD"],
    ["HEAD /fixed HTTP/1.1\r\nHost: x\r\n\r\n", "200 - ", "HEAD"],
    ["POST /4 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n", "200 /4 def"],
    [get("/old"), "308 - "],
    [`\r\n${get("/5")}`, "200 /5 "],
    ["POST /6 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "200 /6 "],
  ];
  const all = requests.map(([one]) => one).join("");
  const methods = requests.map(([, , method]) => method ?? "GET");
  const answers = requests.map(([, answer]) => answer);

  test("own answers and forwarded ones leave in order", async () => {
    const client = await under.connect();
    await client.send(all.repeat(3));
    expect(await readAll(client, [...methods, ...methods, ...methods])).toEqual([...answers, ...answers, ...answers]);
    expect([client.ending, client.unread.length]).toEqual(["open", 0]);
  });

  test("wherever the bytes are cut", async () => {
    const places = Array.from({ length: all.length - 1 }, (_, i) => i + 1);
    const cut = async (cuts: readonly number[]): Promise<void> => {
      const client = await under.connect();
      await client.send(all, { cuts });
      expect(await readAll(client, methods)).toEqual(answers);
      client.close();
    };
    await cut(places);
    for (let at = 0; at < places.length; at += 24)
      await Promise.all(places.slice(at, at + 24).map((one) => cut([one])));
  });

  test("a slow answer holds back the quick ones behind it", async () => {
    await withEngine({ app: slow(60, "slow") }, mixed, async (engine) => {
      const client = await engine.connect();
      await client.send(get("/slow") + get("/fixed") + get("/fixed"));
      expect(await readAll(client, ["GET", "GET", "GET"])).toEqual(["200 - slow", "200 - fixed", "200 - fixed"]);
    });
  });

  test("a thousand requests at once", async () => {
    const client = await under.connect();
    const targets = Array.from({ length: 1000 }, (_, i) => `/n${i}`);
    await client.send(targets.map((target) => get(target)).join(""));
    const got = await readAll(
      client,
      targets.map(() => "GET"),
    );
    expect(got).toEqual(targets.map((target) => `200 ${target} `));
  });

  test("nothing behind Connection: close is looked at", async () => {
    const seen = under.origin().requests.length;
    const client = await under.connect();
    await client.send(get("/1", "Connection: close") + get("/2"));
    const answer = await client.readAnswer();
    expect([field(answer, "x-target"), field(answer, "connection")]).toEqual(["/1", "close"]);
    expect(await client.readEnd()).toBe("fin");
    expect([client.unread.length, under.origin().requests.length - seen]).toEqual([0, 1]);
  });

  test("one request at a time is at the origin, in order, on one connection", async () => {
    await withScript(echo(), async (engine, client) => {
      await client.send(get("/1") + get("/2") + get("/3"));
      await readAll(client, ["GET", "GET", "GET"]);
      const seen = engine.origin().requests.map(({ target, connection }) => `${target} on ${connection}`);
      expect(seen).toEqual(["/1 on 0", "/2 on 0", "/3 on 0"]);
    });
  });
});

describe("keep-alive", () => {
  test("connections are kept on both sides, and told so only where that is news", async () => {
    await withScript(echo(), async (engine, client) => {
      for (let n = 0; n < 5; n++) {
        await client.send(get(`/${n}`));
        expect(field(await client.readAnswer(), "connection")).toBeUndefined();
      }
      expect(engine.origin().connections.length).toBe(1);
      expect(engine.endpoint("app", engine.origin().address, "reuses")).toBe(4);
    });
  });

  test("another client reuses the same upstream connection", async () => {
    await withScript(echo(), async (engine, first) => {
      const second = await engine.connect();
      for (const client of [first, second, first]) {
        await client.send(get("/"));
        await client.readAnswer();
      }
      expect(engine.origin().connections.length).toBe(1);
    });
  });

  const cases: readonly (readonly [name: string, request: string, connection: string | undefined])[] = [
    ["HTTP/1.0 closes", "GET / HTTP/1.0\r\nHost: x\r\n\r\n", "close"],
    ["HTTP/1.0 keeps if asked", "GET / HTTP/1.0\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\n", "keep-alive"],
    [
      "HTTP/1.0 that asks for both closes",
      "GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive, close\r\n\r\n",
      "close",
    ],
    ["HTTP/1.1 keeps", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", undefined],
    ["HTTP/1.1 closes if asked", "GET / HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\n", "close"],
    ["close in a list", "GET / HTTP/1.1\r\nHost: x\r\nConnection: foo,\tCLOSE\r\n\r\n", "close"],
    ["close in a second field", "GET / HTTP/1.1\r\nHost: x\r\nConnection: foo\r\nConnection: close\r\n\r\n", "close"],
    ["closet is not close", "GET / HTTP/1.1\r\nHost: x\r\nConnection: closet\r\n\r\n", undefined],
  ];
  for (const [name, bytes, connection] of cases) {
    for (const target of ["/", "/fixed"]) {
      test(`${name} (${target === "/" ? "forwarded" : "own"} answer)`, async () => {
        const client = await under.connect();
        await client.send(bytes.replace(" / ", ` ${target} `));
        const answer = await client.readAnswer();
        expect([answer.status, field(answer, "connection")]).toEqual([200, connection]);
        if (connection === "close") expect(await client.readEnd()).toBe("fin");
        else {
          await client.send(get("/again"));
          expect(field(await client.readAnswer(), "x-target")).toBe("/again");
        }
        client.close();
      });
    }
  }

  test("an own answer to a body that was not read closes, the body is no request", async () => {
    const seen = under.origin().requests.length;
    const client = await under.connect();
    const inner = get("/inner");
    await client.send(`POST /fixed HTTP/1.1\r\nHost: x\r\nContent-Length: ${inner.length}\r\n\r\n`);
    expect((await client.readAnswer()).status).toBe(200);
    await client.send(inner);
    expect(await client.readEnd()).toBe("fin");
    expect(under.origin().requests.length).toBe(seen);
  });
});

describe("answers without a body", () => {
  const cases: readonly (readonly [name: string, method: string, answer: string, length: string | undefined])[] = [
    ["HEAD with a length", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "1000"],
    ["HEAD without a length", "HEAD", "HTTP/1.1 200 OK\r\n\r\n", undefined],
    ["204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", undefined],
    ["304 with a length", "GET", 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 10\r\n\r\n', "10"],
    ["304 without a length", "GET", 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n', undefined],
    ["200 of length 0", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "0"],
  ];
  for (const [name, method, sent, length] of cases) {
    test(`${name}: the next request is answered at once`, async () => {
      await withScript(bytes(sent), async (engine, client) => {
        await client.send(`${method} / HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(2));
        for (let n = 0; n < 2; n++) {
          const answer = await client.readAnswer({ method });
          expect([answer.status, field(answer, "content-length"), answer.body.length]).toEqual([
            Number(sent.slice(9, 12)),
            length,
            0,
          ]);
        }
        expect([client.unread.length, client.ending, engine.origin().connections.length]).toEqual([0, "open", 1]);
      });
    });
  }

  test("HEAD with a coding: framing of a body that never comes does not hold anything up", async () => {
    const sent = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    await withScript(bytes(sent), async (engine, client) => {
      await client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2));
      for (let n = 0; n < 2; n++) expect((await client.readAnswer({ method: "HEAD" })).body.length).toBe(0);
      expect([client.ending, engine.origin().connections.length]).toEqual(["open", 1]);
    });
  });
});

describe("clients of HTTP/1.0", () => {
  const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n";

  test("get a chunked answer ended by the connection, even if they asked to keep it", async () => {
    await withScript(bytes(chunked), async (_, client) => {
      await client.send("GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n");
      expect(await client.readEnd()).toBe("fin");
      const answer = await client.readAnswer({ closed: true });
      expect([textOf(answer), field(answer, "transfer-encoding"), field(answer, "connection")]).toEqual([
        "abcde",
        undefined,
        "close",
      ]);
    });
  });

  test("get an answer with a length on a connection that is kept", async () => {
    await withScript(bytes(answerText("abc")), async (_, client) => {
      for (let n = 0; n < 2; n++) {
        await client.send("GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n");
        const answer = await client.readAnswer();
        expect([textOf(answer), field(answer, "connection")]).toEqual(["abc", "keep-alive"]);
      }
    });
  });

  test("are told of no interim answer", async () => {
    const sent = `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${answerText("abc")}`;
    await withScript(bytes(sent), async (_, client) => {
      await client.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n");
      expect((await client.readAnswer()).interim).toEqual([]);
    });
  });

  test("have their Expect ignored", async () => {
    await withScript(echo(), async (engine, client) => {
      await client.send("POST / HTTP/1.0\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na");
      expect((await client.readAnswer()).interim).toEqual([]);
      expect(engine.origin().requests[0]?.header("expect")).toBeUndefined();
    });
  });
});

describe("interim answers", () => {
  const asking = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";

  test("100-continue goes from end to end, and only then comes the body", async () => {
    const script: Script = {
      onHead: (request, connection) => {
        expect(request.header("expect")).toBe("100-continue");
        connection.write("HTTP/1.1 100 Continue\r\n\r\n");
      },
      onRequest: (request, connection) => void connection.write(answerText(request.body)),
    };
    await withScript(script, async (engine, client) => {
      for (let n = 0; n < 2; n++) {
        await client.send(asking);
        expect(Buffer.from(await client.readUntil("\r\n\r\n")).toString()).toBe("HTTP/1.1 100 Continue\r\n\r\n");
        await client.send("abc");
        expect(textOf(await client.readAnswer())).toBe("abc");
      }
      expect(engine.origin().connections.length).toBe(1);
    });
  });

  test("the balancer itself promises nothing: the origin's refusal comes instead, and the connection ends", async () => {
    await withScript(answersEarly(answerText("no", "417 Expectation Failed")), async (engine, client) => {
      await client.send(asking);
      const answer = await client.readAnswer();
      expect([answer.status, answer.interim.length, field(answer, "connection")]).toEqual([417, 0, "close"]);
      expect(await client.readEnd()).toBe("fin");
      // The body never came: that upstream connection stands in the middle of a request and must not be used again.
      const other = await engine.connect();
      engine.origin().script = echo();
      await other.send(get("/next"));
      expect((await other.readAnswer()).status).toBe(200);
      expect(engine.origin().connections.length).toBe(2);
    });
  });

  test("an own answer comes at once to a client that waits for 100", async () => {
    const client = await under.connect();
    await client.send("POST /fixed HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    expect((await client.readAnswer()).interim.length).toBe(0);
    expect(await client.readEnd()).toBe("fin");
  });

  test("a client that does not wait for 100 loses nothing", async () => {
    const script: Script = {
      onHead: (_, connection) => void connection.write("HTTP/1.1 100 Continue\r\n\r\n"),
      onRequest: (request, connection) => void connection.write(answerText(request.body)),
    };
    await withScript(script, async (_, client) => {
      await client.send(`${asking}abc${asking}def`);
      const answers: Answer[] = [await client.readAnswer(), await client.readAnswer()];
      expect(answers.map((answer) => [answer.interim.length, textOf(answer)])).toEqual([
        [1, "abc"],
        [1, "def"],
      ]);
    });
  });

  test("103 is passed on before the answer, its hop's fields are not", async () => {
    const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n";
    await withScript({ onRequest: (_, connection) => void connection.write(hints + hints) }, async (engine, client) => {
      await client.send(get("/"));
      const hint = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
      expect(Buffer.from(await client.readUntil(`${hint}${hint}`)).toString()).toBe(`${hint}${hint}`);
      expect(engine.records).toEqual([]);
      client.reset();
    });
  });
});

describe("half-closed clients", () => {
  test("get their answer, and then the end", async () => {
    await withScript(slow(40, "late"), async (_, client) => {
      await client.send(get("/"));
      client.shutdown();
      expect(textOf(await client.readAnswer())).toBe("late");
      expect(await client.readEnd()).toBe("fin");
    });
  });

  test("get all answers to what they pipelined", async () => {
    await withScript(slow(20, "late"), async (_, client) => {
      await client.send(get("/") + get("/") + get("/"));
      client.shutdown();
      expect(await readAll(client, ["GET", "GET", "GET"])).toEqual(["200 - late", "200 - late", "200 - late"]);
      expect(await client.readEnd()).toBe("fin");
    });
  });

  test("within a head: nothing is asked, the connection ends", async () => {
    const seen = under.origin().requests.length;
    const client = await under.connect();
    await client.send("GET / HTTP/1.1\r\nHost: x\r\n");
    client.shutdown();
    expect(await client.readEnd()).toBe("fin");
    expect([client.unread.length, under.origin().requests.length]).toEqual([0, seen]);
  });

  test("behind a good request within a head: the good one is answered", async () => {
    const client = await under.connect();
    await client.send(`${get("/good")}GET /half`);
    client.shutdown();
    expect(await readAll(client, ["GET"])).toEqual(["200 /good "]);
    expect(await client.readEnd()).toBe("fin");
    expect(client.unread.length).toBe(0);
  });

  test("within a body: the origin sees an incomplete request", async () => {
    await withScript(neverAnswers(), async (engine, client) => {
      await client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
      await eventually("the head at the origin", () => (engine.origin().connections[0]?.receivedBytes ?? 0) > 3, 5000);
      client.shutdown();
      await client.readEnd();
      await eventually("the end at the origin", () => engine.origin().open === 0);
      expect([engine.origin().requests.length, engine.origin().connections[0]?.ending]).toEqual([0, "rst"]);
      expect((await engine.record(0)).fault).toBe("client-gone");
    });
  });

  test("within a body behind a good request: the good one is answered, the rest is given up at once", async () => {
    await withScript(slow(40, "late"), async (engine, client) => {
      await client.send(`${get("/")}POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc`);
      client.shutdown();
      expect(textOf(await client.readAnswer())).toBe("late");
      await client.readEnd();
      expect((await engine.record(1)).fault).toBe("client-gone");
      expect(engine.origin().requests.length).toBe(1);
    });
  });

  test("within chunks: the origin sees an incomplete request", async () => {
    await withScript(neverAnswers(), async (engine, client) => {
      await client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
      await eventually("the head at the origin", () => (engine.origin().connections[0]?.receivedBytes ?? 0) > 3, 5000);
      client.shutdown();
      await client.readEnd();
      await eventually("the end at the origin", () => engine.origin().open === 0);
      expect([engine.origin().requests.length, engine.origin().connections[0]?.ending]).toEqual([0, "rst"]);
    });
  });

  test("a client that resets takes its request along", async () => {
    await withScript(neverAnswers(), async (engine, client) => {
      await client.send(get("/"));
      await engine.origin().request(1);
      client.reset();
      await eventually("the end at the origin", () => engine.origin().open === 0);
      expect((await engine.record(0)).fault).toBe("client-gone");
      expect(engine.endpoint("app", engine.origin().address, "inFlight")).toBe(0);
    });
  });
});
