// `plimsoll drain`, `undrain`, `disable`, `enable`: one state of one endpoint each.
import { adminError, adminOption, askAdmin, findRunning } from "../admin-client.ts";
import { askStatus } from "../live-status.ts";
import { CommandError, exitCode, UsageError, type CommandSpec, type Io } from "../spec.ts";
import type { HostPort } from "../values.ts";

interface Options {
  readonly admin?: HostPort;
  readonly wait?: boolean;
}

type State = "ready" | "draining" | "disabled";

export const drain = stateCommand("drain", "draining", "give an endpoint no new work; what is in flight finishes");
export const undrain = stateCommand("undrain", "ready", "take a draining endpoint into rotation again");
export const disable = stateCommand("disable", "disabled", "take an endpoint out of rotation until it is enabled");
export const enable = stateCommand("enable", "ready", "take a disabled endpoint into rotation again");

function stateCommand(name: string, state: State, summary: string): CommandSpec<Options> {
  const wait = { flags: "--wait", about: "wait until nothing is in flight there, and show what is left" };
  return {
    name,
    summary,
    args: [{ name: "<pool/endpoint>", about: "as `plimsoll status` shows them" }],
    options: name === "drain" ? [adminOption, wait] : [adminOption],
    examples: [[`plimsoll ${name} api/127.0.0.1:3001`, summary]],
    async run({ options, args, io }) {
      const [pool, endpoint] = splitName(args[0] ?? "");
      const { admin, pid } = findRunning(io, options.admin);
      if (admin === "") throw new CommandError(`The balancer in process ${pid} has no admin address to ask.`);
      const path = `/pools/${encodeURIComponent(pool)}/endpoints/${encodeURIComponent(endpoint)}/state`;
      const answer = await askAdmin(admin, "POST", path, { state });
      if (answer.status !== 200) throw new CommandError(adminError(answer));
      io.out(`${pool}/${endpoint} is ${state === "ready" ? "in rotation as its probes say" : state}.\n`);
      if (options.wait === true) await waitUntilEmpty(admin, pool, endpoint, io);
      return exitCode.ok;
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

async function waitUntilEmpty(admin: string, pool: string, endpoint: string, io: Io): Promise<void> {
  let shown = "";
  // Workers see the new state at their next tick: one look with nothing in flight may have been too early.
  for (let empty = 0; empty < 2; await Bun.sleep(200)) {
    const status = await askStatus(admin);
    const found = status.pools.find(({ name }) => name === pool)?.endpoints.find(({ id }) => id === endpoint);
    if (found === undefined) throw new CommandError(`${pool}/${endpoint} is gone.`);
    const left = `${found.inFlight} in flight, ${found.tunnels} tunnels`;
    if (left !== shown) io.err(`${left}\n`);
    shown = left;
    empty = found.inFlight === 0 && found.tunnels === 0 ? empty + 1 : 0;
  }
  io.out(`Nothing is in flight at ${pool}/${endpoint} any more.\n`);
}
