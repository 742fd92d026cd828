// A real ACME server on loopback, Pebble, with a DNS of its own in which every name is this machine.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, startProgram, type Program } from "@plimsoll/testbed/processes";
import type { AcmePlan } from "../../../packages/balancer/src/config/acme.ts";
import { makeAuthority, makeLeaf } from "../../../packages/balancer/src/control/certificate/make.ts";
import { folder, later } from "../control/running.ts";

export interface Pebble {
  /** What a plan says of it; the rest is as by default. */
  readonly plan: Pick<AcmePlan, "directory" | "ca" | "email" | "externalAccount">;
  /** Where HTTP-01 is asked, on 127.0.0.1. */
  readonly httpPort: number;
  /** Where TLS-ALPN-01 is asked. */
  readonly tlsPort: number;
  /** Where its DNS is told what to say. */
  readonly dns: string;
  /** Makes a record of its DNS: "add-a", "set-txt" and so on. */
  tell(command: string, record: object): Promise<void>;
  /** What it printed. */
  output(): string;
}

/** `rejected`: of a hundred nonces that are good, how many are refused all the same. */
export async function startPebble(rejected = 0): Promise<Pebble> {
  const made = folder();
  const [acme = 0, management = 0, http = 0, tls = 0, dns = 0, dnsManagement = 0] = await freePorts(6);
  const now = Date.now();
  const dates = { notBefore: now - 86_400_000, notAfter: now + 86_400_000 };
  const authority = await makeAuthority("Pebble", dates, ["localhost"]);
  const leaf = await makeLeaf(["localhost", "127.0.0.1"], dates, authority);
  const file = (name: string, text: string): string => {
    writeFileSync(join(made, name), text);
    return join(made, name);
  };
  const config = {
    listenAddress: `127.0.0.1:${acme}`,
    managementListenAddress: `127.0.0.1:${management}`,
    certificate: file("pebble.crt", leaf.cert),
    privateKey: file("pebble.key", leaf.key),
    httpPort: http,
    tlsPort: tls,
    ocspResponderURL: "",
    externalAccountBindingRequired: false,
  };
  await start(
    [
      "pebble-challtestsrv",
      "-dns01",
      `127.0.0.1:${dns}`,
      "-management",
      `127.0.0.1:${dnsManagement}`,
      "-defaultIPv6",
      "",
      "-http01",
      "",
      "-https01",
      "",
      "-tlsalpn01",
      "",
    ],
    dnsManagement,
  );
  const pebble = await start(
    [
      "pebble",
      "-strict",
      "-config",
      file("pebble.json", JSON.stringify({ pebble: config })),
      "-dnsserver",
      `127.0.0.1:${dns}`,
    ],
    acme,
    { PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: String(rejected) },
  );
  const address = `http://127.0.0.1:${dnsManagement}`;
  return {
    plan: {
      directory: `https://127.0.0.1:${acme}/dir`,
      ca: file("authority.crt", authority.cert),
      email: "ops@shop.example",
      externalAccount: null,
    },
    httpPort: http,
    tlsPort: tls,
    dns: address,
    async tell(command, record) {
      const answer = await fetch(`${address}/${command}`, { method: "POST", body: JSON.stringify(record) });
      if (!answer.ok) throw new Error(`${command}: ${answer.status}`);
    },
    output: () => pebble.output,
  };
}

/** A command that makes and removes the records of DNS-01 in that DNS, and writes down what it did. */
export function recordHook({ dns }: Pebble, log: string): readonly string[] {
  return [process.execPath, join(import.meta.dir, "record-hook.ts"), dns, log];
}

async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

async function start(argv: readonly string[], ready: number, env: Record<string, string> = {}): Promise<Program> {
  const program = await startProgram(argv, { env, ready });
  later(async () => void (await program.stop()));
  return program;
}
