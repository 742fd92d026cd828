import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VirtualTime } from "@plimsoll/testbed/virtual-time";
import type { AcmePlan } from "../../config/acme.ts";
import { readCertificate } from "../../config/certificate/read.ts";
import { makeLeaf } from "../certificate/make.ts";
import { FolderLock } from "./lock.ts";
import { AcmeManager, type AcmeNeeds } from "./manager.ts";
import { ObtainError, type Challenge, type ObtainOptions } from "./obtain.ts";
import { AcmeStorage } from "./storage.ts";

const day = 86_400_000;
const minute = 60_000;
const directory = "https://ca.example/dir";

let root: string;
let time: VirtualTime;
const managers: AcmeManager[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "plimsoll-acme-"));
  time = new VirtualTime(0, Date.UTC(2026, 0, 1));
});
afterEach(async () => {
  for (const manager of managers.splice(0)) await manager.close();
  rmSync(root, { recursive: true, force: true });
});

function plan(change: Partial<AcmePlan> = {}): AcmePlan {
  return {
    directory,
    email: "",
    ca: "",
    storage: root,
    challenge: "http-01",
    hook: null,
    externalAccount: null,
    orders: [{ id: "shop-1", names: ["shop.example", "www.shop.example"], listeners: ["web"] }],
    ...change,
  };
}

interface Stage {
  readonly manager: AcmeManager;
  readonly events: { readonly name: string; readonly level: string; readonly text: string }[];
  /** What was ordered, in order. */
  readonly ordered: ObtainOptions[];
  /** What was found by the authority while it looked. */
  readonly found: (readonly [string, string])[];
  readonly published: string[];
}

interface Authority {
  /** Fails instead of issuing; "" issues. */
  problem?: () => string;
  retryAfter?: number;
  /** Days that what it issues is valid. */
  life?: number;
}

const challenge: Challenge = {
  kind: "http-01",
  name: "shop.example",
  token: "token-of-sixteen-",
  answer: "token.thumb",
};

function start(name: string, authority: Authority = {}, change: Partial<AcmeNeeds> = {}): Stage {
  const stage = { events: [], ordered: [], found: [], published: [] } as Omit<Stage, "manager"> as Stage;
  const manager = new AcmeManager({
    clock: time,
    timers: time,
    random: () => 0,
    log: { event: (level, event, text) => void stage.events.push({ level, name: event, text }) },
    publish: (why) => Promise.resolve((stage.published.push(why), "")),
    runCommand: () => Promise.reject(new Error("no command is expected")),
    readFile: () => "",
    obtaining: () =>
      Promise.resolve({
        newAccountKey: () => Promise.resolve(`account of ${name}`),
        async obtain(options) {
          stage.ordered.push(options);
          await options.solver.present(challenge);
          stage.found.push(...manager.challenges);
          await options.solver.cleanup(challenge);
          const problem = authority.problem?.() ?? "";
          if (problem !== "") throw new ObtainError(problem, authority.retryAfter ?? 0);
          const now = time.wall();
          return makeLeaf(options.names, { notBefore: now, notAfter: now + (authority.life ?? 90) * day });
        },
      }),
    nonce: name,
    version: "1.2.3",
    ...change,
  });
  managers.push(manager);
  return Object.assign(stage, { manager });
}

async function begin(stage: Stage, wanted: AcmePlan | null = plan()): Promise<void> {
  await stage.manager.prepare(wanted);
  stage.manager.apply(wanted);
  await stage.manager.look();
}

/** Lets time pass in steps in which everything that falls due is finished. */
async function pass(stages: readonly Stage[], ms: number, step: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += step) {
    time.advance(step);
    for (const { manager } of stages) await manager.look();
  }
}

const shown = ({ manager }: Stage) => {
  const [pair] = manager.certificatesFor("web", plan());
  return readCertificate(pair?.cert ?? "", pair?.key ?? "", time.wall()).facts;
};
const names = ({ events }: Stage) => events.map(({ name }) => name);

