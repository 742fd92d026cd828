// cli/: the `plimsoll` command. Reads arguments, prints for people, and calls the balancer's packages.
// It must not know how anything it starts works inside: a command is a thin file, the table of them is commands.ts.

// This file: finds and asks the admin API of a running balancer.
import {
  runningPrograms,
  runtimeBases,
  type FoundProgram,
  type RunningProgram,
} from "@plimsoll/balancer/src/control/runtime-directory.ts";
import { CommandError, type Io, type OptionSpec } from "./spec.ts";
import { hostPort, showHostPort, type HostPort } from "./values.ts";

export const adminOption: OptionSpec = {
  flags: "-a, --admin <address>",
  about: "admin address of the balancer; found by itself when one runs as this user",
  parse: hostPort,
};

/** Where the admin API is when nothing says otherwise. */
const defaultAdmin = "http://127.0.0.1:9090";
/** Longest wait for an answer, in ms: a reload prepares and commits every worker. */
const patience = 30_000;

/** A running balancer: its process where it is known, its admin address where it has one. */
export interface RunningTarget {
  /** 0: not known. */
  readonly pid: number;
  /** "": it has none. */
  readonly admin: string;
  /** Its runtime directory, if it is a program of this user on this machine. */
  readonly program: FoundProgram | null;
}

/**
 * The balancer that a command means: the one named, else the only one that this user runs, else whoever is at the default
 * address. A CommandError when several run.
 */
export function findRunning(io: Io, given: HostPort | undefined): RunningTarget {
  const running = runningPrograms(runtimeBases(io.env));
  if (given !== undefined) {
    const admin = `http://${showHostPort(given)}`;
    return { pid: 0, admin, program: running.find((each) => each.admin === admin) ?? null };
  }
  const [first] = running;
  if (first === undefined) return { pid: 0, admin: defaultAdmin, program: null };
  if (running.length > 1) {
    throw new CommandError(
      `${running.length} balancers run; say which with --admin:\n${running.map(listed).join("\n")}`,
    );
  }
  return { pid: first.pid, admin: first.admin, program: first };
}

function listed(program: RunningProgram): string {
  const where = program.admin === "" ? "without an admin address" : `--admin ${program.admin.replace("http://", "")}`;
  return `  ${where}   (process ${program.pid}, since ${new Date(program.started).toISOString()})`;
}

/** An answer of the admin API. */
export interface AdminAnswer {
  readonly status: number;
  readonly body: unknown;
}

/**
 * Asks the admin API; a CommandError in words when nobody answers within `longest` ms. `body` is sent as JSON.
 */
export async function askAdmin(
  admin: string,
  method: string,
  path: string,
  body?: unknown,
  longest = patience,
): Promise<AdminAnswer> {
  let response: Response;
  try {
    response = await fetch(admin + path, {
      method,
      signal: AbortSignal.timeout(longest),
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
  } catch (error) {
    const timedOut = error instanceof DOMException && error.name === "TimeoutError";
    const why = timedOut ? "did not answer in time" : "cannot be reached";
    throw new CommandError(
      `The balancer's admin address ${admin} ${why}. Does it run, and is \`admin\` set to that address?`,
    );
  }
  const text = await response.text();
  try {
    return { status: response.status, body: JSON.parse(text) };
  } catch {
    throw new CommandError(`What answers at ${admin} is not the admin API of a balancer (status ${response.status}).`);
  }
}

/** What an error answer says. */
export function adminError(answer: AdminAnswer): string {
  const { body } = answer;
  if (typeof body === "object" && body !== null) {
    if ("problems" in body && Array.isArray(body.problems)) return body.problems.join("\n");
    if ("error" in body && typeof body.error === "string") return body.error;
  }
  return `status ${answer.status}`;
}
