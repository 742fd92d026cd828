// Writes to stdout or stderr in order and without waiting, so that neither a stuck terminal nor a chatty instance can hold
// up the balancer; whoever has much to say is asked to wait instead.
import { write } from "node:fs";

/** Bytes that may wait to be written before a writer is asked to wait as well. */
const enough = 64 * 1024;
const retryDelay = 5;

export interface Output {
  /** Takes the bytes over. The promise, if there is one, settles when there is room again. */
  push(bytes: Uint8Array): void | Promise<void>;
  /** Settles when all is written, or after `limit` ms. */
  flushed(limit: number): Promise<void>;
}

export function openOutput(fd: number): Output {
  let waiting: Uint8Array[] = [];
  let size = 0;
  let writing = false;
  let roomWanted: PromiseWithResolvers<void> | null = null;

  const next = (): void => {
    if (waiting.length === 0) {
      writing = false;
      roomWanted?.resolve();
      roomWanted = null;
      return;
    }
    writing = true;
    const piece = waiting.length === 1 ? (waiting[0] ?? new Uint8Array()) : Buffer.concat(waiting);
    waiting = [];
    put(piece, 0);
  };

  const put = (piece: Uint8Array, from: number): void => {
    write(fd, piece, from, piece.length - from, null, (error, written) => {
      if (error !== null && error.code === "EAGAIN") return void setTimeout(() => put(piece, from), retryDelay);
      // A reader that went away takes nothing more; that is no reason to end the application.
      const to = error === null ? from + written : piece.length;
      if (to < piece.length) return put(piece, to);
      size -= piece.length;
      next();
    });
  };

  return {
    push(bytes) {
      waiting.push(bytes);
      size += bytes.length;
      if (!writing) next();
      if (size <= enough) return undefined;
      roomWanted ??= Promise.withResolvers<void>();
      return roomWanted.promise;
    },
    async flushed(limit) {
      const until = performance.now() + limit;
      while (size > 0 && performance.now() < until) await Bun.sleep(2);
    },
  };
}
