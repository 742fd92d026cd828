// `plimsoll demo`
import { calledAs, shopCommand } from "../own-parts.ts";
import { exitCode, type CommandSpec } from "../spec.ts";
import { port, type HostPort } from "../values.ts";
import type { UpFacts } from "../up/run-up.ts";

interface Options {
  readonly port?: number;
}

const usualPort = 8080;
const host = "127.0.0.1";

export const demo: CommandSpec<Options> = {
  name: "demo",
  summary: "run three instances of a sample shop behind the balancer, and say what to try",
  options: [
    {
      flags: "-p, --port <port>",
      about: `port of the balancer (default ${usualPort}, or the next free one)`,
      parse: port,
    },
  ],
  examples: [["plimsoll demo", "then open http://127.0.0.1:8080"]],
  async run({ options, io }) {
    const { runUp } = await import("../up/run-up.ts");
    const { nextFreePort } = await import("../up/ports.ts");
    const listen: HostPort = { host, port: options.port ?? nextFreePort(host, usualPort) };
    if (options.port === undefined && listen.port !== usualPort) {
      io.err(`Port ${usualPort} is taken on this machine, so the shop opens on port ${listen.port}.\n`);
    }
    const end = await runUp(io, { ...request, command: shopCommand(), listen }, whatToTry);
    // A page with live stock that was open to the last is cut off, and no failure.
    return end === "not-started" ? exitCode.failed : exitCode.ok;
  },
};

const request = {
  name: "shop",
  instances: 3,
  admin: undefined,
  readyPath: "/readyz",
  liveness: null,
  sticky: false,
  readyTimeout: 30_000,
  // Whoever presses Ctrl-C at a demonstration with a live page open does not want to wait long for that page; but the slow
  // request of 5 s that it says to try must outlast a replacement.
  drain: 8000,
  grace: 5000,
  workers: 0,
  env: {},
} as const;

function whatToTry({ url, admin, instances }: UpFacts): string {
  const [first, second] = instances();
  const tries: readonly (readonly [line: string, what: string])[] = [
    [url, "in a browser: reload, and see at the top right who answers. Put something into"],
    ["", "the cart and reload: it comes and goes. Each instance keeps its sessions in its"],
    ["", "own memory, and that is the first thing to break when one becomes three."],
    [`curl ${url}/who`, "a few times: which instance answers"],
    [`kill -9 ${second?.pid ?? "<pid>"}`, "one falls: no request goes there any more, and it is started again"],
    [`curl -X POST '${`http://${host}:${first?.port ?? "<port>"}`}/readyz?ready=no'`, ""],
    ["", "one says that it is not ready: it gets no traffic until ?ready=yes"],
    [`curl -N ${url}/stock/events`, "a stream, event by event"],
    [`curl '${url}/slow?ms=5000'`, "a slow request; meanwhile:"],
    [`kill -HUP ${process.pid}`, "replaces all three, one by one, and the slow request still finishes"],
    ...(admin === "" ? [] : [[`curl ${admin}/metrics`, "what is counted"] as const]),
    [`${calledAs} status`, "who is ready, and what is in flight"],
  ];
  const width = 48;
  const lines = tries.map(([line, what]) => `  ${line.padEnd(width)} ${what}`.trimEnd());
  return ["", `The shop is open: ${url}`, "", ...lines, "", "Ctrl-C stops everything.", ""].join("\n");
}
