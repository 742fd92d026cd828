// Everything that `up` prints: the instances' lines and its own, each with a name in front.
import { describeEvent, eventLevel, type AppEvent } from "@plimsoll/balancer/src/control/app/events.ts";
import type { AppVoice } from "@plimsoll/balancer/src/control/app/manager.ts";
import { linePrefix, prefixedLine } from "@plimsoll/balancer/src/control/app/prefix.ts";
import type { Log, LogLevel } from "@plimsoll/balancer/src/observe/log.ts";
import { openOutput } from "./output.ts";

/** The balancer's own events that are worth a line among the application's; the others are about what `up` itself does. */
const quiet = new Set([
  "config.applied",
  "program.ready",
  "worker.serving",
  "endpoint.draining",
  "endpoint.unknown",
  "endpoint.ready",
]);

export interface Voices {
  readonly app: AppVoice;
  /** For the supervisor. */
  readonly log: Log;
  /** Lines of our own, to stderr with our name in front. */
  say(text: string, level?: LogLevel): void;
  /** A result, to stdout as it is. */
  announce(text: string): void;
  flushed(): Promise<void>;
}

/** `name` and `instances` are needed to line the names up. */
export function openVoices(name: string, instances: number, colour: boolean): Voices {
  const out = openOutput(1);
  const err = openOutput(2);
  const own = "plimsoll";
  const width = Math.max(own.length, `${name}-${instances}`.length);
  const prefixes = Array.from({ length: instances }, (_, at) => linePrefix(`${name}-${at + 1}`, width, at, colour));
  const encoder = new TextEncoder();
  const ownPrefixes = { plain: ownPrefix(own, width, "1", colour), bad: ownPrefix(own, width, "1;31", colour) };

  const say = (text: string, level: LogLevel = "info"): void => {
    const prefix = level === "error" || level === "warn" ? ownPrefixes.bad : ownPrefixes.plain;
    for (const line of text.split("\n")) {
      void err.push(prefixedLine(prefix, encoder.encode(line), false));
    }
  };
  return {
    say,
    announce: (text) => void out.push(encoder.encode(`${text}\n`)),
    log: {
      event(level, event, text) {
        if (level === "debug" || (level === "info" && quiet.has(event))) return;
        say(text, level);
      },
    },
    app: {
      tell(event: AppEvent) {
        say(describeEvent(event), eventLevel(event));
      },
      print(_name, index, stream, line) {
        const bytes = prefixedLine(prefixes[index] ?? ownPrefixes.plain, line, colour);
        return (stream === "stdout" ? out : err).push(bytes);
      },
    },
    flushed: async () => {
      await Promise.all([out.flushed(2000), err.flushed(2000)]);
    },
  };
}

function ownPrefix(name: string, width: number, style: string, colour: boolean): Uint8Array {
  const text = `${name.padEnd(width)} | `;
  return new TextEncoder().encode(colour ? `\u001b[${style}m${text}\u001b[0m` : text);
}
