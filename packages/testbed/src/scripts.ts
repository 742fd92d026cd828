// Ways for an origin to behave, good and bad. Each returns a Script; a test writes its own where none of these fits.
import type { Bytes } from "./bytes.ts";
import { toBytes } from "./bytes.ts";
import type { OriginConnection } from "./origin-connection.ts";
import type { Answerer, Script, SeenRequest } from "./script.ts";

export interface PieceOptions {
  /** Offsets at which the answer is cut into writes of their own. */
  readonly cuts?: readonly number[];
  /** Pause between the pieces in ms; 1 unless told. */
  readonly gap?: number;
  /** Pause before the first one. */
  readonly delay?: number;
}

/** An answer with Content-Length. */
export function answerText(body: Bytes = "ok\n", status = "200 OK", headers: Record<string, string> = {}): string {
  const text = typeof body === "string" ? body : Buffer.from(body).toString("latin1");
  const lines = Object.entries({ "Content-Length": String(text.length), ...headers }).map(([k, v]) => `${k}: ${v}\r\n`);
  return `HTTP/1.1 ${status}\r\n${lines.join("")}\r\n${text}`;
}

/** Answers every request with exactly these bytes, whole or in pieces. */
export function bytes(data: Bytes | ((request: SeenRequest) => Bytes), options: PieceOptions = {}): Script {
  return onRequest(async (request, connection) => {
    await send(connection, toBytes(typeof data === "function" ? data(request) : data), options);
  });
}

/** 200 with this body. */
export function ok(body: Bytes = "ok\n", headers: Record<string, string> = {}): Script {
  return bytes((request) => {
    const whole = answerText(body, "200 OK", headers);
    return request.method === "HEAD" ? whole.slice(0, whole.indexOf("\r\n\r\n") + 4) : whole;
  });
}

/**
 * Answers with the request's own body, its X-Load-Id, method, target and this origin's name in fields: what tells whether an
 * answer belongs to its request.
 */
export function echo(name = "origin"): Script {
  return onRequest((request, connection) => {
    const id = request.header("x-load-id") ?? "";
    const fields = { "X-Origin": name, "X-Load-Id": id, "X-Method": request.method, "X-Target": request.target };
    const whole = answerText(request.body, "200 OK", fields);
    connection.write(request.method === "HEAD" ? whole.slice(0, whole.indexOf("\r\n\r\n") + 4) : whole);
  });
}

/** `ok` after a while. */
export function slow(ms: number, body: Bytes = "ok\n"): Script {
  return bytes(answerText(body), { delay: ms });
}

/** Sends the first `count` bytes of an answer and then FIN. */
export function closeMidway(data: Bytes, count: number): Script {
  return onRequest((_, connection) => {
    connection.write(toBytes(data).subarray(0, count));
    connection.end();
  });
}

/** Sends the first `count` bytes of an answer and then RST; 0 resets before any. */
export function resetMidway(data: Bytes, count: number): Script {
  return onRequest(async (_, connection) => {
    if (count > 0) connection.write(toBytes(data).subarray(0, count));
    // A reset throws away what the peer has not read yet; give it the time to read.
    if (count > 0) await Bun.sleep(20);
    connection.reset();
  });
}

/** Closes each connection as it comes. */
export function closeOnConnect(): Script {
  return { onConnect: (connection) => connection.end() };
}

/** Bytes that are no HTTP. */
export function garbage(data: Bytes = "SSH-2.0-not-http\r\n"): Script {
  return bytes(data);
}

/** Sends an answer before anything was asked, and then answers as `then` says. */
export function early(data: Bytes, then: Script = ok()): Script {
  return { ...then, onConnect: (connection) => void connection.write(data) };
}

/** Answers, and sends more bytes behind the answer: on a kept connection they would belong to the next exchange. */
export function trailing(data: Bytes, extra: Bytes): Script {
  return bytes(Buffer.concat([toBytes(data), toBytes(extra)]));
}

/** Answers with 101 although nobody asked for it. */
export function unaskedUpgrade(): Script {
  return bytes("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
}

/** Accepts and never reads: the peer's writes stall once the kernel's buffers are full. */
export function neverReads(): Script {
  return { onConnect: (connection) => connection.pause() };
}

/** Reads and never answers. */
export function neverAnswers(): Script {
  return {};
}

/** Answers the head at once, before the body has come. */
export function answersEarly(data: Bytes): Script {
  return { onHead: (_, connection) => void connection.write(data) };
}

/** Accepts any upgrade that is asked for, and then sends back every byte. */
export function upgradeEcho(): Script {
  return onRequest((request, connection) => {
    const wanted = request.header("upgrade");
    if (!wanted) return void connection.write(answerText("no upgrade asked\n", "400 Bad Request"));
    connection.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: ${wanted}\r\n\r\n`);
    connection.tunnel((data) => void connection.write(data.slice()));
  });
}

/** One script for each request in turn; the last one goes on. */
export function sequence(...scripts: readonly Script[]): Script {
  let next = 0;
  return {
    onRequest: (request, connection) => {
      const script = scripts[Math.min(next++, scripts.length - 1)];
      return script?.onRequest?.(request, connection);
    },
  };
}

function onRequest(answer: Answerer): Script {
  return { onRequest: answer };
}

async function send(connection: OriginConnection, data: Uint8Array, options: PieceOptions): Promise<void> {
  const { cuts = [], gap = 1, delay = 0 } = options;
  if (delay > 0) await Bun.sleep(delay);
  let from = 0;
  for (const to of [...cuts, data.length]) {
    if (from > 0) await Bun.sleep(gap);
    connection.write(data.subarray(from, to));
    from = to;
  }
}
