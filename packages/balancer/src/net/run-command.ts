// Runs a small program and waits for its end: no shell, few bytes of its output kept, all of it killed when time is up.

export interface CommandOptions {
  /** Program and arguments. */
  readonly words: readonly string[];
  /** The whole environment, but for PATH, HOME, LANG and TZ, which are passed on. */
  readonly env: Readonly<Record<string, string>>;
}

export interface CommandOutcome {
  /** Exit code; null when a signal ended it, or it could not be started. */
  readonly code: number | null;
  /** "SIGKILL" and the like; "" when none ended it. */
  readonly signal: string;
  /** Why it could not be started; "" when it was. */
  readonly problem: string;
  /** Last line of what it wrote, to either output, within the first few KiB. */
  readonly lastLine: string;
}

const passedOn = ["PATH", "HOME", "LANG", "TZ"] as const;
/** Bytes kept of each output; the rest is read and forgotten. */
const kept = 4096;
/** How long output is waited for after the end of the program: something it left behind may hold it open. ms */
const lastWords = 50;

/** Runs it. Never rejects; when `signal` aborts, the program and all it started are killed and the promise resolves. */
export async function runCommand({ words, env }: CommandOptions, signal: AbortSignal): Promise<CommandOutcome> {
  const failed = (problem: string): CommandOutcome => ({ code: null, signal: "", problem, lastLine: "" });
  if (signal.aborted) return failed("cancelled");
  const inherited = Object.fromEntries(
    passedOn.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  ) as Record<string, string>;
  let child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  try {
    // A process group of its own, so that killing it leaves nothing of it behind.
    child = Bun.spawn([...words], {
      env: { ...inherited, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
  } catch (cause) {
    return failed(cause instanceof Error ? cause.message : String(cause));
  }
  const kill = (): void => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // Nothing of it is left.
    }
  };
  signal.addEventListener("abort", kill);
  const outputs = [new Output(child.stdout), new Output(child.stderr)];
  await child.exited;
  signal.removeEventListener("abort", kill);
  // What it started and left behind goes with it: a probe every few seconds must not fill the machine.
  kill();
  await Promise.race([Promise.all(outputs.map((output) => output.ended)), Bun.sleep(lastWords)]);
  for (const output of outputs) output.cancel();
  const lastLine = outputs.map((output) => output.lastLine()).findLast((line) => line !== "") ?? "";
  return { code: child.exitCode, signal: String(child.signalCode ?? ""), problem: "", lastLine };
}

/** The beginning of one output. */
class Output {
  readonly ended: Promise<void>;
  readonly #reader: { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>; cancel(): Promise<void> };
  #text = "";
  #bytes = 0;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
    this.ended = this.#read();
  }

  cancel(): void {
    void this.#reader.cancel().catch(() => {});
  }

  lastLine(): string {
    return (
      this.#text
        .split(/[\r\n]+/)
        .map((line) => line.replaceAll(/[^\x20-\x7e\u00a0-\uffff]/g, " ").trim())
        .findLast((line) => line !== "") ?? ""
    );
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for (;;) {
        const { done, value } = await this.#reader.read();
        if (done || value === undefined) return;
        if (this.#bytes < kept) this.#text += decoder.decode(value.subarray(0, kept - this.#bytes), { stream: true });
        this.#bytes += value.length;
      }
    } catch {
      // Cancelled: there is nothing more to read.
    }
  }
}