describe("the first certificate", () => {
  test("until it is there a self-signed one is shown; then it is stored, shown and told", async () => {
    const stage = start("a");
    await stage.manager.prepare(plan());
    const standIn = shown(stage);
    expect(standIn).toMatchObject({ selfSigned: true, names: ["shop.example", "www.shop.example"] });
    expect(stage.manager.certificatesFor("other", plan())).toEqual([]);
    stage.manager.apply(plan());
    await stage.manager.look();
    expect(shown(stage)?.fingerprint).not.toBe(standIn?.fingerprint ?? "");
    expect(names(stage)).toEqual(["acme.ordering", "acme.issued"]);
    expect(stage.published.at(-1)).toBe("a certificate for shop.example, www.shop.example");
    expect(stage.manager.status()).toMatchObject([
      { state: "valid", failures: 0, problem: "", notAfter: time.wall() + 90 * day },
    ]);
    expect(stage.manager.counts).toEqual({ issued: 1, failed: 0 });
    expect(readdirSync(new AcmeStorage(root, directory).folder).sort()).toEqual(["account.key", "certificates"]);
  });

  test("the answer is with the workers before the authority looks, and gone afterwards", async () => {
    const stage = start("a");
    await begin(stage);
    expect(stage.found).toEqual([[challenge.token, challenge.answer]]);
    expect(stage.published).toHaveLength(3);
    expect(stage.manager.challenges).toEqual([]);
  });

  test("workers that cannot be given the answer end the try, and the authority is not asked to look", async () => {
    const stage = start("a", {}, { publish: () => Promise.resolve("every worker was lost") });
    await begin(stage);
    expect(stage.found).toEqual([]);
    expect(stage.manager.status()[0]?.problem).toContain("every worker was lost");
  });

  test("without orders nothing is opened", async () => {
    const stage = start("a");
    await begin(stage, null);
    await pass([stage], day, day);
    expect([stage.ordered, readdirSync(root)]).toEqual([[], []]);
  });
});

describe("renewal", () => {
  test("when a third of its life is left, with the same account", async () => {
    const stage = start("a");
    await begin(stage);
    const first = shown(stage)?.fingerprint;
    await pass([stage], 59 * day, day);
    expect(stage.ordered).toHaveLength(1);
    await pass([stage], 2 * day, day);
    expect(stage.ordered.map(({ accountKey }) => accountKey)).toEqual(["account of a", "account of a"]);
    expect(shown(stage)?.fingerprint).not.toBe(first ?? "");
    await pass([stage], 365 * day, day);
    expect(stage.ordered).toHaveLength(8);
  });

  test("a program that is started again uses what is stored, and orders nothing", async () => {
    const first = start("a");
    await begin(first);
    await first.manager.close();
    const second = start("b");
    await second.manager.prepare(plan());
    expect(shown(second)?.fingerprint).toBe(shown(first)?.fingerprint ?? "");
    second.manager.apply(plan());
    await pass([second], day, day);
    expect(second.ordered).toEqual([]);
  });

  test("other names are another certificate; names that are gone are ordered no more", async () => {
    const stage = start("a");
    await begin(stage);
    const more = [{ id: "other-1", names: ["other.example"], listeners: ["web", "more"] }];
    await begin(stage, plan({ orders: more }));
    expect(stage.ordered.map(({ names }) => names.join())).toEqual(["shop.example,www.shop.example", "other.example"]);
    expect(stage.manager.certificatesFor("more", plan({ orders: more }))).toHaveLength(1);
    await pass([stage], 65 * day, day);
    expect(stage.ordered.at(-1)?.names).toEqual(["other.example"]);
    expect(stage.ordered).toHaveLength(3);
  });
});

test("another authority orders anew, and what the first one issued is shown until then", async () => {
  let problem = "";
  const stage = start("a", { problem: () => problem });
  await begin(stage);
  const first = shown(stage)?.fingerprint ?? "";
  problem = "not yet";
  const other = plan({ directory: "https://other.example/dir" });
  await begin(stage, other);
  await stage.manager.look();
  expect([stage.ordered.length, shown(stage)?.fingerprint]).toEqual([2, first]);
  expect(stage.manager.status()).toMatchObject([{ state: "failing", failures: 1 }]);
  problem = "";
  await pass([stage], 5 * minute, minute);
  expect(stage.ordered.map(({ plan }) => plan.directory)).toEqual([directory, other.directory, other.directory]);
  expect(shown(stage)?.fingerprint).not.toBe(first);
  // And back: what is stored is used again.
  await begin(stage);
  await stage.manager.look();
  expect([stage.ordered.length, shown(stage)?.fingerprint]).toEqual([3, first]);
});

