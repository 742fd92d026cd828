// A client that sends exactly the bytes it is told, in the pieces it is told, and reads answers strictly.
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { type Answer, type AnswerContext, firstAnswer } from "./answers.ts";
import { type Bytes, Pile, show, toBytes } from "./bytes.ts";
import { within } from "./waiting.ts";

/** How a connection ended: in order (FIN), by reset (RST), or not yet. */
export type Ending = "open" | "fin" | "rst";

export interface RawClientOptions {
  readonly host?: string;
  /** Address to connect from, for tests of source addresses. */
  readonly localAddress?: string;
  /** Longest wait of each read in ms; 10 s unless told. */
  readonly timeout?: number;
  /** Speaks TLS, with whoever it is: nothing is verified. Bytes are then those within it. */
  readonly tls?: boolean;
}

export interface SendOptions {
  /** Offsets at which to cut; each piece is a write (and, with TCP_NODELAY, a segment) of its own. */
  readonly cuts?: readonly number[];
  /** Pause between pieces in ms; 1 unless told, so that they are not joined on the way. */
  readonly gap?: number;
}

/** Opens a connection. Rejects with the system's error when nobody listens. */
export async function connectRaw(port: number, options: RawClientOptions = {}): Promise<RawClient> {
  const { host = "127.0.0.1", localAddress, timeout = 10_000, tls = false } = options;
  const at = { host, port, ...(localAddress && { localAddress }), allowHalfOpen: true, noDelay: true };
  const socket = tls ? connectTls({ ...at, rejectUnauthorized: false }) : connect(at);
  await new Promise<void>((resolve, reject) => {
    socket.once(tls ? "secureConnect" : "connect", resolve).once("error", reject);
  });
  socket.removeAllListeners("error");
  return new RawClient(socket, timeout);
}

/** Sends one request and reads its answer on a connection of its own, which it closes. */
export async function exchangeRaw(
  port: number,
  request: Bytes,
  context: AnswerContext & RawClientOptions = {},
): Promise<Answer> {
  const client = await connectRaw(port, context);
  try {
    await client.send(request);
    return await client.readAnswer(context);
  } finally {
    client.close();
  }
}

export class RawClient {
  readonly #socket: Socket;
  readonly #timeout: number;
  readonly #pile = new Pile();
  /** Where the next answer begins. */
  #read = 0;
  #ending: Ending = "open";
  #wake: (() => void) | undefined;
  /** Writes that the kernel has not taken yet. */
  readonly #writing = new Set<() => void>();

