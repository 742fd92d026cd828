// Sockets that a service manager opened for us (systemd's socket activation, sd_listen_fds(3)): a service without rights may
// listen on port 443, and connections that come before it runs wait for it.
import { inspectListening, takeOver } from "../../net/listening-socket.ts";
import type { InheritedSocket } from "../sockets.ts";

/** What was given. */
export interface Activation {
  readonly sockets: readonly InheritedSocket[];
  /** What is no socket that we can use, in words. */
  readonly problems: readonly string[];
}

/** The first descriptor that may be given. */
const first = 3;

/**
 * Takes what the environment says was given, and takes the words out of it: no program that we start is meant. A socket's
 * name (FileDescriptorName) finds the listener of that name, whatever the address in its configuration; one that has none finds
 * the listener of its address.
 */
export function takeActivation(env: Record<string, string | undefined>, pid: number, from = first): Activation {
  const [meant, count, names] = [env["LISTEN_PID"], env["LISTEN_FDS"], env["LISTEN_FDNAMES"]];
  for (const name of ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]) delete env[name];
  const given = Number(count ?? "0");
  if (meant !== String(pid) || !Number.isSafeInteger(given) || given <= 0) return { sockets: [], problems: [] };
  const named = (names ?? "").split(":");
  const sockets: InheritedSocket[] = [];
  const problems: string[] = [];
  for (let index = 0; index < given; index++) {
    const fd = from + index;
    const name = named[index] ?? "";
    takeOver(fd);
    const socket = inspectListening(fd);
    if (typeof socket === "string") {
      problems.push(`socket ${index + 1} that the service manager gave (${name === "" ? "no name" : name}) ${socket}`);
      continue;
    }
    // Opened by another user, as a rule: we cannot open more beside it, so all workers accept from its one queue.
    sockets.push({ listener: name, host: socket.host, asked: anyAddress, port: socket.port, shared: false, fd });
  }
  return { sockets, problems };
}

/** Its name alone says whose it is. */
const anyAddress = -1;
