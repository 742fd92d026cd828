// A balancer with TLS in processes of its own, and certificates in a folder beside it.
import { writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { testAuthority, type TestAuthority } from "../../../packages/testbed/src/authority.ts";
import type { CertificateWish } from "../../../packages/testbed/src/certificates.ts";
import { folder, later } from "../control/running.ts";

/** A folder with certificates of one authority. */
export interface Certificates {
  readonly authority: TestAuthority;
  /** File of the authority's certificate. */
  readonly ca: string;
  path(name: string): string;
  /** Issues a certificate into `<name>.crt` and `<name>.key`, over what is there; gives both paths. */
  issue(name: string, names: readonly string[], wish?: CertificateWish): Promise<{ cert: string; key: string }>;
  issueClient(name: string): Promise<{ cert: string; key: string }>;
}

export async function certificates(): Promise<Certificates> {
  const authority = await testAuthority();
  const at = folder();
  const path = (name: string) => join(at, name);
  const put = (name: string, { cert, key }: { cert: string; key: string }) => {
    const files = { cert: path(`${name}.crt`), key: path(`${name}.key`) };
    writeFileSync(files.cert, cert);
    writeFileSync(files.key, key, { mode: 0o600 });
    return files;
  };
  writeFileSync(path("ca.pem"), authority.cert);
  return {
    authority,
    ca: path("ca.pem"),
    path,
    issue: async (name, names, wish) => put(name, await authority.issue(names, wish)),
    issueClient: async (name) => put(name, await authority.issueClient(name)),
  };
}

/** What curl got. */
export interface Got {
  readonly exit: number;
  /** 0 when there was no answer. */
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Asks with curl; `at` is "name:port", reached on 127.0.0.1 whatever the name. */
export async function curl(at: string, words: readonly string[], scheme = "https", path = "/"): Promise<Got> {
  const command = ["curl", "-s", "-i", "--max-time", "10", "--connect-to", `${at}:127.0.0.1:`, ...words];
  const child = Bun.spawn([...command, `${scheme}://${at}${path}`], { stdout: "pipe", stderr: "ignore" });
  const [text, exit] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  const end = text.indexOf("\r\n\r\n");
  const head = end < 0 ? text : text.slice(0, end);
  return {
    exit,
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0),
    head,
    body: end < 0 ? "" : text.slice(end + 4),
  };
}

/** Shakes hands with openssl; everything that it said. */
export async function sClient(port: number, words: readonly string[], input = ""): Promise<string> {
  const child = Bun.spawn(["openssl", "s_client", "-connect", `127.0.0.1:${port}`, ...words], {
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  return `${out}\n${err}`;
}

/** An origin that answers with the request's head, one field a line. */
export function startEcho(tls?: { cert: string; key: string; ca?: string; requestCert?: boolean }) {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    ...(tls === undefined ? {} : { tls: { ...tls, rejectUnauthorized: tls.requestCert === true } }),
    fetch: (request) => new Response([...request.headers].map(([name, value]) => `${name}: ${value}\n`).join("")),
  });
  return { port: server.port ?? 0, stop: () => server.stop(true) };
}

/** A relay on the way to `port`: says `first` before its client's bytes, and hands on only `size` bytes at a time. */
export async function chopping(port: number, first: readonly string[], size: number): Promise<number> {
  const relay = createServer((client: Socket) => {
    const onward = connect({ port, host: "127.0.0.1", noDelay: true });
    const pieces: Buffer[] = first.map((text) => Buffer.from(text));
    let busy = false;
    const say = (): void => {
      const piece = pieces.shift();
      busy = piece !== undefined;
      if (piece !== undefined) onward.write(piece, () => setImmediate(say));
    };
    say();
    client.on("data", (bytes: Buffer) => {
      for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
      if (!busy) say();
    });
    // Not by `pipe`: it looks at the process's own output, which opens two descriptors of it.
    onward.on("data", (bytes: Buffer) => void client.write(bytes));
    onward.on("end", () => void client.end());
    for (const [one, other] of [
      [client, onward],
      [onward, client],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
    later(() => void onward.destroy());
  });
  await new Promise<void>((listening) => relay.listen(0, "127.0.0.1", listening));
  later(() => new Promise<void>((closed) => relay.close(() => closed())));
  const address = relay.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
