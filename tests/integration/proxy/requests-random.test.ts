// Requests that nobody thought of. Valid ones, in random order, framing and pieces, arrive at the origin as what they mean
// and are answered each with its own answer. Mutated ones arrive as what a strict reader makes of them, or not at all.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { field } from "@plimsoll/testbed/answers";
import { echo } from "@plimsoll/testbed/scripts";
import { readStrictRequests, StrictError, type StrictRequest } from "@plimsoll/wire/http1/strict-reader";
import fc from "fast-check";
import { type EngineUnderTest, startEngine } from "./engine-under-test.ts";
import { refusals } from "./refusals.ts";
import { attacks } from "./smuggling-corpus.ts";

let under: EngineUnderTest<"app">;

beforeAll(async () => {
  under = await startEngine({ app: echo() });
});

afterAll(async () => {
  await under.close();
});

/** One valid request: what it means, and one of the ways to write it. */
interface Written {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
  readonly bytes: (id: number) => string;
}

const token = fc.string({ unit: fc.constantFrom(..."abcxyzABC019!#$%&'*+-.^`|~"), minLength: 1, maxLength: 12 });
// A prefix of its own keeps random names away from those that mean something.
const name = token.map((text) => `x-${text}`);
const value = fc
  .string({ unit: fc.constantFrom(...'abc 019\t:;,="\\()<>\xe4\xff'), maxLength: 40 })
  .map((text) => text.trim());
const space = fc.constantFrom("", " ", "\t", "  ", " \t ");
const method = fc.constantFrom("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "get", "X!");
const segment = fc.string({ unit: fc.constantFrom(..."abc019-._~!$&'()*+,;=:@%/?|{}\\"), maxLength: 30 });
const data = fc.string({ unit: fc.constantFrom(..."ab\r\n0: GET/\0\xff"), maxLength: 200 });

const framed = fc.oneof(
  fc.constant({ kind: "none" as const }),
  fc.record({ kind: fc.constant("length" as const), body: data, zeros: fc.nat(5) }),
  fc.record({
    kind: fc.constant("chunked" as const),
    chunks: fc.array(
      fc.record({
        data: data.filter((text) => text !== ""),
        zeros: fc.nat(4),
        extension: fc.constantFrom("", ";a", ";a=b", ';a="b;c"', " ; a = b", ";a;b;c"),
      }),
      { maxLength: 6 },
    ),
    trailers: fc.array(fc.tuple(name, value), { maxLength: 2 }),
  }),
);

const written: fc.Arbitrary<Written> = fc
  .record({
    method,
    path: segment,
    fields: fc.array(fc.tuple(name, space, value, space), { maxLength: 8 }),
    framing: framed,
    emptyLines: fc.nat(2),
    // The place of Host and framing among the other fields.
    place: fc.nat(8),
  })
  .map(({ method, path, fields, framing, emptyLines, place }) => {
    const lines = fields.map(([one, before, text, behind]) => `${one}:${before}${text}${behind}`);
    const body =
      framing.kind === "none"
        ? ""
        : framing.kind === "length"
          ? framing.body
          : framing.chunks.map((c) => c.data).join("");
    const [line, content] =
      framing.kind === "none"
        ? ["", ""]
        : framing.kind === "length"
          ? [`Content-Length: ${"0".repeat(framing.zeros)}${body.length}`, body]
          : ["Transfer-Encoding: chunked", chunksOf(framing)];
    const target = `/${path}`;
    return {
      method,
      target,
      body,
      fields: fields.map(([one, , text]) => [one, text] as const),
      bytes: (id) => {
        const own = [`Host: x`, `X-Load-Id: ${id}`, ...(line === "" ? [] : [line])];
        const all = [...lines.slice(0, place), ...own, ...lines.slice(place)];
        return `${"\r\n".repeat(emptyLines)}${method} ${target} HTTP/1.1\r\n${all.join("\r\n")}\r\n\r\n${content}`;
      },
    };
  });

function chunksOf(framing: {
  readonly chunks: readonly { readonly data: string; readonly zeros: number; readonly extension: string }[];
  readonly trailers: readonly (readonly [string, string])[];
}): string {
  const chunks = framing.chunks.map(
    ({ data, zeros, extension }) => `${"0".repeat(zeros)}${data.length.toString(16)}${extension}\r\n${data}\r\n`,
  );
  return `${chunks.join("")}0\r\n${framing.trailers.map(([one, text]) => `${one}: ${text}\r\n`).join("")}\r\n`;
}

/** Places to cut at, as shares of the length. */
const pieces = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });

function placesOf(shares: readonly number[], length: number): readonly number[] {
  const all = new Set(shares.map((share) => 1 + Math.floor(share * (length - 2))));
  return [...all].filter((at) => at > 0 && at < length).sort((a, b) => a - b);
}

