import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Answer, DecodedPacket, Packet } from "dns-packet";
import { encode } from "dns-packet";
import fc from "fast-check";
import { systemClock } from "./clock.ts";
import { rcodes, startDnsServer, TRUNCATED_RESPONSE, type Script, type TestDnsServer } from "./fixtures/dns-server.ts";
import { createResolver, type DnsServer, type Resolver } from "./resolver.ts";

const directory = mkdtempSync(join(tmpdir(), "plimsoll-dns-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

let files = 0;
function file(content: string): string {
  const path = join(directory, `file-${files++}`);
  writeFileSync(path, content);
  return path;
}

interface Setup {
  readonly hosts?: string;
  readonly resolvConf?: string;
  readonly timeoutMs?: number;
  readonly servers?: (server: TestDnsServer) => DnsServer[];
}

async function setup(script: Script, more: Setup = {}): Promise<{ resolver: Resolver; server: TestDnsServer }> {
  const server = await startDnsServer(script);
  const resolver = createResolver({
    clock: systemClock,
    servers: more.servers?.(server) ?? [server],
    hosts: file(more.hosts ?? ""),
    resolvConf: file(more.resolvConf ?? ""),
    timeoutMs: more.timeoutMs ?? 2000,
  });
  cleanups.push(
    () => resolver.close(),
    () => server.close(),
  );
  return { resolver, server };
}

const a = (name: string, data: string, ttl = 60): Answer => ({ type: "A", name, data, ttl });
const alias = (name: string, data: string, ttl = 60): Answer => ({ type: "CNAME", name, data, ttl });
const soa = (name: string, ttl: number, minimum: number): Answer => ({
  type: "SOA",
  name,
  ttl,
  data: { mname: "ns.example", rname: "root.example", serial: 1, refresh: 1, retry: 1, expire: 1, minimum },
});
const nameOf = (query: DecodedPacket) => query.questions![0]!.name;
const code = (name: keyof typeof rcodes, more: Packet = {}): Packet => ({ ...more, flags: rcodes[name] });

describe("records", () => {
  test("A, AAAA and SRV with their own times to live; the lowest counts", async () => {
    const { resolver, server } = await setup((query) => {
      const { name, type } = query.questions![0]!;
      if (type === "A")
        return { answers: [a(name, "192.0.2.1", 60), a(name, "192.0.2.2", 17), a(name, "192.0.2.1", 60)] };
      if (type === "AAAA") return { answers: [{ type, name, data: "2001:db8::1", ttl: 5 }] };
      const data = { target: "Web-1.Example", port: 8080, priority: 10, weight: 3 };
      return { answers: [{ type: "SRV", name, ttl: 9, data }] };
    });
    expect(await resolver.resolve("web.example", "A")).toEqual({ records: ["192.0.2.1", "192.0.2.2"], ttl: 17 });
    expect(await resolver.resolve("web.example.", "AAAA")).toEqual({ records: ["2001:db8::1"], ttl: 5 });
    expect(await resolver.resolve("_http._tcp.web.example", "SRV")).toEqual({
      records: [{ target: "web-1.example", port: 8080, priority: 10, weight: 3 }],
      ttl: 9,
    });
    expect(server.asked).toEqual(["udp A web.example", "udp AAAA web.example", "udp SRV _http._tcp.web.example"]);
  });

  test("names in other scripts are asked for as punycode, in any letter case", async () => {
    const { resolver, server } = await setup((query) => ({ answers: [a(nameOf(query).toUpperCase(), "192.0.2.1")] }));
    expect(await resolver.resolve("Bücher.example", "A")).toMatchObject({ records: ["192.0.2.1"] });
    expect(server.asked).toEqual(["udp A xn--bcher-kva.example"]);
  });

  test("a chain of aliases in the answer, with the lowest time on the way", async () => {
    const { resolver, server } = await setup(() => ({
      answers: [
        alias("a.example", "b.example", 7),
        alias("b.example", "c.example", 99),
        a("c.example", "192.0.2.3", 50),
      ],
    }));
    expect(await resolver.resolve("a.example", "A")).toEqual({ records: ["192.0.2.3"], ttl: 7 });
    expect(server.asked).toHaveLength(1);
  });

  test("a chain that the server leaves to us is followed", async () => {
    const { resolver, server } = await setup((query) =>
      nameOf(query) === "a.example"
        ? { answers: [alias("a.example", "b.example", 7)] }
        : { answers: [a("b.example", "192.0.2.4", 50)] },
    );
    expect(await resolver.resolve("a.example", "A")).toEqual({ records: ["192.0.2.4"], ttl: 7 });
    expect(server.asked).toEqual(["udp A a.example", "udp A b.example"]);
  });

  test("an answer that does not fit comes over TCP", async () => {
    const many = Array.from({ length: 200 }, (_, i) => a("big.example", `192.0.2.${i}`));
    const { resolver, server } = await setup((_, via) =>
      via === "udp" ? { flags: TRUNCATED_RESPONSE, answers: many.slice(0, 3) } : { answers: many },
    );
    const answer = await resolver.resolve("big.example", "A");
    expect("records" in answer && answer.records.length).toBe(200);
    expect(server.asked).toEqual(["udp A big.example", "tcp A big.example"]);
  });

  test("use-vc asks over TCP from the start", async () => {
    const { resolver, server } = await setup(() => ({ answers: [a("x.example", "192.0.2.1")] }), {
      resolvConf: "options use-vc",
    });
    expect(await resolver.resolve("x.example", "A")).toMatchObject({ records: ["192.0.2.1"] });
    expect(server.asked).toEqual(["tcp A x.example"]);
  });

  test("a server from before EDNS is asked again without it", async () => {
    const { resolver, server } = await setup((query) =>
      query.additionals!.length > 0 ? code("FORMERR") : { answers: [a("old.example", "192.0.2.1")] },
    );
    expect(await resolver.resolve("old.example", "A")).toMatchObject({ records: ["192.0.2.1"] });
    expect(server.asked).toHaveLength(2);
  });

  test("two who ask the same at the same time ask once", async () => {
    const { resolver, server } = await setup(() => ({ answers: [a("x.example", "192.0.2.1")] }));
    await Promise.all([resolver.resolve("x.example", "A"), resolver.resolve("x.example", "A")]);
    expect(server.asked).toHaveLength(1);
    await resolver.resolve("x.example", "A");
    expect(server.asked).toHaveLength(2);
  });
});

describe("this machine", () => {
  const none: Script = () => code("NXDOMAIN");

  test("localhost is loopback whatever DNS and the hosts file say", async () => {
    const { resolver, server } = await setup(none, { hosts: "192.0.2.66 localhost" });
    expect(await resolver.resolve("localhost", "A")).toMatchObject({ records: ["127.0.0.1"] });
    expect(await resolver.resolve("db.LOCALHOST.", "AAAA")).toMatchObject({ records: ["::1"] });
    expect(server.asked).toEqual([]);
  });

  test("the hosts file comes before DNS, by family, and is read again when it changes", async () => {
    let now = 0;
    const path = file("# comment\n192.0.2.7 App app.local # end\n192.0.2.8 app\nnonsense app\n");
    const server = await startDnsServer(none);
    cleanups.push(() => server.close());
    const clock = { now: () => now, wall: () => 0 };
    const resolver = createResolver({ clock, servers: [server], hosts: path, resolvConf: "/nonexistent" });
    cleanups.push(() => resolver.close());
    expect(await resolver.resolve("APP", "A")).toMatchObject({ records: ["192.0.2.7", "192.0.2.8"] });
    expect(await resolver.resolve("app.local", "AAAA")).toMatchObject({ kind: "empty" });
    writeFileSync(path, "192.0.2.99 app another\n");
    now = 5000;
    expect(await resolver.resolve("app", "A")).toMatchObject({ records: ["192.0.2.99"] });
    expect(server.asked).toEqual([]);
  });

  test("an address is its own answer", async () => {
    const { resolver } = await setup(none);
    expect(await resolver.resolve("192.0.2.1", "A")).toMatchObject({ records: ["192.0.2.1"] });
    expect(await resolver.resolve("2001:db8::1", "AAAA")).toMatchObject({ records: ["2001:db8::1"] });
    expect(await resolver.resolve("192.0.2.1", "AAAA")).toMatchObject({ kind: "empty" });
  });

  test("the search list and ndots decide the order of names", async () => {
    const conf = "search prod.svc corp.\noptions ndots:2";
    const { resolver, server } = await setup(
      (query) => (nameOf(query) === "web.corp" ? { answers: [a("web.corp", "192.0.2.1")] } : code("NXDOMAIN")),
      { resolvConf: conf },
    );
    expect(await resolver.resolve("web", "A")).toMatchObject({ records: ["192.0.2.1"] });
    expect(await resolver.resolve("a.b.c", "A")).toMatchObject({ kind: "nxdomain" });
    expect(await resolver.resolve("web.", "A")).toMatchObject({ kind: "nxdomain" });
    expect(server.asked.map((each) => each.slice(6))).toEqual([
      "web.prod.svc",
      "web.corp",
      "a.b.c",
      "a.b.c.prod.svc",
      "a.b.c.corp",
      "web",
    ]);
  });

  test("a failure does not fall through to the next search domain", async () => {
    const { resolver, server } = await setup(() => code("SERVFAIL"), {
      resolvConf: "search prod.svc corp\noptions attempts:1",
    });
    expect(await resolver.resolve("web", "A")).toMatchObject({ kind: "servfail" });
    expect(server.asked).toEqual(["udp A web.prod.svc"]);
  });
});

describe("failures are told apart", () => {
  test("no such name, no such records, each with the time that it holds", async () => {
    const { resolver } = await setup((query) =>
      nameOf(query) === "gone.example"
        ? code("NXDOMAIN", { authorities: [soa("example", 300, 30)] })
        : { authorities: [soa("example", 20, 300)] },
    );
    expect(await resolver.resolve("gone.example", "A")).toMatchObject({ kind: "nxdomain", ttl: 30 });
    const empty = await resolver.resolve("empty.example", "A");
    expect(empty).toMatchObject({ kind: "empty", ttl: 20 });
    expect("failure" in empty && empty.failure).toContain("127.0.0.1 on empty.example A: the name has no such records");
  });

  test("an alias to a name that does not exist", async () => {
    const { resolver } = await setup(() => code("NXDOMAIN", { answers: [alias("a.example", "b.example")] }));
    expect(await resolver.resolve("a.example", "A")).toMatchObject({ kind: "nxdomain" });
  });

  test("an SRV target of . is a service that is decidedly not there", async () => {
    const data = { target: ".", port: 0, priority: 0, weight: 0 };
    const { resolver } = await setup((query) => ({ answers: [{ type: "SRV", name: nameOf(query), ttl: 9, data }] }));
    expect(await resolver.resolve("_http._tcp.x", "SRV")).toMatchObject({ kind: "empty" });
  });

  test("the next server is asked when one fails, refuses, is silent or is not there", async () => {
    for (const first of [() => code("SERVFAIL"), () => code("REFUSED"), () => undefined] satisfies Script[]) {
      const bad = await startDnsServer(first);
      cleanups.push(() => bad.close());
      const { resolver, server } = await setup(() => ({ answers: [a("x.example", "192.0.2.1")] }), {
        servers: (good) => [bad, good],
        timeoutMs: 50,
      });
      expect(await resolver.resolve("x.example", "A")).toMatchObject({ records: ["192.0.2.1"] });
      expect([bad.asked.length, server.asked.length]).toEqual([1, 1]);
    }
    const gone = await startDnsServer(() => undefined);
    gone.close();
    const { resolver } = await setup(() => ({ answers: [a("x.example", "192.0.2.1")] }), {
      servers: (good) => [gone, good],
      timeoutMs: 5000,
    });
    expect(await resolver.resolve("x.example", "A")).toMatchObject({ records: ["192.0.2.1"] });
  });

  test("a server whose address is none is a failure, not an exception", async () => {
    const { resolver } = await setup(() => undefined, { servers: () => [{ host: "256.1.1.1", port: 70_000 }] });
    expect(await resolver.resolve("x.example", "A")).toMatchObject({ kind: "unreachable" });
  });

  test("all servers are asked as often as configured, then the last reason is told", async () => {
    const { resolver, server } = await setup(() => undefined, { resolvConf: "options attempts:3", timeoutMs: 20 });
    expect(await resolver.resolve("x.example", "A")).toMatchObject({ kind: "timeout" });
    expect(server.asked).toHaveLength(3);
  });

  test("names that DNS cannot carry are not asked for", async () => {
    const { resolver, server } = await setup(() => undefined);
    for (const name of ["", ".", "a..b", "x".repeat(64), "a b", "a/b", `${"a.".repeat(130)}b`, "-\u0000"]) {
      expect(await resolver.resolve(name, "A")).toMatchObject({ kind: "invalid-name" });
    }
    expect(server.asked).toEqual([]);
  });

  test("close ends what is under way, leaves no socket, and later questions fail", async () => {
    const { resolver, server } = await setup(() => undefined, { timeoutMs: 60_000 });
    const before = readdirSync("/proc/self/fd").length;
    const pending = resolver.resolve("x.example", "A");
    while (server.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    resolver.close();
    expect(await pending).toMatchObject({ kind: "closed" });
    expect(await resolver.resolve("y.example", "A")).toMatchObject({ kind: "closed" });
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(readdirSync("/proc/self/fd").length).toBe(before);
  });
});

describe("hostile answers", () => {
  test("answers with another id or to another question are passed over; the right one counts", async () => {
    const { resolver } = await setup((query) => {
      const forged = [a("x.example", "203.0.113.66")];
      return [
        { id: (query.id! + 1) & 0xffff, answers: forged },
        { questions: [{ type: "A", name: "y.example" }], answers: forged },
        { questions: [{ type: "AAAA", name: "x.example" }], answers: forged },
        { type: "query", answers: forged },
        Uint8Array.of(1, 2, 3),
        { answers: [a("x.example", "192.0.2.1")] },
      ];
    });
    expect(await resolver.resolve("x.example", "A")).toMatchObject({ records: ["192.0.2.1"] });
  });

  test("a datagram from somebody else than the server never arrives", async () => {
    const stranger = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0, socket: { error() {} } });
    cleanups.push(() => stranger.close());
    const server = await Bun.udpSocket({
      hostname: "127.0.0.1",
      port: 0,
      binaryType: "buffer",
      socket: {
        data(socket, datagram, port, address) {
          const question = { type: "A", name: "x.example" } as const;
          const id = (datagram as Buffer).readUInt16BE(0);
          const answer = (data: string) =>
            encode({ type: "response", id, questions: [question], answers: [a("x.example", data)] });
          stranger.send(answer("203.0.113.66"), port, address);
          setTimeout(() => socket.send(answer("192.0.2.1"), port, address), 10);
        },
      },
    });
    cleanups.push(() => server.close());
    const resolver = createResolver({
      clock: systemClock,
      servers: [{ host: "127.0.0.1", port: server.port }],
      hosts: file(""),
      resolvConf: file(""),
    });
    expect(await resolver.resolve("x.example", "A")).toMatchObject({ records: ["192.0.2.1"] });
  });

  test("records of other names are not ours", async () => {
    const { resolver } = await setup(() => ({ answers: [a("evil.example", "203.0.113.66")] }));
    expect(await resolver.resolve("x.example", "A")).toMatchObject({ kind: "empty" });
  });

  test("aliases in a circle, in one answer or over many, end", async () => {
    const { resolver, server } = await setup(
      (query) => {
        const name = nameOf(query);
        const circle = [alias("a.example", "b.example"), alias("b.example", "a.example")];
        if (name === "a.example") return { answers: circle };
        return { answers: [alias(name, name === "p.example" ? "q.example" : "p.example")] };
      },
      { resolvConf: "options attempts:1" },
    );
    expect(await resolver.resolve("a.example", "A")).toMatchObject({ kind: "malformed" });
    expect(await resolver.resolve("p.example", "A")).toMatchObject({ kind: "malformed" });
    expect(server.asked.length).toBeLessThan(20);
  });

  test("times to live out of range are 0 or a week", async () => {
    for (const [ttl, read] of [
      [0x8000_0001, 0],
      [0x7fff_ffff, 604_800],
      [0, 0],
    ] as const) {
      const { resolver } = await setup(() => ({ answers: [a("x.example", "192.0.2.1", ttl)] }));
      expect(await resolver.resolve("x.example", "A")).toEqual({ records: ["192.0.2.1"], ttl: read });
    }
  });

  test("twenty-five hundred records are a thousand", async () => {
    const answers = Array.from({ length: 2500 }, (_, i) => a("x.example", `10.0.${i >> 8}.${i & 255}`));
    const { resolver } = await setup((_, via) => (via === "udp" ? { flags: TRUNCATED_RESPONSE } : { answers }));
    const answer = await resolver.resolve("x.example", "A");
    expect("records" in answer && answer.records.length).toBe(1000);
  });

  test("any bytes and any mutation of a real answer give an outcome, never a throw or a foreign address", async () => {
    let respond: (query: DecodedPacket) => Uint8Array = () => new Uint8Array(0);
    const { resolver } = await setup((query) => respond(query), { resolvConf: "options attempts:1", timeoutMs: 5 });
    const answered = (query: DecodedPacket) =>
      Buffer.from(
        encode({
          type: "response",
          id: query.id!,
          questions: query.questions!,
          answers: [alias("x.example", "y.example"), a("y.example", "192.0.2.1"), a("z.example", "203.0.113.66")],
        }),
      );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 6 }),
        fc.nat(200),
        fc.option(fc.uint8Array({ maxLength: 300 })),
        async (edits, cut, junk) => {
          respond = (query) => {
            if (junk !== null) {
              // With the right id, so that it is looked at.
              const bytes = Buffer.concat([Buffer.alloc(2), junk]);
              bytes.writeUInt16BE(query.id!, 0);
              return bytes;
            }
            const bytes = answered(query);
            for (const [at, value] of edits) if (at >= 2 && at < bytes.length) bytes[at] = value;
            return bytes.subarray(0, cut % 3 === 0 ? bytes.length : Math.min(cut, bytes.length));
          };
          const outcome = await resolver.resolve("x.example", "A");
          if ("records" in outcome) {
            expect(outcome.ttl).toBeGreaterThanOrEqual(0);
            for (const record of outcome.records) expect(record).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
          } else {
            expect(outcome.failure.length).toBeGreaterThan(0);
          }
        },
      ),
      { numRuns: 400 },
    );
  }, 20_000);
});
