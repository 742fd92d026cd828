import type { Socket } from "node:net";
import { type Bytes, toBytes } from "./bytes.ts";
import type { RequestFramer } from "./request-framer.ts";

/** One connection to an origin, in the hands of a script. */
export class OriginConnection {
  readonly number: number;
  receivedBytes = 0;
  /** The peer ended the connection inside a request. */
  cutShort = false;
  /** How the peer ended it. */
  ending: "open" | "fin" | "rst" | "ours" = "open";
  /** Set by `tunnel`. */
  onTunnel: ((bytes: Uint8Array) => void) | undefined;
  framer: RequestFramer | undefined;
  readonly #socket: Socket;

  constructor(socket: Socket, number: number) {
    this.#socket = socket;
    this.number = number;
    socket.on("error", (error: Error & { code?: string }) => this.ended(error.code === "ECONNRESET" ? "rst" : "ours"));
    socket.on("close", () => this.ended("ours"));
  }

  /** Writes without waiting. Returns whether the kernel took it all. */
  write(data: Bytes): boolean {
    return this.#socket.writable ? this.#socket.write(toBytes(data)) : false;
  }

  /** Resolves when everything written has gone to the kernel, or the connection is gone. */
  flushed(): Promise<void> {
    return new Promise((resolve) => {
      const socket = this.#socket;
      if (socket.writableLength === 0 || socket.destroyed) {
        resolve();
        return;
      }
      // Whichever comes, both listeners go: eleven left behind make the runtime print a warning, for which it opens a
      // descriptor of its own, and a test that counts descriptors then sees a leak that is none.
      const over = (): void => {
        socket.off("drain", over).off("close", over);
        resolve();
      };
      socket.on("drain", over).on("close", over);
    });
  }

  /** From now on bytes are no requests but go to `onBytes`, beginning with what came behind the last request. */
  tunnel(onBytes: (bytes: Uint8Array) => void): void {
    const early = this.framer?.stop() ?? new Uint8Array();
    this.onTunnel = onBytes;
    if (early.length > 0) onBytes(early);
  }

  pause(): void {
    this.#socket.pause();
  }
  resume(): void {
    this.#socket.resume();
  }
  /** Sends FIN after what was written. */
  end(): void {
    this.#socket.end();
  }
  /** Sends RST. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }
  destroy(): void {
    this.#socket.destroy();
  }

  ended(how: "fin" | "rst" | "ours"): void {
    if (this.ending === "open" || how === "rst") this.ending = how;
  }
}
