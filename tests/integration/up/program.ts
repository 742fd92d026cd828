// Runs `plimsoll` as a program, for the tests of this folder and of tests/integration/cli.
import { until } from "./stage.ts";

const main = new URL("../../../packages/cli/src/main.ts", import.meta.url).pathname;

export interface Program extends AsyncDisposable {
  readonly pid: number;
  out(): string;
  err(): string;
  /** Waits until the text is in either output, and returns what the pattern's group caught. */
  says(pattern: RegExp, limit?: number): Promise<string>;
  signal(name: NodeJS.Signals): void;
  readonly exited: Promise<number | null>;
}

/** How long a program may take to stop when its test is over, ms. */
const stopTime = 10_000;

/**
 * Starts it under this Bun; `command` replaces that. When disposed it is asked to stop, so that it takes its files with
 * it, and killed if it does not.
 */
export function startProgram(
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string>; command?: readonly string[] } = {},
): Program {
  const child = Bun.spawn([...(options.command ?? [process.execPath, main]), ...args], {
    cwd: options.cwd ?? import.meta.dir,
    env: { ...process.env, ...options.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const texts = { out: "", err: "" };
  const read = async (stream: ReadableStream<Uint8Array>, name: "out" | "err"): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) texts[name] += decoder.decode(bytes, { stream: true });
  };
  const reading = Promise.all([read(child.stdout, "out"), read(child.stderr, "err")]);
  const exited = child.exited.then(async () => {
    await reading;
    return child.exitCode;
  });
  return {
    pid: child.pid,
    exited,
    out: () => texts.out,
    err: () => texts.err,
    signal: (name) => child.kill(name),
    async says(pattern, limit = 20_000) {
      const find = (): RegExpExecArray | null => pattern.exec(texts.out) ?? pattern.exec(texts.err);
      let gone = false;
      void exited.then(() => (gone = true));
      await until(`it says ${pattern}`, () => find() !== null || gone, limit).catch((error: Error) => {
        throw new Error(`${error.message}\n${texts.out}\n${texts.err}`);
      });
      const found = find();
      if (found === null) throw new Error(`it ended without saying ${pattern}:\n${texts.out}\n${texts.err}`);
      return found[1] ?? found[0];
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGTERM");
        const tooLong = setTimeout(() => child.kill("SIGKILL"), stopTime);
        await child.exited;
        clearTimeout(tooLong);
      }
      await exited;
    },
  };
}
