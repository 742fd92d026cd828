// Brings node_modules in line with package-lock.json. Plain Node 20, no dependencies: it runs before anything is there.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The first package that is not installed as locked, or undefined when all are. */
export function firstStale(lock, installed) {
  for (const [path, wanted] of Object.entries(lock.packages ?? {})) {
    if (!path.startsWith("node_modules/")) continue;
    const found = installed.packages?.[path];
    // An optional package that is absent belongs to another platform.
    if (!found && wanted.optional) continue;
    if (!found || found.version !== wanted.version) return path.slice("node_modules/".length);
  }
  return undefined;
}

/** Installs what is missing or outdated. Returns what went wrong, or undefined. */
export function setUp(root) {
  const lock = readJson(join(root, "package-lock.json"));
  if (!lock) return "package-lock.json is missing or not JSON.";
  const installed = readJson(join(root, "node_modules", ".package-lock.json"));
  const stale = installed ? firstStale(lock, installed) : "node_modules";
  if (!stale) return undefined;
  console.error(`Installing Node packages (${stale} is missing or outdated).`);
  const run = spawnSync("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (run.error) return `npm could not be started: ${run.error.message}`;
  return run.status === 0 ? undefined : `npm install ended with ${run.status ?? run.signal}.`;
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}
