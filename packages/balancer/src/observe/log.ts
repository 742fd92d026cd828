// The program's own log: events with a name, for people at a terminal and for machines that collect. Names are stable
// ("endpoint.unready", "worker.exited", "config.refused"): alerts are built on them.

/** How much an event matters, least first. */
export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Facts of an event, beside its sentence. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Where events are told. Never throws. */
export interface Log {
  /** `name` is stable, `text` is a sentence that says what happened and why. */
  event(level: LogLevel, name: string, text: string, fields?: LogFields): void;
}

export interface LogOptions {
  readonly format: "text" | "json";
  /** Events below it are not written. */
  readonly level: LogLevel;
  /** Takes one line with its line feed. */
  readonly write: (line: string) => void;
  /** Wall-clock ms. */
  readonly wall: () => number;
}

/** A log that writes one line for each event. */
export function createLog(options: LogOptions): Log {
  const least = logLevels.indexOf(options.level);
  const render = options.format === "json" ? jsonLine : textLine;
  return {
    event(level, name, text, fields = {}) {
      if (logLevels.indexOf(level) < least) return;
      options.write(render(new Date(options.wall()).toISOString(), level, name, text, fields));
    },
  };
}

function jsonLine(time: string, level: LogLevel, event: string, text: string, fields: LogFields): string {
  // First for the reader, and again last, so that no field can pass for them.
  const own = { time, level, event, text };
  return `${JSON.stringify({ ...own, ...fields, ...own })}\n`;
}

function textLine(time: string, level: LogLevel, name: string, text: string, fields: LogFields): string {
  let line = `${time} ${level.padEnd(5)} ${name}: ${printable(text)}`;
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    line += ` ${key}=${typeof value === "string" ? quoteIfNeeded(value) : String(value)}`;
  }
  return `${line}\n`;
}

/** Nothing in a line may move a terminal's cursor or begin another line. */
function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (found) => {
    return found === "\n" ? " | " : `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

function quoteIfNeeded(value: string): string {
  return /^[\w.:/@+[\]*-]+$/.test(value) ? value : printable(JSON.stringify(value));
}
