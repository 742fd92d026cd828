// A strict, slow reader of HTTP/1.1 answers, written apart from the engine's codec so that neither hides the other's
// mistakes. Every deviation from RFC 9112 is an Error that names it.

/** One answer with the interim (1xx) answers that came before it. */
export interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly minor: number;
  /** Names as they were written, in their order. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
  readonly trailers: readonly (readonly [string, string])[];
  readonly interim: readonly Answer[];
  /** How the body's end was known. */
  readonly framing: "none" | "length" | "chunked" | "close";
}

/** What the reader must know that the bytes do not say. */
export interface ReadOptions {
  /** Method of the request: HEAD and CONNECT change the framing. */
  readonly method?: string;
  /** Whether the peer has sent its FIN, which ends a body without length. */
  readonly closed?: boolean;
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const value = /^(?:[\t\x20-\x7e\x80-\xff]*)$/;

/**
 * Reads the answer that begins at `from`. Returns undefined when it is not complete yet. `end` is where the next begins.
 * Throws an Error that says what is wrong and where.
 */
export function readAnswer(
  bytes: Uint8Array,
  from = 0,
  options: ReadOptions = {},
): { readonly answer: Answer; readonly end: number } | undefined {
  const interim: Answer[] = [];
  for (let at = from; ;) {
    const head = readHead(bytes, at);
    if (!head) return undefined;
    at = head.end;
    if (head.status >= 200 || head.status === 101) return readBody(bytes, head, interim, options);
    if (field(head.headers, "content-length") ?? field(head.headers, "transfer-encoding")) {
      throw new Error(`a ${head.status} announces a body, at byte ${at}`);
    }
    interim.push({ ...head, body: new Uint8Array(), trailers: [], interim: [], framing: "none" });
  }
}

/** The value of a field, or undefined; several are joined with ", ". */
export function field(headers: Answer["headers"], name: string): string | undefined {
  const wanted = name.toLowerCase();
  const found = headers.filter(([one]) => one.toLowerCase() === wanted).map(([, one]) => one);
  return found.length === 0 ? undefined : found.join(", ");
}

/** The body as text. */
export function textOf(answer: Answer): string {
  return new TextDecoder().decode(answer.body);
}

interface Head {
  readonly status: number;
  readonly reason: string;
  readonly minor: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly end: number;
}

function readHead(bytes: Uint8Array, from: number): Head | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const blank = buffer.indexOf("\r\n\r\n", from, "latin1");
  // Wrong bytes are told at once, without waiting for a head that may never end.
  const start = buffer.toString("latin1", from, Math.min(bytes.length, from + 9));
  if (!"HTTP/1.1 ".startsWith(start) && !"HTTP/1.0 ".startsWith(start)) {
    throw new Error(`an answer begins with ${JSON.stringify(start)}, at byte ${from}`);
  }
  if (blank < 0) return undefined;
  const [first = "", ...lines] = buffer.toString("latin1", from, blank).split("\r\n");
  const status = /^HTTP\/1\.([01]) ([1-5][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)$/.exec(first);
  if (!status) throw new Error(`status line ${JSON.stringify(first)}, at byte ${from}`);
  const headers = lines.map((line) => readField(line));
  return { status: Number(status[2]), reason: status[3] ?? "", minor: Number(status[1]), headers, end: blank + 4 };
}

function readField(line: string): readonly [string, string] {
  const colon = line.indexOf(":");
  const name = line.slice(0, Math.max(0, colon));
  if (!token.test(name)) throw new Error(`field name in ${JSON.stringify(line)}`);
  const raw = line.slice(colon + 1);
  if (!value.test(raw)) throw new Error(`field value in ${JSON.stringify(line)}`);
  return [name, raw.replace(/^[\t ]+|[\t ]+$/g, "")];
}

function readBody(
  bytes: Uint8Array,
  head: Head,
  interim: readonly Answer[],
  options: ReadOptions,
): { answer: Answer; end: number } | undefined {
  const { status, reason, minor, headers, end } = head;
  const done = (body: Uint8Array, stop: number, framing: Answer["framing"], trailers: Answer["trailers"] = []) => ({
    answer: { status, reason, minor, headers, body: body.slice(), trailers, interim, framing },
    end: stop,
  });
  const length = field(headers, "content-length");
  const coding = field(headers, "transfer-encoding");
  if (length !== undefined && coding !== undefined) throw new Error("Content-Length with Transfer-Encoding");
  if (length !== undefined && !/^[0-9]{1,15}$/.test(length))
    throw new Error(`Content-Length ${JSON.stringify(length)}`);
  if (coding !== undefined && coding.toLowerCase() !== "chunked") throw new Error(`Transfer-Encoding ${coding}`);
  if (status === 204 && (length ?? coding) !== undefined) throw new Error("a 204 announces a body");
  const bodiless = status === 101 || status === 204 || status === 304 || options.method === "HEAD";
  if (bodiless || (options.method === "CONNECT" && status < 300)) return done(new Uint8Array(), end, "none");
  if (coding !== undefined) {
    if (minor === 0) throw new Error("Transfer-Encoding in an HTTP/1.0 answer");
    const chunked = readChunked(bytes, end);
    return chunked && done(chunked.body, chunked.end, "chunked", chunked.trailers);
  }
  if (length !== undefined) {
    const stop = end + Number(length);
    return stop > bytes.length ? undefined : done(bytes.subarray(end, stop), stop, "length");
  }
  return options.closed ? done(bytes.subarray(end), bytes.length, "close") : undefined;
}

/** Reads a chunked body that begins at `from`; undefined when it is not complete. */
export function readChunked(
  bytes: Uint8Array,
  from: number,
): { readonly body: Uint8Array; readonly trailers: Answer["trailers"]; readonly end: number } | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Uint8Array[] = [];
  let at = from;
  for (;;) {
    const stop = buffer.indexOf("\r\n", at, "latin1");
    if (stop < 0) return undefined;
    const line = buffer.toString("latin1", at, stop);
    const size = /^([0-9A-Fa-f]{1,13})(?:[\t ]*;[\t\x20-\x7e\x80-\xff]*)?$/.exec(line)?.[1];
    if (size === undefined) throw new Error(`chunk size ${JSON.stringify(line)}, at byte ${at}`);
    at = stop + 2;
    const length = Number.parseInt(size, 16);
    if (length === 0) break;
    if (at + length + 2 > bytes.length) return undefined;
    parts.push(bytes.subarray(at, at + length));
    at += length;
    if (bytes[at] !== 13 || bytes[at + 1] !== 10) throw new Error(`no CRLF after a chunk, at byte ${at}`);
    at += 2;
  }
  const trailers: (readonly [string, string])[] = [];
  for (;;) {
    const stop = buffer.indexOf("\r\n", at, "latin1");
    if (stop < 0) return undefined;
    const line = buffer.toString("latin1", at, stop);
    at = stop + 2;
    if (line === "") return { body: Buffer.concat(parts), trailers, end: at };
    trailers.push(readField(line));
  }
}
