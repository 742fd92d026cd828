// The whole engine between clients and endpoints that do anything at any moment, from seeds. Whatever happens: what a client
// reads is a prefix of right answers in order, and whole if its connection ended in order; what an endpoint reads is
// valid; every counter, timer and connection is given back; and no handler throws. PLIMSOLL_SEED=n runs one seed.
import { expect, test } from "bun:test";
import { between, type Chance, cuts, forSeeds, oneOf } from "@plimsoll/testbed/chance";
import { readStrictAnswers, readStrictRequests } from "@plimsoll/wire/http1/strict-reader";
import type { RetryOn } from "../pool/plan.ts";
import { EndpointState, StateCell } from "../observe/table.ts";
import type { EnginePlan } from "./assemble.ts";
import type { MemoryConnection, Peer } from "./fixtures/network.ts";
import { listenerPlan, onPath, poolPlan, routePlan } from "./fixtures/plans.ts";
import { Stage } from "./fixtures/stage.ts";

const seeds = 3_000;
const endpoints = 2;

/** The body that a request carries, and the one its answer must have: both follow from the target. */
function bodyOf(target: string, chance = 0): string {
  const [, size = "0"] = /-(\d+)/.exec(target) ?? [];
  return `${target}${chance === 0 ? ">" : "<"}`.repeat(Number(size));
}

function chunked(chance: Chance, body: string, trailers = ""): string {
  let text = "";
  let from = 0;
  for (const to of [...cuts(chance, Math.min(body.length, 20)), body.length]) {
    if (to > from) text += `${(to - from).toString(16)}\r\n${body.slice(from, to)}\r\n`;
    from = to;
  }
  return `${text}0\r\n${trailers}\r\n`;
}

class SimulatedClient {
  readonly peer: Peer;
  /** Methods of what is sent, as far as answers can come. */
  readonly methods: string[] = [];
  readonly targets: string[] = [];
  /** What follows an upgrade, if it is granted. */
  tunnel = "";
  resetItself = false;
  /** It asks, and never reads on. */
  readonly #deaf: boolean;
  #pieces: string[] = [];

  constructor(stage: Stage, chance: Chance, name: string) {
    this.peer = stage.client(chance() < 0.2 ? "10.0.0.1" : "192.0.2.7");
    this.#deaf = chance() < 0.2;
    if (chance() < 0.4 || this.#deaf) this.peer.room = between(chance, 0, 400);
    let bytes = "";
    const requests = between(chance, 0, 4);
    for (let i = 0; i < requests; i++) {
      const last = i === requests - 1;
      bytes += this.#request(chance, `/${name}r${i}-${oneOf(chance, [0, 1, 3, 3, 40, 2_000])}`, last);
    }
    const places = cuts(chance, Math.min(bytes.length, 300));
    let from = 0;
    for (const to of [...places, bytes.length]) {
      if (to > from) this.#pieces.push(bytes.slice(from, to));
      from = to;
    }
  }

  get done(): boolean {
    return this.#pieces.length === 0;
  }

  #request(chance: Chance, target: string, last: boolean): string {
    const kind = oneOf(chance, ["get", "get", "length", "chunked", "head", "own", "last", "last"]);
    const deadline = chance() < 0.2 ? `X-Request-Deadline: ${oneOf(chance, [0, 40, 400, 4_000])}\r\n` : "";
    const lines =
      deadline +
      (chance() < 0.3 ? "X-Forwarded-For: 6.6.6.6\r\nConnection: x-y, te\r\nTE: trailers\r\nX-Y: z\r\n" : "");
    const path = kind === "own" ? "/own" : target;
    this.targets.push(path);
    if (kind !== "last" || !last) {
      const method = kind === "head" ? "HEAD" : kind === "length" ? "POST" : kind === "chunked" ? "PUT" : "GET";
      this.methods.push(method);
      const start = `${method} ${path} HTTP/1.1\r\nHost: a\r\n${lines}`;
      const body = bodyOf(target, 1);
      if (kind === "length") return `${start}Content-Length: ${body.length}\r\n\r\n${body}`;
      if (kind === "chunked") return `${start}Transfer-Encoding: chunked\r\n\r\n${chunked(chance, body)}`;
      return `${start}\r\n`;
    }
    this.methods.push("GET");
    const end = oneOf(chance, ["close", "old", "malformed", "badChunk", "half", "upgrade", "upgrade"]);
    const start = `GET ${target} HTTP/1.1\r\nHost: a\r\n`;
    if (end === "close") return `${start}Connection: close\r\n\r\n${start}\r\n`;
    if (end === "old") return `GET ${target} HTTP/1.0\r\n\r\n`;
    if (end === "malformed") return `${start}X : y\r\n\r\n`;
    if (end === "badChunk") return `${start}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n`;
    if (end === "half") return start;
    this.tunnel = "tunnelled ".repeat(between(chance, 0, 30));
    // If the upgrade is refused, this is read as a request, and refused itself.
    if (this.tunnel !== "") this.methods.push("GET");
    return `${start}Connection: upgrade\r\nUpgrade: x\r\n\r\n${this.tunnel}`;
  }

