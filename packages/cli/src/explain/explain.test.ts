import { describe, expect, test } from "bun:test";
import { disk } from "@plimsoll/balancer/src/config/disk.ts";
import { loadConfig } from "@plimsoll/balancer/src/config/load.ts";
import type { Plan } from "@plimsoll/balancer/src/config/plan.ts";
import { endpointTag, timedToken } from "@plimsoll/balancer/src/pool/stick/token.ts";
import { UsageError } from "../spec.ts";
import { explain, type LiveState } from "./explain.ts";
import { renderExplanation } from "./render.ts";
import { seeRequest, type AskedRequest } from "./request.ts";

const text = `
listeners:
  web:
    address: 127.0.0.1:8080
    routes:
      - match: { host: api.example.com, path: /v1/*, methods: [POST], headers: { x-canary: "1" } }
        pool: api
      - match: { path: /old/* }
        redirect: { to: /new/*, status: 308 }
      - split: [{ pool: api, weight: 90 }, { pool: keyed, weight: 10 }]
  side:
    address: 127.0.0.1:8081
    routes: [{ match: { path: /only }, pool: keyed }]
pools:
  api:
    endpoints: [127.0.0.1:3001, 127.0.0.1:3002, { address: 127.0.0.1:3003, backup: true }]
    readiness: { path: /readyz }
  keyed:
    endpoints: [127.0.0.1:4001, 127.0.0.1:4002, 127.0.0.1:4003]
    balance: ringHash
    hashKey: { header: x-tenant }
`;

function planOf(yaml: string): Plan {
  const loaded = loadConfig({ text: yaml, file: "test.yaml" }, {}, disk);
  if (!("plan" in loaded)) throw new Error(JSON.stringify(loaded.problems));
  return loaded.plan;
}

const plan = planOf(text);
const get = (url: string, change: Partial<AskedRequest> = {}): AskedRequest => ({
  method: "GET",
  url,
  headers: [],
  source: "127.0.0.1",
  ...change,
});

describe("the URL", () => {
  test("is seen as it was typed", () => {
    const { view, port } = seeRequest(get("http://API.example.com:8080/a/../b%2F?q=1&q=2#f"));
    expect([view.host(), view.path(), view.query("q"), port]).toEqual(["api.example.com", "/a/../b%2F", "1", 8080]);
    expect(seeRequest(get("example.com")).path).toBe("/");
    expect(seeRequest(get("https://example.com/")).port).toBe(443);
    expect(seeRequest(get("http://bücher.example/")).view.host()).toBe("xn--bcher-kva.example");
  });

  test("its host gives way to a Host header, and cookies are read", () => {
    const headers = [
      ["host", "Other.example:81"],
      ["cookie", "a=1; b=2"],
    ] as const;
    const { view } = seeRequest(get("http://x/", { headers }));
    expect([view.host(), view.cookie("b"), view.header("x-none")]).toEqual(["other.example", "2", undefined]);
  });

  test("is refused when it is none", () => {
    for (const url of ["", "ftp://x/", "http://", "http://a b/", "http://u@x/"]) {
      expect(() => seeRequest(get(url))).toThrow(UsageError);
    }
  });
});

describe("listener", () => {
  test("the one on the URL's port; others with their address", () => {
    const found = explain(plan, get("http://x:8081/only"), "", null);
    expect(found.listener).toBe("side");
    expect(found.listenersPassed).toEqual([
      { name: "web", why: "listens on 127.0.0.1:8080, and the URL says port 8081" },
    ]);
  });

  test("the one that was named, whatever the port", () => {
    expect(explain(plan, get("http://x/only"), "side", null).listener).toBe("side");
    expect(explain(plan, get("http://x/"), "sdie", null).listenerNote).toBe("there is no listener called sdie");
  });

  test("none on that port: nothing is guessed among several, the only one is taken", () => {
    const none = explain(plan, get("http://x/"), "", null);
    expect([none.listener, none.route]).toEqual(["", ""]);
    const only = explain({ ...plan, listeners: plan.listeners.slice(0, 1) }, get("http://x/"), "", null);
    expect([only.listener, only.listenerNote]).toEqual(["web", "none listens on port 80; this is the only one"]);
  });
});

