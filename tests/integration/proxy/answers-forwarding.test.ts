// A good answer on its way to the client: which lines pass, how its body is framed for this client, what belongs to the
// connection and is made anew, and when both connections go on.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { field, textOf } from "@plimsoll/testbed/answers";
import type { Script } from "@plimsoll/testbed/script";
import { answerText } from "@plimsoll/testbed/scripts";
import { type EngineUnderTest, startEngine, withEngine } from "./engine-under-test.ts";

/** Answers with what the test has put here. */
let next: { readonly bytes: string; readonly close?: boolean } = { bytes: "" };
const script: Script = {
  onRequest: async (request, one) => {
    if (request.target === "/plain") return void one.write(answerText("plain\n"));
    // In two pieces within the head: lines are not copied in one run by luck.
    one.write(next.bytes.slice(0, 20));
    await Bun.sleep(1);
    one.write(next.bytes.slice(20));
    if (next.close === true) one.end();
  },
};

let under: EngineUnderTest<"app">;
beforeAll(async () => {
  under = await startEngine({ app: script });
});
afterAll(() => under.close());

type Client = Awaited<ReturnType<EngineUnderTest["connect"]>>;

interface Asked {
  readonly method?: string;
  readonly version?: string;
  readonly lines?: string;
  readonly close?: boolean;
}

/** What a client gets of this answer, and whether its connection is open for another request afterwards. */
async function forwarded(bytes: string, { method = "GET", version = "1.1", lines = "", close = false }: Asked = {}) {
  next = { bytes, close };
  const client: Client = await under.connect();
  await client.send(`${method} / HTTP/${version}\r\nHost: a.test\r\n${lines}\r\n`);
  const answer = await client.readAnswer({ method });
  await Bun.sleep(5);
  const kept = client.ending === "open";
  if (kept) {
    await client.send("GET /plain HTTP/1.1\r\nHost: a.test\r\n\r\n");
    expect(textOf(await client.readAnswer())).toBe("plain\n");
  }
  client.close();
  return { answer, kept, raw: Buffer.from(client.received).toString("latin1") };
}

const ok = (lines: string, body = "hello") => `HTTP/1.1 200 OK\r\n${lines}\r\n${body}`;

describe("lines", () => {
  test("end-to-end ones pass as they are, in their order, doubled ones too", async () => {
    const lines =
      'Server: app/1\r\nSet-Cookie: a=1; Path=/\r\nX-Empty:\r\nset-cookie: b=2\r\nETag: "x"\r\nVary: accept\r\nX-Latin: caf\xe9\r\nVia: 1.1 inner\r\n';
    const { answer } = await forwarded(ok(`${lines}Content-Length: 5\r\n`));
    const passed = answer.headers.filter(([name]) => !/^(date|content-length)$/i.test(name));
    expect(passed.slice(0, 7)).toEqual([
      ["Server", "app/1"],
      ["Set-Cookie", "a=1; Path=/"],
      ["X-Empty", ""],
      ["set-cookie", "b=2"],
      ["ETag", '"x"'],
      ["Vary", "accept"],
      ["X-Latin", "caf\xe9"],
    ]);
  });

  test("spaces around values are one space before and none behind", async () => {
    const { raw } = await forwarded(ok("X-A:b\r\nX-B: \t c d \t\r\nContent-Length:5\r\n"));
    expect(raw).toContain("\r\nX-A: b\r\n");
    expect(raw).toContain("\r\nX-B: c d\r\n");
  });

  test("hop-by-hop ones, and those that Connection names, are removed", async () => {
    const hop = [
      "Connection: keep-alive, X-Hop, x-other",
      "Connection: Close-Soon",
      "Keep-Alive: timeout=5",
      "Proxy-Connection: keep-alive",
      "TE: trailers",
      "Trailer: X-T",
      "Upgrade: h2c",
      "X-Hop: 1",
      "X-Other: 2",
      "close-soon: 3",
      "Proxy-Authenticate: Basic",
    ];
    const { answer } = await forwarded(ok(`${hop.join("\r\n")}\r\nX-Stays: 4\r\nContent-Length: 5\r\n`));
    const names = answer.headers.map(([name]) => name.toLowerCase());
    for (const gone of [
      "connection",
      "keep-alive",
      "proxy-connection",
      "te",
      "upgrade",
      "x-hop",
      "x-other",
      "close-soon",
    ]) {
      expect(names).not.toContain(gone);
    }
    expect(field(answer, "x-stays")).toBe("4");
  });

  test("Connection cannot remove what frames the answer", async () => {
    const { answer, kept } = await forwarded(ok("Connection: Content-Length, Date\r\nContent-Length: 5\r\n"));
    expect([textOf(answer), kept]).toEqual(["hello", true]);
  });

  test("Date is passed on, or added where it is missing", async () => {
    const old = "Thu, 01 Jan 1970 00:00:00 GMT";
    expect(field((await forwarded(ok(`Date: ${old}\r\nContent-Length: 5\r\n`))).answer, "date")).toBe(old);
    const made = field((await forwarded(ok("Content-Length: 5\r\n"))).answer, "date") ?? "";
    expect(Math.abs(Date.parse(made) - Date.now())).toBeLessThan(5000);
    expect(new Date(made).toUTCString()).toBe(made);
  });

  test("the reason passes as it is; where it or its space is missing, the line is still whole", async () => {
    expect((await forwarded("HTTP/1.1 299 Very Own Reason\r\nContent-Length: 0\r\n\r\n")).raw).toStartWith(
      "HTTP/1.1 299 Very Own Reason\r\n",
    );
    expect((await forwarded("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n")).raw).toStartWith("HTTP/1.1 200 \r\n");
    expect((await forwarded("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n")).raw).toStartWith("HTTP/1.1 200 \r\n");
  });

  test("heads of nearly 32 KiB and of 128 fields pass", async () => {
    const large = Array.from({ length: 7 }, (_, i) => `X-${i}: ${"v".repeat(4500)}\r\n`).join("");
    expect((await forwarded(ok(`${large}Content-Length: 5\r\n`))).answer.headers.length).toBe(9);
    const many = Array.from({ length: 127 }, (_, i) => `X-${i}:${i}\r\n`).join("");
    expect((await forwarded(ok(`${many}Content-Length: 5\r\n`))).answer.headers.length).toBe(129);
  });
});

