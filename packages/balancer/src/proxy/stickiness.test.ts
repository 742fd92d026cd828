// Clients that come back, through a whole engine.
import { describe, expect, test } from "bun:test";
import { EndpointState, StateCell } from "../observe/table.ts";
import type { PoolPlan, StickyPlan } from "../pool/plan.ts";
import { cookiePlan, stickyPlan } from "../pool/stick/fixtures.ts";
import type { Peer } from "./fixtures/network.ts";
import { listenerPlan, onPath, poolPlan, routePlan } from "./fixtures/plans.ts";
import { answer, Stage } from "./fixtures/stage.ts";

/** Every origin answers at once, with these lines. */
function stageWith(
  over: Partial<PoolPlan> = {},
  options: { lines?: string; status?: number; endpoints?: number } = {},
) {
  const stage = new Stage({ pools: [poolPlan(options.endpoints ?? 3, { sticky: stickyPlan("cookie"), ...over })] });
  answering(stage, () => answer("ok", options.lines ?? "", options.status ?? 200));
  return stage;
}

function answering(stage: Stage, what: (request: string) => string): void {
  stage.network.welcome = (_address, connection) => {
    const { peer } = connection;
    peer.onArrival = () => {
      if (!peer.text.endsWith("\r\n\r\n")) return;
      const request = peer.text;
      peer.received = Buffer.alloc(0);
      heard.push(request);
      peer.send(what(request));
    };
    return "open";
  };
}

const heard: string[] = [];

/** One request of a browser: returns who answered and what it is to remember. */
function ask(stage: Stage, cookie = "", lines = "", address?: string) {
  heard.length = 0;
  const field = cookie === "" ? "" : `Cookie: ${cookie}\r\n`;
  const client = stage.asking(`GET / HTTP/1.1\r\nHost: a\r\n${field}${lines}\r\n`, address);
  const seen = client.text;
  client.end();
  const set = /\r\nSet-Cookie: ([^\r]*)/.exec(seen)?.[1] ?? "";
  return {
    endpoint: stage.records.at(-1)!.endpoint,
    set,
    cookie: set.split(";")[0]!,
    text: seen,
    heard: heard.at(-1) ?? "",
  };
}

function setState(stage: Stage, id: string, state: keyof typeof EndpointState): void {
  const slot = Number(id.split(":")[1]) - 3000;
  stage.table.cells[stage.table.state(slot) + StateCell.state] = EndpointState[state];
  stage.advance(50);
}

