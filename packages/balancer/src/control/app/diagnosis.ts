// Says in words why an instance did not come up. Pure: facts in, text out.
import type { Exit } from "./host.ts";

/** What was seen of a start that failed. */
export interface FailedStart {
  readonly port: number;
  readonly readyPath: string | null;
  /** How it ended; null: it was still running when its time was over. */
  readonly exit: Exit | null;
  /** Why it could not even be started; "" when it could. */
  readonly spawnError: string;
  /** Time from start to the end of waiting, in ms. */
  readonly waited: number;
  /** Ports on which it listened when last looked, while nobody answered at its own on the loopback addresses. */
  readonly elsewhere: readonly number[];
  /** What the last knock at its own port found: "" nobody listened, else "status 503" or "silence". */
  readonly lastKnock: string;
  readonly lastLines: readonly string[];
}

/** Whether a start failed because somebody else took the port between choosing and using it; another port then helps. */
export function lostPort(start: FailedStart): boolean {
  return start.exit !== null && busyPort(start.lastLines) === start.port;
}

/** One or more sentences for the operator, the output apart. */
export function explainFailedStart(start: FailedStart): string {
  if (start.spawnError !== "") return `it could not be started: ${start.spawnError}.`;
  const busy = busyPort(start.lastLines);
  if (start.exit !== null) {
    const how = `it ${describeExit(start.exit)} after ${seconds(start.waited)}, before it was ready.`;
    if (busy !== null && busy !== start.port) {
      return `${how} It wanted port ${busy} instead of the one it was given (PORT=${start.port}). ${howToListen}`;
    }
    if (start.exit.code === 0)
      return `${how} Only what goes on can be balanced: a program that puts itself into the background has to stay in the foreground.`;
    if (start.exit.code === 127) return `${how} Exit code 127 means that a shell did not find the command.`;
    return how;
  }
  const waited = `it was not ready after ${seconds(start.waited)}.`;
  if (start.lastKnock !== "") {
    const path = start.readyPath ?? "/";
    return `${waited} It listens on its port (${start.port}), but GET ${path} got ${start.lastKnock}.`;
  }
  if (start.elsewhere.includes(start.port)) {
    return `${waited} It listens on its port (${start.port}), but neither on 127.0.0.1 nor on ::1, where it is asked. Make it listen on 127.0.0.1, or on all addresses.`;
  }
  if (start.elsewhere.length > 0) {
    return `${waited} It listens on port ${start.elsewhere.join(", ")} instead of the one it was given (PORT=${start.port}). ${howToListen}`;
  }
  return `${waited} It runs, but does not listen on the port it was given (PORT=${start.port}). ${howToListen}`;
}

const howToListen =
  "Make it listen on the environment variable PORT, or hand the port over as an argument: write $PORT in quotes, as in " +
  "`plimsoll up -- python3 -m http.server '$PORT'`.";

/** "exited with code 1", "was ended by SIGSEGV". */
export function describeExit(exit: Exit): string {
  return exit.signal === "" ? `exited with code ${exit.code}` : `was ended by ${exit.signal}`;
}

/** Milliseconds as people say them. */
export function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}

/** The port that an "address already in use" complains of: Node, Python, Go, Java and Rust write it in one line. */
function busyPort(lines: readonly string[]): number | null {
  for (const line of lines) {
    if (!/EADDRINUSE|address already in use/i.test(line)) continue;
    const port = /:(\d{2,5})\b(?!.*:\d)/.exec(line)?.[1] ?? /\bport:? (\d{2,5})\b/i.exec(line)?.[1];
    if (port !== undefined) return Number(port);
  }
  return null;
}
