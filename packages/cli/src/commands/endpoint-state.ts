// `plimsoll drain`, `undrain`, `disable`, `enable`: one state of one endpoint each.
import { formatDuration } from "@plimsoll/balancer/src/base/units.ts";
import { adminError, adminOption, askAdmin, findRunning } from "../admin-client.ts";
import { askStatus } from "../live-status.ts";
import { CommandError, exitCode, UsageError, type CommandSpec, type OptionSpec } from "../spec.ts";
import { duration, type HostPort } from "../values.ts";
import { waitUntilEmpty } from "../wait-until-empty.ts";

interface Options {
  readonly admin?: HostPort;
  readonly window?: number;
  readonly wait?: boolean;
}

type State = "ready" | "draining" | "disabled";

const drainOptions: readonly OptionSpec[] = [
  adminOption,
  {
    flags: "--window <time>",
    about: "time until what is left is cut; what the pool says if left out",
    parse: duration,
  },
  { flags: "--wait", about: "wait until nothing is left there, and show what is; exit code 1 if something was cut" },
];

export const drain = stateCommand(
  "drain",
  "draining",
  "give an endpoint no new work; what is in flight finishes",
  [
    ["plimsoll drain api/127.0.0.1:3001 --wait", "returns when the instance can be stopped"],
    ["plimsoll drain api/127.0.0.1:3001 --window 2m", "cut what is left after two minutes"],
  ],
  "Requests finish and their connections to the endpoint close. WebSockets are closed with code 1001, one after the other,\n" +
    "other tunnels end. Sticky clients are still served. What is left at the end of the window is cut. Asked again with\n" +
    "another --window, the drain gets that one from now on.",
);
export const undrain = stateCommand("undrain", "ready", "take a draining endpoint into rotation again", [
  ["plimsoll undrain api/127.0.0.1:3001", "nothing more is closed or cut there"],
]);
export const disable = stateCommand(
  "disable",
  "disabled",
  "take an endpoint out of rotation until it is enabled",
  [["plimsoll disable api/127.0.0.1:3001", "no new work, not even for sticky clients"]],
  "What is in flight finishes by itself, however long it takes: nothing is closed or cut.",
);
export const enable = stateCommand("enable", "ready", "take a disabled endpoint into rotation again", [
  ["plimsoll enable api/127.0.0.1:3001", "it gets work as soon as its probe says so"],
]);

function stateCommand(
  name: string,
  state: State,
  summary: string,
  examples: CommandSpec["examples"],
  about?: string,
): CommandSpec<Options> {
  return {
    name,
    summary,
    ...(about === undefined ? {} : { about }),
    args: [{ name: "<pool/endpoint>", about: "as `plimsoll status` shows them" }],
    options: name === "drain" ? drainOptions : [adminOption],
    examples,
    async run({ options, args, io }) {
      const [pool, endpoint] = splitName(args[0] ?? "");
      const { admin, pid } = findRunning(io, options.admin);
      if (admin === "") throw new CommandError(`The balancer in process ${pid} has no admin address to ask.`);
      const path = `/pools/${encodeURIComponent(pool)}/endpoints/${encodeURIComponent(endpoint)}/state`;
      const { window } = options;
      const body = window === undefined ? { state } : { state, window: formatDuration(window) };
      const answer = await askAdmin(admin, "POST", path, body);
      if (answer.status !== 200) throw new CommandError(adminError(answer));
      io.out(`${pool}/${endpoint} is ${state === "ready" ? "in rotation as its probes say" : state}.\n`);
      const { othersInRotation } = answer.body as { othersInRotation?: number };
      if (state !== "ready" && othersInRotation === 0) {
        io.err(`No other endpoint of pool ${pool} is in rotation: new requests are answered with 503.\n`);
      }
      if (options.wait !== true) return exitCode.ok;
      const cut = await waitUntilEmpty(() => askStatus(admin), pool, endpoint, io);
      return cut ? exitCode.failed : exitCode.ok;
    },
  };
}

function splitName(text: string): readonly [pool: string, endpoint: string] {
  const slash = text.indexOf("/");
  if (slash < 1 || slash === text.length - 1) {
    throw new UsageError(`An endpoint is written like api/127.0.0.1:3001, not "${text}".`);
  }
  return [text.slice(0, slash), text.slice(slash + 1)];
}