describe("route", () => {
  test("chosen, and why each other one was not", () => {
    const asked = get("http://api.example.com:8080/v1/x", { method: "POST", headers: [["x-canary", "1"]] });
    const found = explain(plan, asked, "", null);
    expect([found.route, found.action]).toEqual(["web.routes[0]", "to pool api"]);
    expect(found.routesPassed.map(({ name }) => name).toSorted()).toEqual(["web.routes[1]", "web.routes[2]"]);
    expect(found.routesPassed.find(({ name }) => name === "web.routes[1]")?.why).toBe("path /v1/x is not below /old");
  });

  test("without a pool: what it does instead", () => {
    const found = explain(plan, get("http://x:8080/old/a"), "", null);
    expect([found.action, found.pools]).toEqual(["redirect 308 to /new/*", []]);
  });

  test("none", () => {
    const found = explain(plan, get("http://x:8081/else"), "", null);
    expect(found.route).toBe("");
    expect(renderExplanation(found)).toContain("route     none: answered 404 (route-not-found)");
  });

  test("a split names its shares and explains both pools", () => {
    const found = explain(plan, get("http://x:8080/"), "", null);
    expect(found.action).toBe("split: 90 % to pool api, 10 % to pool keyed");
    expect(found.pools.map(({ pool }) => pool)).toEqual(["api", "keyed"]);
  });
});

describe("endpoint", () => {
  const states = (...list: readonly (readonly [string, string, string])[]): LiveState => ({
    address: "http://127.0.0.1:9090",
    pools: new Map([["api", list.map(([id, state, reason]) => ({ id, state, reason, inFlight: 0 }))]]),
  });
  const api = (live: LiveState | null) => {
    const asked = get("http://api.example.com:8080/v1/x", { method: "POST", headers: [["x-canary", "1"]] });
    const [pool] = explain(plan, asked, "", live).pools;
    if (pool === undefined) throw new Error("no pool");
    return pool;
  };

  test("from the configuration alone: all that are no backup", () => {
    const pool = api(null);
    expect([pool.chosen, pool.rotation]).toEqual(["", ["127.0.0.1:3001", "127.0.0.1:3002"]]);
    expect(pool.passed).toEqual([
      { endpoint: "127.0.0.1:3003", why: "is a backup, and there are usable ones that are not" },
    ]);
  });

  test("with live states: who is out, and why", () => {
    const pool = api(
      states(
        ["127.0.0.1:3001", "ready", ""],
        ["127.0.0.1:3002", "draining", "for a deploy"],
        ["127.0.0.1:3003", "ready", ""],
      ),
    );
    expect(pool.chosen).toBe("127.0.0.1:3001");
    expect(pool.passed[0]).toEqual({ endpoint: "127.0.0.1:3002", why: "is draining: for a deploy" });
  });

  test("an outlier is told from the others, with what it did", () => {
    const live = states(["127.0.0.1:3001", "ready", ""], ["127.0.0.1:3002", "ready", ""]);
    const reason = "7 tries in a row failed (7 timeouts), 0 of its peers' 60";
    const pools = new Map([
      ["api", live.pools.get("api")!.map((each, at) => ({ ...each, ejection: at === 0 ? { reason } : null }))],
    ]);
    const pool = api({ ...live, pools });
    expect(pool.chosen).toBe("127.0.0.1:3002");
    expect(pool.passed[0]).toEqual({ endpoint: "127.0.0.1:3001", why: `is ejected: ${reason}` });
  });

  test("who could not be connected to is out for a moment", () => {
    const live = states(["127.0.0.1:3001", "ready", ""], ["127.0.0.1:3002", "ready", ""]);
    const pools = new Map([
      ["api", live.pools.get("api")!.map((each, at) => ({ ...each, unreachableUntil: at === 0 ? 5_000 : 0 }))],
    ]);
    const pool = api({ ...live, pools });
    expect(pool.chosen).toBe("127.0.0.1:3002");
    const why = "is out for a moment, because connecting to it failed";
    expect(pool.passed[0]).toEqual({ endpoint: "127.0.0.1:3001", why });
  });

  test("nobody ready: the backup first, then fail open, said so", () => {
    const backup = api(
      states(
        ["127.0.0.1:3001", "unready", "status 503"],
        ["127.0.0.1:3002", "unready", ""],
        ["127.0.0.1:3003", "ready", ""],
      ),
    );
    expect([backup.chosen, backup.failOpen]).toEqual(["127.0.0.1:3003", false]);
    const open = api(
      states(["127.0.0.1:3001", "unready", ""], ["127.0.0.1:3002", "unready", ""], ["127.0.0.1:3003", "unready", ""]),
    );
    expect([open.rotation, open.failOpen]).toEqual([["127.0.0.1:3001", "127.0.0.1:3002"], true]);
  });

  test("a hash decides by the key, and the same key always alike", () => {
    const tenants = Array.from({ length: 30 }, (_, at) => `tenant-${at}`);
    const chosen = tenants.map((tenant) => {
      const asked = get("http://x:8081/only", { headers: [["x-tenant", tenant]] });
      const [first] = explain(plan, asked, "", null).pools;
      expect(explain(plan, asked, "", null).pools[0]?.chosen).toBe(first?.chosen ?? "");
      expect(first?.passed.length).toBe(2);
      return first?.chosen;
    });
    expect(new Set(chosen)).toEqual(new Set(["127.0.0.1:4001", "127.0.0.1:4002", "127.0.0.1:4003"]));
  });

  test("names that nobody has resolved are named, and keep the hash from deciding", () => {
    const named = planOf(text.replace("endpoints: [127.0.0.1:4001,", "endpoints: [app.internal:4000, 127.0.0.1:4001,"));
    const [pool] = explain(named, get("http://x:8081/only"), "", null).pools;
    expect([pool?.chosen, pool?.names]).toEqual(["", ["app.internal:4000"]]);
  });
});