  act(chance: Chance): void {
    const what = chance();
    if (what < 0.6) {
      const piece = this.#pieces.shift();
      if (piece !== undefined) this.peer.send(piece);
    } else if (what < 0.92) {
      if (!this.#deaf) this.peer.take(between(chance, 0, 3_000));
    } else if (what < 0.96) {
      if (this.done || chance() < 0.2) this.peer.end();
    } else if (what < 0.975) {
      this.resetItself = true;
      this.peer.reset();
    } else this.#pieces = [];
  }

  check(): void {
    const { peer } = this;
    const whole = peer.closed && !peer.wasReset && !this.resetItself;
    // A head that could not be read is answered with a body, whatever method it would have had.
    const methods = [...this.methods];
    const unread = /HTTP\/1\.1 (?:400|408) [^]*?details="(?:request-malformed|request-head-timeout)"/.exec(peer.text);
    if (unread !== null) {
      const before = readStrictAnswers(peer.received.subarray(0, unread.index), methods, { stopAtUpgrade: true });
      methods[before.filter(({ status }) => status >= 200).length] = "GET";
    }
    const answers = readStrictAnswers(peer.received, methods, { partial: !whole, closed: whole, stopAtUpgrade: true });
    let at = 0;
    for (const { status, headers, body, end } of answers) {
      const target = this.targets[at] ?? "";
      const value = (name: string): string | undefined => headers.find(([other]) => other.toLowerCase() === name)?.[1];
      if (status === 101) {
        const rest = peer.received.subarray(end).toString("latin1");
        expect("from the origin ".repeat(100).startsWith(rest)).toBeTrue();
        expect(at).toBe(this.targets.length - 1);
        continue;
      }
      if (status < 200) continue;
      const text = Buffer.from(body).toString("latin1");
      if (value("proxy-status") === undefined) {
        expect(value("x-for") ?? "/own").toBe(target);
        expect(value("x-hop")).toBeUndefined();
        if (this.methods[at] !== "HEAD" && status === 200)
          expect(text).toBe(target === "/own" ? "own" : bodyOf(target));
      }
      at++;
    }
  }
}

class SimulatedOrigin {
  readonly peer: Peer;
  readonly connection: MemoryConnection;
  #out: string[] = [];
  #served = 0;
  #seen = 0;
  #switched = false;
  #ends = "";

  constructor(connection: MemoryConnection, chance: Chance) {
    this.connection = connection;
    this.peer = connection.peer;
    if (chance() < 0.3) this.peer.room = between(chance, 0, 500);
  }

