// Node applications in processes of their own, whose readiness the test switches.
import { later } from "../control/running.ts";

export const node = Bun.which("node") ?? "node";
export const app = `${import.meta.dir}/fixtures/app.mjs`;

export class App {
  readonly port: number;
  readonly pid: number;

  constructor(port: number, pid: number) {
    this.port = port;
    this.pid = pid;
  }

  get id(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** What it says at `path` from now on; status 0: nothing at all. */
  async become(status: number, more: { retryAfter?: string; body?: string; path?: string } = {}): Promise<void> {
    const query = new URLSearchParams({ path: "/readyz", status: String(status), ...more });
    await this.#ask(`/become?${query.toString()}`);
  }

  /** Requests that reached it, probes apart. */
  async seen(): Promise<{ readonly asked: number; readonly probes: number }> {
    return JSON.parse(await this.#ask("/seen")) as { asked: number; probes: number };
  }

  async #ask(path: string): Promise<string> {
    return (await fetch(`http://${this.id}${path}`, { keepalive: false })).text();
  }
}

/** Starts one; it is ended with the test. */
export async function startApp(): Promise<App> {
  const child = Bun.spawn([node, app], { stdio: ["ignore", "pipe", "ignore"] });
  later(async () => {
    child.kill("SIGKILL");
    await child.exited;
  });
  let said = "";
  const decoder = new TextDecoder();
  for await (const bytes of child.stdout) {
    said += decoder.decode(bytes);
    if (said.includes("\n")) break;
  }
  return new App(Number(/^port (\d+)$/m.exec(said)?.[1]), child.pid);
}