test("valid requests mean at the origin what they meant, and each gets its own answer", async () => {
  let ids = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(written, { minLength: 1, maxLength: 8 }), pieces, async (requests, shares) => {
      const before = under.origin().requests.length;
      const first = ids;
      ids += requests.length;
      const bytes = requests.map((one, index) => one.bytes(first + index)).join("");
      const client = await under.connect();
      const sent = client.send(bytes, { cuts: placesOf(shares, bytes.length), gap: 0 });
      for (const [index, one] of requests.entries()) {
        const answer = await client.readAnswer();
        expect({
          status: answer.status,
          id: field(answer, "x-load-id"),
          target: field(answer, "x-target"),
          body: Buffer.from(answer.body).toString("latin1"),
        }).toEqual({ status: 200, id: String(first + index), target: one.target, body: one.body });
      }
      await sent;
      expect([client.ending, client.unread.length]).toEqual(["open", 0]);
      client.close();
      const seen = under.origin().requests.slice(before);
      expect(
        seen.map((request) => ({
          method: request.method,
          target: request.target,
          body: Buffer.from(request.body).toString("latin1"),
          fields: request.headers.filter(([one]) => /^x-/.test(one)),
        })),
      ).toEqual(
        requests.map(({ method, target, body, fields }) => ({
          method,
          target,
          body,
          fields: fields.map((one) => [...one]),
        })),
      );
    }),
    { numRuns: 250 },
  );
  expect(under.origin().violations).toEqual([]);
}, 30_000);

/** What a strict reader finds in the bytes before the first thing that is wrong. */
function readable(bytes: Uint8Array): readonly StrictRequest[] {
  const found: StrictRequest[] = [];
  for (let at = 0; at < bytes.length;) {
    try {
      const [one] = readStrictRequests(bytes.subarray(at), { onlyFirst: true, emptyLines: 4 });
      if (one === undefined) break;
      found.push(one);
      at += one.end;
    } catch (error) {
      if (error instanceof StrictError) break;
      throw error;
    }
  }
  return found;
}

// Most begin as something valid: what is refused at its first byte teaches nothing about the rest.
const seeds = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom(...attacks.filter(({ ending }) => ending === "open").map((one) => one.bytes)),
  },
  { weight: 2, arbitrary: fc.tuple(written, written).map(([one, two]) => one.bytes(1) + two.bytes(2)) },
  { weight: 1, arbitrary: fc.constantFrom(...attacks.map(({ bytes }) => bytes)) },
  { weight: 1, arbitrary: fc.constantFrom(...refusals.map(({ bytes }) => bytes).filter((one) => one.length < 400)) },
);
const spice = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  " ",
  "\t",
  ":",
  ";",
  ",",
  "0",
  "1",
  "-",
  "+",
  "\x7f",
  "\x80",
  "\xff",
  "chunked",
];
const spices = fc.constantFrom(
  ...spice,
  "Transfer-Encoding: chunked\r\n",
  "Content-Length: 3\r\n",
  "Host: y\r\n",
  "HTTP/1.1",
);
const share = fc.double({ min: 0, max: 1, noNaN: true });
const mutation = fc.oneof(
  fc.record({ kind: fc.constant("insert" as const), at: share, text: spices }),
  fc.record({ kind: fc.constant("replace" as const), at: share, text: spices }),
  fc.record({ kind: fc.constant("remove" as const), at: share, length: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ kind: fc.constant("repeat" as const), at: share, length: fc.integer({ min: 1, max: 60 }) }),
);

type Mutation = typeof mutation extends fc.Arbitrary<infer One> ? One : never;

function mutate(text: string, changes: readonly Mutation[]): string {
  let now = text;
  for (const change of changes) {
    const at = Math.floor(change.at * now.length);
    if (change.kind === "insert") now = now.slice(0, at) + change.text + now.slice(at);
    else if (change.kind === "replace") now = now.slice(0, at) + change.text + now.slice(at + change.text.length);
    else if (change.kind === "remove") now = now.slice(0, at) + now.slice(at + change.length);
    else now = now.slice(0, at + change.length) + now.slice(at);
  }
  return now;
}

test("of mutated bytes nothing goes upstream that a strict reader would not have read", async () => {
  const reached = under.origin().requests.length;
  await fc.assert(
    fc.asyncProperty(
      seeds,
      fc.array(mutation, { minLength: 1, maxLength: 3 }),
      pieces,
      async (seed, changes, shares) => {
        const text = mutate(seed, changes);
        const bytes = new Uint8Array(Buffer.from(text, "latin1"));
        const allowed = readable(bytes);
        const before = under.origin().requests.length;
        const client = await under.connect();
        await client.send(bytes, { cuts: placesOf(shares.slice(0, 4), bytes.length), gap: 0 });
        client.shutdown();
        await client.readEnd();
        client.close();
        const seen = under
          .origin()
          .requests.slice(before)
          .map(({ method, body }) => [method, Buffer.from(body).toString("latin1")]);
        const could = allowed.map((one) => [one.method, Buffer.from(one.body).toString("latin1")]);
        // Fewer is well: the balancer refuses more than the grammar does, and closes after what asks for it.
        expect(seen).toEqual(could.slice(0, seen.length));
        expect(under.origin().violations).toEqual([]);
      },
    ),
    { numRuns: 5000 },
  );
  // A mutation that spoils everything, or a harness that sends nothing, would pass as well.
  expect(under.origin().requests.length - reached).toBeGreaterThan(300);
  expect(under.faults("request-malformed")).toBeGreaterThan(300);
  expect(under.faults("request-ambiguous")).toBeGreaterThan(3);
}, 60_000);

test("afterwards a clean request is answered", async () => {
  const client = await under.connect();
  await client.send("GET /clean HTTP/1.1\r\nHost: x\r\n\r\n");
  expect(field(await client.readAnswer(), "x-target")).toBe("/clean");
});
