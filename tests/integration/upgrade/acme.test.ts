// Needs: pebble, pebble-challtestsrv
// An upgrade while certificates are ordered: the new program has the folder, its lock, the account and what was issued.
import { afterEach, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { AcmeStorage } from "../../../packages/balancer/src/control/acme/storage.ts";
import { recordHook, startPebble } from "../acme/pebble.ts";
import { cleanUp, configFor, folder, isAlive, run, startOrigin, until } from "../control/running.ts";

afterEach(cleanUp);

/** Who issued the certificate that a new connection is shown. */
function issuer(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const client = connect({ host: "127.0.0.1", port, servername: "shop.com", rejectUnauthorized: false }, () => {
      resolve(String(client.getPeerCertificate().issuer.CN));
      client.destroy();
    });
    client.on("error", reject);
  });
}

test("an order that is under way is given up by the old program and made by the new one; what was issued is shown from its first handshake", async () => {
  const pebble = await startPebble();
  const [storage, made] = [folder(), folder()];
  // The first call hangs, as a name server's API may; it is in the way of nothing once it is over.
  const hanging = join(made, "hanging");
  const hook = join(made, "hook");
  const real = recordHook(pebble, join(made, "log")).map((word) => `'${word}'`);
  writeFileSync(
    hook,
    `#!/bin/sh\nif mkdir ${hanging} 2>/dev/null; then echo $$ > ${hanging}/pid; exec sleep 600; fi\nexec ${real.join(" ")} "$@"\n`,
  );
  chmodSync(hook, 0o755);
  const config = configFor(0, [startOrigin().port], {
    listeners: { web: { address: "127.0.0.1:0", tls: { acme: ["shop.com"] }, routes: [{ pool: "app" }] } },
    acme: {
      acceptTerms: true,
      directory: pebble.plan.directory,
      ca: pebble.plan.ca,
      storage,
      challenge: "dns-01",
      hook: { command: [hook], timeout: "5m", wait: "0s" },
    },
  });
  const program = await run(config);
  const port = await program.port();
  const held = () => existsSync(join(inside, "lock"));
  const { folder: inside } = new AcmeStorage(storage, pebble.plan.directory);
  await until("the order hangs", () => existsSync(join(hanging, "pid")));
  expect(held()).toBe(true);
  expect(await issuer(port)).toBe("shop.com");
  const account = readFileSync(join(inside, "account.key"), "utf8");

  const first = program.note().pid;
  expect((await program.admin("POST", "/upgrade")).status).toBe(200);
  expect(program.note().pid).not.toBe(first);
  await until("the new one has it", async () => (await program.status()).certificates[0]?.state === "valid", 30_000);
  await until("the old one is gone", () => !isAlive(first));
  const hook1 = Number(readFileSync(join(hanging, "pid"), "utf8"));
  expect(isAlive(hook1)).toBe(false);
  expect(["acme.ordering", "acme.issued", "acme.failed"].map((name) => program.count(name))).toEqual([2, 1, 0]);
  expect(readFileSync(join(inside, "account.key"), "utf8")).toBe(account);
  expect(pebble.output()).not.toContain("There are now 2 accounts in memory");
  await until("nobody holds the folder", () => !held());
  expect(readdirSync(inside).toSorted()).toEqual(["account.key", "certificates"]);

  // Once more, now that there is one: no handshake is shown anything else, and nothing is ordered.
  const seen = new Map<string, number>();
  let asking = true;
  const clients = [1, 2, 3].map(async () => {
    while (asking) {
      const name = await issuer(port);
      seen.set(name, (seen.get(name) ?? 0) + 1);
    }
  });
  const total = () => [...seen.values()].reduce((sum, count) => sum + count, 0);
  await until("handshakes are made", () => total() > 10);
  expect((await program.admin("POST", "/upgrade")).status).toBe(200);
  const before = total();
  await until("handshakes are made with the new one", () => total() > before + 30);
  asking = false;
  await Promise.all(clients);
  expect([...seen.keys()].filter((name) => !name.startsWith("Pebble"))).toEqual([]);
  expect((await program.status()).certificates[0]?.state).toBe("valid");
  expect(program.count("acme.ordering")).toBe(2);
}, 90_000);