describe("the balancer's cookie", () => {
  test("is given once, and then decides", () => {
    const stage = stageWith();
    const first = ask(stage);
    expect(first.set).toMatch(/^plimsoll=v1\.[\w-]{16}; Path=\/; HttpOnly; SameSite=Lax$/);
    for (let i = 0; i < 6; i++) {
      const again = ask(stage, first.cookie);
      expect([again.endpoint, again.set]).toEqual([first.endpoint, ""]);
    }
    // Round robin sends others elsewhere.
    expect(new Set([1, 2, 3].map(() => ask(stage).endpoint)).size).toBe(3);
    expect([stage.poolCell("stickyHits"), stage.poolCell("stickyNew"), stage.poolCell("stickyMoved")]).toEqual([
      6, 4, 0,
    ]);
  });

  test("is not shown to the application, and its other cookies are", () => {
    const stage = stageWith();
    const { cookie } = ask(stage);
    expect(ask(stage, `a=1; ${cookie}; b=2`).heard).toContain("\r\nCookie: a=1; b=2\r\n");
    expect(ask(stage, cookie).heard).not.toContain("ookie");
    expect(ask(stage, `plimsoll=forged; x=1`).heard).toContain("\r\nCookie: x=1\r\n");
    expect(ask(stage, "x=1", `Cookie: ${cookie}\r\nX-After: 1\r\n`).heard).toMatch(/\r\nCookie: x=1\r\nX-After: 1\r\n/);
  });

  test("that is forged or foreign is ignored, replaced and counted", () => {
    const stage = stageWith();
    for (const value of ["", "x", "v1.AAAAAAAAAAAAAAAA", "127.0.0.1:3000", "bAzP0000"]) {
      expect(ask(stage, `plimsoll=${value}`).set).toMatch(/^plimsoll=v1\./);
    }
    expect([stage.poolCell("stickyRefused"), stage.poolCell("stickyHits")]).toEqual([5, 0]);
  });

  test("names an endpoint that cannot: another one answers, and the cookie is written anew", () => {
    const stage = stageWith();
    const first = ask(stage);
    setState(stage, first.endpoint, "disabled");
    const moved = ask(stage, first.cookie);
    expect(moved.endpoint).not.toBe(first.endpoint);
    expect(moved.cookie).not.toBe("");
    setState(stage, first.endpoint, "ready");
    expect(ask(stage, moved.cookie).endpoint).toBe(moved.endpoint);
    expect(stage.poolCell("stickyMoved")).toBe(1);
  });

  test("holds while its endpoint drains; new clients go elsewhere", () => {
    const stage = stageWith();
    const first = ask(stage);
    setState(stage, first.endpoint, "draining");
    expect(ask(stage, first.cookie)).toMatchObject({ endpoint: first.endpoint, set: "" });
    for (let i = 0; i < 6; i++) expect(ask(stage).endpoint).not.toBe(first.endpoint);
  });

  test("a connect that fails moves the client, and it stays moved", () => {
    const stage = stageWith({ keepAlive: { maxIdle: 0, idle: 4000, maxRequests: 0 } });
    const first = ask(stage);
    const { welcome } = stage.network;
    stage.network.welcome = (address, connection) =>
      address.kind === "tcp" && `127.0.0.1:${address.port}` === first.endpoint
        ? "refused"
        : welcome(address, connection);
    const moved = ask(stage, first.cookie);
    expect(moved.endpoint).not.toBe(first.endpoint);
    expect(moved.text).toStartWith("HTTP/1.1 200");
    stage.network.welcome = welcome;
    expect(ask(stage, moved.cookie).endpoint).toBe(moved.endpoint);
  });

  test("the keep-alive race moves nobody: only the connection was old", () => {
    const stage = stageWith();
    const first = ask(stage);
    const before = stage.connects;
    // The kept connection dies under the request.
    const kept = [...stage.network.connects].findLast(({ peer }) => !peer.over)!;
    kept.peer.onArrival = () => kept.peer.reset();
    const again = ask(stage, first.cookie);
    expect([again.endpoint, again.set, again.text.slice(0, 12)]).toEqual([first.endpoint, "", "HTTP/1.1 200"]);
    expect(stage.connects).toBe(before + 1);
  });

  test("the race, and then nobody there: the try at home was not the last one", () => {
    const stage = stageWith();
    const first = ask(stage);
    const kept = [...stage.network.connects].findLast(({ peer }) => !peer.over)!;
    kept.peer.onArrival = () => kept.peer.reset();
    const { welcome } = stage.network;
    stage.network.welcome = (address, connection) =>
      address.kind === "tcp" && `127.0.0.1:${address.port}` === first.endpoint
        ? "refused"
        : welcome(address, connection);
    const moved = ask(stage, first.cookie);
    expect(moved.text).toStartWith("HTTP/1.1 200");
    expect(moved.endpoint).not.toBe(first.endpoint);
    expect(stage.records.at(-1)!.attempts).toBe(3);
  });

  test("is not put into what caches may keep, unless that is asked for, nor into a failure", () => {
    const lines = "Cache-Control: public, max-age=60\r\n";
    expect(ask(stageWith({}, { lines })).set).toBe("");
    expect(ask(stageWith({}, { lines: "Cache-Control: private\r\n" })).set).not.toBe("");
    const asked = stickyPlan("cookie", { cookie: cookiePlan({ cacheable: true }) });
    expect(ask(stageWith({ sticky: asked }, { lines })).set).not.toBe("");
    expect(ask(stageWith({}, { status: 502 })).set).toBe("");
    expect(ask(stageWith({}, { status: 404 })).set).not.toBe("");
  });

  test("stands beside the application's own cookies", () => {
    const { text } = ask(stageWith({}, { lines: "Set-Cookie: sid=1; Path=/\r\nSet-Cookie: theme=dark\r\n" }));
    expect(text.match(/\r\nSet-Cookie: (\w+)=/g)?.length).toBe(3);
  });

  test("is taken out with all others where a route removes Set-Cookie", () => {
    const stage = new Stage({
      listeners: [
        listenerPlan({
          routes: [routePlan({ answerHeaders: { set: [], add: [["X-A", "1"]], remove: ["set-cookie"] } })],
        }),
      ],
      pools: [poolPlan(3, { sticky: stickyPlan("cookie") })],
    });
    answering(stage, () => answer("ok", "Set-Cookie: a=1\r\n"));
    expect(ask(stage).text).toMatch(/^(?!.*Set-Cookie).*\r\nX-A: 1\r\n/s);
  });

  test("is Secure behind a trusted proxy that speaks TLS, and not on anybody else's word", () => {
    const stage = stageWith();
    expect(ask(stage, "", "X-Forwarded-Proto: https\r\n").set).not.toContain("Secure");
    stage.run({
      listeners: [listenerPlan({ trustedProxies: ["192.0.2.0/24"] })],
      pools: [poolPlan(3, { sticky: stickyPlan("cookie") })],
    });
    expect(ask(stage, "", "X-Forwarded-Proto: https\r\n").set).toContain("; Secure");
    expect(ask(stage, "", "X-Forwarded-Proto: http\r\n").set).not.toContain("Secure");
    expect(ask(stage).set).not.toContain("Secure");
  });

  test("is given with a switch of protocols as well", () => {
    const stage = stageWith();
    answering(stage, () => "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    const client = stage.asking("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    expect(client.text).toMatch(/^HTTP\/1\.1 101 [^]*\r\nSet-Cookie: plimsoll=v1\.[^]*\r\n\r\n$/);
    client.reset();
  });

  test("with a maxAge is renewed while the client comes, and ends when it does not", () => {
    const sticky = stickyPlan("cookie", { cookie: cookiePlan({ maxAge: 60_000 }) });
    const stage = stageWith({ sticky });
    const first = ask(stage);
    expect(first.set).toContain("Max-Age=60");
    expect(ask(stage, first.cookie).set).toBe("");
    stage.advance(30_000);
    const renewed = ask(stage, first.cookie);
    expect([renewed.endpoint, renewed.set === ""]).toEqual([first.endpoint, false]);
    stage.advance(40_000);
    expect(ask(stage, renewed.cookie).endpoint).toBe(first.endpoint);
    ask(stage, first.cookie);
    expect(stage.poolCell("stickyRefused")).toBe(1);
  });

  test("survives a reload and another secret in front", () => {
    const stage = stageWith();
    const first = ask(stage);
    const secrets = ["a-new-secret-of-length", ...cookiePlan().secrets];
    const sticky: StickyPlan = stickyPlan("cookie", { cookie: cookiePlan({ secrets }) });
    stage.run({ pools: [poolPlan(3, { sticky })] });
    const renewed = ask(stage, first.cookie);
    expect(renewed.endpoint).toBe(first.endpoint);
    expect(renewed.cookie).not.toBe("");
    expect(renewed.cookie).not.toBe(first.cookie);
    expect(ask(stage, renewed.cookie)).toMatchObject({ endpoint: first.endpoint, set: "" });
  });

  test("a full endpoint is waited for", () => {
    const stage = stageWith({ limits: { inFlight: 1, queue: 10, queueTimeout: 1000 } });
    const first = ask(stage);
    const held: Peer[] = [];
    stage.network.welcome = (_, { peer }) => {
      held.push(peer);
      return "open";
    };
    for (const { peer } of stage.network.connects) peer.onArrival = () => void held.push(peer);
    const cookie = `Cookie: ${first.cookie}\r\n`;
    const busy = stage.asking(`GET /1 HTTP/1.1\r\nHost: a\r\n${cookie}\r\n`);
    const waits = stage.asking(`GET /2 HTTP/1.1\r\nHost: a\r\n${cookie}\r\n`);
    stage.advance(100);
    expect(stage.poolCell("queuedOwn")).toBe(1);
    held[0]!.received = Buffer.alloc(0);
    held[0]!.send(answer("one"));
    expect(busy.text).toEndWith("one");
    expect(held.at(-1)!.text).toStartWith("GET /2 ");
    held.at(-1)!.send(answer("two"));
    expect(waits.text).toEndWith("two");
    expect(stage.records.map(({ endpoint }) => endpoint)).toEqual([first.endpoint, first.endpoint, first.endpoint]);
    expect(waits.text).not.toContain("Set-Cookie");
  });

  test("a request that is hedged stays at home", () => {
    const stage = stageWith({ retry: { ...poolPlan().retry, hedge: 50 } });
    const first = ask(stage);
    const before = stage.connects;
    for (const { peer } of stage.network.connects) peer.onArrival = null;
    stage.asking(`GET / HTTP/1.1\r\nHost: a\r\nCookie: ${first.cookie}\r\n\r\n`);
    stage.advance(500);
    expect([stage.connects, stage.poolCell("hedges")]).toEqual([before, 0]);
  });
});

describe("the application's cookie", () => {
  const sticky = stickyPlan("appCookie");

  test("is learned from whoever sets it, and belongs there", () => {
    const stage = new Stage({ pools: [poolPlan(3, { sticky })] });
    let made = 0;
    answering(stage, (request) =>
      answer("ok", request.includes("JSESSIONID") ? "" : `Set-Cookie: JSESSIONID=s${++made}; Path=/; HttpOnly\r\n`),
    );
    for (let i = 0; i < 12; i++) {
      const first = ask(stage);
      expect(first.cookie).toStartWith("JSESSIONID=");
      for (let again = 0; again < 3; again++) {
        const next = ask(stage, `x=1; ${first.cookie}`);
        expect([next.endpoint, next.heard.includes(first.cookie)]).toEqual([first.endpoint, true]);
      }
    }
    expect([stage.poolCell("stickyNew"), stage.poolCell("stickyHits")]).toEqual([12, 36]);
  });

  test("moves with the client, and does not move back", () => {
    const stage = new Stage({ pools: [poolPlan(3, { sticky })] });
    answering(stage, () => answer());
    const cookie = "JSESSIONID=somebody";
    const first = ask(stage, cookie);
    expect(ask(stage, cookie).endpoint).toBe(first.endpoint); // by hash
    answering(stage, () => answer("ok", "Set-Cookie: JSESSIONID=learned\r\n"));
    const home = ask(stage, "", "").endpoint;
    setState(stage, home, "disabled");
    const moved = ask(stage, "JSESSIONID=learned").endpoint;
    expect(moved).not.toBe(home);
    setState(stage, home, "ready");
    expect(ask(stage, "JSESSIONID=learned").endpoint).toBe(moved);
  });
});

describe("a hash", () => {
  test.each([
    ["header", "X-User: 7\r\n", "X-User: 8\r\n"],
    ["source", "", ""],
  ] as const)("of the %s keeps clients together and writes nothing", (by, mine, other) => {
    const stage = stageWith({ sticky: stickyPlan(by) });
    const home = ask(stage, "", mine).endpoint;
    for (let i = 0; i < 6; i++) {
      ask(stage, "", other, `198.51.100.${i}`);
      expect(ask(stage, "", mine)).toMatchObject({ endpoint: home, set: "" });
    }
    setState(stage, home, "draining"); // a hash cannot tell old clients from new ones
    const moved = ask(stage, "", mine).endpoint;
    expect(moved).not.toBe(home);
    expect(ask(stage, "", mine).endpoint).toBe(moved);
  });
});

describe("a split", () => {
  const parts = (a: number, b: number) => [
    routePlan({
      match: onPath("/"),
      action: {
        kind: "split",
        parts: [
          { pool: "app", weight: a },
          { pool: "next", weight: b },
        ],
      },
    }),
  ];
  const plan = (a: number, b: number) => ({
    listeners: [listenerPlan({ routes: parts(a, b) })],
    pools: [
      poolPlan(2, { sticky: stickyPlan("cookie") }),
      poolPlan(2, { slot: 1, name: "next", sticky: stickyPlan("cookie") }),
    ],
  });

  test("keeps a client in its part; one of weight 0 keeps nobody", () => {
    const stage = new Stage(plan(50, 50), { seed: 3 });
    answering(stage, () => answer());
    const clients = Array.from({ length: 20 }, () => ask(stage));
    const pools = new Set(clients.map(({ endpoint }) => endpoint.slice(0, -1)));
    expect(pools.size).toBe(2);
    for (let round = 0; round < 3; round++) {
      for (const { cookie, endpoint } of clients) expect(ask(stage, cookie).endpoint).toBe(endpoint);
    }
    stage.run(plan(100, 0));
    for (const { cookie } of clients) expect(ask(stage, cookie).endpoint).toMatch(/:300\d$/);
  });
});
