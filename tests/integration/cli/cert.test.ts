// Needs: curl, openssl
// What others make of the certificates of `plimsoll cert dev`: OpenSSL, curl and the runtime's own verifier.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { makeLeaf } from "../../../packages/balancer/src/control/certificate/make.ts";

const main = join(import.meta.dir, "../../../packages/cli/src/main.ts");
let folder: string;
let authority: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "plimsoll-cert-"));
  authority = join(folder, "data/plimsoll/dev-authority/authority.crt");
  const made = await run([process.execPath, main, "cert", "dev", "shop.localhost", "localhost", "127.0.0.1", "::1"]);
  expect(made.code).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(words: readonly string[]): Promise<{ code: number; out: string }> {
  const env = { ...process.env, XDG_DATA_HOME: join(folder, "data") };
  const child = Bun.spawn([...words], { cwd: folder, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out: out + err };
}

/** Says hello over TLS with the certificate that was made. */
function listen(): Bun.TCPSocketListener {
  const [cert, key] = ["crt", "key"].map((end) => readFileSync(join(folder, `shop.localhost.${end}`), "utf8"));
  return Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert: cert ?? "", key: key ?? "" },
    socket: {
      data: (socket) => void socket.end("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"),
    },
  });
}

test("OpenSSL verifies it for every name, and for no other", async () => {
  const verify = (...more: readonly string[]) =>
    run([
      "openssl",
      "verify",
      "-x509_strict",
      "-purpose",
      "sslserver",
      "-CAfile",
      authority,
      ...more,
      "shop.localhost.crt",
    ]);
  expect((await verify()).out).toContain("OK");
  for (const name of ["shop.localhost", "localhost"]) expect((await verify("-verify_hostname", name)).code).toBe(0);
  for (const ip of ["127.0.0.1", "::1"]) expect((await verify("-verify_ip", ip)).code).toBe(0);
  expect((await verify("-verify_hostname", "other.localhost")).code).not.toBe(0);
});

test("what the stolen key of the authority would sign for a bank is refused", async () => {
  const key = readFileSync(authority.replace(".crt", ".key"), "utf8");
  const issuer = { cert: readFileSync(authority, "utf8"), key };
  const dates = { notBefore: Date.now() - 60_000, notAfter: Date.now() + 86_400_000 };
  writeFileSync(join(folder, "stolen.crt"), (await makeLeaf(["bank.example.com"], dates, issuer)).cert);
  const { code, out } = await run(["openssl", "verify", "-CAfile", authority, "stolen.crt"]);
  expect(code).not.toBe(0);
  expect(out).toContain("permitted subtree violation");
});

test("curl and the runtime accept it once they trust the authority, and not before", async () => {
  const listener = listen();
  try {
    const url = `https://shop.localhost:${listener.port}/`;
    const curl = ["curl", "-sS", "--resolve", `shop.localhost:${listener.port}:127.0.0.1`, url];
    expect(await run([...curl, "--cacert", authority])).toEqual({ code: 0, out: "hello" });
    expect((await run(curl)).code).toBe(60);
    const ca = readFileSync(authority, "utf8");
    const authorized = await new Promise<boolean>((resolve, reject) => {
      const client = connect({ host: "127.0.0.1", port: listener.port, servername: "shop.localhost", ca }, () => {
        resolve(client.authorized);
        client.destroy();
      });
      client.on("error", reject);
    });
    expect(authorized).toBe(true);
  } finally {
    listener.stop(true);
  }
});
