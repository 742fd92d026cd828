import { connect } from "node:net";
import { join } from "node:path";
import { versionLine } from "../../rivals/rival.ts";
import type { RunningBalancer, StoryBalancer, StorySetting } from "./balancer.ts";

/** HAProxy with one thread, drained by its runtime API. */
export const haproxy: StoryBalancer = {
  name: "haproxy",
  find: async () => (await versionLine(["haproxy", "-v"]))?.replace(/ - .*/, "").replace(/(\d)-.*/, "$1"),
  async prepare(setting) {
    const file = join(setting.folder, "haproxy.cfg");
    await Bun.write(file, configuration(setting));
    return { argv: ["haproxy", "-db", "-f", file] };
  },
  leave: (running, endpoint) => tell(running, `set server ${serverOf(running, endpoint)} state drain`),
  windowEnds: (running, endpoint) => tell(running, `shutdown sessions server ${serverOf(running, endpoint)}`),
  comeBack: (running, endpoint) => tell(running, `set server ${serverOf(running, endpoint)} state ready`),
};

function serverOf({ setting }: RunningBalancer, endpoint: string): string {
  return `app/s${setting.endpoints.indexOf(endpoint)}`;
}

/** One command of the runtime API; it answers with an empty line when all is well. */
async function tell({ setting }: RunningBalancer, command: string): Promise<void> {
  const answer = await new Promise<string>((resolve, reject) => {
    let text = "";
    const socket = connect({ port: setting.adminPort, host: "127.0.0.1" }, () => socket.write(`${command}\n`));
    socket.on("data", (part) => (text += part.toString()));
    socket.once("error", reject).once("close", () => resolve(text));
  });
  if (answer.trim() !== "") throw new Error(`HAProxy to "${command}": ${answer.trim()}`);
}

/**
 * - leastconn, because it is HAProxy's best before slow endpoints.
 * - retry-on beyond connections, but not for methods that are not safe to repeat, as everybody else here.
 * - observe layer7 with mark-down: its nearest to outlier detection.
 * - http-reuse safe and a short pool-purge-delay: it cannot be told how long endpoints keep idle connections.
 */
export function configuration(setting: StorySetting): string {
  const { probe } = setting;
  const server = `check inter ${probe.interval}ms rise ${probe.rise} fall ${probe.fall} observe layer7 error-limit 5 on-error mark-down`;
  return `global
  nbthread 1
  maxconn 20000
  no strict-limits
  stats socket ipv4@127.0.0.1:${setting.adminPort} level admin
  spread-checks 5

defaults
  mode http
  timeout connect ${setting.connect}ms
  timeout check ${probe.timeout}ms
  timeout client 1h
  timeout server ${setting.firstByte}ms
  timeout tunnel 1h
  timeout http-keep-alive 1h
  retries 2
  option redispatch 1
  retry-on conn-failure empty-response response-timeout
  http-reuse safe
  option forwardfor

frontend web
  bind 127.0.0.1:${setting.port} backlog 4096
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  default_backend app

backend app
  balance leastconn
  http-request disable-l7-retry unless METH_GET
  option httpchk
  http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host ready.test
  http-check expect status 200-299
  default-server pool-purge-delay ${Math.max(1, Math.floor(setting.keepAlive / 5))}ms
${setting.endpoints.map((endpoint, at) => `  server s${at} ${endpoint} ${server}`).join("\n")}
`;
}
