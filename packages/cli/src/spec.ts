// What a command is, and what it is given.

/** Where commands read and write; handed in so that tests can listen. */
export interface Io {
  /** Results, for people and pipes. */
  out(text: string): void;
  /** Logs, progress and errors. */
  err(text: string): void;
  readonly env: Record<string, string | undefined>;
  readonly cwd: string;
  /** Whether `out` may carry colours: a terminal, and NO_COLOR unset. */
  readonly colour: boolean;
  /** Width of what `out` is shown on, in characters; 100 where nobody knows. */
  readonly columns: number;
}

/** How the shell completes a value. */
export type Completion = "file" | "none" | readonly string[];

export interface OptionSpec {
  /** As commander writes them: "-c, --config <file>". */
  readonly flags: string;
  readonly about: string;
  readonly complete?: Completion;
  readonly fallback?: string;
  /** May be given several times; the command then sees a list. */
  readonly repeat?: true;
  /** Turns the text into a value, not null or undefined; throws UsageError with a sentence that says what would be right. */
  readonly parse?: (text: string) => unknown;
}

export interface ArgumentSpec {
  /** As commander writes them: "<url>", "[shell]", "<command...>". */
  readonly name: string;
  readonly about: string;
  readonly complete?: Completion;
}

/** What one call of a command got. */
export interface Call<Options> {
  readonly options: Options;
  readonly args: readonly string[];
  readonly io: Io;
}

/** One command: everything that help, completions and the parser need to know, and what it does. */
export interface CommandSpec<Options = object> {
  readonly name: string;
  readonly summary: string;
  /** A paragraph below the summary in its own help; broken anew to the terminal's width. */
  readonly about?: string;
  readonly args?: readonly ArgumentSpec[];
  readonly options: readonly OptionSpec[];
  /** Pairs of a command line and what it does. */
  readonly examples: readonly (readonly [line: string, what: string])[];
  /** All after the first argument belongs to another program. */
  readonly passThrough?: true;
  /** Resolves to the exit code. */
  run(call: Call<Options>): Promise<number>;
}

/** What a user did wrong on the command line; ends the program with exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Something a user should be told in one sentence, without a stack; ends the program with exit code 1. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

/** Exit codes that all commands share. */
export const exitCode = { ok: 0, failed: 1, usage: 2 } as const;
