// Asks an instance for an answer, over a plain socket, so that "does not listen", "says nothing" and "says no" differ.
import type { Knock } from "@plimsoll/balancer/src/control/app/host.ts";

/** How long an answer may take, in ms, its body included. */
const patience = 2000;

/** Most bytes that are read on after the status. */
const lingerBytes = 1024 * 1024;

/** `GET path` of 127.0.0.1 and, where nobody listens there, of ::1: "localhost" may mean either to an application. */
export async function knock(port: number, path: string): Promise<Knock> {
  const first = await knockAt("127.0.0.1", port, path);
  return first.kind === "refused" ? knockAt("::1", port, path) : first;
}

/**
 * The status is told at once. The answer is read on to its end all the same, as long as that is short: cut off in the middle
 * it would be a broken pipe in the application's log, the first thing that somebody sees of `up`.
 */
async function knockAt(host: string, port: number, path: string): Promise<Knock> {
  const { promise, resolve } = Promise.withResolvers<Knock>();
  let opened = false;
  let known = false;
  let head = "";
  let lingered = 0;
  const close = (): void => void connecting.then((socket) => socket?.terminate());
  const timer = setTimeout(() => {
    resolve(opened ? { kind: "silent", host } : { kind: "refused" });
    close();
  }, patience);
  const connecting = Bun.connect({
    hostname: host,
    port,
    socket: {
      open(socket) {
        opened = true;
        const name = host === "::1" ? "[::1]" : host;
        socket.write(
          `GET ${path} HTTP/1.1\r\nHost: ${name}:${port}\r\nUser-Agent: plimsoll-up\r\nAccept: */*\r\nConnection: close\r\n\r\n`,
        );
      },
      data(_socket, bytes) {
        if (known) {
          lingered += bytes.length;
          if (lingered > lingerBytes) close();
          return;
        }
        head = (head + bytes.toString("latin1")).slice(0, 64);
        const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1];
        if (status !== undefined) {
          known = true;
          resolve({ kind: "status", status: Number(status), host });
        } else if (head.length >= 12) {
          resolve({ kind: "silent", host });
          close();
        }
      },
      close() {
        clearTimeout(timer);
        resolve(opened ? { kind: "silent", host } : { kind: "refused" });
      },
      connectError() {
        clearTimeout(timer);
        resolve({ kind: "refused" });
      },
      error: () => resolve({ kind: "refused" }),
    },
  }).catch(() => null);
  return promise;
}
