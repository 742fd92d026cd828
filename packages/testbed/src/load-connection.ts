// One connection of the load: one request at a time, its answer read and checked against it.
import type { Socket } from "bun";

/** What the load tells a connection. */
export interface AskOptions {
  readonly port: number;
  readonly host?: string;
  readonly path?: string;
  readonly fields?: string;
  readonly bodyBytes?: number;
  readonly timeout?: number;
}

export interface AskProblem {
  readonly kind: "reset" | "closed" | "timeout" | "status" | "malformed" | "mismatch";
  readonly text: string;
  readonly status?: number;
}

type Done = (problem: AskProblem | undefined) => void;

export class LoadConnection {
  /** Ended, or no longer usable for another request. */
  dead = false;
  readonly #options: AskOptions;
  #socket: Socket<LoadConnection> | undefined;
  #done: Done | undefined;
  #id = -1;
  #text = "";
  #outbox: Uint8Array | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  private constructor(options: AskOptions) {
    this.#options = options;
  }

  /** Connects; when that fails, the connection is dead from the start. */
  static async open(options: AskOptions): Promise<LoadConnection> {
    const connection = new LoadConnection(options);
    try {
      connection.#socket = await Bun.connect<LoadConnection>({
        hostname: options.host ?? "127.0.0.1",
        port: options.port,
        data: connection,
        socket: handlers,
      });
      connection.#socket.setNoDelay(true);
    } catch {
      connection.dead = true;
    }
    return connection;
  }

  /** Sends request `id` and resolves when its answer is complete: undefined when all is well, else what is wrong. */
  ask(id: number): Promise<AskProblem | undefined> {
    const { host = "127.0.0.1", port, path = "/", fields = "", bodyBytes = 0, timeout = 10_000 } = this.#options;
    this.#id = id;
    this.#text = "";
    const method = bodyBytes > 0 ? "POST" : "GET";
    const length = bodyBytes > 0 ? `Content-Length: ${bodyBytes}\r\n` : "";
    const target = `${path}${path.includes("?") ? "&" : "?"}id=${id}`;
    const head = `${method} ${target} HTTP/1.1\r\nHost: ${host}:${port}\r\nX-Load-Id: ${id}\r\n${length}${fields}\r\n`;
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#timer = setTimeout(() => this.#fail("timeout", `request ${id}: no answer in ${timeout} ms`), timeout);
      this.#outbox = new Uint8Array(Buffer.from(head + bodyOf(id, bodyBytes), "latin1"));
      this.flush();
    });
  }

  close(): void {
    this.dead = true;
    this.#socket?.end();
  }

  /** The socket has room. */
  flush(): void {
    const bytes = this.#outbox;
    if (!bytes) return;
    const wrote = Math.max(0, this.#socket?.write(bytes) ?? 0);
    this.#outbox = wrote < bytes.length ? bytes.subarray(wrote) : undefined;
  }

  /** Bytes arrived. */
  take(bytes: Uint8Array): void {
    this.#text += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
    if (!this.#done) return this.#unasked();
    const end = this.#text.indexOf("\r\n\r\n");
    if (end < 0) {
      if (!"HTTP/1.1 ".startsWith(this.#text.slice(0, 9)))
        this.#fail("malformed", JSON.stringify(this.#text.slice(0, 80)));
      return;
    }
    const head = this.#text.slice(0, end + 2);
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1] ?? Number.NaN);
    const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(head)?.[1];
    if (Number.isNaN(status)) return this.#fail("malformed", JSON.stringify(head.slice(0, 80)));
    if (length === undefined) return this.#fail("malformed", `no Content-Length in ${JSON.stringify(head)}`, status);
    const whole = end + 4 + Number(length);
    if (this.#text.length < whole) return;
    if (/\r\nconnection: *close\r\n/i.test(head)) this.dead = true;
    if (status !== 200) return this.#finish({ kind: "status", text: this.#text.slice(0, 400), status });
    this.#finish(this.#judge(head, this.#text.slice(end + 4)));
  }

  /** The connection ended. */
  end(kind: "closed" | "reset"): void {
    this.dead = true;
    const got = this.#text.length === 0 ? "before an answer" : `after ${this.#text.length} bytes of the answer`;
    this.#fail(kind, `request ${this.#id}: ${kind} ${got}`);
  }

  #judge(head: string, body: string): AskProblem | undefined {
    const id = /\r\nx-load-id: *(\d+)\r\n/i.exec(head)?.[1];
    if (id !== String(this.#id)) return this.#mismatch(`request ${this.#id} got the answer to ${id ?? "none"}`);
    const wanted = bodyOf(this.#id, this.#options.bodyBytes ?? 0);
    if (body === wanted) return undefined;
    return this.#mismatch(`request ${this.#id}: ${body.length} bytes came back, ${wanted.length} were sent`);
  }

  #mismatch(text: string): AskProblem {
    this.dead = true;
    return { kind: "mismatch", text };
  }

  #unasked(): void {
    this.dead = true;
    this.#socket?.terminate();
  }

  #fail(kind: AskProblem["kind"], text: string, status?: number): void {
    this.dead = true;
    this.#finish({ kind, text, ...(status !== undefined && { status }) });
    this.#socket?.terminate();
  }

  #finish(problem: AskProblem | undefined): void {
    clearTimeout(this.#timer);
    const done = this.#done;
    this.#done = undefined;
    done?.(problem);
  }
}

const handlers = {
  data: (socket: Socket<LoadConnection>, bytes: Uint8Array): void => socket.data.take(bytes),
  drain: (socket: Socket<LoadConnection>): void => socket.data.flush(),
  end: (socket: Socket<LoadConnection>): void => {
    socket.data.end("closed");
    socket.end();
  },
  error: (socket: Socket<LoadConnection>): void => socket.data.end("reset"),
  close: (socket: Socket<LoadConnection>, error?: Error): void => socket.data.end(error ? "reset" : "closed"),
};

/** A body that only this request has. */
function bodyOf(id: number, length: number): string {
  if (length === 0) return "";
  const unit = `<${id}>`;
  return unit.repeat(Math.ceil(length / unit.length)).slice(0, length);
}