describe("sticky", () => {
  const secret = "a-secret-of-enough-length";
  const started = 1_800_000_000_000;
  const sticky = (how: string) =>
    planOf(text.replace("    readiness: { path: /readyz }", `    readiness: { path: /readyz }\n    sticky: ${how}`));
  const one = (
    of: Plan,
    headers: readonly (readonly [string, string])[],
    live: LiveState | null = null,
    now = started,
  ) => {
    const all = [["x-canary", "1"], ...headers] as const;
    const asked = get("http://api.example.com:8080/v1/x", { method: "POST", headers: all });
    const [pool] = explain(of, asked, "", live, now).pools;
    if (pool === undefined) throw new Error("no pool");
    return pool;
  };
  const byCookie = sticky(`{ cookie: shop, maxAge: 8h, secret: ${secret} }`);
  const issued = started / 1000;
  const tag = endpointTag(secret, "127.0.0.1:3002");
  const cookie = ["cookie", `x=1; shop=${timedToken(secret, tag, issued)}`] as const;

  test("a client with its cookie goes where that says, and why others do not get it", () => {
    const pool = one(byCookie, [cookie]);
    expect(pool.sticky?.found).toBe('its cookie "shop" names 127.0.0.1:3002');
    expect(pool.chosen).toBe("127.0.0.1:3002");
    expect(pool.passed[0]).toEqual({
      endpoint: "127.0.0.1:3001",
      why: "is in rotation, but the client belongs to another",
    });
    expect(one(byCookie, [cookie], null, started + 3_600_000 * 4).sticky?.found).toEndWith("; the answer renews it");
  });

  test("without one, with a forged one, with an old one", () => {
    const found = (value: string | null, now = started) => {
      const pool = one(byCookie, value === null ? [] : [["cookie", value]], null, now);
      expect(pool.chosen).toBe("");
      return pool.sticky?.found;
    };
    expect(found(null)).toBe('it has no cookie "shop", so it belongs nowhere yet; the answer gives it one');
    expect(found("shop=v1.forged")).toContain("is not believed: forged, of another secret");
    expect(found(cookie[1], started + 3_600_000 * 9)).toContain("has expired; the answer gives it another");
  });

  test("an endpoint that may not be kept is named, with the reason; one that drains is kept", () => {
    const live = (state: string): LiveState => ({
      address: "http://127.0.0.1:9090",
      pools: new Map([
        [
          "api",
          [
            { id: "127.0.0.1:3001", state: "ready", reason: "", inFlight: 0 },
            { id: "127.0.0.1:3002", state, reason: "", inFlight: 0 },
          ] as never,
        ],
      ]),
    });
    const disabled = one(byCookie, [cookie], live("disabled"));
    expect([disabled.chosen, disabled.sticky?.found]).toEqual([
      "127.0.0.1:3001",
      'its cookie "shop" names 127.0.0.1:3002, which is disabled; the answer names another',
    ]);
    expect(one(byCookie, [cookie], live("draining")).chosen).toBe("127.0.0.1:3002");
  });

  test("a hash decides for everybody, what is learned only the running balancer knows", () => {
    const bySource = one(sticky("{ source: true }"), []);
    expect(bySource.sticky?.found).toBe(`the hash of its address belongs to ${bySource.chosen}`);
    expect(bySource.chosen).not.toBe("");
    const learned = one(sticky("{ appCookie: sid }"), [["cookie", "sid=1"]]);
    expect([learned.chosen, learned.sticky?.found]).toEqual(["", expect.stringContaining("only the running balancer")]);
  });

  test("is a line of its own", () => {
    const asked = get("http://api.example.com:8080/v1/x", { method: "POST", headers: [["x-canary", "1"], cookie] });
    expect(renderExplanation(explain(byCookie, asked, "", null, started))).toContain(
      '\nsticky    by a signed cookie of the balancer\'s own: its cookie "shop" names 127.0.0.1:3002\nendpoint  127.0.0.1:3002\n',
    );
  });
});

