// Needs: pebble, pebble-challtestsrv
// Certificates from a real ACME server: HTTP-01 and TLS-ALPN-01 answered by the workers, DNS-01 by a command, renewal, restart, one folder for two.
import { afterEach, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { freePort } from "@plimsoll/testbed/processes";
import type { AcmePlan } from "../../../packages/balancer/src/config/acme.ts";
import { readCertificate } from "../../../packages/balancer/src/config/certificate/read.ts";
import { disk, loadConfig } from "../../../packages/balancer/src/config/index.ts";
import { AcmeManager } from "../../../packages/balancer/src/control/acme/manager.ts";
import * as obtaining from "../../../packages/balancer/src/control/acme/obtain.ts";
import { AcmeStorage } from "../../../packages/balancer/src/control/acme/storage.ts";
import { runSupervisor, type Supervisor } from "../../../packages/balancer/src/control/supervisor.ts";
import { systemClock, systemTimers } from "../../../packages/balancer/src/net/clock.ts";
import { runCommand } from "../../../packages/balancer/src/net/run-command.ts";
import { cleanUp, configFor, folder, later, startOrigin, until } from "../control/running.ts";
import { recordHook, startPebble, type Pebble } from "./pebble.ts";

afterEach(cleanUp);

type Order = AcmePlan["orders"][number];
const order = (...names: readonly string[]): Order => ({
  id: names[0]?.replace("*", "_") ?? "",
  names,
  listeners: ["web"],
});

function planFor(pebble: Pebble, storage: string, orders: readonly Order[], change: Partial<AcmePlan> = {}): AcmePlan {
  return { ...pebble.plan, storage, challenge: "http-01", hook: null, orders, ...change };
}

interface Started {
  readonly supervisor: Supervisor;
  readonly events: { readonly name: string; readonly text: string }[];
}

/** A balancer with two workers; its listener is where Pebble asks. */
async function start(acme: AcmePlan, port: number): Promise<Started> {
  const origin = startOrigin("from the application");
  const config = configFor(port, [origin.port], { workers: 2, shutdown: { lag: "0s", window: "1s" } });
  const loaded = loadConfig({ text: JSON.stringify(config), file: "test.yaml" }, {}, disk);
  if (!("plan" in loaded)) throw new Error(JSON.stringify(loaded.problems));
  const events: Started["events"] = [];
  const supervisor = await runSupervisor({
    plan: { ...loaded.plan, acme },
    version: "test",
    reloadPlan: () => Promise.resolve(loaded),
    log: { event: (_, name, text) => void events.push({ name, text }) },
    signals: false,
    runtimeBase: folder(),
  });
  later(async () => void (await supervisor.stop()));
  return { supervisor, events };
}

const stateOf = ({ supervisor }: Started) => supervisor.status().certificates.map(({ state }) => state);
const acmeEvents = ({ events }: Started) => events.map(({ name }) => name).filter((name) => name.startsWith("acme."));
const settled = (started: Started, states: readonly string[]) =>
  until(`the certificates are ${states.join()}`, () => stateOf(started).join() === states.join());

function stored(acme: AcmePlan, id: string) {
  const pair = new AcmeStorage(acme.storage, acme.directory).pair(id);
  return pair === null ? null : readCertificate(pair.cert, pair.key, Date.now());
}

describe("HTTP-01", () => {
  test("the workers answer an authority which refuses good nonces now and then; a restart orders nothing", async () => {
    const pebble = await startPebble(15);
    const acme = planFor(pebble, folder(), [order("shop.example", "www.shop.example")]);
    const first = await start(acme, pebble.httpPort);
    await settled(first, ["valid"]);
    expect(acmeEvents(first)).toEqual(["acme.ordering", "acme.issued"]);
    const found = stored(acme, "shop.example");
    expect(found?.findings).toEqual([]);
    expect(found?.facts?.names.toSorted()).toEqual(["shop.example", "www.shop.example"]);
    expect(found?.facts?.issuer).toContain("Pebble");
    const { folder: inside } = new AcmeStorage(acme.storage, acme.directory);
    for (const file of ["account.key", "certificates/shop.example.pem"]) {
      expect(statSync(join(inside, file)).mode & 0o777).toBe(0o600);
    }
    expect(readdirSync(inside).toSorted()).toEqual(["account.key", "certificates"]);
    expect(first.supervisor.metrics()).toContain('plimsoll_acme_orders_total{result="issued"} 1');
    expect(first.supervisor.metrics()).toMatch(
      /plimsoll_acme_certificate_expiry_seconds\{names="shop.example,www.shop.example"\} 1\d+/,
    );
    // Everything else goes on as before: what is asked for is the application's, and so is a token that nobody knows.
    for (const path of ["/", "/.well-known/acme-challenge/unknown"]) {
      const answer = await fetch(`http://127.0.0.1:${pebble.httpPort}${path}`);
      expect(await answer.text()).toBe("from the application");
    }
    await first.supervisor.stop();
    const second = await start(acme, pebble.httpPort);
    await settled(second, ["valid"]);
    expect(acmeEvents(second)).toEqual([]);
  }, 60_000);

  test("a name that cannot be proved is told with the authority's reason, and does not hold up another", async () => {
    const pebble = await startPebble();
    // Nobody listens there.
    await pebble.tell("add-a", { host: "broken.example.", addresses: ["127.0.0.2"] });
    const acme = planFor(pebble, folder(), [order("broken.example"), order("shop.example")]);
    const started = await start(acme, pebble.httpPort);
    await settled(started, ["failing", "valid"]);
    const [broken] = started.supervisor.status().certificates;
    expect(broken).toMatchObject({ failures: 1, notAfter: 0 });
    expect(broken?.problem).toContain("broken.example");
    expect(broken?.problem).toContain("connection refused");
    expect(broken?.next).toBeGreaterThan(Date.now() + 30_000);
    expect(acmeEvents(started)).toEqual(["acme.ordering", "acme.failed", "acme.ordering", "acme.issued"]);
    expect(started.supervisor.metrics()).toContain('plimsoll_acme_failures{names="broken.example"} 1');
    // The next program knows, and waits as long.
    await started.supervisor.stop();
    const next = await start(acme, pebble.httpPort);
    await settled(next, ["failing", "valid"]);
    expect(acmeEvents(next)).toEqual([]);
  }, 60_000);

  test("workers that are killed while the authority looks do not hold it up", async () => {
    const pebble = await startPebble();
    const acme = planFor(pebble, folder(), [order("shop.example")]);
    const started = await start(acme, pebble.httpPort);
    for (const { pid } of started.supervisor.status().workers) process.kill(pid, "SIGKILL");
    await until("the try is over", () => acmeEvents(started).some((name) => /issued|failed/.test(name)));
    await until("both workers serve", () => started.supervisor.status().workers.every(({ serving }) => serving));
    expect(["valid", "failing"]).toContain(stateOf(started)[0] ?? "");
    await started.supervisor.stop();
    expect(readdirSync(new AcmeStorage(acme.storage, acme.directory).folder)).not.toContain("lock");
  }, 60_000);
});

describe("TLS-ALPN-01", () => {
  test("the workers show it to the authority in the handshake, and everybody else notices nothing", async () => {
    const pebble = await startPebble(15);
    const origin = startOrigin("from the application");
    const storage = folder();
    const config = {
      ...configFor(0, [origin.port], { workers: 2, shutdown: { lag: "0s", window: "1s" } }),
      listeners: {
        web: {
          address: `127.0.0.1:${pebble.tlsPort}`,
          tls: { acme: ["shop.com", "www.shop.com"], strictSni: true },
          routes: [{ pool: "app" }],
        },
      },
      acme: {
        acceptTerms: true,
        directory: pebble.plan.directory,
        ca: pebble.plan.ca,
        challenge: "tls-alpn-01",
        storage,
      },
    };
    const loaded = loadConfig({ text: JSON.stringify(config), file: "test.yaml" }, {}, disk);
    if (!("plan" in loaded)) throw new Error(JSON.stringify(loaded.problems));
    const events: Started["events"] = [];
    const supervisor = await runSupervisor({
      plan: loaded.plan,
      version: "test",
      reloadPlan: () => Promise.resolve(loaded),
      log: { event: (_, name, text) => void events.push({ name, text }) },
      signals: false,
      runtimeBase: folder(),
    });
    later(async () => void (await supervisor.stop()));
    const started = { supervisor, events };
    const early = await handshake(pebble.tlsPort);
    const issuers = new Set<string>();
    let asked = 0;
    // New connections all the time, and one that was there before.
    while (stateOf(started).join() !== "valid" || asked < 5) {
      const one = await handshake(pebble.tlsPort);
      issuers.add(one.issuer);
      expect(one.names).toBe("DNS:shop.com, DNS:www.shop.com");
      expect(await one.ask()).toContain("from the application");
      one.close();
      expect(await early.ask()).toContain("from the application");
      asked++;
    }
    expect(acmeEvents(started)).toEqual(["acme.ordering", "acme.issued"]);
    const late = await handshake(pebble.tlsPort);
    expect(late.issuer).toContain("Pebble");
    expect([...issuers].filter((issuer) => issuer !== "shop.com" && !issuer.includes("Pebble"))).toEqual([]);
    const changes = events.filter(({ text }) => text.includes("acme: challenges are answered"));
    expect(changes.length).toBe(2);
    const told = JSON.stringify([supervisor.status(), events, supervisor.metrics()]);
    expect(told).not.toContain("PRIVATE KEY");
  }, 60_000);

  test("a listener that does not do it tells why", async () => {
    const pebble = await startPebble();
    const acme = planFor(pebble, folder(), [order("shop.example")], { challenge: "tls-alpn-01" });
    // In the clear where TLS is looked for.
    const started = await start(acme, pebble.tlsPort);
    await settled(started, ["failing"]);
    expect(started.supervisor.status().certificates[0]?.problem).toContain("shop.example");
  }, 60_000);
});

describe("from the configuration to the handshake", () => {
  test("a self-signed certificate is shown until the real one is there, and no connection is touched by the change", async () => {
    const pebble = await startPebble();
    const origin = startOrigin("from the application");
    const web = await freePort();
    const storage = folder();
    const written = (directory: string) => ({
      ...configFor(pebble.httpPort, [origin.port], { workers: 2, shutdown: { lag: "0s", window: "1s" } }),
      listeners: {
        plain: { address: `127.0.0.1:${pebble.httpPort}`, routes: [{ pool: "app" }] },
        web: { address: `127.0.0.1:${web}`, tls: { acme: ["shop.com", "www.shop.com"] }, routes: [{ pool: "app" }] },
      },
      acme: { acceptTerms: true, directory, ca: pebble.plan.ca, storage },
    });
    const load = (directory: string) => {
      const text = JSON.stringify(written(directory));
      const loaded = loadConfig({ text, file: "test.yaml" }, {}, disk);
      if (!("plan" in loaded)) throw new Error(JSON.stringify(loaded.problems));
      return loaded;
    };
    let loaded = load("https://127.0.0.1:1/dir");
    const events: Started["events"] = [];
    const supervisor = await runSupervisor({
      plan: loaded.plan,
      version: "test",
      reloadPlan: () => Promise.resolve(loaded),
      log: { event: (_, name, text) => void events.push({ name, text }) },
      signals: false,
      runtimeBase: folder(),
    });
    later(async () => void (await supervisor.stop()));
    const early = await handshake(web);
    expect([early.subject, early.issuer]).toEqual(["shop.com", "shop.com"]);
    expect(await early.ask()).toContain("from the application");
    loaded = load(pebble.plan.directory);
    expect(await supervisor.reload()).toMatchObject({ ok: true });
    await settled({ supervisor, events }, ["valid"]);
    const late = await handshake(web);
    expect(late.issuer).toContain("Pebble");
    expect(late.names).toContain("DNS:www.shop.com");
    expect(await late.ask()).toContain("from the application");
    expect(await early.ask()).toContain("from the application");
    const told = JSON.stringify([supervisor.status(), events, supervisor.metrics()]);
    expect(told).not.toContain("PRIVATE KEY");
  }, 60_000);
});

interface Shaken {
  readonly subject: string;
  readonly issuer: string;
  readonly names: string;
  /** One request on this connection. */
  ask(): Promise<string>;
  close(): void;
}

function handshake(port: number): Promise<Shaken> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, servername: "shop.com", rejectUnauthorized: false };
    const client = connect(options, () => {
      const { subject, issuer, subjectaltname = "" } = client.getPeerCertificate();
      resolve({
        subject: String(subject.CN),
        issuer: String(issuer.CN),
        names: subjectaltname,
        ask: () =>
          new Promise((answered, failed) => {
            const gone = (): void => failed(new Error("the connection was closed"));
            client.once("close", gone);
            client.once("data", (bytes: Buffer) => {
              client.off("close", gone);
              answered(bytes.toString());
            });
            client.write("GET / HTTP/1.1\r\nHost: shop.com\r\n\r\n");
          }),
        close: () => void client.destroy(),
      });
    });
    later(() => void client.destroy());
    client.on("error", reject);
  });
}

