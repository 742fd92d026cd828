import { join } from "node:path";
import { certificateFiles, type RivalKind, routeNames, type Setting, versionLine } from "./rival.ts";

/** HAProxy with one thread. */
export const haproxy: RivalKind = {
  name: "haproxy",
  get: "apt-get install haproxy",
  async find() {
    const version = await versionLine(["haproxy", "-v"]);
    if (!version) return undefined;
    return {
      name: "haproxy",
      version: version.replace(/ - .*/, ""),
      async prepare(setting) {
        const file = join(setting.folder, "haproxy.cfg");
        const map = join(setting.folder, "routes.map");
        await Bun.write(file, configuration(setting));
        await Bun.write(
          map,
          routeNames(setting)
            .map((name) => `${name}/ app\n`)
            .join(""),
        );
        return { argv: ["haproxy", "-db", "-f", file] };
      },
    };
  },
};

export function configuration(setting: Setting): string {
  if (setting.layer === "tcp") return streamConfiguration(setting);
  const secure = setting.layer === "https";
  // A map that is searched as a tree is how HAProxy's users write thousands of routes.
  const rule =
    setting.routes === 0
      ? "default_backend app"
      : `use_backend app if { path,map_beg(${setting.folder}/routes.map) -m found }`;
  return `global
  nbthread 1
  maxconn ${setting.connections + 200}
  # It reckons with a connection to an endpoint for each client, which are not made here; a low descriptor limit is no
  # reason not to start.
  no strict-limits
  # By default it stops keeping connections to endpoints when a fifth of its descriptors is in use, and many clients that
  # rest would make it connect anew for each request.
  tune.pool-low-fd-ratio 90
  tune.pool-high-fd-ratio 95

defaults
  mode http
  timeout connect 3s
  timeout client 1h
  timeout server 60s
  timeout tunnel 1h
  timeout http-keep-alive 1h
  http-reuse always
  option forwardfor

frontend web
  bind 127.0.0.1:${setting.port} backlog 4096${secure ? ` ssl crt ${certificateFiles(setting.folder).both} ssl-min-ver TLSv1.2 alpn http/1.1` : ""}
  http-request set-header X-Forwarded-Proto ${setting.layer}
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  ${rule}

backend app
  balance random(2)
${setting.endpoints.map((endpoint, at) => `  server s${at} ${endpoint}`).join("\n")}
`;
}

function streamConfiguration(setting: Setting): string {
  return `global
  nbthread 1
  maxconn ${setting.connections + 200}
  no strict-limits

defaults
  mode tcp
  timeout connect 3s
  timeout client 1h
  timeout server 1h
  # Splicing in the kernel where it thinks that pays, as its manual recommends for large transfers.
  option splice-auto

frontend web
  bind 127.0.0.1:${setting.port} backlog 4096
  default_backend app

backend app
  balance random(2)
${setting.endpoints.map((endpoint, at) => `  server s${at} ${endpoint}${setting.proxyProtocol ? " send-proxy" : ""}`).join("\n")}
`;
}
