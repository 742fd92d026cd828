// Facts about the runtime that decisions of ours lean on, each pinned by a test that names the decision. A new version of
// Bun that changes one fails here and says so. Knows nothing of Plimsoll's own code.

import type { Socket } from "bun";

/** Everything that happened to one raw socket, in order. */
export interface Seen {
  socket: Socket<Seen>;
  readonly events: string[];
  bytes: number;
  text: string;
  error: (Error & { code?: string }) | undefined;
}

/** Bun's handlers, writing into the `Seen` that is the socket's data. */
export function recordingHandlers(onOpen?: (seen: Seen) => void) {
  return {
    binaryType: "uint8array" as const,
    open(socket: Socket<Seen>) {
      socket.data ??= seen();
      socket.data.socket = socket;
      onOpen?.(socket.data);
    },
    data(socket: Socket<Seen>, chunk: Uint8Array) {
      const { data } = socket;
      data.bytes += chunk.length;
      if (data.text.length < 1000) data.text += Buffer.from(chunk).toString();
      if (data.events.at(-1) !== "data") data.events.push("data");
    },
    end: (socket: Socket<Seen>) => void socket.data.events.push("end"),
    drain: (socket: Socket<Seen>) => void socket.data.events.push("drain"),
    close(socket: Socket<Seen>, error?: Error) {
      socket.data.error = error;
      socket.data.events.push("close");
    },
    error: (socket: Socket<Seen>, error: Error) => void socket.data.events.push(`error ${error.message}`),
  };
}

export function seen(): Seen {
  return { socket: undefined as unknown as Socket<Seen>, events: [], bytes: 0, text: "", error: undefined };
}

/** Two connected raw sockets that may be half open. */
export async function rawPair(): Promise<{ near: Seen; far: Seen; close: () => void }> {
  let far: Seen | undefined;
  const listener = Bun.listen<Seen>({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: recordingHandlers((accepted) => (far = accepted)),
  });
  const near = seen();
  await Bun.connect<Seen>({
    hostname: "127.0.0.1",
    port: listener.port,
    allowHalfOpen: true,
    data: near,
    socket: recordingHandlers(),
  });
  await until(() => far !== undefined);
  listener.stop();
  const accepted = far!;
  near.events.length = 0;
  return { near, far: accepted, close: () => [near, accepted].forEach((side) => side.socket.terminate()) };
}

/** Waits for something that happens by itself; the test's own timeout is what bounds it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await passed(1);
}

/** For things that must not happen: long enough that they would have. */
export function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What the runtime knows but its typings do not. */
export function untyped<Value>(value: object): Value {
  return value as Value;
}
