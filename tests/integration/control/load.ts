// Clients that count exactly what happened to them: raw sockets, no silent retry. A request is lost when its connection
// ends before its answer is whole; a connection is refused when it never opens.
import type { Socket } from "bun";

/** What happened to all clients of one run. */
export interface Tally {
  requests: number;
  answered: number;
  /** Connections that could not be opened. */
  refused: number;
  /** Requests whose connection ended before the answer was whole. */
  lost: number;
  /** Local ports of the connections on which requests were lost. */
  readonly lostPorts: number[];
  /** Answers other than 200, by status. */
  readonly bad: Map<number, number>;
  /** New connections. */
  connections: number;
}

export interface LoadOptions {
  readonly port: number;
  readonly clients: number;
  /** Requests on one connection before the client closes it and opens another. */
  readonly perConnection: number;
  /** Over TLS, whatever certificate is shown. */
  readonly secure?: boolean;
}

/** A load that runs until it is stopped. */
export interface Load {
  readonly tally: Tally;
  /** Lets every client finish its request, then resolves. */
  stop(): Promise<Tally>;
}

const request = "GET /load HTTP/1.1\r\nHost: load.test\r\n\r\n";

export function startLoad(options: LoadOptions): Load {
  const tally: Tally = { requests: 0, answered: 0, refused: 0, lost: 0, lostPorts: [], bad: new Map(), connections: 0 };
  let stopping = false;
  const clients = Array.from({ length: options.clients }, async () => {
    while (!stopping) await oneConnection(options, tally, () => stopping);
  });
  return {
    tally,
    async stop() {
      stopping = true;
      await Promise.all(clients);
      return tally;
    },
  };
}

async function oneConnection(options: LoadOptions, tally: Tally, stopping: () => boolean): Promise<void> {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  let received = "";
  let waiting = false;
  let port = 0;
  let left = options.perConnection;
  const next = (socket: Socket<undefined>) => {
    if (left-- <= 0 || stopping()) {
      waiting = false;
      socket.end();
      return;
    }
    tally.requests++;
    waiting = true;
    received = "";
    socket.write(request);
  };
  try {
    await Bun.connect<undefined>({
      hostname: "127.0.0.1",
      port: options.port,
      ...(options.secure === true ? { tls: { rejectUnauthorized: false } } : {}),
      socket: {
        open(socket) {
          tally.connections++;
          port = socket.localPort;
          if (options.secure !== true) next(socket);
          // A handshake that is not finished is lost as a request would be.
          else waiting = true;
        },
        // Whatever certificate it was: the runtime calls one that nobody vouches for a failure, and goes on.
        handshake: (socket) => next(socket),
        data(socket, bytes) {
          received += bytes.toString("latin1");
          const answer = wholeAnswer(received);
          if (answer === null) return;
          waiting = false;
          tally.answered++;
          if (answer.status !== 200) tally.bad.set(answer.status, (tally.bad.get(answer.status) ?? 0) + 1);
          if (answer.close) socket.end();
          else next(socket);
        },
        close() {
          if (waiting) {
            tally.lost++;
            tally.lostPorts.push(port);
          }
          waiting = false;
          end();
        },
        error: () => end(),
        connectError: () => end(),
      },
    });
  } catch {
    tally.refused++;
    await Bun.sleep(1);
    return;
  }
  await ended;
}

/** The answer if it is whole; null while something is missing. */
function wholeAnswer(text: string): { status: number; close: boolean } | null {
  const head = text.indexOf("\r\n\r\n");
  if (head < 0) return null;
  const fields = text.slice(0, head).toLowerCase();
  const length = Number(/\r\ncontent-length: (\d+)/.exec(fields)?.[1] ?? "0");
  if (text.length < head + 4 + length) return null;
  return { status: Number(text.slice(9, 12)), close: fields.includes("\r\nconnection: close") };
}
