// Load by wrk: one thread, bounded in time, and what it says read back.
import { join } from "node:path";
import { cores, pinned } from "./cores.ts";
import type { Load } from "./scenarios/scenario.ts";

/** What one run of wrk, or of a load program of ours, saw. */
export interface Seen {
  readonly requests: number;
  readonly seconds: number;
  readonly p50us: number;
  readonly p99us: number;
  /** Failed connects, reads, writes, time-outs, and answers that are not 2xx or 3xx. */
  readonly errors: number;
  /** Share of the TLS connections that were resumed, where that is what is measured. */
  readonly resumed?: number;
}

/** Writes wrk's script for a load and returns its path. */
export async function writeScript(load: Load, folder: string, port: number): Promise<string> {
  const file = join(folder, `load-${port}.lua`);
  await Bun.write(file, script(load));
  return file;
}

/** wrk's script: requests are made once, before the clock starts. */
export function script(load: Load): string {
  const method = load.bodyBytes > 0 ? "POST" : "GET";
  return `local paths = { ${load.paths.map((path) => `"${path}"`).join(", ")} }
local requests = {}
local at = 0
${load.closing ? 'wrk.headers["Connection"] = "close"\n' : ""}${load.bodyBytes > 0 ? `local body = string.rep("x", ${load.bodyBytes})\n` : "local body = nil\n"}
init = function()
  for i, path in ipairs(paths) do requests[i] = wrk.format("${method}", path, nil, body) end
end

request = function()
  at = at % #requests + 1
  return requests[at]
end
`;
}

/** Runs wrk for so many seconds. Throws when it cannot run or says something that is not understood. */
export async function wrk(
  port: number,
  load: Load,
  scriptFile: string,
  seconds: number,
  scheme: "http" | "https" = "http",
): Promise<Seen> {
  // wrk takes whole seconds.
  const duration = Math.max(1, Math.round(seconds));
  const options = ["-t1", `-c${load.connections}`, `-d${duration}s`, "--timeout", "10s", "--latency", "-s", scriptFile];
  const argv = pinned(cores.load, ["wrk", ...options, `${scheme}://127.0.0.1:${port}`]);
  const child = Bun.spawn([...argv], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const code = await child.exited;
  if (code !== 0) throw new Error(`wrk ended with ${code}: ${err || out}`);
  return readOutput(out);
}

/** Reads wrk's report. Throws when it is not one. */
export function readOutput(text: string): Seen {
  const total = /^\s*(\d+) requests in ([\d.]+)(us|ms|s|m|h),/m.exec(text);
  const p50 = /^\s*50%\s+([\d.]+)(us|ms|s|m|h)/m.exec(text);
  const p99 = /^\s*99%\s+([\d.]+)(us|ms|s|m|h)/m.exec(text);
  if (!total || !p50 || !p99) throw new Error(`wrk said something else than usual:\n${text}`);
  const socket = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? [];
  const statuses = /Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? "0";
  return {
    requests: Number(total[1]),
    seconds: microseconds(total) / 1_000_000,
    p50us: microseconds(p50),
    p99us: microseconds(p99),
    errors: [...socket, statuses].reduce((sum, one) => sum + Number(one), 0),
  };
}

const units: Readonly<Record<string, number>> = { us: 1, ms: 1000, s: 1_000_000, m: 60_000_000, h: 3_600_000_000 };

/** The number and unit at the end of a match. */
function microseconds(match: RegExpExecArray): number {
  return Number(match.at(-2)) * (units[match.at(-1) ?? ""] ?? Number.NaN);
}
