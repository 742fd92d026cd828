// What a broken or hostile endpoint sends: the client gets a 502 that says why, or a connection that visibly broke, never
// something that looks complete and is not; the next exchange knows nothing of it, and that connection is never used again.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { faults } from "../../../packages/balancer/src/base/fault.ts";
import { field, firstAnswer, textOf } from "@plimsoll/testbed/answers";
import { cuts, seeded } from "@plimsoll/testbed/chance";
import type { OriginConnection } from "@plimsoll/testbed/origin-connection";
import type { RawClient } from "@plimsoll/testbed/raw-client";
import type { Script } from "@plimsoll/testbed/script";
import { answerText } from "@plimsoll/testbed/scripts";
import { type HostileAnswer, hostileAnswers, type Outcome } from "./answers-corpus.ts";
import { type EngineUnderTest, startEngine } from "./engine-under-test.ts";

/** What the origin does with a request for /hostile/<n>: it sends these pieces, each in a turn of its own. */
interface Performance {
  readonly pieces: readonly Uint8Array[];
  readonly then: "keep" | "fin" | "rst";
  readonly over: PromiseWithResolvers<void>;
}

const performances: Performance[] = [];
const decent: Script["onRequest"] = (request, connection) =>
  void connection.write(answerText(`for ${request.target}\n`));

const script: Script = {
  onRequest: async (request, connection) => {
    const [, kind, number] = request.target.split("/");
    if (kind !== "hostile") return decent?.(request, connection);
    const performance = performances[Number(number)] as Performance;
    await perform(performance, connection);
    performance.over.resolve();
  },
};

/** Puts a performance on the bill; its number goes into the target. */
function bill(bytes: string, places: readonly number[], then: Performance["then"] = "keep"): number {
  const whole = Buffer.from(bytes, "latin1");
  const pieces = [...places, whole.length].map((to, i) => whole.subarray(places[i - 1] ?? 0, to));
  return performances.push({ pieces, then, over: Promise.withResolvers<void>() }) - 1;
}

async function perform({ pieces, then }: Performance, connection: OriginConnection): Promise<void> {
  for (const piece of pieces) {
    connection.write(piece);
    await Bun.sleep(0);
  }
  if (then === "fin") connection.end();
  if (then !== "rst") return;
  // What the peer has not read yet is lost with a reset.
  await Bun.sleep(10);
  connection.reset();
}

/** Sends one request and says what came of it, as the corpus says it. */
async function ask(client: RawClient, target: string, method: string, lines: string): Promise<string> {
  await client.send(`${method} ${target} HTTP/1.1\r\nHost: a.test\r\n${lines}\r\n`);
  try {
    const answer = await client.readAnswer({ method });
    const ours = /^plimsoll; error=(\S+); details="(.*)"$/.exec(field(answer, "proxy-status") ?? "");
    if (ours === null) return "whole";
    const code = ours[2] as keyof typeof faults;
    expect({ status: answer.status, token: ours[1] }).toEqual({
      status: faults[code].status,
      token: faults[code].proxyStatus,
    });
    return code;
  } catch (error) {
    const ending = client.ending;
    if (ending === "open") throw error;
    // Not by what the reader said, but by what any client could make of the bytes.
    const unread = client.unread;
    let complete: unknown;
    try {
      complete = unread.length === 0 ? undefined : firstAnswer(unread, { method, closed: ending === "fin" });
    } catch {
      complete = undefined;
    }
    expect(complete, "an answer that looks complete").toBeUndefined();
    return "cut";
  }
}

let under: EngineUnderTest<"app">;
beforeAll(async () => {
  under = await startEngine({ app: script });
});
afterAll(() => under.close());

/** Runs one hostile answer against one client, and then looks whether another notices anything. */
async function runs(answer: HostileAnswer, places: readonly number[]): Promise<string> {
  const number = bill(answer.bytes, places, answer.then);
  const client = await under.connect();
  const target = `/hostile/${number}`;
  const seen = await ask(client, target, answer.method ?? "GET", answer.asked ?? "");
  // Bytes that come late, when another exchange has the connection already, are its answer by the rules of HTTP/1.1.
  if (answer.outcome === "whole") await performances[number]?.over.promise;
  const victim = await under.connect();
  await victim.send(`GET /victim/${number} HTTP/1.1\r\nHost: a.test\r\n\r\n`);
  const untouched = await victim.readAnswer();
  expect([untouched.status, textOf(untouched)]).toEqual([200, `for /victim/${number}\n`]);
  client.close();
  victim.close();
  return seen;
}

