// Applications in processes of their own and clients that remember how each of their requests and WebSockets ended.
import { later, until } from "../control/running.ts";

const node = Bun.which("node") ?? "node";
export const app = `${import.meta.dir}/fixtures/app.mjs`;
/** What runs the application. */
export const appCommand = [node, app];

/** What an application says of itself. */
export interface Seen {
  /** Requests, probes not among them. */
  readonly all: number;
  /** Codes with which its WebSockets ended. */
  readonly closes: readonly number[];
}

export interface App {
  readonly port: number;
  readonly pid: number;
  seen(): Promise<Seen>;
}

/** Starts an application; it is ended with the test. */
export async function startApp(): Promise<App> {
  const child = Bun.spawn(appCommand, { stdio: ["ignore", "pipe", "ignore"] });
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
  const port = Number(/^port (\d+)$/m.exec(said)?.[1]);
  const seen = async () => (await (await fetch(`http://127.0.0.1:${port}/seen`)).json()) as Seen;
  return { port, pid: child.pid, seen };
}

/** One WebSocket, from its opening to its end. */
export interface Talk {
  /** Code of its end; 0 while it is open. */
  code: number;
  heard: string;
  readonly socket: WebSocket;
}

/** Opens WebSockets, and has each say something that is echoed. */
export async function talks(url: string, count: number): Promise<Talk[]> {
  const opened = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const socket = new WebSocket(`${url.replace("http", "ws")}/ws`);
      const talk: Talk = { code: 0, heard: "", socket };
      socket.onmessage = (event) => void (talk.heard = String(event.data));
      socket.onclose = (event) => void (talk.code = event.code);
      await new Promise((resolve, reject) => {
        socket.onopen = resolve;
        socket.onerror = reject;
      });
      socket.send(`hello ${index}`);
      return talk;
    }),
  );
  await until("all are echoed", () => opened.every((talk, index) => talk.heard === `hello ${index}`));
  later(() => {
    for (const { socket } of opened) socket.close();
  });
  return opened;
}

/** Asks once; resolves to status and body, or to what went wrong. */
export async function ask(url: string, method = "GET"): Promise<string> {
  try {
    const answer = await fetch(url, { method });
    return `${answer.status} ${(await answer.text()).trim()}`;
  } catch (error) {
    return `failed: ${(error as Error).message}`;
  }
}

/** How often each of some texts occurs. */
export function tally(texts: readonly (string | number)[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const text of texts) counts[text] = (counts[text] ?? 0) + 1;
  return counts;
}