describe("an authority that is not there", () => {
  test("is told, and the balancer serves all the same", async () => {
    const pebble = await startPebble();
    const acme = planFor(pebble, folder(), [order("shop.example")], { directory: "https://127.0.0.1:1/dir" });
    const started = await start(acme, pebble.httpPort);
    await settled(started, ["failing"]);
    expect(started.supervisor.status().certificates[0]?.problem).toContain("127.0.0.1:1 cannot be asked");
    expect(await (await fetch(`http://127.0.0.1:${pebble.httpPort}/`)).text()).toBe("from the application");
  }, 60_000);

  test("whose own certificate is not trusted is not spoken to", async () => {
    const pebble = await startPebble();
    const acme = planFor(pebble, folder(), [order("shop.example")], { ca: "" });
    const started = await start(acme, pebble.httpPort);
    await settled(started, ["failing"]);
    expect(started.supervisor.status().certificates[0]?.problem).toMatch(/certificate/);
    expect(pebble.output()).not.toContain("/sign-me-up");
  }, 60_000);
});

interface Managed {
  readonly manager: AcmeManager;
  readonly names: string[];
}

/** A manager as a program has it, on a clock that may be ahead. */
function manage(nonce: string, ahead = 0): Managed {
  const names: string[] = [];
  const manager = new AcmeManager({
    clock: { now: systemClock.now, wall: () => Date.now() + ahead },
    timers: systemTimers,
    random: () => 0,
    log: { event: (_, name, text) => void names.push(name === "acme.failed" ? text : name) },
    publish: () => Promise.resolve(""),
    runCommand,
    readFile: (path) => readFileSync(path, "utf8"),
    obtaining: () => Promise.resolve(obtaining),
    nonce,
    version: "test",
  });
  later(() => manager.close());
  return { manager, names };
}

