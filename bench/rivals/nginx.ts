import { join } from "node:path";
import { type RivalKind, routeNames, type Setting, versionLine } from "./rival.ts";

/** nginx with one worker. */
export const nginx: RivalKind = {
  name: "nginx",
  get: "apt-get install nginx",
  async find() {
    const version = await versionLine(["nginx", "-v"]);
    if (!version) return undefined;
    return {
      name: "nginx",
      version: version.replace("nginx version: ", ""),
      async prepare(setting) {
        const file = join(setting.folder, "nginx.conf");
        await Bun.write(file, configuration(setting));
        return { argv: ["nginx", "-p", setting.folder, "-e", "stderr", "-c", file] };
      },
    };
  },
};

export function configuration(setting: Setting): string {
  const locations =
    setting.routes === 0
      ? ["location / { proxy_pass http://app; }"]
      : routeNames(setting).map((name) => `location ${name}/ { proxy_pass http://app; }`);
  return `daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile ${setting.connections * 2 + 1000};
error_log stderr crit;
pid ${setting.folder}/nginx.pid;
events { worker_connections ${setting.connections * 2 + 500}; }
http {
  access_log off;
  tcp_nodelay on;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_temp_path ${setting.folder}/body;
  proxy_temp_path ${setting.folder}/proxy;
  fastcgi_temp_path ${setting.folder}/fastcgi;
  uwsgi_temp_path ${setting.folder}/uwsgi;
  scgi_temp_path ${setting.folder}/scgi;
  # Nothing goes to disk: bodies are streamed, as the others do.
  proxy_request_buffering off;
  proxy_max_temp_file_size 0;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Host $http_host;
  upstream app {
    random two least_conn;
${setting.endpoints.map((endpoint) => `    server ${endpoint};`).join("\n")}
    keepalive 1024;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${setting.port} backlog=4096;
${locations.map((location) => `    ${location}`).join("\n")}
  }
}
`;
}
