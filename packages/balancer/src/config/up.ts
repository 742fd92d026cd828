// The plan of `plimsoll up`: one listener, one pool called "app", no file. It is made from the same schema as a file, so
// the defaults are the same ones.
import { formatHostPort } from "./address.ts";
import { defineConfig } from "./define.ts";
import { noCertificates } from "./certificates.ts";
import { planConfig } from "./plan-listeners.ts";
import type { Plan } from "./plan.ts";
import { configSchema } from "./schema/config.ts";

/** One running instance of the application. */
export interface UpEndpoint {
  /** Stable name of the instance: "app-1". */
  readonly id: string;
  /** An IP address. */
  readonly host: string;
  readonly port: number;
}

export interface UpOptions {
  /** IP address to listen on; 127.0.0.1 if left out. */
  readonly host?: string;
  readonly port: number;
  /** May be empty: the instances are still starting. */
  readonly endpoints: readonly UpEndpoint[];
  /** null for no admin address; 127.0.0.1:9090 if left out. */
  readonly admin?: { readonly host: string; readonly port: number } | null;
  /** Path of the readiness probe; without one, an instance that accepts connections is ready. */
  readonly readyPath?: string;
  /** What signs the cookie that keeps clients at their instance; without one, they are not kept. */
  readonly stickySecret?: string;
  /** Longest wait, ms, for what is in flight at an instance that leaves, whoever makes it leave, and at our own stop. */
  readonly drain?: number;
  /** 0 or left out: one for each core. */
  readonly workers?: number;
}

/** The pool's name, and so the first part of what `plimsoll drain app/app-1` names. */
export const upPool = "app";

/** Complete and valid, or an Error (by the schema) for options that no command line parser should have let through. */
export function planForUp(options: UpOptions): Plan {
  const { admin, drain, readyPath, stickySecret, workers } = options;
  const pool = {
    // The address is taken out again below; the schema wants one.
    endpoints: ["127.0.0.1:1"],
    readiness: readyPath === undefined ? {} : { path: readyPath },
    ...(stickySecret === undefined ? {} : { sticky: { cookie: "plimsoll", secret: stickySecret } }),
  };
  const written = defineConfig({
    listeners: {
      web: { address: formatHostPort(options.host ?? "127.0.0.1", options.port), routes: [{ pool: upPool }] },
    },
    pools: { [upPool]: pool },
    ...(admin === undefined ? {} : { admin: admin === null ? "off" : formatHostPort(admin.host, admin.port) }),
    workers: workers === undefined || workers === 0 ? "auto" : workers,
    // Nothing stands in front of it that would have to hear of the end, and who presses Ctrl-C does not want to wait.
    shutdown: { lag: "0s" },
  });
  const plan = planConfig(configSchema.parse(written), (path) => path, new Map(), noCertificates);
  const endpoints = options.endpoints.map(({ id, host, port }) => ({
    slot: -1,
    id,
    stableId: id,
    address: { kind: "tcp", host, port } as const,
    weight: 1,
    zone: "",
    backup: false,
  }));
  const pools = plan.pools.map((source) => ({ ...source, pool: { ...source.pool, endpoints } }));
  if (drain === undefined) return { ...plan, pools };
  // Not by the schema: a file may not have a window of nothing, a person at a terminal may.
  return {
    ...plan,
    shutdown: { ...plan.shutdown, window: drain },
    pools: pools.map(({ pool: source, ...rest }) => ({ ...rest, pool: { ...source, drain: { window: drain } } })),
  };
}