/** No request came after this one on the connection where it was answered so badly. */
function neverUsedAgain(): void {
  const { requests } = under.origin();
  for (const hostile of requests.filter((one) => one.target.startsWith("/hostile/"))) {
    const later = requests.find(
      (one) => one.connection === hostile.connection && one.onConnection > hostile.onConnection,
    );
    expect(later?.target, `after ${hostile.target}`).toBeUndefined();
  }
}

describe("hostile answers", () => {
  test("the corpus has no two of one name, and enough", () => {
    expect(new Set(hostileAnswers.map((one) => one.name)).size).toBe(hostileAnswers.length);
    expect(hostileAnswers.length).toBeGreaterThanOrEqual(111);
  });

  for (const answer of hostileAnswers) {
    const { length } = answer.bytes;
    // Long ones are long by repetition: their ends are where the reader decides.
    const every = Array.from({ length: length - 1 }, (_, i) => i + 1).filter((at) => length < 600 || at > length - 60);
    const chance = seeded(length);
    const ways: readonly (readonly number[])[] = [
      [],
      every,
      ...Array.from({ length: 4 }, () => cuts(chance, length).filter((_, i) => i < 300)),
    ];
    test(`${answer.name}: ${answer.outcome}`, async () => {
      const seen: string[] = [];
      if (answer.outcome === "whole") for (const places of ways) seen.push(await runs(answer, places));
      else seen.push(...(await Promise.all(ways.map((places) => runs(answer, places)))));
      expect(seen).toEqual(ways.map(() => answer.outcome));
      neverUsedAgain();
    });
  }
});

describe("an answer that ends too early", () => {
  const withLength = "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 12\r\n\r\nhello, world";
  const inChunks =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n6\r\nhello,\r\n6;x=y\r\n world\r\n0\r\nX-T: 1\r\n\r\n";
  const untilClose = "HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nhello, world";
  const afterHints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

  function outcome(bytes: string, at: number, then: "fin" | "rst"): Outcome {
    if (at === 0) return then === "fin" ? "upstream-closed" : "upstream-reset";
    if (at < bytes.lastIndexOf("\r\n\r\n", bytes.indexOf("HTTP", 1) > 0 ? undefined : bytes.indexOf("\r\n\r\n")) + 4)
      return "answer-truncated";
    return bytes === untilClose && then === "fin" ? "whole" : "cut";
  }

  for (const [name, bytes] of Object.entries({ withLength, inChunks, untilClose, afterHints })) {
    for (const then of ["fin", "rst"] as const) {
      test(`${name}, by ${then.toUpperCase()} after each byte`, async () => {
        const places = Array.from({ length: bytes.length - (bytes === untilClose ? 0 : 1) }, (_, at) => at);
        // In portions: a retry budget is not what this is about.
        for (let from = 0; from < places.length; from += 16) {
          const some = places.slice(from, from + 16);
          const seen = await Promise.all(
            some.map((at) => runs({ name, bytes: bytes.slice(0, at), outcome: "cut", then }, [])),
          );
          expect(some.map((at, i) => `${at} ${seen[i]}`)).toEqual(
            some.map((at) => `${at} ${outcome(bytes, at, then)}`),
          );
        }
        neverUsedAgain();
      });
    }
  }
});

describe("bytes that nobody asked for", () => {
  test("on an idle connection: it is closed, and the next exchange gets another", async () => {
    const idle = bill(answerText("first\n"), []);
    const client = await under.connect();
    await client.send(`GET /hostile/${idle} HTTP/1.1\r\nHost: a.test\r\n\r\n`);
    expect(textOf(await client.readAnswer())).toBe("first\n");
    const [connection] = under
      .origin()
      .requests.filter((one) => one.target === `/hostile/${idle}`)
      .map((one) => under.origin().connections[one.connection]);
    connection?.write(answerText("smuggled\n"));
    await Bun.sleep(20);
    expect(connection?.ending).toBe("rst");
    await client.send("GET /after HTTP/1.1\r\nHost: a.test\r\n\r\n");
    expect(textOf(await client.readAnswer())).toBe("for /after\n");
    neverUsedAgain();
    client.close();
  });
});
