// How challenges become findable: by our own workers in two ways, or by a program that makes DNS records.
import type { AcmePlan } from "../../config/acme.ts";
import type { CommandOptions, CommandOutcome } from "../../net/run-command.ts";
import type { Timers } from "../../net/clock.ts";
import type { ProofPlan } from "../../proxy/proofs.ts";
import { makeProof } from "../certificate/make.ts";
import type { Challenge, Solver } from "./obtain.ts";

/** Has what runs composed and applied anew; resolves, when every worker has it, with "" or with why not. */
export type Publish = (why: string) => Promise<string>;

/** HTTP-01: answers by token, which travel to every worker with the plan before the authority is told. */
export class HttpAnswers implements Solver {
  readonly #answers = new Map<string, string>();
  readonly #publish: Publish;

  constructor(publish: Publish) {
    this.#publish = publish;
  }

  /** Token and body of all that are open now. */
  get all(): readonly (readonly [token: string, body: string])[] {
    return [...this.#answers];
  }

  async present({ name, token, answer }: Challenge): Promise<void> {
    this.#answers.set(token, answer);
    const problem = await this.#publish(`the authority will ask for ${name}`);
    if (problem !== "") throw new Error(`the answer for the authority cannot be given to the workers: ${problem}`);
  }

  async cleanup({ name, token }: Challenge): Promise<void> {
    this.#answers.delete(token);
    await this.#publish(`the authority has asked for ${name}`);
  }
}

/** TLS-ALPN-01: certificates that are shown to who offers acme-tls/1, and travel by the same path. */
export class TlsProofs implements Solver {
  readonly #proofs = new Map<string, ProofPlan>();
  readonly #publish: Publish;
  readonly #wall: () => number;

  constructor(publish: Publish, wall: () => number) {
    this.#publish = publish;
    this.#wall = wall;
  }

  /** All that are open now. */
  get all(): readonly ProofPlan[] {
    return [...this.#proofs.values()];
  }

  async present({ name, answer }: Challenge): Promise<void> {
    const now = this.#wall();
    // Authorities do not look at its dates; they are wide for one that does.
    const made = await makeProof(name, answer, { notBefore: now - day, notAfter: now + day });
    this.#proofs.set(name, { name, ...made });
    const problem = await this.#publish(`the authority will look by TLS for ${name}`);
    if (problem !== "") throw new Error(`what the authority looks for cannot be given to the workers: ${problem}`);
  }

  async cleanup({ name }: Challenge): Promise<void> {
    if (!this.#proofs.delete(name)) return;
    await this.#publish(`the authority has looked for ${name}`);
  }
}

const day = 24 * 60 * 60 * 1000;

export interface HookNeeds {
  readonly hook: NonNullable<AcmePlan["hook"]>;
  readonly runCommand: (options: CommandOptions, signal: AbortSignal) => Promise<CommandOutcome>;
  readonly timers: Timers;
  /** Told when a record could not be removed. */
  readonly complain: (problem: string) => void;
  /** Aborted when the program stops. */
  readonly signal: AbortSignal;
}

/**
 * DNS-01 by a command: `present` or `cleanup` is its last argument, and the record stands in its environment. Exit code 0
 * means that it was done.
 */
export function hookSolver({ hook, runCommand, timers, complain, signal }: HookNeeds): Solver {
  const call = async (action: "present" | "cleanup", { name, token, answer }: Challenge): Promise<string> => {
    const words = [...hook.command, action];
    const env = {
      ...hook.env,
      PLIMSOLL_ACME_ACTION: action,
      PLIMSOLL_ACME_DOMAIN: name,
      PLIMSOLL_ACME_NAME: `_acme-challenge.${name}`,
      PLIMSOLL_ACME_VALUE: answer,
      PLIMSOLL_ACME_TOKEN: token,
    };
    const ended = new AbortController();
    const end = (): void => ended.abort();
    const cancel = timers.after(hook.timeout, end);
    if (action === "present") signal.addEventListener("abort", end);
    const outcome = await runCommand({ words, env }, ended.signal);
    cancel();
    signal.removeEventListener("abort", end);
    if (outcome.code === 0) return "";
    const said = outcome.lastLine === "" ? "it printed nothing" : `it said: ${outcome.lastLine}`;
    const how =
      outcome.problem !== ""
        ? `cannot be started: ${outcome.problem}`
        : ended.signal.aborted
          ? `was killed after ${hook.timeout} ms; ${said}`
          : outcome.code === null
            ? `was ended by ${outcome.signal}; ${said}`
            : `ended with ${outcome.code}; ${said}`;
    return `${hook.command[0] ?? ""} ${action} ${how}`;
  };
  return {
    async present(challenge) {
      const problem = await call("present", challenge);
      if (problem !== "") throw new Error(problem);
      await pause(hook.wait, timers, signal);
    },
    async cleanup(challenge) {
      const problem = await call("cleanup", challenge);
      if (problem !== "") complain(`the record _acme-challenge.${challenge.name} may be left behind: ${problem}`);
    },
  };
}

function pause(ms: number, timers: Timers, signal: AbortSignal): Promise<void> {
  if (ms === 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const cancel = timers.after(ms, resolve);
    signal.addEventListener("abort", () => {
      cancel();
      resolve();
    });
  });
}
