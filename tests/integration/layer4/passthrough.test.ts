// TLS passed on by its name, with the clients that people use: each gets the certificate of its own application, with the
// protocol that it wanted, and is told in TLS's words when nobody has its name.
// Needs: curl, openssl
import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { cleanUp, folder, later, run, type Running } from "../control/running.ts";
import { client, type Said } from "./clients.ts";

afterEach(cleanUp);

/** An application that ends TLS itself, with a certificate for this name. */
function application(name: string, home: string): { readonly port: number; readonly cert: string } {
  const [key, cert] = [join(home, `${name}.key`), join(home, `${name}.crt`)];
  const made = Bun.spawnSync([
    ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-keyout", key, "-out", cert, "-days", "2", "-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`],
  ]);
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert: Bun.file(cert), key: Bun.file(key) },
    fetch: async (request) => new Response(`${name} got ${(await request.arrayBuffer()).byteLength} bytes`),
  });
  later(() => server.stop(true));
  return { port: server.port ?? 0, cert };
}

interface Stage {
  readonly running: Running;
  readonly port: number;
  readonly shop: string;
  readonly pay: string;
  readonly home: string;
}

async function stage(): Promise<Stage> {
  const home = folder();
  mkdirSync(home, { recursive: true });
  const shop = application("shop.example.com", home);
  const pay = application("pay.example.org", home);
  const running = await run({
    listeners: {
      web: {
        address: "127.0.0.1:0",
        protocol: "tls",
        timeouts: { headers: "2s" },
        routes: [
          { match: { sni: "shop.example.com" }, pool: "shop" },
          { match: { sni: "*.example.org" }, pool: "pay" },
        ],
      },
    },
    pools: {
      shop: { endpoints: [`127.0.0.1:${shop.port}`], readiness: { probe: "tls", tls: { verify: false } } },
      pay: { endpoints: [`127.0.0.1:${pay.port}`] },
    },
    admin: { address: "127.0.0.1:0" },
    log: { access: "none" },
    shutdown: { lag: "0s", window: "1s" },
    workers: 2,
  });
  return { running, port: await running.port(), shop: shop.cert, pay: pay.cert, home };
}

const curl = (port: number, name: string, cert: string, ...more: readonly string[]): Promise<Said> =>
  client([
    ...["curl", "-sS", "--max-time", "20", "--cacert", cert, "--resolve", `${name}:${port}:127.0.0.1`],
    ...more,
    `https://${name}:${port}/`,
  ]);

describe("passthrough", () => {
  test("each client gets its own application's certificate, verified, and its bytes whole", async () => {
    const { port, shop, pay, home } = await stage();
    expect(await curl(port, "shop.example.com", shop)).toEqual({ code: 0, text: "shop.example.com got 0 bytes" });
    expect(await curl(port, "pay.example.org", pay)).toEqual({ code: 0, text: "pay.example.org got 0 bytes" });
    const upload = join(home, "upload");
    await Bun.write(upload, new Uint8Array(5_000_000));
    for (const options of [["--tlsv1.3"], ["--tls-max", "1.2"]]) {
      expect(await curl(port, "shop.example.com", shop, ...options, "--data-binary", `@${upload}`)).toEqual({
        code: 0,
        text: "shop.example.com got 5000000 bytes",
      });
    }
  }, 60_000);

  test("a name that nobody has, and no name at all, are refused with an alert that the client prints", async () => {
    const { port } = await stage();
    for (const name of [["-servername", "other.example.net"], ["-noservername"]]) {
      const said = await client(["openssl", "s_client", "-connect", `127.0.0.1:${port}`, ...name]);
      expect(said.code).not.toBe(0);
      expect(said.text).toContain("unrecognized name");
    }
  }, 60_000);

  test("who speaks plain HTTP is cut off, and counted with its code", async () => {
    const { port, running } = await stage();
    const said = await client(["curl", "-sS", "--max-time", "20", `http://127.0.0.1:${port}/`]);
    expect(said.code).toBeGreaterThan(0);
    const { text } = await running.admin("GET", "/metrics");
    expect(text).toMatch(/plimsoll_faults_total\{code="client-hello-malformed",side="client"\} 1\n/);
  }, 60_000);
});