describe("framing", () => {
  test("a length is written anew", async () => {
    const { answer, kept } = await forwarded(ok("content-LENGTH:\t005 \r\n"));
    expect([field(answer, "content-length"), textOf(answer), kept]).toEqual(["5", "hello", true]);
  });

  test("chunks are written anew, extensions dropped", async () => {
    const { answer, raw, kept } = await forwarded(
      ok("Transfer-Encoding: Chunked\r\n", '3;a=b\r\nhel\r\n02;c="d"\r\nlo\r\n000;x\r\n\r\n'),
    );
    expect([textOf(answer), field(answer, "transfer-encoding"), kept]).toEqual(["hello", "chunked", true]);
    expect(raw).not.toContain(";");
  });

  test("until the close: in chunks for HTTP/1.1, until the close for HTTP/1.0", async () => {
    const one = await forwarded(ok(""), { close: true });
    expect([textOf(one.answer), field(one.answer, "transfer-encoding"), one.kept]).toEqual(["hello", "chunked", true]);
    const old = await forwarded("HTTP/1.0 200 OK\r\n\r\nhello", { close: true, version: "1.0" });
    expect([old.kept, old.raw.endsWith("\r\n\r\nhello")]).toEqual([false, true]);
    expect(field(old.answer, "transfer-encoding")).toBeUndefined();
  });

  test("chunked to an HTTP/1.0 client: plain, and the connection ends with it, even if it asked for more", async () => {
    for (const lines of ["", "Connection: keep-alive\r\n"]) {
      next = { bytes: ok("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n") };
      const client = await under.connect();
      await client.send(`GET / HTTP/1.0\r\n${lines}\r\n`);
      expect(await client.readEnd()).toBe("fin");
      const raw = Buffer.from(client.received).toString();
      expect(raw).toEndWith("\r\n\r\nhello");
      expect(raw.toLowerCase()).not.toContain("chunked");
      expect(raw.toLowerCase()).not.toContain("keep-alive");
    }
  });

  test("a length to an HTTP/1.0 client that keeps its connection", async () => {
    const { answer, kept } = await forwarded(ok("Content-Length: 5\r\n"), {
      version: "1.0",
      lines: "Connection: keep-alive\r\n",
    });
    expect([field(answer, "connection")?.toLowerCase(), kept]).toEqual(["keep-alive", true]);
  });

  const bodiless: readonly (readonly [string, string, Asked, string | undefined])[] = [
    ["HEAD with a length", ok("Content-Length: 12345\r\n", ""), { method: "HEAD" }, "12345"],
    ["HEAD without a length", ok("", ""), { method: "HEAD" }, undefined],
    ["HEAD with chunked", ok("Transfer-Encoding: chunked\r\n", ""), { method: "HEAD" }, undefined],
    ["204", "HTTP/1.1 204 No Content\r\n\r\n", {}, undefined],
    ["204 with a length, which is dropped", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", {}, undefined],
    [
      "204 with chunked, which is dropped",
      "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
      {},
      undefined,
    ],
    ["304 with a length", 'HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: "x"\r\n\r\n', {}, "99"],
    ["304 without a length", "HTTP/1.1 304 Not Modified\r\n\r\n", {}, undefined],
    ["205 with an empty body", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", {}, "0"],
    ["HEAD answered 404", "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n", { method: "HEAD" }, "9"],
  ];
  for (const [name, bytes, asked, length] of bodiless) {
    test(`no body: ${name}`, async () => {
      const { answer, kept } = await forwarded(bytes, asked);
      expect([answer.body.length, field(answer, "content-length"), kept]).toEqual([0, length, true]);
      if (answer.status !== 200) expect(field(answer, "transfer-encoding")).toBeUndefined();
    });
  }

  test("trailers pass to clients that say that they take them, and to no others", async () => {
    const bytes = ok(
      "Transfer-Encoding: chunked\r\nTrailer: X-T\r\n",
      "5\r\nhello\r\n0\r\nX-T: 1\r\nContent-Length: 7\r\nHost: evil\r\n\r\n",
    );
    const taken = await forwarded(bytes, { lines: "TE: trailers\r\nConnection: TE\r\n" });
    expect(taken.raw).toContain("\r\n0\r\nX-T: 1\r\n\r\n");
    const not = await forwarded(bytes);
    expect(not.raw).toContain("\r\n0\r\n\r\n");
    expect(not.raw).not.toContain("X-T: 1");
    const old = await forwarded(bytes, { version: "1.0", lines: "TE: trailers\r\nConnection: TE\r\n" });
    expect(old.raw).not.toContain("X-T: 1");
  });
});

describe("informational answers", () => {
  test("103 passes with its lines and without what belongs to the connection", async () => {
    const { answer, raw } = await forwarded(
      `HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n${ok("Content-Length: 5\r\n")}`,
    );
    expect(answer.interim.map((one) => one.status)).toEqual([103]);
    expect(raw).toStartWith("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n");
  });

  test("several pass, in their order; none to HTTP/1.0", async () => {
    const bytes = `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 x\r\n\r\n${ok("Content-Length: 5\r\n")}`;
    expect((await forwarded(bytes)).answer.interim.map((one) => one.status)).toEqual([100, 102, 103]);
    expect((await forwarded(bytes, { version: "1.0" })).raw).toStartWith("HTTP/1.1 200");
  });
});

describe("connections", () => {
  test("the endpoint's Connection: close is not the client's", async () => {
    const { answer, kept } = await forwarded(ok("Connection: close\r\nContent-Length: 5\r\n"), { close: true });
    expect([field(answer, "connection"), kept]).toEqual([undefined, true]);
  });

  test("the client's Connection: close is told and kept, and not the endpoint's", async () => {
    const before = under.origin().connections.length;
    await forwarded(ok("Content-Length: 5\r\n"));
    const { answer, kept } = await forwarded(ok("Content-Length: 5\r\n"), { lines: "Connection: close\r\n" });
    expect([field(answer, "connection"), kept]).toEqual(["close", false]);
    await forwarded(ok("Content-Length: 5\r\n"));
    expect(under.origin().connections.length).toBeLessThanOrEqual(before + 1);
  });
});

test("edits of the answer's fields", async () => {
  await withEngine(
    {
      app: {
        onRequest: (_, one) =>
          void one.write(answerText("x", "200 OK", { Server: "app", "X-Old": "1", "X-Both": "a" })),
      },
    },
    ({ app }) => ({
      routes: [
        {
          answerHeaders: {
            set: [
              ["Server", "plimsoll"],
              ["Strict-Transport-Security", "max-age=1"],
            ],
            add: [["X-Both", "b"]],
            remove: ["x-old", "date"],
          },
        },
      ],
      pools: { app: { endpoints: [app] } },
    }),
    async (own) => {
      const client = await own.connect();
      await client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
      const answer = await client.readAnswer();
      expect([
        field(answer, "server"),
        field(answer, "strict-transport-security"),
        field(answer, "x-both"),
        field(answer, "x-old"),
        textOf(answer),
      ]).toEqual(["plimsoll", "max-age=1", "a, b", undefined, "x"]);
    },
  );
});
