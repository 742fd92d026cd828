// What the process manager tells, as data, and the one place where it becomes words.
import { describeExit, seconds } from "./diagnosis.ts";
import type { Exit } from "./host.ts";

/** Something that happened to an instance or to all of them. Times in ms. */
export type AppEvent =
  | { readonly kind: "starting"; readonly name: string; readonly port: number; readonly pid: number }
  | {
      readonly kind: "ready";
      readonly name: string;
      readonly port: number;
      readonly after: number;
      readonly doubt: string;
    }
  | { readonly kind: "elsewhere"; readonly name: string; readonly port: number; readonly ports: readonly number[] }
  | { readonly kind: "not-started"; readonly name: string; readonly why: string; readonly lastLines: readonly string[] }
  | { readonly kind: "fell"; readonly name: string; readonly exit: Exit; readonly lived: number }
  /** It answered its liveness path badly, so many times in a row. */
  | {
      readonly kind: "not-alive";
      readonly name: string;
      readonly path: string;
      readonly seen: string;
      readonly inRow: number;
    }
  | { readonly kind: "again"; readonly name: string; readonly delay: number; readonly failures: number }
  | { readonly kind: "replacing"; readonly name: string; readonly position: number; readonly of: number }
  | { readonly kind: "draining"; readonly name: string }
  | { readonly kind: "replaced"; readonly name: string }
  | { readonly kind: "killed"; readonly name: string; readonly grace: number }
  | { readonly kind: "rolled"; readonly instances: number }
  | { readonly kind: "roll-abandoned"; readonly name: string; readonly left: number };

/** How much an event asks for attention. */
export function eventLevel(event: AppEvent): "info" | "warn" | "error" {
  switch (event.kind) {
    case "not-started":
    case "roll-abandoned":
      return "error";
    case "fell":
    case "not-alive":
    case "elsewhere":
    case "killed":
      return "warn";
    case "ready":
      return event.doubt === "" ? "info" : "warn";
    default:
      return "info";
  }
}

/** One line for people, with the instance's name in front; "not-started" brings the last output along on lines of its own. */
export function describeEvent(event: AppEvent): string {
  switch (event.kind) {
    case "starting":
      return `${event.name} starts with PORT=${event.port} (process ${event.pid})`;
    case "ready":
      return `${event.name} is ready on port ${event.port} after ${seconds(event.after)}${event.doubt === "" ? "" : `, taken as it is: ${event.doubt}`}`;
    case "elsewhere":
      return (
        `${event.name} listens on port ${event.ports.join(", ")}, not on the one it was given (PORT=${event.port}); ` +
        "waiting on. Does it read the environment variable PORT?"
      );
    case "not-started":
      return `${event.name}: ${event.why}${lastOutput(event.lastLines)}`;
    case "fell":
      return `${event.name} ${describeExit(event.exit)} after ${seconds(event.lived)}; out of rotation`;
    case "not-alive":
      return `${event.name} is restarted: ${event.inRow} liveness probes in a row failed, the last one: ${event.seen} (GET ${event.path})`;
    case "again":
      return `${event.name} starts again in ${seconds(event.delay)}${event.failures > 1 ? ` (failure ${event.failures} in a row)` : ""}`;
    case "replacing":
      return `${event.name} is being replaced (${event.position} of ${event.of})`;
    case "draining":
      return `${event.name}: the new one is in rotation, the old one drains`;
    case "replaced":
      return `${event.name} is replaced`;
    case "killed":
      return `${event.name} did not end within ${seconds(event.grace)} of SIGTERM and was killed`;
    case "rolled":
      return `all ${event.instances} instances are replaced`;
    case "roll-abandoned":
      return `${event.name} does not come up, so replacing stops here; ${event.left} not replaced go on as they were`;
  }
}

function lastOutput(lines: readonly string[]): string {
  if (lines.length === 0) return " It printed nothing.";
  return ` Its last output:\n${lines.map((line) => `    ${line}`).join("\n")}`;
}
