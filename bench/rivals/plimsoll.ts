import { join } from "node:path";
import manifest from "../../packages/cli/package.json";
import { certificateFiles, type RivalKind, routeNames, type Setting } from "./rival.ts";

const main = join(import.meta.dir, "../../packages/cli/src/main.ts");

/** This balancer, as `plimsoll run` starts it. */
export const plimsoll: RivalKind = {
  name: "plimsoll",
  get: "npm install",
  find: () =>
    Promise.resolve({
      name: "plimsoll",
      datagrams: true,
      version: `plimsoll ${manifest.version} on Bun ${Bun.version}`,
      async prepare(setting) {
        const file = join(setting.folder, "plimsoll.yaml");
        await Bun.write(file, configuration(setting));
        return { argv: [process.execPath, main, "run", "-c", file] };
      },
    }),
};

/** All defaults but the limits that would close connections, which the rivals have switched off, too. */
export function configuration(setting: Setting): string {
  const routes =
    setting.routes === 0
      ? ["{ pool: app }"]
      : routeNames(setting).map((name) => `{ match: { path: ${name}/* }, pool: app }`);
  const own =
    setting.layer === "tcp" || setting.layer === "udp"
      ? [`    protocol: ${setting.layer}`]
      : ["    timeouts: { idle: 1h }", "    limits: { requestsPerConnection: 0 }"];
  const { cert, key } = certificateFiles(setting.folder);
  if (setting.layer === "https") own.push(`    tls: { certificates: { cert: ${cert}, key: ${key} } }`);
  return `listeners:
  web:
    address: 127.0.0.1:${setting.port}
${own.join("\n")}
    routes:
${routes.map((route) => `      - ${route}`).join("\n")}
pools:
  app:
    balance: p2c
    endpoints:
${setting.endpoints.map((endpoint) => `      - ${endpoint}`).join("\n")}${setting.layer === "udp" ? "\n    readiness: off" : ""}${setting.proxyProtocol ? "\n    proxyProtocol: v1" : ""}
admin: { address: 127.0.0.1:${setting.adminPort} }
log: { access: none }
workers: 1
shutdown: { lag: 0s }
`;
}