  constructor(socket: Socket, timeout: number) {
    this.#socket = socket;
    this.#timeout = timeout;
    socket.on("data", (bytes: Buffer) => {
      this.#pile.add(bytes);
      this.#woken();
    });
    socket.on("end", () => this.#ended("fin"));
    socket.on("error", (error: Error & { code?: string }) => {
      // EPIPE: we wrote after the peer had gone; whether that was by FIN or RST was seen before.
      if (error.code !== "EPIPE") this.#ended("rst");
    });
    socket.on("close", () => {
      this.#ended("fin");
      for (const done of this.#writing) done();
    });
  }

  /** All bytes received so far. */
  get received(): Uint8Array {
    return this.#pile.view().slice();
  }

  /** Bytes received and not yet read as an answer. */
  get unread(): Uint8Array {
    return this.#pile.view(this.#read).slice();
  }

  get ending(): Ending {
    return this.#ending;
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  /** Sends bytes, in pieces if told. Resolves when the kernel has them all; not when the peer does not read. */
  async send(data: Bytes, options: SendOptions = {}): Promise<void> {
    const bytes = toBytes(data);
    const { cuts = [], gap = 1 } = options;
    let from = 0;
    for (const to of [...cuts, bytes.length]) {
      if (from > 0) await Bun.sleep(gap);
      await this.#write(bytes.subarray(from, to));
      from = to;
    }
  }

  /** Hands bytes to the socket without waiting: for peers that do not read. Returns whether the kernel took them all. */
  push(data: Bytes): boolean {
    return this.#socket.write(toBytes(data));
  }

  /** The next answer. Throws when it is malformed, cut short, or does not come in time. */
  async readAnswer(context: AnswerContext = {}): Promise<Answer> {
    let tried = -1;
    const answer = await this.#until("an answer", (quiet) => {
      const unread = this.#pile.view(this.#read);
      const closed = this.#ending !== "open";
      // Each try reads everything again: a large body is only tried when it has grown by a quarter, or has paused.
      const worth = unread.length < 65_536 || unread.length > tried * (quiet ? 1 : 1.25);
      if (!closed && !worth) return undefined;
      tried = unread.length;
      if (this.#ending === "rst" && unread.length === 0) throw new Error("the connection was reset before an answer");
      if (this.#ending === "fin" && unread.length === 0) throw new Error("the connection was closed before an answer");
      return firstAnswer(unread, { ...context, closed: this.#ending === "fin" });
    });
    this.#read += answer.end;
    return answer;
  }

  /** Waits until the unread bytes contain this text, and returns all of the unread bytes up to its end. */
  async readUntil(text: string): Promise<Uint8Array> {
    const wanted = Buffer.from(text, "latin1");
    return this.#until(JSON.stringify(text), () => {
      const unread = this.#pile.view(this.#read);
      const at = Buffer.from(unread.buffer, unread.byteOffset, unread.length).indexOf(wanted);
      if (at < 0) return undefined;
      const found = unread.slice(0, at + wanted.length);
      this.#read += found.length;
      return found;
    });
  }

  /** Waits for at least this many unread bytes and takes exactly them. */
  async readBytes(count: number): Promise<Uint8Array> {
    return this.#until(`${count} bytes`, () => {
      if (this.#pile.length - this.#read < count) return undefined;
      this.#read += count;
      return this.#pile.view(this.#read - count, this.#read).slice();
    });
  }

  /** Waits until the peer has ended the connection, and says how. What came before it stays unread. */
  async readEnd(): Promise<Exclude<Ending, "open">> {
    return this.#until("the end", () => (this.#ending === "open" ? undefined : this.#ending), true);
  }

  /** Stops reading, so that the peer's writes stall once the kernel's buffers are full. */
  pause(): void {
    this.#socket.pause();
  }
  resume(): void {
    this.#socket.resume();
  }
  /** Sends FIN and goes on reading. */
  shutdown(): void {
    this.#socket.end();
  }
  /** Sends RST. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }
  close(): void {
    this.#socket.destroy();
  }

  #write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#writing.delete(done);
        resolve();
      };
      this.#writing.add(done);
      if (this.#socket.destroyed) done();
      else this.#socket.write(bytes, done);
    });
  }

  /** Looks now and after every event; `afterEnd`: the end is what is waited for, so it is no failure. */
  async #until<T>(what: string, look: (quiet: boolean) => T | undefined, afterEnd = false): Promise<T> {
    const loop = async (): Promise<T> => {
      for (let quiet = false; ;) {
        const seen = look(quiet);
        if (seen !== undefined) return seen;
        if (this.#ending !== "open" && !afterEnd) throw new Error(`${what} did not come: ${this.#story()}`);
        quiet = await new Promise<boolean>((resolve) => {
          const timer = setTimeout(() => resolve(true), 20);
          this.#wake = () => {
            clearTimeout(timer);
            resolve(false);
          };
        });
      }
    };
    return within(this.#timeout, () => `${what}; ${this.#story()}`, loop());
  }

  #story(): string {
    return `connection ${this.#ending}, unread: ${show(this.#pile.view(this.#read))}`;
  }

  #ended(how: "fin" | "rst"): void {
    if (this.#ending === "open" || how === "rst") this.#ending = how;
    this.#woken();
  }

  #woken(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