  /** Reads what came, as an endpoint that tolerates nothing; and thinks of answers. */
  read(chance: Chance, clients: readonly SimulatedClient[]): void {
    const { received } = this.peer;
    if (received.length === this.#seen) return;
    this.#seen = received.length;
    const requests = readStrictRequests(received, { partial: true, stopAtUpgrade: this.#switched });
    for (const [i, { method, target, headers, body, end }] of requests.entries()) {
      const names = headers.map(([name]) => name.toLowerCase());
      expect(names).toContain("x-request-id");
      expect(names.filter((name) => ["x-y", "proxy-connection", "keep-alive", "trailer"].includes(name))).toEqual([]);
      expect(headers.find(([name]) => name === "X-Forwarded-For")?.[1]).toMatch(
        /^(6\.6\.6\.6, )?(192\.0\.2\.7|10\.0\.0\.1)$/,
      );
      const sent = method === "POST" || method === "PUT" ? bodyOf(target, 1) : "";
      expect(Buffer.from(body).toString("latin1")).toBe(sent);
      if (this.#switched && i === requests.length - 1) {
        const rest = received.subarray(end).toString("latin1");
        const sender = clients.find((client) => client.targets.includes(target));
        expect(sender?.tunnel.startsWith(rest)).toBeTrue();
      }
      if (i < this.#served) continue;
      this.#served++;
      this.#think(chance, method, target, names.includes("upgrade"));
    }
    const [, early] = /^[A-Z]+ (\S+) [^]*\r\n\r\n/.exec(received.toString("latin1")) ?? [];
    if (requests.length === 0 && early !== undefined && this.#served === 0 && chance() < 0.2) {
      this.#served = 1;
      this.#think(chance, "POST", early, false);
    }
  }

  #think(chance: Chance, method: string, target: string, upgrade: boolean): void {
    const body = bodyOf(target);
    const first = oneOf(chance, ["", "", "", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"]);
    const lines = `X-For: ${target}\r\n${chance() < 0.3 ? "Connection: x-hop\r\nX-Hop: y\r\nKeep-Alive: timeout=1\r\n" : ""}`;
    const head = `HTTP/1.1 200 OK\r\n${lines}`;
    const length = `${head}Content-Length: ${body.length}\r\n\r\n`;
    const given = method === "HEAD" ? "" : body;
    if (upgrade && chance() < 0.6) {
      this.#switched = true;
      this.#say(
        chance,
        `HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n${"from the origin ".repeat(between(chance, 0, 100))}`,
      );
      return;
    }
    const kind = chance();
    if (kind < 0.35) this.#say(chance, first + length + given);
    else if (kind < 0.55) {
      const trailers = chance() < 0.5 ? "X-Sum: 1\r\n" : "";
      const coded = method === "HEAD" ? "" : chunked(chance, body, trailers);
      this.#say(chance, `${first}${head}Transfer-Encoding: chunked\r\n\r\n${coded}`);
    } else if (kind < 0.62) {
      this.#say(chance, `${first}${head}\r\n${given}`);
      this.#ends = "end";
    } else if (kind < 0.67) this.#say(chance, `HTTP/1.1 304 Not Modified\r\n${lines}\r\n`);
    else if (kind < 0.72) {
      this.#say(chance, `${head}Connection: close\r\nContent-Length: ${body.length}\r\n\r\n${given}`);
      this.#ends = "end";
    } else if (kind < 0.76) this.#say(chance, `${length}${given}excess`);
    else if (kind < 0.8) this.#say(chance, `HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc`);
    else if (kind < 0.84) this.#say(chance, `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nxx`);
    else if (kind < 0.9) {
      this.#say(chance, `${head}Content-Length: ${body.length + 10}\r\n\r\n${given}`);
      this.#ends = oneOf(chance, ["end", "reset"]);
    } else if (kind < 0.94) this.#ends = oneOf(chance, ["end", "reset"]);
    else if (kind < 0.96) this.#say(chance, "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    // Else it says nothing at all.
  }

  #say(chance: Chance, text: string): void {
    let from = 0;
    for (const to of [...cuts(chance, Math.min(text.length, 200)), text.length]) {
      if (to > from) this.#out.push(text.slice(from, to));
      from = to;
    }
  }

  act(chance: Chance): void {
    const what = chance();
    if (this.connection.state === "connecting") {
      if (what < 0.5) this.connection.open();
      else if (what < 0.7) this.connection.lose(oneOf(chance, ["refused", "unreachable"]), "E");
    } else if (what < 0.7) {
      const piece = this.#out.shift();
      if (piece !== undefined) this.peer.send(piece);
      else if (this.#ends === "end") this.peer.end();
      else if (this.#ends === "reset") this.peer.reset();
    } else if (what < 0.97) this.peer.take(between(chance, 0, 3_000));
    else if (what < 0.985) {
      // An end in the middle of an answer that only the end delimits would make it another answer.
      if (this.#ends === "") this.peer.end();
    } else this.peer.reset();
  }
}

function plan(chance: Chance): EnginePlan {
  const routes = [
    routePlan({ cancel: chance() < 0.7 }),
    routePlan({
      match: onPath("/own"),
      action: { kind: "fixed", status: 200, contentType: "text/plain", body: "own" },
    }),
  ];
  const base = poolPlan(endpoints);
  const timeouts = {
    connect: 200,
    firstByte: 300,
    idle: 350,
    tunnelIdle: 600,
    perTry: oneOf(chance, [0, 0, 150]),
    total: oneOf(chance, [0, 0, 500]),
  };
  const on: RetryOn[] = (["connect", "reset", "timeout", 200] as const).filter(() => chance() < 0.7);
  const pool = poolPlan(endpoints, {
    timeouts,
    deadlineHeader: oneOf(chance, ["", "x-request-deadline"]),
    retry: { ...base.retry, attempts: between(chance, 1, 3), on, hedge: oneOf(chance, [0, 0, 0, 50]) },
    limits: {
      inFlight: oneOf(chance, [0, 0, 1, 2]),
      queue: oneOf(chance, [0, 1, 5]),
      queueTimeout: oneOf(chance, [50, 100, 1_000]),
    },
    keepAlive: { maxIdle: oneOf(chance, [0, 1, 4]), idle: 1_000, maxRequests: oneOf(chance, [0, 0, 2]) },
    balance: oneOf(chance, ["roundRobin", "p2c", "leastOutstanding"]),
  });
  const own = listenerPlan();
  const listener = listenerPlan({
    routes,
    trustedProxies: ["10.0.0.0/8"],
    timeouts: { ...own.timeouts, headers: 300, body: 400, idle: 500, halfClose: oneOf(chance, [0, 100, 1_000]) },
    limits: { ...own.limits, requestsPerConnection: oneOf(chance, [0, 2, 100]) },
  });
  return { listeners: [listener], pools: [pool] };
}

/** Returns what was met on the way. */
function simulate(chance: Chance, seed: number): ReadonlySet<string> {
  const stage = new Stage(plan(chance), { seed, log: chance() < 0.5 });
  const origins: SimulatedOrigin[] = [];
  const clients: SimulatedClient[] = [];
  stage.network.welcome = (_, connection) => {
    origins.push(new SimulatedOrigin(connection, chance));
    return chance() < 0.6 ? "open" : chance() < 0.3 ? "refused" : "silent";
  };
  const steps = between(chance, 10, 150);
  for (let step = 0; step < steps; step++) {
    const what = chance();
    if (clients.length === 0 || (what < 0.04 && clients.length < 4 && stage.network.listening)) {
      clients.push(new SimulatedClient(stage, chance, `c${clients.length}`));
    } else if (what < 0.5) oneOf(chance, clients).act(chance);
    else if (what < 0.9 && origins.length > 0) oneOf(chance, origins).act(chance);
    else if (what < 0.96) stage.advance(between(chance, 1, chance() < 0.1 ? 700 : 60));
    else if (what < 0.98) {
      const state = oneOf(chance, Object.values(EndpointState));
      stage.table.cells[stage.table.state(between(chance, 0, endpoints - 1)) + StateCell.state] = state;
    } else stage.run(plan(chance));
    for (const origin of origins) origin.read(chance, clients);
  }
  for (const client of clients) client.check();
  if (chance() < 0.3) void stage.engine.stop(between(chance, 0, 1_000));
  stage.network.run();
  // Nobody does anything further: the timers must be enough.
  stage.advance(4_000);
  for (const origin of origins) origin.read(() => 0.99, clients);
  for (const client of clients) client.check();
  for (let slot = 0; slot < endpoints; slot++) {
    expect(stage.endpointCell("inFlight", slot)).toBe(0);
    expect(stage.endpointCell("tunnels", slot)).toBe(0);
  }
  expect(stage.poolCell("queued")).toBe(0);
  expect(stage.engine.open).toBe(0);
  expect(stage.listenerCell("open")).toBe(0);
  expect(clients.filter(({ peer }) => !peer.over)).toEqual([]);
  // One idle connection is watched for as long as it lives, to learn when the endpoint closes it.
  for (let slot = 0; slot < endpoints; slot++) {
    stage.table.cells[stage.table.state(slot) + StateCell.state] = EndpointState.draining;
  }
  stage.advance(100);
  expect(origins.filter(({ connection }) => connection.state !== "closed")).toEqual([]);
  expect(stage.wheel.size).toBe(0);
  expect(stage.defects).toEqual([]);
  return new Set([
    ...Object.keys(stage.faults),
    ...stage.records.filter(({ attempts }) => attempts > 1).map(() => "another try"),
    ...(stage.listenerCell("answers1xx") > 0 ? ["a tunnel"] : []),
    ...stage.records.filter(({ queueMs }) => queueMs > 0).map(() => "a wait in the queue"),
    ...stage.records.filter(({ reusedConnection }) => reusedConnection).map(() => "a connection used again"),
  ]);
}

/** What a simulation must meet to be worth its name. */
const reached = [
  "another try",
  "a tunnel",
  "a wait in the queue",
  "a connection used again",
  "client-gone",
  "client-read-timeout",
  "request-malformed",
  "request-body-malformed",
  "request-head-timeout",
  "request-body-timeout",
  "pool-unusable",
  "pool-queue-full",
  "pool-queue-timeout",
  "connect-refused",
  "connect-failed",
  "connect-timeout",
  "upstream-closed",
  "upstream-reset",
  "first-byte-timeout",
  "upload-idle-timeout",
  "answer-idle-timeout",
  "answer-malformed",
  "answer-truncated",
  "try-timeout",
  "total-timeout",
  "answer-upgrade-unasked",
  "tunnel-idle-timeout",
  "draining",
];

test(`${seeds} seeds`, async () => {
  const met = new Set<string>();
  await forSeeds(seeds, (chance, seed) => {
    for (const one of simulate(chance, seed)) met.add(one);
  });
  if (process.env["PLIMSOLL_SEED"] !== undefined) return;
  expect(reached.filter((one) => !met.has(one))).toEqual([]);
  expect(met).not.toContain("internal-error");
}, 60_000);
