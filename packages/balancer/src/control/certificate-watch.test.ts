import { expect, test } from "bun:test";
import { testAuthority } from "@plimsoll/testbed/authority";
import type { FileReader } from "../config/file-reader.ts";
import { loadConfig } from "../config/load.ts";
import type { Plan } from "../config/plan.ts";
import { CertificateWatch } from "./certificate-watch.ts";

const authority = await testAuthority();
const [first, second, other] = [
  await authority.issue(["a.test"]),
  await authority.issue(["a.test", "b.test"]),
  await authority.issue(["c.test"]),
];

const text = `
listeners:
  web:
    address: 127.0.0.1:8443
    tls: { certificates: { cert: a.crt, key: a.key } }
    routes: [{ pool: app }]
pools: { app: { endpoints: [127.0.0.1:3000], tls: { ca: ca.pem } } }
`;
const withClients = text.replace(
  "key: a.key }",
  "key: a.key }, clientCertificates: { mode: required, ca: ca.pem, crl: ca.crl }",
);
const crl = await authority.revoke(other);

/** A watch over files in memory, each look at a time of its own. */
function stage(written = text) {
  const files = new Map([
    ["a.crt", first.cert],
    ["a.key", first.key],
    ["ca.pem", authority.cert],
    ["ca.crl", crl],
  ]);
  const reader: FileReader = {
    resolve: (_, written) => written,
    readFile(path) {
      const found = files.get(path);
      if (found === undefined) throw Object.assign(new Error("gone"), { code: "ENOENT" });
      return found;
    },
    wall: () => Date.now(),
  };
  const loaded = loadConfig({ text: written, file: "plimsoll.yaml" }, {}, reader);
  if (!("plan" in loaded)) throw new Error(JSON.stringify(loaded.problems));
  const events: string[] = [];
  const applied: Plan[] = [];
  const running = {
    plan: loaded.plan,
    async change(load: () => Promise<Plan | { readonly problems: readonly string[] }>) {
      const plan = await load();
      if ("problems" in plan) return { ok: false as const, problems: plan.problems };
      const changes = JSON.stringify(plan) === JSON.stringify(running.plan) ? [] : ["certificates changed"];
      running.plan = plan;
      applied.push(plan);
      return { ok: true as const, generation: 1, changes, notes: [] };
    },
  };
  const watch = new CertificateWatch({
    log: { event: (_, name, said) => void events.push(`${name}: ${said}`) },
    running,
    reader,
    timers: { every: () => () => {}, after: () => () => {} },
    look: (path) => files.get(path) ?? "",
  });
  watch.start();
  const look = async (times: number) => {
    for (let i = 0; i < times; i++) await watch.look();
  };
  return { files, running, events, applied, look };
}

test("a new pair is taken once it looks the same twice", async () => {
  const { files, running, events, applied, look } = stage();
  await look(3);
  expect([applied, events]).toEqual([[], []]);
  // Half written: the key is still to come.
  files.set("a.crt", second.cert);
  await look(1);
  files.set("a.key", second.key);
  await look(1);
  expect(applied).toEqual([]);
  await look(1);
  expect(events).toEqual(["tls.certificate-replaced: a.crt, a.key changed: certificates changed"]);
  const [shown] = running.plan.listeners[0]!.tls!.certificates;
  expect([shown!.cert, shown!.key, shown!.names]).toEqual([second.cert, second.key, ["a.test", "b.test"]]);
  await look(3);
  expect(applied.length).toBe(1);
});

test("a pair that was replaced while the program started is taken", async () => {
  const { files, running, events, look } = stage();
  files.set("a.crt", second.cert);
  files.set("a.key", second.key);
  await look(2);
  expect(running.plan.listeners[0]!.tls!.certificates[0]!.cert).toBe(second.cert);
  expect(events.length).toBe(1);
});

test("what cannot be used is refused once, and mended later", async () => {
  const { files, running, events, applied, look } = stage();
  await look(2);
  files.set("a.key", other.key);
  await look(5);
  expect(events.length).toBe(1);
  expect(events[0]).toMatch(
    /^tls\.certificate-refused: a\.key changed, and the old one stays: a\.key: the key .* does not belong/,
  );
  files.delete("a.key");
  await look(5);
  expect(events.length).toBe(2);
  expect(events[1]).toContain("a.key cannot be read: there is no such file");
  expect(applied).toEqual([]);
  expect(running.plan.listeners[0]!.tls!.certificates[0]!.cert).toBe(first.cert);
  files.set("a.key", first.key);
  await look(5);
  expect(events.length).toBe(2);
  files.set("a.crt", second.cert);
  files.set("a.key", second.key);
  await look(2);
  expect(events[2]).toStartWith("tls.certificate-replaced: ");
});

test("authorities of pools are watched, too", async () => {
  const { files, running, events, look } = stage();
  await look(2);
  const another = await testAuthority("Another");
  files.set("ca.pem", another.cert);
  await look(2);
  expect(events).toEqual(["tls.certificate-replaced: ca.pem changed: certificates changed"]);
  expect(running.plan.pools[0]!.pool.tls!.ca.pem).toBe(another.cert);
});

test("authorities and revocations that are emptied change nothing: nobody may come in who could not before", async () => {
  for (const [file, empty] of [
    ["ca.pem", ""],
    ["ca.pem", "# nothing yet\n"],
    ["ca.crl", ""],
    ["ca.crl", authority.cert],
    // Its first half, as a copy that was broken off leaves it.
    ["ca.crl", `${crl.slice(0, 120)}\n-----END X509 CRL-----\n`],
  ] as const) {
    const { files, events, applied, look } = stage(withClients);
    await look(2);
    files.set(file, empty);
    await look(5);
    expect([file, applied, events.length]).toEqual([file, [], 1]);
    expect(events[0]).toStartWith(`tls.certificate-refused: ${file} changed, and the old one stays: ${file}: `);
  }
});
