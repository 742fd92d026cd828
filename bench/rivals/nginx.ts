import { existsSync } from "node:fs";
import { join } from "node:path";
import { certificateFiles, type RivalKind, routeNames, type Setting, versionLine } from "./rival.ts";

/** nginx with one worker. */
export const nginx: RivalKind = {
  name: "nginx",
  get: "apt-get install nginx",
  async find() {
    const version = await versionLine(["nginx", "-v"]);
    if (!version) return undefined;
    return {
      name: "nginx",
      httpOnly: !(await passesTcp()),
      datagrams: await passesTcp(),
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
  if (setting.layer === "tcp" || setting.layer === "udp") return streamConfiguration(setting);
  const locations =
    setting.routes === 0
      ? ["location / { proxy_pass http://app; }"]
      : routeNames(setting).map((name) => `location ${name}/ { proxy_pass http://app; }`);
  return `${program(setting)}http {
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
${setting.tunnels ? upgrading : '  proxy_set_header Connection "";'}
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Host $http_host;
  upstream app {
    random two least_conn;
${servers(setting)}
    keepalive 1024;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${setting.adminPort};
    location = /status { stub_status; }
  }
  server {
    listen 127.0.0.1:${setting.port}${setting.layer === "https" ? " ssl" : ""} backlog=4096;
${setting.layer === "https" ? secure(setting) : ""}${locations.map((location) => `    ${location}`).join("\n")}
  }
}
`;
}

/** What the program needs whatever it carries. */
function program({ connections, folder }: Setting): string {
  return `daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile ${connections * 2 + 1000};
error_log stderr crit;
pid ${folder}/nginx.pid;
events { worker_connections ${connections * 2 + 500}; }
`;
}

function servers({ endpoints }: Setting): string {
  return endpoints.map((endpoint) => `    server ${endpoint};`).join("\n");
}

/** Where Debian's package libnginx-mod-stream puts it; elsewhere it may be built in. */
const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so";

async function passesTcp(): Promise<boolean> {
  if (existsSync(streamModule)) return true;
  const child = Bun.spawn(["nginx", "-V"], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  return / --with-stream(?: |$)/m.test(await child.stderr.text());
}

function streamConfiguration(setting: Setting): string {
  return `${existsSync(streamModule) ? `load_module ${streamModule};\n` : ""}${program(setting)}stream {
  access_log off;
  ${setting.layer === "tcp" ? "tcp_nodelay on;" : ""}
  proxy_timeout 1h;
  proxy_connect_timeout 3s;
  proxy_buffer_size 64k;
  upstream app {
    random two least_conn;
${servers(setting)}
  }
  server {
    listen 127.0.0.1:${setting.port} ${setting.layer === "tcp" ? "backlog=4096" : "udp"};
    proxy_pass app;${setting.proxyProtocol ? "\n    proxy_protocol on;" : ""}
  }
}
`;
}

/** Without this it speaks HTTP/1.1 and upgrades nothing. */
const upgrading = `  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection upgrade;
  proxy_read_timeout 1h;`;

function secure(setting: Setting): string {
  const { cert, key } = certificateFiles(setting.folder);
  return `    ssl_certificate ${cert};
    ssl_certificate_key ${key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:tls:10m;
`;
}
