// The balancers that are measured. Each is one file that finds the program, writes its configuration and starts it.
// All do the same work: no access log, kept connections on both sides, X-Forwarded-* added, the better of two endpoints
// chosen at random, bodies streamed, one worker or thread. Rivals must not know the scenarios.
import { join } from "node:path";
import { certificateFiles, type RivalKind, routeNames, type Setting, versionLine } from "./rival.ts";

/** Caddy with one thread of Go code at a time. */
export const caddy: RivalKind = {
  name: "caddy",
  get: "apt-get install caddy",
  async find() {
    const version = await versionLine(["caddy", "version"]);
    if (!version) return undefined;
    return {
      name: "caddy",
      httpOnly: true,
      version: `Caddy ${version.split(" ")[0] ?? version}`,
      async prepare(setting) {
        const file = join(setting.folder, "Caddyfile");
        await Bun.write(file, configuration(setting));
        const home = { HOME: setting.folder, XDG_DATA_HOME: setting.folder, XDG_CONFIG_HOME: setting.folder };
        const argv = ["caddy", "run", "--adapter", "caddyfile", "--config", file];
        return { argv, env: { ...home, GOMAXPROCS: "1" } };
      },
    };
  },
};

export function configuration(setting: Setting): string {
  // One matcher with all paths instead of a block for each: Caddy adds X-Forwarded-* by itself and builds a whole proxy
  // for each block, which would only measure memory.
  const matcher = setting.routes === 0 ? "*" : "@routes";
  const paths =
    setting.routes === 0
      ? ""
      : `\n  @routes path ${routeNames(setting)
          .map((name) => `${name}/*`)
          .join(" ")}`;
  const secure = setting.layer === "https";
  const { cert, key } = certificateFiles(setting.folder);
  // It chooses certificates by name: who asks for an address, as the load does, is told to mean the one that there is.
  return `{
  admin off
  auto_https off${secure ? "\n  default_sni a.example" : ""}
  log {
    level ERROR
  }
  servers {${secure ? "\n    protocols h1" : ""}
    timeouts {
      idle 1h
    }
  }
}
${secure ? "https" : "http"}://${secure ? "" : "127.0.0.1"}:${setting.port} {
  bind 127.0.0.1${paths}${secure ? `\n  tls ${cert} ${key}` : ""}
  reverse_proxy ${matcher} ${setting.endpoints.join(" ")} {
    lb_policy random_choose 2
    flush_interval -1
    transport http {
      keepalive 60s
      keepalive_idle_conns_per_host 1024
    }
  }
}
`;
}