test("a plan that comes while one of another authority is under way waits for it, and takes nothing of it", async () => {
  const [gate, begun] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const directories: string[] = [];
  const other = plan({ directory: "https://other.example/dir" });
  const stage = start(
    "a",
    {},
    {
      obtaining: () =>
        Promise.resolve({
          newAccountKey: () => Promise.resolve("key"),
          async obtain({ plan, names }) {
            directories.push(plan.directory);
            begun.resolve();
            if (plan.directory === directory) await gate.promise.then(() => Promise.reject(new Error("too late")));
            return makeLeaf(names, { notBefore: time.wall(), notAfter: time.wall() + 90 * day });
          },
        }),
    },
  );
  await stage.manager.prepare(plan());
  stage.manager.apply(plan());
  const first = stage.manager.look();
  await begun.promise;
  await stage.manager.prepare(other);
  stage.manager.apply(other);
  gate.resolve();
  await first;
  await Bun.sleep(0);
  await stage.manager.look();
  expect(directories).toEqual([directory, other.directory]);
  expect(stage.manager.status()).toMatchObject([{ state: "valid", failures: 0 }]);
  expect(names(stage)).toEqual(["acme.ordering", "acme.ordering", "acme.issued"]);
});

test("a plan that was prepared and refused changes nothing of what is shown", async () => {
  const stage = start("a");
  await begin(stage);
  const before = stage.manager.certificatesFor("web", plan());
  await stage.manager.prepare(plan({ orders: [{ id: "other-1", names: ["other.example"], listeners: ["web"] }] }));
  expect(stage.manager.certificatesFor("web", plan())).toEqual(before);
  await pass([stage], minute, 15_000);
  expect(stage.ordered).toHaveLength(1);
});

describe("failures", () => {
  test("are told with the reason, and tried again ever more rarely", async () => {
    const stage = start("a", { problem: () => "shop.example: connection refused" });
    await begin(stage);
    expect(stage.events.at(-1)).toMatchObject({ name: "acme.failed", level: "error" });
    expect(stage.events.at(-1)?.text).toContain("connection refused; a self-signed one is shown; next try at");
    expect(stage.manager.status()).toMatchObject([{ state: "failing", failures: 1, notAfter: 0 }]);
    // Let's Encrypt allows five failed validations of a name an hour.
    await pass([stage], 59 * minute, minute);
    expect(stage.ordered.length).toBeLessThan(5);
    await pass([stage], 3 * day, minute);
    expect(stage.ordered.length).toBeLessThan(20);
    expect(stage.manager.counts.failed).toBe(stage.ordered.length);
  });

  test("do not begin anew with the program", async () => {
    const first = start("a", { problem: () => "no" });
    await begin(first);
    await pass([first], 10 * minute, minute);
    await first.manager.close();
    const before = first.manager.status()[0];
    const second = start("b", { problem: () => "no" });
    await begin(second);
    expect(second.ordered).toEqual([]);
    expect(second.manager.status()).toMatchObject([{ failures: before?.failures, problem: "no", next: before?.next }]);
  });

  test("never sooner than the authority asks for", async () => {
    const stage = start("a", { problem: () => "too many certificates", retryAfter: 2 * day });
    await begin(stage);
    await pass([stage], 2 * day - minute, 30 * minute - 0.5);
    expect(stage.ordered).toHaveLength(1);
    await pass([stage], 60 * minute, minute);
    expect(stage.ordered).toHaveLength(2);
  });

  test("are over with the next certificate; a present one is shown meanwhile", async () => {
    let problem = "";
    const stage = start("a", { problem: () => problem });
    await begin(stage);
    const first = shown(stage)?.fingerprint ?? "";
    problem = "the authority is closed";
    await pass([stage], 70 * day, day);
    expect(shown(stage)?.fingerprint).toBe(first);
    expect(stage.events.at(-1)).toMatchObject({ name: "acme.failed", level: "warn" });
    expect(stage.events.at(-1)?.text).toMatch(/the present one is valid for \d+ days/);
    await pass([stage], 15 * day, day);
    expect(stage.events.at(-1)).toMatchObject({ name: "acme.failed", level: "error" });
    problem = "";
    await pass([stage], 2 * day, day);
    expect(stage.manager.status()).toMatchObject([{ state: "valid", failures: 0, problem: "" }]);
    expect(shown(stage)?.fingerprint).not.toBe(first);
  });

  test("a folder that cannot be written is told, and not every fifteen seconds", async () => {
    const stage = start("a");
    await begin(stage, plan({ storage: "/proc/plimsoll" }));
    await pass([stage], 30 * minute, 15_000);
    expect(stage.ordered).toEqual([]);
    const failed = stage.events.filter(({ name }) => name === "acme.failed");
    expect(failed[0]?.text).toContain("/proc/plimsoll");
    expect(failed.length).toBeLessThan(5);
  });
});

