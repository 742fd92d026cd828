// `plimsoll up`
import { exitCode, UsageError, type CommandSpec } from "../spec.ts";
import { duration, hostPort, port, wholeNumber, type HostPort } from "../values.ts";

interface Options {
  readonly instances: number;
  readonly port: number;
  readonly host: string;
  readonly admin?: HostPort | "off";
  readonly readyPath?: string;
  readonly livePath?: string;
  readonly liveInterval: number;
  readonly liveFall: number;
  readonly sticky?: boolean;
  readonly readyTimeout: number;
  readonly drain: number;
  readonly grace: number;
  readonly workers: number;
  readonly name: string;
}

export const up: CommandSpec<Options> = {
  name: "up",
  summary: "run several instances of an application behind the balancer",
  about:
    "Each instance gets a port of its own in the environment variable PORT (and its name in PLIMSOLL_INSTANCE); $PORT in\n" +
    "quotes in the command becomes that port. Instances that fall are started again. SIGHUP replaces them one by one without\n" +
    "losing a request; SIGTERM or Ctrl-C drains and stops everything. Without --ready-path an instance is ready when it\n" +
    "answers GET / with a status below 500.",
  args: [{ name: "<command...>", about: "the application, after --" }],
  options: [
    {
      flags: "-n, --instances <number>",
      about: "how many",
      fallback: "3",
      parse: wholeNumber("The number of instances", 1, 256),
    },
    { flags: "-p, --port <port>", about: "port of the balancer", fallback: "8080", parse: port },
    {
      flags: "--host <ip>",
      about: "address of the balancer",
      fallback: "127.0.0.1",
      parse: (text) => hostPort(`${text.includes(":") ? `[${text}]` : text}:0`).host,
    },
    {
      flags: "--admin <address>",
      about: "admin address, or off (default 127.0.0.1:9090, or a free port if that is taken)",
      parse: (text) => (text === "off" ? text : hostPort(text)),
    },
    { flags: "--ready-path <path>", about: "path that answers 200 to 299 when an instance is ready", parse: probePath },
    {
      flags: "--live-path <path>",
      about: "path that answers 200 to 399 while an instance lives; one that fails there again and again is restarted",
      parse: probePath,
    },
    {
      flags: "--live-interval <time>",
      about: "from one question at --live-path to the next",
      fallback: "10s",
      parse: duration,
    },
    {
      flags: "--live-fall <number>",
      about: "failures in a row at --live-path after which an instance is restarted",
      fallback: "3",
      parse: wholeNumber("The number of failures", 1, 100),
    },
    {
      flags: "--sticky",
      about: "keep each client at its instance by a cookie: for applications that hold sessions in memory",
    },
    { flags: "--ready-timeout <time>", about: "longest time from start to ready", fallback: "60s", parse: duration },
    {
      flags: "--drain <time>",
      about: "longest wait for requests in flight when an instance is replaced or all stop",
      fallback: "30s",
      parse: duration,
    },
    { flags: "--grace <time>", about: "from SIGTERM to SIGKILL", fallback: "10s", parse: duration },
    {
      flags: "--workers <number>",
      about: "worker processes of the balancer; 0: one for each core",
      fallback: "0",
      parse: wholeNumber("The number of workers", 0, 256),
    },
    {
      flags: "--name <name>",
      about: "what instances are called: name-1, name-2 ...",
      fallback: "app",
      parse: instanceName,
    },
  ],
  examples: [
    ["plimsoll up -n 3 -- npm start", "three instances, balanced on 127.0.0.1:8080"],
    ["plimsoll up --ready-path /readyz -- node server.js", "ready when the application says so"],
    ["plimsoll up --live-path /healthz -- node server.js", "restarted when it no longer answers there"],
    ["plimsoll up -- python3 -m http.server '$PORT'", "the port as an argument"],
  ],
  passThrough: true,
  async run({ options, args, io }) {
    const { runUp } = await import("../up/run-up.ts");
    const {
      host,
      port: listenPort,
      readyPath = null,
      livePath,
      liveInterval,
      liveFall,
      admin,
      sticky,
      ...rest
    } = options;
    const request = {
      ...rest,
      command: toCommand(args),
      listen: { host, port: listenPort },
      admin: admin === "off" ? null : admin,
      readyPath,
      liveness: livePath === undefined ? null : { path: livePath, interval: liveInterval, fall: liveFall },
      sticky: sticky === true,
      env: {},
    };
    const end = await runUp(io, request, ({ url }) => `all ${options.instances} instances are ready behind ${url}`);
    return end === "in-order" ? exitCode.ok : exitCode.failed;
  },
};

/** A command in one quoted piece is for a shell, as in a Procfile. */
function toCommand(args: readonly string[]): readonly string[] {
  const [first = ""] = args;
  return args.length === 1 && /\s/.test(first) ? ["/bin/sh", "-c", first] : args;
}

function probePath(text: string): string {
  if (!/^\/[\x21-\x7e]*$/.test(text))
    throw new UsageError(`A path begins with a slash and has no spaces, not "${text}".`);
  return text;
}

function instanceName(text: string): string {
  if (!/^[A-Za-z][\w.-]{0,31}$/.test(text)) {
    throw new UsageError(`A name is a letter and up to 31 letters, digits, dots and dashes, not "${text}".`);
  }
  return text;
}
