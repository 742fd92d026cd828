// `plimsoll explain`
import { isIP } from "node:net";
import { adminOption, findRunning } from "../admin-client.ts";
import { configOption, findConfig, readConfig } from "../config-file.ts";
import type { LiveState } from "../explain/explain.ts";
import { exitCode, UsageError, type CommandSpec, type Io } from "../spec.ts";
import { headerPair, type HostPort } from "../values.ts";

interface Options {
  readonly request: string;
  readonly header: readonly (readonly [string, string])[];
  readonly from: string;
  readonly alpn: readonly string[];
  readonly config?: string;
  readonly listener?: string;
  readonly admin?: HostPort;
  readonly offline?: boolean;
  readonly json?: boolean;
}

export const explain: CommandSpec<Options> = {
  name: "explain",
  summary: "say which way a request takes, and why no other",
  about:
    "Names listener, route, pool and endpoint, and why each other one was passed over. No request is sent. Endpoint states\n" +
    "come from a running balancer if there is one, else all are taken for ready.",
  args: [
    {
      name: "<url>",
      about: "as a client would ask for it; tcp://, tls:// or udp:// with a port for what is passed on",
    },
  ],
  options: [
    { flags: "-X, --request <method>", about: "method", fallback: "GET", complete: ["GET", "POST", "PUT", "DELETE"] },
    { flags: "-H, --header <k:v>", about: "a header; may be repeated", parse: headerPair, repeat: true },
    { flags: "--from <ip>", about: "the client's address", fallback: "127.0.0.1", parse: ipAddress },
    { flags: "--alpn <protocol>", about: "a protocol that a TLS client offers; may be repeated", repeat: true },
    { flags: "--listener <name>", about: "the listener, instead of the one on the URL's port" },
    configOption,
    adminOption,
    { flags: "--offline", about: "ask no running balancer" },
    { flags: "--json", about: "print JSON" },
  ],
  examples: [
    ["plimsoll explain http://api.example.com/v1/users", "a plain GET"],
    ['plimsoll explain -X POST -H "x-canary: 1" http://api.example.com/v1/users', "with a method and a header"],
    ["plimsoll explain tls://db.example.com:5432 --alpn postgresql --from 10.0.0.7", "a connection that is passed on"],
  ],
  async run({ options, args, io }) {
    const config = await readConfig(io, findConfig(io, options.config));
    if (config.plan === null) {
      io.err(`${config.report}\n`);
      return exitCode.failed;
    }
    const { explain: explainRequest } = await import("../explain/explain.ts");
    const { renderExplanation } = await import("../explain/render.ts");
    const offered = options.alpn.length === 0 ? {} : { alpn: options.alpn };
    const asked = {
      method: options.request,
      url: args[0] ?? "",
      headers: options.header,
      source: options.from,
      ...offered,
    };
    const live = options.offline === true ? null : await askLive(io, options.admin);
    const explanation = explainRequest(config.plan, asked, options.listener ?? "", live);
    io.out(options.json === true ? `${JSON.stringify(explanation)}\n` : renderExplanation(explanation));
    return explanation.route === "" ? exitCode.failed : exitCode.ok;
  },
};

function ipAddress(text: string): string {
  if (isIP(text) === 0) throw new UsageError(`A client's address is an IP address, not "${text}".`);
  return text;
}

/** States of the balancer that was named, else of the only one that this user runs; null when none is found or it is silent. */
async function askLive(io: Io, given: HostPort | undefined): Promise<LiveState | null> {
  const { askStatus } = await import("../live-status.ts");
  try {
    const { admin } = findRunning(io, given);
    const status = await askStatus(admin);
    return { address: admin, pools: new Map(status.pools.map((pool) => [pool.name, pool.endpoints])) };
  } catch (error) {
    if (given !== undefined) throw error;
    return null;
  }
}