describe("DNS-01", () => {
  test("a wildcard by a command; of two programs with one folder one orders", async () => {
    const pebble = await startPebble();
    const log = join(folder(), "done");
    const hook = { command: recordHook(pebble, log), env: {}, timeout: 20_000, wait: 0 };
    const acme = planFor(pebble, folder(), [order("*.shop.example", "shop.example")], { challenge: "dns-01", hook });
    const both = [manage("a"), manage("b")];
    await Promise.all(both.map(({ manager }) => manager.prepare(acme)));
    for (const { manager } of both) manager.apply(acme);
    await Promise.all(both.map(({ manager }) => manager.look()));
    for (const { manager } of both) await manager.look();
    expect(both.map(({ manager }) => manager.status()[0]?.state)).toEqual(["valid", "valid"]);
    expect(both.map(({ manager }) => manager.certificatesFor("web", acme)[0]?.cert)).toEqual(
      Array(2).fill(new AcmeStorage(acme.storage, acme.directory).pair("_.shop.example")?.cert),
    );
    expect(both.flatMap(({ names }) => names).filter((name) => name === "acme.issued")).toEqual(["acme.issued"]);
    expect(readFileSync(log, "utf8").trim().split("\n")).toEqual(
      ["present", "cleanup", "present", "cleanup"].map((action) => `${action} _acme-challenge.shop.example`),
    );
    expect(stored(acme, "_.shop.example")?.facts?.names.toSorted()).toEqual(["*.shop.example", "shop.example"]);
  }, 60_000);

  test("what the command says when it fails is told", async () => {
    const pebble = await startPebble();
    const hook = { command: ["sh", "-c", "echo zone is locked; exit 3"], env: {}, timeout: 20_000, wait: 0 };
    const acme = planFor(pebble, folder(), [order("shop.example")], { challenge: "dns-01", hook });
    const { manager, names } = manage("a");
    await manager.prepare(acme);
    manager.apply(acme);
    await manager.look();
    expect(names.join("\n")).toContain("ended with 3; it said: zone is locked");
  }, 60_000);
});

