import { join } from "node:path";
import manifest from "../../../packages/cli/package.json";
import type { RunningBalancer, StoryBalancer, StorySetting } from "./balancer.ts";

const main = join(import.meta.dir, "../../../packages/cli/src/main.ts");

/** This balancer with one worker, drained as `plimsoll drain` does it. */
export const plimsoll: StoryBalancer = {
  name: "plimsoll",
  find: () => Promise.resolve(`plimsoll ${manifest.version} on Bun ${Bun.version}`),
  async prepare(setting) {
    const file = join(setting.folder, "plimsoll.yaml");
    await Bun.write(file, configuration(setting));
    return { argv: [process.execPath, main, "run", "-c", file] };
  },
  leave: (running, endpoint) => setState(running, endpoint, "draining"),
  // The window is its own.
  windowEnds: () => Promise.resolve(),
  comeBack: (running, endpoint) => setState(running, endpoint, "ready"),
};

async function setState({ setting }: RunningBalancer, endpoint: string, state: string): Promise<void> {
  const path = `/pools/app/endpoints/${encodeURIComponent(endpoint)}/state`;
  const answer = await fetch(`http://127.0.0.1:${setting.adminPort}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close" },
    body: JSON.stringify({ state }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${state} for ${endpoint}: ${answer.status} ${text}`);
}

/** Defaults but for what is the same for all; nothing is said about keep-alive, because it learns that. */
export function configuration(setting: StorySetting): string {
  const { probe } = setting;
  return `listeners:
  web:
    address: 127.0.0.1:${setting.port}
    timeouts: { idle: 1h }
    limits: { requestsPerConnection: 0 }
    routes: [{ pool: app }]
pools:
  app:
    endpoints:
${setting.endpoints.map((endpoint) => `      - ${endpoint}`).join("\n")}
    readiness:
      path: /readyz
      interval: ${probe.interval}ms
      timeout: ${probe.timeout}ms
      rise: ${probe.rise}
      fall: ${probe.fall}
    timeouts: { connect: ${setting.connect}ms, firstByte: ${setting.firstByte}ms }
    retry: { attempts: 3, on: [connect, reset, timeout] }
    drain: { window: ${setting.window}ms }
admin: { address: 127.0.0.1:${setting.adminPort} }
log: { access: none }
workers: 1
shutdown: { lag: 0s, window: ${setting.window}ms }
`;
}