test("as text: everything in its place", () => {
  const asked = get("http://x:8081/only", { headers: [["x-tenant", "a"]] });
  const shown = renderExplanation(explain(plan, asked, "", null)).split("\n");
  expect(shown.slice(0, 6)).toEqual([
    "GET http://x:8081/only from 127.0.0.1",
    "",
    "listener  side",
    "            not web: listens on 127.0.0.1:8080, and the URL says port 8081",
    "route     side.routes[0]",
    "action    to pool keyed",
  ]);
  expect(shown[6]).toBe("pool      keyed, ringHash: by the hash of the key, on a ring");
  expect(shown[7]).toMatch(/^endpoint {2}127\.0\.0\.1:400\d$/);
});

describe("what is passed on as bytes", () => {
  const layers = planOf(`
listeners:
  db:
    address: 127.0.0.1:5432
    protocol: tcp
    routes:
      - { name: inner, match: { source: 10.0.0.0/8 }, pool: db }
  tls:
    address: 127.0.0.1:443
    protocol: tls
    plainHttp: redirect
    routes:
      - { name: h2, match: { sni: shop.example.com, alpn: h2 }, pool: h2 }
      - { name: shop, match: { sni: shop.example.com }, pool: db }
      - { name: below, match: { sni: "*.example.com" }, pool: db }
pools:
  db: { endpoints: [127.0.0.1:5433, 127.0.0.1:5434], sticky: { source: true }, declared: { state: none } }
  h2: { endpoints: [127.0.0.1:8443] }
`);
  const ask = (url: string, change: Partial<AskedRequest> = {}) => explain(layers, get(url, change), "", null);

  test("a connection is known by its client's address alone", () => {
    const told = ask("tcp://db.example.com:5432", { source: "10.1.2.3" });
    expect([told.listener, told.protocol, told.route]).toEqual(["db", "tcp", "inner"]);
    expect(told.pools[0]?.chosen).toMatch(/^127\.0\.0\.1:543[34]$/);
    expect(told.listenerNote).toBe("protocol: tcp passes bytes on: only the client's address counts");
    const refused = ask("tcp://127.0.0.1:5432");
    expect(refused.route).toBe("");
    expect(renderExplanation(refused)).toContain("none: the connection is reset (route-not-found)");
    expect(renderExplanation(refused)).toContain("connection to tcp://127.0.0.1:5432 from 127.0.0.1");
    expect(refused.routesPassed[0]?.why).toContain("in none of its ranges");
  });

  test("a TLS client by its name and what it offers, also when it would ask for https", () => {
    expect(ask("tls://shop.example.com:443").route).toBe("shop");
    expect(ask("tls://shop.example.com:443", { alpn: ["http/1.1", "h2"] }).route).toBe("h2");
    expect(ask("https://shop.example.com/cart").route).toBe("h2");
    expect(ask("https://shop.example.com/cart", { alpn: ["http/1.1"] }).route).toBe("shop");
    expect(ask("tls://a.b.example.com:443").route).toBe("below");
    // An address is no name: there is no SNI for it.
    const none = ask("tls://10.0.0.1:443");
    expect(renderExplanation(none)).toContain("refused with the TLS alert unrecognized_name");
    const passed = ask("tls://shop.example.com:443").routesPassed.find(({ name }) => name === "h2");
    expect(passed?.why).toBe("ALPN (none) does not offer h2");
  });

  test("a question of the wrong layer is answered, and said to be one", () => {
    expect(ask("http://shop.example.com:443/")).toMatchObject({
      listenerNote: "it tells HTTP without TLS from TLS by the first byte",
      route: "tls.plainHttp",
      action: "redirect 308 to https://{authority}{path}",
    });
    const refusing = { ...layers, listeners: layers.listeners.map((each) => ({ ...each, plainRoutes: null })) };
    expect(explain(refusing, get("http://x.example.com:443/"), "", null).listenerNote).toContain(
      "refuses what does not begin so",
    );
    expect(explain(plan, get("tcp://127.0.0.1:8080"), "", null).listenerNote).toContain("it speaks HTTP");
  });

  test("a connection needs a port, and has no path", () => {
    for (const url of ["tcp://db.example.com", "tcp://db:5432/path", "tls://u@db:1", "tcp://"]) {
      expect(() => seeRequest(get(url))).toThrow(UsageError);
    }
    expect(seeRequest(get("tcp://db:80")).port).toBe(80);
  });
});
