// The access log of one worker: a format and a writer.
import { compileAccessFormat, type AccessFormatter } from "./access-format.ts";
import type { AccessRecord, AccessSink } from "./access-record.ts";
import { LineWriter, type LineWriterOptions } from "./line-writer.ts";

/** Formats each exchange at once and hands the line to a bounded writer. */
export class AccessLog implements AccessSink {
  readonly #format: AccessFormatter;
  readonly #writer: LineWriter;

  constructor(format: AccessFormatter, writer: LineWriter) {
    this.#format = format;
    this.#writer = writer;
  }

  exchange(record: AccessRecord): void {
    this.#writer.line(this.#format(record));
  }

  /** Lines taken since the start. */
  get taken(): number {
    return this.#writer.taken;
  }

  /** Lines given up because the destination could not follow. */
  get dropped(): number {
    return this.#writer.dropped;
  }

  flush(): void {
    this.#writer.flush();
  }

  /** For logrotate: opens the file again under its name. */
  reopen(): void {
    this.#writer.reopen();
  }

  /** Resolves when everything is written; on a stuck destination never, so the caller bounds the wait. */
  close(): Promise<void> {
    return this.#writer.close();
  }
}

/**
 * Opens what `log` of the configuration asks for: `to` is "stdout" or a path, `format` as in access-format.ts. The
 * problem is a sentence for the operator.
 */
export function openAccessLog(
  to: string,
  format: string,
  options: Omit<LineWriterOptions, "to">,
): AccessLog | { readonly problem: string } {
  const formatter = compileAccessFormat(format);
  if (typeof formatter !== "function") return formatter;
  try {
    return new AccessLog(formatter, new LineWriter({ ...options, to: to === "stdout" ? 1 : to }));
  } catch (error) {
    return { problem: `cannot open the access log ${to}: ${(error as Error).message}` };
  }
}