describe("several programs with one folder", () => {
  test("one orders, and the others use what it got", async () => {
    const stages = ["a", "b", "c"].map((name) => start(name));
    for (const { manager } of stages) await manager.prepare(plan());
    for (const { manager } of stages) manager.apply(plan());
    await Promise.all(stages.map(({ manager }) => manager.look()));
    await pass(stages, minute, 15_000);
    expect(stages.flatMap(({ ordered }) => ordered)).toHaveLength(1);
    expect(new Set(stages.map((stage) => shown(stage)?.fingerprint)).size).toBe(1);
    expect(stages.map(({ manager }) => manager.status()[0]?.state)).toEqual(["valid", "valid", "valid"]);
    await pass(stages, 61 * day, day);
    expect(stages.flatMap(({ ordered }) => ordered)).toHaveLength(2);
    expect(new Set(stages.map((stage) => shown(stage)?.fingerprint)).size).toBe(1);
  });

  test("who waits says for whom, once; a holder that is silent is replaced", async () => {
    const { folder } = new AcmeStorage(root, directory);
    const stage = start("a");
    new AcmeStorage(root, directory).open();
    const other = new FolderLock(folder, "other");
    other.take(time.now());
    await begin(stage);
    await pass([stage], minute, 15_000);
    expect(names(stage)).toEqual(["acme.waiting"]);
    expect(stage.events[0]?.text).toContain(`process ${process.pid}`);
    await pass([stage], minute, 15_000);
    expect(stage.ordered).toHaveLength(1);
    expect(other.touch()).toBe(false);
  });
});

test("stopping gives up what is under way, removes its answer and releases the lock", async () => {
  const asked = Promise.withResolvers<void>();
  const stage = start(
    "a",
    {},
    {
      obtaining: () =>
        Promise.resolve({
          newAccountKey: () => Promise.resolve("key"),
          async obtain({ solver, signal }) {
            await solver.present(challenge);
            asked.resolve();
            await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
            await solver.cleanup(challenge);
            throw new Error("aborted");
          },
        }),
    },
  );
  await stage.manager.prepare(plan());
  stage.manager.apply(plan());
  await asked.promise;
  await stage.manager.close();
  expect(stage.manager.challenges).toEqual([]);
  expect(names(stage)).toEqual(["acme.ordering"]);
  expect(readdirSync(new AcmeStorage(root, directory).folder)).not.toContain("lock");
});

test("DNS-01: a command makes the record and removes it, and what it says is told", async () => {
  const calls: string[][] = [];
  let code = 0;
  const stage = start(
    "a",
    {},
    {
      runCommand: ({ words, env }) => {
        calls.push([...words, env["PLIMSOLL_ACME_NAME"] ?? "", env["PLIMSOLL_ACME_VALUE"] ?? "", env["TOKEN"] ?? ""]);
        return Promise.resolve({ code, signal: "", problem: "", lastLine: code === 0 ? "" : "zone is locked" });
      },
    },
  );
  const hook = { command: ["dns", "-z"], env: { TOKEN: "t" }, timeout: 1000, wait: 0 };
  await begin(stage, plan({ challenge: "dns-01", hook }));
  expect(calls).toEqual(
    ["present", "cleanup"].map((action) => ["dns", "-z", action, "_acme-challenge.shop.example", "token.thumb", "t"]),
  );
  expect(names(stage)).toEqual(["acme.ordering", "acme.issued"]);
  code = 3;
  await pass([stage], 61 * day, day);
  expect(stage.events.at(-1)?.text).toContain("dns present ended with 3; it said: zone is locked");
});
