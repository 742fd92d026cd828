import { join } from "node:path";
import { versionLine } from "../../rivals/rival.ts";
import type { RunningBalancer, StoryBalancer, StorySetting } from "./balancer.ts";

/** nginx with one worker. The open-source one has no readiness probes and no drain: an endpoint is marked down and reloaded. */
export const nginx: StoryBalancer = {
  name: "nginx",
  find: async () => (await versionLine(["nginx", "-v"]))?.replace("nginx version: ", ""),
  async prepare(setting) {
    const file = join(setting.folder, "nginx.conf");
    await Bun.write(file, configuration(setting, new Set()));
    return { argv: ["nginx", "-p", setting.folder, "-e", "stderr", "-c", file] };
  },
  leave: reload,
  // worker_shutdown_timeout ends what is left.
  windowEnds: () => Promise.resolve(),
  comeBack: reload,
};

/** Its old worker finishes what it has, its new one begins. */
async function reload(running: RunningBalancer): Promise<void> {
  await Bun.write(join(running.setting.folder, "nginx.conf"), configuration(running.setting, running.left));
  running.program.signal("SIGHUP");
}

/**
 * - least_conn, because it is nginx's best before slow endpoints.
 * - keepalive_timeout for endpoints is set by hand to less than what the applications keep.
 * - proxy_next_upstream as wide as it goes without repeating what is not safe to repeat.
 */
export function configuration(setting: StorySetting, left: ReadonlySet<string>): string {
  const servers = setting.endpoints.map((endpoint) =>
    left.has(endpoint)
      ? `    server ${endpoint} down;`
      : `    server ${endpoint} max_fails=3 fail_timeout=${Math.max(1, Math.round((setting.probe.interval * 4) / 1000))}s;`,
  );
  return `daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 20000;
worker_shutdown_timeout ${setting.window}ms;
error_log stderr crit;
pid ${setting.folder}/nginx.pid;
events { worker_connections 10000; }
http {
  access_log off;
  tcp_nodelay on;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  client_body_temp_path ${setting.folder}/body;
  proxy_temp_path ${setting.folder}/proxy;
  fastcgi_temp_path ${setting.folder}/fastcgi;
  uwsgi_temp_path ${setting.folder}/uwsgi;
  scgi_temp_path ${setting.folder}/scgi;
  proxy_max_temp_file_size 0;
  proxy_http_version 1.1;
  proxy_connect_timeout ${setting.connect}ms;
  proxy_read_timeout ${setting.firstByte}ms;
  proxy_next_upstream error timeout invalid_header;
  proxy_next_upstream_tries 3;
  proxy_set_header Host $http_host;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $upstream_connection;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Host $http_host;
  map $http_upgrade $upstream_connection {
    default upgrade;
    "" "";
  }
  upstream app {
    least_conn;
${servers.join("\n")}
    keepalive 1024;
    keepalive_requests 1000000000;
    keepalive_timeout ${Math.floor(setting.keepAlive * 0.8)}ms;
  }
  server {
    listen 127.0.0.1:${setting.port} backlog=4096;
    location / {
      proxy_pass http://app;
    }
    # Tunnels may rest for long; its one time-out for silence would end them.
    location /tunnel {
      proxy_read_timeout 1h;
      proxy_pass http://app;
    }
  }
}
`;
}
