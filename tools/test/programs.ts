// Foreign programs that tests need: where to find them, and how to get them on Debian when we may.
import { existsSync, writeFileSync, rmSync, chmodSync } from "node:fs";

/** Command name -> Debian package. A test file names commands of this table in its "// Needs:" line. */
export const packages: Readonly<Record<string, string>> = {
  ab: "apache2-utils",
  caddy: "caddy",
  chromium: "chromium",
  curl: "curl",
  dig: "bind9-dnsutils",
  dnsmasq: "dnsmasq-base",
  git: "git",
  h2load: "nghttp2-client",
  haproxy: "haproxy",
  hey: "hey",
  nginx: "nginx",
  openssl: "openssl",
  pebble: "pebble",
  "pebble-challtestsrv": "pebble",
  pgbench: "postgresql",
  psql: "postgresql-client",
  python3: "python3",
  "redis-benchmark": "redis-tools",
  "redis-cli": "redis-tools",
  "redis-server": "redis-server",
  slowhttptest: "slowhttptest",
  ss: "iproute2",
  sslscan: "sslscan",
  strace: "strace",
  "systemd-analyze": "systemd",
  "systemd-socket-activate": "systemd",
  taskset: "util-linux",
  testssl: "testssl.sh",
  wrk: "wrk",
};

/** The search path with the places where Debian puts daemons, which users other than root lack. */
export function searchPath(): string {
  const path = (process.env["PATH"] ?? "").split(":");
  for (const extra of ["/usr/local/sbin", "/usr/sbin", "/sbin"]) if (!path.includes(extra)) path.push(extra);
  return path.join(":");
}

export function missingPrograms(names: Iterable<string>): readonly string[] {
  const PATH = searchPath();
  return [...new Set(names)].filter((name) => !Bun.which(name, { PATH })).sort();
}

/** Installs Debian packages for the commands that are missing, if this is root on Debian and nobody forbade it. */
export async function installPrograms(names: readonly string[]): Promise<void> {
  const wanted = [...new Set(names.flatMap((name) => packages[name] ?? []))];
  if (wanted.length === 0) return;
  const how = `apt-get install ${wanted.join(" ")}`;
  if (process.env["PLIMSOLL_NO_INSTALL"]) return say(`not installed, as PLIMSOLL_NO_INSTALL asks: ${how}`);
  if (process.getuid?.() !== 0 || !Bun.which("apt-get")) return say(`tests need programs; get them with: ${how}`);
  say(`installing for the tests: ${how}`);
  await withoutServices(async () => {
    if ((await apt(["install", ...flags, ...wanted])) === 0) return;
    // No package lists yet, or stale ones.
    await apt(["update", "-qq"]);
    if ((await apt(["install", ...flags, ...wanted])) === 0) return;
    for (const name of wanted) {
      if ((await apt(["install", ...flags, name])) !== 0) say(`apt-get could not install ${name}`);
    }
  });
}

const flags = ["-y", "-qq", "--no-install-recommends"];

async function apt(args: readonly string[]): Promise<number> {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const child = Bun.spawn(["apt-get", ...args], { env, stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  return child.exited;
}

/** Debian starts a daemon when it installs it; a policy that says no keeps ports 80, 6379 and 5432 free. */
async function withoutServices(run: () => Promise<void>): Promise<void> {
  const policy = "/usr/sbin/policy-rc.d";
  const ours = !existsSync(policy);
  if (ours) {
    writeFileSync(policy, "#!/bin/sh\nexit 101\n");
    chmodSync(policy, 0o755);
  }
  try {
    await run();
  } finally {
    if (ours) rmSync(policy, { force: true });
  }
}

function say(text: string): void {
  console.error(text);
}
