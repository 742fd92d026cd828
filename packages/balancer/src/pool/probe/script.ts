// Ready is who answers as a script expects: what is sent and what has to come back, step by step, in text or bytes. The
// ready-made scripts (postgres.ts, redis.ts, mysql.ts, smtp.ts) are this one with their steps written out.
import type { ProbeName, ReadinessPlan, ScriptStep } from "../plan.ts";
import { Attempt, type Dialogue, type Probe, type ProbeNetwork } from "./probe.ts";

/** As much of the answer to one step as is looked at, bytes. */
export const longestScriptAnswer = 16 * 1024;
/** Longest part of an answer that is repeated in events. */
const longestQuote = 80;

/** The probe `name`, which speaks as `stepsOf` says. */
export function scriptedProbe(
  network: ProbeNetwork,
  name: ProbeName,
  stepsOf: (plan: ReadinessPlan) => readonly ScriptStep[],
): Probe {
  return {
    name,
    run: (subject, plan, signal) => Attempt.make(network, subject, plan, signal, new Conversation(stepsOf(plan))),
  };
}

export function scriptProbe(network: ProbeNetwork): Probe {
  return scriptedProbe(network, "script", (plan) => plan.script);
}

/** One run of a script. An expectation sees all that came since the last step that sent something. */
class Conversation implements Dialogue {
  readonly #steps: readonly ScriptStep[];
  /** The last expectation: behind it there is only a farewell. */
  readonly #last: number;
  #at = 0;
  #came = "";

  constructor(steps: readonly ScriptStep[]) {
    this.#steps = steps;
    this.#last = steps.findLastIndex((step) => step.kind !== "send");
  }

  opened(attempt: Attempt): void {
    this.#goOn(attempt);
  }

  received(bytes: Uint8Array, attempt: Attempt): void {
    const room = longestScriptAnswer - this.#came.length;
    this.#came += Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, room)).toString("latin1");
    this.#goOn(attempt);
  }

  ended(attempt: Attempt): void {
    const step = this.#steps[this.#at];
    const wanted = step === undefined ? "" : `, expected ${expectation(step)}`;
    attempt.judge(false, this.#came === "" ? `closed without an answer${wanted}` : this.#miss(wanted));
  }

  #goOn(attempt: Attempt): void {
    for (; this.#at < this.#steps.length; this.#at++) {
      const step = this.#steps[this.#at] as ScriptStep;
      if (step.kind === "send") {
        this.#came = "";
        attempt.send(Buffer.from(step.hex, "hex"));
        continue;
      }
      const met = isMet(step, this.#came);
      if (met === "no" || (met === "later" && this.#came.length === longestScriptAnswer)) {
        attempt.judgeAndClose(false, this.#miss(`, expected ${expectation(step)}`));
        return;
      }
      if (met === "later") return;
      if (this.#at === this.#last) {
        this.#sayGoodbye(attempt);
        return;
      }
    }
    // Nothing was expected at all.
    attempt.judgeAndClose(true, "connected");
  }

  #sayGoodbye(attempt: Attempt): void {
    const detail = `answered ${quote(this.#came)}`;
    for (const step of this.#steps.slice(this.#at + 1)) {
      if (step.kind === "send") attempt.send(Buffer.from(step.hex, "hex"));
    }
    attempt.judgeAndClose(true, detail);
  }

  #miss(wanted: string): string {
    return `answered ${quote(this.#came)}${wanted}`;
  }
}

/** "later": what came so far may still become it. */
function isMet(step: ScriptStep, came: string): "yes" | "no" | "later" {
  if (step.kind === "matches") {
    if (step.unless !== "" && new RegExp(step.unless).test(came)) return "no";
    return new RegExp(step.source).test(came) ? "yes" : "later";
  }
  const wanted = Buffer.from(step.hex, "hex").toString("latin1");
  if (came.startsWith(wanted)) return "yes";
  return wanted.startsWith(came) ? "later" : "no";
}

function expectation(step: ScriptStep): string {
  return step.kind === "matches" ? `/${step.source}/` : quote(Buffer.from(step.hex, "hex").toString("latin1"));
}

/** Bytes for a person: one line of printable ASCII. */
function quote(bytes: string): string {
  const text = bytes.replace(/[^\x20-\x7e]+/g, " ").trim();
  // MySQL's OK is eleven bytes, and none of them can be printed.
  if (text === "" && bytes !== "") return `bytes ${hexOf(bytes)}`;
  return JSON.stringify(text.length > longestQuote ? `${text.slice(0, longestQuote)}...` : text);
}

function hexOf(bytes: string): string {
  const shown = Buffer.from(bytes.slice(0, longestQuote / 4), "latin1")
    .toString("hex")
    .replace(/(..)(?!$)/g, "$1 ");
  return bytes.length > longestQuote / 4 ? `${shown} ...` : shown;
}

// For those who write steps out.

export function send(bytes: string | Uint8Array): ScriptStep {
  return { kind: "send", hex: Buffer.from(bytes as string).toString("hex") };
}

export function begins(bytes: string | Uint8Array): ScriptStep {
  return { kind: "begins", hex: Buffer.from(bytes as string).toString("hex") };
}

/** The expressions see one character for each byte; what `unless` matches is not waited for any longer. */
export function matches(regex: RegExp, unless?: RegExp): ScriptStep {
  return { kind: "matches", source: regex.source, unless: unless?.source ?? "" };
}
