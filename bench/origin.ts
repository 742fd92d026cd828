// The origin that all balancers stand before: nginx with fixed answers, the cheapest there is, so that the measured
// program is the one in front of it.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Program, startProgram } from "@plimsoll/testbed/processes";
import { cores, pinned } from "./cores.ts";
import { mustBeFree } from "./turn.ts";

/** Ports below the range that the kernel gives to outgoing connections, so that a thousand in a row are free. */
export const firstPort = 21_000;

/** Endpoints of the origin, each a port of its own. */
export function endpoints(count: number): readonly string[] {
  return Array.from({ length: count }, (_, at) => `127.0.0.1:${firstPort + at}`);
}

/**
 * Starts the origin with so many ports, at which a PROXY header comes first if told. Its files lie in `folder`. `sendBuffer`: what
 * its kernel holds of an answer that nobody takes, as nginx writes sizes; "" for as much as the kernel likes.
 */
export async function startOrigin(
  folder: string,
  ports: number,
  proxyProtocol = false,
  sendBuffer = "",
): Promise<Program> {
  await mustBeFree([firstPort, firstPort + ports - 1]);
  const files = join(folder, "origin-files");
  mkdirSync(files, { recursive: true });
  await Bun.write(join(files, "16k"), "x".repeat(16_384));
  await Bun.write(join(files, "1m"), "x".repeat(1_048_576));
  const file = join(folder, "origin.conf");
  await Bun.write(file, configuration(folder, files, ports, proxyProtocol, sendBuffer));
  const argv = pinned(cores.origin, ["nginx", "-p", folder, "-e", "stderr", "-c", file]);
  return startProgram(argv, { ready: firstPort + ports - 1 });
}

function configuration(
  folder: string,
  files: string,
  ports: number,
  proxyProtocol: boolean,
  sendBuffer: string,
): string {
  const own = `${proxyProtocol ? " proxy_protocol" : ""}${sendBuffer === "" ? "" : ` sndbuf=${sendBuffer}`}`;
  return `daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 20000;
error_log stderr crit;
pid ${folder}/origin.pid;
events { worker_connections 16000; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=10 inactive=1h;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_temp_path ${folder}/origin-body;
  proxy_temp_path ${folder}/origin-proxy;
  fastcgi_temp_path ${folder}/origin-fastcgi;
  uwsgi_temp_path ${folder}/origin-uwsgi;
  scgi_temp_path ${folder}/origin-scgi;
  default_type text/plain;
  server {
    listen 127.0.0.1:${firstPort}-${firstPort + ports - 1}${own} backlog=4096;
    location / { return 200 "A small answer of about one hundred bytes, as an interface for programs would give it to one.\\n"; }
    # Answers when it has all of the body, as applications do; a fixed answer does not wait for it.
    location = /upload { proxy_pass http://127.0.0.1:${firstPort}/; }
    location = /16k { root ${files}; }
    location = /1m { root ${files}; }
  }
}
`;
}
