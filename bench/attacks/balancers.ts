// The parts of `npm run attacks`: who is attacked, and what a client that means well sees meanwhile. It must not know how
// anybody works inside.
//
// This file: this balancer with its defaults, or a rival as `npm run bench` sets it up, each with a core for itself.
import { freePort, type Program, startProgram } from "@plimsoll/testbed/processes";
import { cores, pinned } from "../cores.ts";
import { endpoints } from "../origin.ts";
import { nginx } from "../rivals/nginx.ts";

export const attackable = ["plimsoll", "nginx"] as const;

export type Attackable = (typeof attackable)[number];

/** One that runs. */
export interface Balancer {
  readonly program: Program;
  readonly port: number;
  /** Connections of clients that are open. */
  open(): Promise<number>;
  /** Faults so far, by code; rivals count none. */
  faults(): Promise<ReadonlyMap<string, number>>;
}

/** Starts one for so many attackers. Its files lie in `folder`. */
export async function startBalancer(name: Attackable, folder: string, connections: number): Promise<Balancer> {
  const [port, adminPort] = [await freePort(), await freePort()];
  return name === "nginx" ? startNginx(folder, port, adminPort, connections) : startOurs(folder, port, adminPort);
}

async function startOurs(folder: string, port: number, adminPort: number): Promise<Balancer> {
  const file = `${folder}/plimsoll.yaml`;
  const app = endpoints(3).map((each) => `"${each}"`);
  await Bun.write(
    file,
    `listeners: { web: { address: "127.0.0.1:${port}", routes: [{ pool: app }] } }
pools: { app: { endpoints: [${app.join(", ")}] } }
admin: { address: "127.0.0.1:${adminPort}" }
log: { access: none }
workers: 1
shutdown: { lag: 0s, window: 1s }
`,
  );
  const main = `${import.meta.dir}/../../packages/cli/src/main.ts`;
  const argv = pinned(cores.balancer, [process.execPath, main, "run", "-c", file]);
  const program = await startProgram(argv, { ready: /^web http/, timeout: 60_000 });
  const metrics = async (): Promise<string> => (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  return {
    program,
    port,
    async open() {
      return Number(/^plimsoll_listener_connections_open\{.*\} (\d+)$/m.exec(await metrics())?.[1] ?? 0);
    },
    async faults() {
      const found = (await metrics()).matchAll(/^plimsoll_faults_total\{.*code="([a-z-]+)".*\} (\d+)$/gm);
      return new Map([...found].map(([, code = "", count]) => [code, Number(count)]));
    },
  };
}

async function startNginx(folder: string, port: number, adminPort: number, connections: number): Promise<Balancer> {
  const found = await nginx.find();
  if (found === undefined) throw new Error("There is no nginx. On Debian: apt-get install nginx");
  const { argv, env } = await found.prepare({
    folder,
    port,
    adminPort,
    endpoints: endpoints(3),
    routes: 0,
    layer: "http",
    tunnels: false,
    proxyProtocol: false,
    connections: connections + 500,
  });
  const program = await startProgram(pinned(cores.balancer, argv), { ready: port, ...(env && { env }) });
  return {
    program,
    port,
    async open() {
      const text = await (await fetch(`http://127.0.0.1:${adminPort}/status`)).text();
      return Number(/^Active connections: (\d+)/.exec(text)?.[1] ?? 0);
    },
    faults: () => Promise.resolve(new Map()),
  };
}
