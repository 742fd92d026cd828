// HAProxy, nginx and the balancer as whole programs, for the tests of this folder.
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { startProgram, waitForPort } from "@plimsoll/testbed/processes";
import { folder, later, run, type Running } from "../control/running.ts";

/** Where the client of these tests connects from: another address than any proxy's. */
export const client = "127.0.0.5";

export interface Exchange {
  /** The client's own port. */
  readonly port: number;
  readonly body: string;
}

/** One request of `client`'s. */
export function get(port: number, path = "/", head = ""): Promise<Exchange> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", localAddress: client });
    let local = 0;
    let text = "";
    socket.on("connect", () => {
      local = socket.localPort ?? 0;
      socket.write(`${head}GET ${path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n`);
    });
    socket.on("data", (bytes) => (text += bytes.toString()));
    socket.on("error", reject);
    socket.on("close", () => resolve({ port: local, body: text }));
  });
}

/** HAProxy with these sections, once it listens on `ports`. */
export async function haproxy(lines: string, ports: readonly number[]): Promise<void> {
  const file = join(folder(), "haproxy.cfg");
  const times = "defaults\n  timeout client 20s\n  timeout server 20s\n  timeout connect 5s\n";
  writeFileSync(file, `${times}${lines}\n`);
  const program = await startProgram(["haproxy", "-db", "-f", file]);
  later(() => program.stop().then(() => undefined));
  for (const port of ports) await program.orEnd(waitForPort(port));
}

/** Debian has the stream module in a file of its own, in a package of its own. */
export const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so";

/** nginx with these blocks, once it listens on `ports`. */
export async function nginx(blocks: string, ports: readonly number[], modules = ""): Promise<void> {
  const place = folder();
  const file = join(place, "nginx.conf");
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (kind) => `${kind}_temp_path ${place}/${kind};`,
  );
  const user = process.getuid?.() === 0 ? "user root;" : "";
  const common = `${modules} daemon off; ${user} worker_processes 1; error_log stderr; pid ${place}/pid; events {}`;
  writeFileSync(file, `${common}\n${blocks.replace("http {", `http { access_log off; ${paths.join(" ")}`)}\n`);
  const program = await startProgram(["nginx", "-p", place, "-e", "stderr", "-c", file]);
  later(() => program.stop().then(() => undefined));
  for (const port of ports) await program.orEnd(waitForPort(port));
}

/** The balancer with these listeners and pools. */
export function program(listeners: object, pools: object): Promise<Running> {
  return run({ listeners, pools, admin: { address: "127.0.0.1:0" }, log: { access: "none" }, workers: 1 });
}