test("renewal: with the account that is there, when a third of the life is left, and by nobody before", async () => {
  const pebble = await startPebble(15);
  const log = join(folder(), "done");
  const hook = { command: recordHook(pebble, log), env: {}, timeout: 20_000, wait: 0 };
  const acme = planFor(pebble, folder(), [order("shop.example")], { challenge: "dns-01", hook });
  const run = async (ahead: number): Promise<{ cert: string; names: readonly string[] }> => {
    const { manager, names } = manage(`at ${ahead}`, ahead);
    await manager.prepare(acme);
    manager.apply(acme);
    await manager.look();
    await manager.close();
    return { cert: manager.certificatesFor("web", acme)[0]?.cert ?? "", names };
  };
  const first = await run(0);
  expect(first.names).toEqual(["acme.ordering", "acme.issued"]);
  const { notBefore = 0, notAfter = 0 } = stored(acme, "shop.example")?.facts ?? {};
  const life = notAfter - notBefore;
  expect(await run(life * 0.6)).toEqual({ cert: first.cert, names: [] });
  const renewed = await run(life * 0.7);
  expect(renewed.names).toEqual(["acme.ordering", "acme.issued"]);
  expect(renewed.cert).not.toBe(first.cert);
  expect(pebble.output()).toContain("There are now 1 accounts in memory");
  expect(pebble.output()).not.toContain("There are now 2 accounts in memory");
}, 60_000);
