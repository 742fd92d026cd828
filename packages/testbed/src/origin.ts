// An origin that answers as a script tells it, and judges every byte that reaches it: whatever comes through the
// balancer must be exactly what the strict reader allows.
import { createServer, type AddressInfo, type Socket } from "node:net";
import { readStrictRequests, StrictError } from "@plimsoll/wire/http1/strict-reader";
import { show, toBytes } from "./bytes.ts";
import { OriginConnection } from "./origin-connection.ts";
import { RequestFramer } from "./request-framer.ts";
import type { Script, SeenRequest } from "./script.ts";
import { echo } from "./scripts.ts";
import { eventually } from "./waiting.ts";

export interface OriginOptions {
  /** `echo()` unless told. */
  readonly script?: Script;
  readonly host?: string;
  /** 0, any free one, unless told. */
  readonly port?: number;
  /** Bytes of one message that are kept and judged whole; 1 MiB unless told. Of larger ones the head is judged. */
  readonly keep?: number;
}

/** Starts an origin. Rejects with the system's error when it cannot listen. */
export async function startOrigin(options: OriginOptions = {}): Promise<Origin> {
  const origin = new Origin(options.script ?? echo(), options.keep ?? 1_048_576);
  await origin.listen(options.host ?? "127.0.0.1", options.port ?? 0);
  return origin;
}

export class Origin {
  /** Replaceable at any time: what happens next goes to the new one, also on connections that are open. */
  script: Script;
  readonly requests: SeenRequest[] = [];
  readonly connections: OriginConnection[] = [];
  /** What reached this origin and should not have. */
  readonly violations: string[] = [];
  readonly #keep: number;
  readonly #server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));

  constructor(script: Script, keep: number) {
    this.script = script;
    this.#keep = keep;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** "127.0.0.1:3001", as it stands in a configuration. */
  get address(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    return family === "IPv6" ? `[${address}]:${port}` : `${address}:${port}`;
  }

  listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject).listen(port, host, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
  }

  /** Waits until this many requests have been seen, counted from the start, and returns the last of them. */
  async request(count = this.requests.length + 1, timeout?: number): Promise<SeenRequest> {
    return eventually(`request ${count} (${this.requests.length} seen)`, () => this.requests[count - 1], timeout, 2);
  }

  /** Connections that are open now. */
  get open(): number {
    return this.connections.filter((one) => one.ending === "open").length;
  }

  /** Throws when anything reached this origin that should not have. */
  assertClean(): void {
    if (this.violations.length === 0) return;
    throw new Error(`the origin received what it must not:\n  ${this.violations.join("\n  ")}`);
  }

  /** Stops listening and resets what is open; then nobody answers on its port. Does not judge: see `assertClean`. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.connections) connection.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    const connection = new OriginConnection(socket, this.connections.length);
    this.connections.push(connection);
    let onConnection = 0;
    let headJudged = false;
    let head: { request: SeenRequest; body: Uint8Array[]; kept: number; length: number } | undefined;
    // Answers that scripts are still writing.
    let answering: Promise<unknown> = Promise.resolve();
    const asked = (answer: void | Promise<void>): void => {
      if (answer) answering = Promise.all([answering, answer]);
    };
    const violated = (text: string): void => {
      this.violations.push(`connection ${connection.number}, request ${onConnection}: ${text}`);
    };
    const framer = new RequestFramer(
      {
        onHead: (text) => {
          const judged = judge(headOnly(text));
          if (judged) violated(judged);
          headJudged = judged !== undefined;
          const body: Uint8Array[] = [];
          const request = seen(
            text,
            body,
            connection.number,
            this.requests.length,
            onConnection,
            () => head?.length ?? 0,
          );
          head = { request, body, kept: 0, length: 0 };
          asked(this.script.onHead?.(request, connection));
        },
        onBody: (bytes) => {
          if (!head) return;
          head.length += bytes.length;
          const room = this.#keep - head.kept;
          if (room <= 0) return;
          head.body.push(bytes.slice(0, room));
          head.kept += Math.min(room, bytes.length);
        },
        onRequest: (message) => {
          const judged = message && !headJudged && judge(message);
          if (judged) violated(judged);
          const done = head && completed(head.request, Buffer.concat(head.body), head.length, this.requests.length);
          head = undefined;
          onConnection++;
          if (!done) return;
          this.requests.push(done);
          asked(this.script.onRequest?.(done, connection));
        },
        onViolation: violated,
      },
      this.#keep,
    );
    connection.framer = framer;
    socket.on("data", (bytes: Buffer) => {
      connection.receivedBytes += bytes.length;
      if (connection.onTunnel) connection.onTunnel(bytes);
      else framer.add(bytes);
    });
    socket.on("end", () => {
      if (!connection.onTunnel) {
        connection.cutShort = !framer.between;
        const judged = judge(framer.unframed, true);
        if (judged) violated(judged);
      }
      connection.ended("fin");
      if (this.script.onEnd) this.script.onEnd(connection);
      else void answering.then(() => connection.end());
    });
    this.script.onConnect?.(connection);
  }
}

function judge(message: Uint8Array, partial = false): string | undefined {
  try {
    readStrictRequests(message, { onlyFirst: true, partial });
    return undefined;
  } catch (error) {
    if (error instanceof StrictError) return `${error.message} of ${show(message)}`;
    throw error;
  }
}

/** A head as a message of its own: its body, which is judged apart, is announced as none. */
function headOnly(text: string): Uint8Array {
  return toBytes(text.replace(/^(content-length:[ \t]*)\d+/im, "$10").replace(/\r\n\r\n$/, chunkedEnd(text)));
}

function chunkedEnd(text: string): string {
  return /^transfer-encoding:/im.test(text) ? "\r\n\r\n0\r\n\r\n" : "\r\n\r\n";
}

function seen(
  text: string,
  body: readonly Uint8Array[],
  connection: number,
  index: number,
  onConnection: number,
  length: () => number,
): SeenRequest {
  const [first = "", ...lines] = text.slice(0, -4).split("\r\n");
  const [method = "", target = ""] = first.split(" ");
  const headers = lines.map((line): readonly [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  return {
    method,
    target,
    headers,
    connection,
    index,
    onConnection,
    get body() {
      return new Uint8Array(Buffer.concat(body));
    },
    get bodyLength() {
      return length();
    },
    header: (name) => headers.find(([one]) => one.toLowerCase() === name.toLowerCase())?.[1],
  };
}

function completed(request: SeenRequest, body: Uint8Array, bodyLength: number, index: number): SeenRequest {
  const { method, target, headers, connection, onConnection, header } = request;
  return { method, target, headers, connection, onConnection, header, index, body: new Uint8Array(body), bodyLength };
}
