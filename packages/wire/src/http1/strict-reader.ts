// A second, slow reader of HTTP/1.1, written from the grammar of RFC 9110, 9112 and 3986 with strings and regular expressions
// and sharing nothing with the codec. Tests hold both against each other, and an origin in a test reads with it every byte
// that came through the balancer. It throws; it is no part of the data plane.

/** What requests and answers have in common. Names and values are Latin-1 text as received. */
export interface StrictMessage {
  readonly version: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
  readonly trailers: readonly (readonly [string, string])[];
  readonly framing: "none" | "length" | "chunked" | "untilClose";
  /** Where it lies in the bytes that were read. */
  readonly start: number;
  readonly end: number;
}

export interface StrictRequest extends StrictMessage {
  readonly method: string;
  readonly target: string;
}

export interface StrictAnswer extends StrictMessage {
  readonly status: number;
  readonly reason: string;
}

export interface StrictOptions {
  /** Empty lines tolerated before a message; 0 unless told. */
  readonly emptyLines?: number;
  /** Leave out a last message that is not complete instead of throwing. */
  readonly partial?: boolean;
  /** Stop after a request or answer that switches protocols; what follows its `end` is not HTTP. */
  readonly stopAtUpgrade?: boolean;
  /** Stop after the first request or final answer, whatever follows it. */
  readonly onlyFirst?: boolean;
}

/** What is wrong, and at which byte. `incomplete`: the bytes ended too early, and might have been right so far. */
export class StrictError extends Error {
  readonly position: number;
  readonly incomplete: boolean;

  constructor(what: string, position: number, incomplete = false) {
    super(`${what} at byte ${position}`);
    this.name = "StrictError";
    this.position = position;
    this.incomplete = incomplete;
  }
}

const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const quoted = '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t \\x21-\\x7e\\x80-\\xff])*"';
const requestLine = new RegExp(`(${token}) ([\\x21\\x22\\x24-\\x7e]+) HTTP/1\\.([0-9])\\r\\n`, "y");
const statusLine = /HTTP\/1\.([0-9]) ([1-5][0-9]{2})(?: ([\t \x21-\x7e\x80-\xff]*))?\r\n/y;
const fieldLine = new RegExp(`(${token}):([\\t \\x21-\\x7e\\x80-\\xff]*)\\r\\n`, "y");
const extension = `[ \\t]*;[ \\t]*${token}(?:[ \\t]*=[ \\t]*(?:${token}|${quoted}))?`;
const chunkLine = new RegExp(`([0-9A-Fa-f]{1,13})((?:${extension})*)\\r\\n`, "y");

// RFC 3986 §3.2.2, alternative by alternative.
const h16 = "[0-9A-Fa-f]{1,4}";
const octet = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9][0-9]|[0-9])";
const ls32 = `(?:${h16}:${h16}|${octet}\\.${octet}\\.${octet}\\.${octet})`;
const ipv6 = [
  `(?:${h16}:){6}${ls32}`,
  `::(?:${h16}:){5}${ls32}`,
  `(?:${h16})?::(?:${h16}:){4}${ls32}`,
  `(?:(?:${h16}:){0,1}${h16})?::(?:${h16}:){3}${ls32}`,
  `(?:(?:${h16}:){0,2}${h16})?::(?:${h16}:){2}${ls32}`,
  `(?:(?:${h16}:){0,3}${h16})?::${h16}:${ls32}`,
  `(?:(?:${h16}:){0,4}${h16})?::${ls32}`,
  `(?:(?:${h16}:){0,5}${h16})?::${h16}`,
  `(?:(?:${h16}:){0,6}${h16})?::`,
].join("|");
const regName = "(?:[A-Za-z0-9\\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+";
const authority = new RegExp(`^(\\[(?:${ipv6})\\]|${regName})(?::([0-9]{0,5}))?$`);
const absolute = /^(https?):\/\/([^/?]*)(.*)$/i;

/** Reads requests until the bytes end. Throws StrictError where they are not exactly what the RFCs allow. */
export function readStrictRequests(bytes: Uint8Array, options: StrictOptions = {}): StrictRequest[] {
  return readAll(bytes, options, (source, start) => {
    const [line = "", method = "", target = "", minor] = source.match(requestLine, start, "a request line");
    const [headers, bodyStart] = readFields(source, start + line.length);
    checkHost(method, target, minor === "0", headers, start);
    const framing = framingOf(headers, minor === "0", start);
    const version = `HTTP/1.${minor}`;
    const message = { method, target, version, headers, ...readBody(source, bodyStart, framing) };
    return [message, isUpgrade(headers)];
  });
}

/**
 * Reads the answers to requests with these methods until the bytes end. `closed` says that the connection ended there, which
 * completes a body without other framing. Throws StrictError for anything amiss, and for answers nobody asked for.
 */
export function readStrictAnswers(
  bytes: Uint8Array,
  methods: readonly string[],
  options: StrictOptions & { readonly closed?: boolean } = {},
): StrictAnswer[] {
  let answered = 0;
  return readAll(bytes, options, (source, start) => {
    const method = methods[answered];
    if (method === undefined) throw new StrictError("an answer to no request", start);
    const [line = "", minor, code, reason = ""] = source.match(statusLine, start, "a status line");
    const status = Number(code);
    const [headers, bodyStart] = readFields(source, start + line.length);
    const announced = framingOf(headers, minor === "0", start);
    const bodiless = method === "HEAD" || status < 200 || status === 204 || status === 304;
    const tunnel = status === 101 || (method === "CONNECT" && status < 300);
    if (status >= 200) answered++;
    const framing: Announced =
      bodiless || tunnel ? { kind: "none" } : announced.kind === "none" ? { kind: "untilClose" } : announced;
    if (framing.kind === "untilClose" && options.closed !== true) {
      throw new StrictError("a body that only the end of the connection ends", bodyStart, true);
    }
    const version = `HTTP/1.${minor}`;
    const body = readBody(source, bodyStart, framing);
    return [{ status, reason, version, headers, ...body }, tunnel];
  });
}

type Announced =
  | { readonly kind: "none" | "chunked" | "untilClose" }
  | { readonly kind: "length"; readonly length: number };

type Lines = [string, string][];

class Source {
  readonly bytes: Uint8Array;
  readonly text: string;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    let text = "";
    for (let p = 0; p < bytes.length; p += 4096) text += String.fromCharCode(...bytes.subarray(p, p + 4096));
    this.text = text;
  }

  /** What the pattern matches at `at`: the whole and its groups, "" for a group that took no part. */
  match(pattern: RegExp, at: number, what: string): string[] {
    pattern.lastIndex = at;
    const found = pattern.exec(this.text);
    if (found !== null) return found.map((group) => group ?? "");
    throw new StrictError(`not ${what}`, at, this.text.indexOf("\n", at) < 0);
  }
}

function readAll<Message>(
  bytes: Uint8Array,
  options: StrictOptions,
  read: (source: Source, start: number) => [Omit<Message, "start">, boolean],
): Message[] {
  const source = new Source(bytes);
  const messages: Message[] = [];
  let position = 0;
  try {
    while (position < bytes.length) {
      for (let n = 0; n < (options.emptyLines ?? 0) && source.text.startsWith("\r\n", position); n++) position += 2;
      if (position === bytes.length) break;
      const [message, upgrade] = read(source, position);
      const { end } = message as unknown as StrictMessage;
      messages.push({ ...message, start: position } as Message);
      position = end;
      if (upgrade && options.stopAtUpgrade === true) break;
      const { status = 200 } = message as { status?: number };
      if (options.onlyFirst === true && (status >= 200 || status === 101)) break;
    }
  } catch (error) {
    if (!(error instanceof StrictError && error.incomplete && options.partial === true)) throw error;
  }
  return messages;
}

function readFields(source: Source, start: number): [Lines, number] {
  const lines: Lines = [];
  let position = start;
  while (!source.text.startsWith("\r\n", position)) {
    const [line = "", name = "", value = ""] = source.match(fieldLine, position, "a field line");
    lines.push([name, value.replace(/^[ \t]+/, "").replace(/[ \t]+$/, "")]);
    position += line.length;
  }
  return [lines, position + 2];
}

function valuesOf(headers: Lines, name: string): string[] {
  return headers.filter(([other]) => other.toLowerCase() === name).map(([, value]) => value);
}

function framingOf(headers: Lines, old: boolean, start: number): Announced {
  const lengths = valuesOf(headers, "content-length");
  const codings = valuesOf(headers, "transfer-encoding");
  if (codings.length > 0) {
    if (lengths.length > 0) throw new StrictError("Content-Length with Transfer-Encoding", start);
    if (codings.length > 1) throw new StrictError("several Transfer-Encodings", start);
    if (old) throw new StrictError("Transfer-Encoding in HTTP/1.0", start);
    if (!/^chunked$/i.test(codings[0]!)) throw new StrictError("a coding other than chunked", start);
    return { kind: "chunked" };
  }
  if (lengths.length > 1) throw new StrictError("several Content-Lengths", start);
  if (lengths.length === 0) return { kind: "none" };
  if (!/^[0-9]{1,15}$/.test(lengths[0]!)) throw new StrictError("a malformed Content-Length", start);
  return { kind: "length", length: Number(lengths[0]) };
}

function readAuthority(text: string, start: number, defaultPort: string): string {
  const found = authority.exec(text);
  if (found === null || Number(found[2] ?? 0) > 65535) throw new StrictError("a malformed host", start);
  return `${found[1]!.toLowerCase()}:${Number(found[2] === undefined || found[2] === "" ? defaultPort : found[2])}`;
}

function checkHost(method: string, target: string, old: boolean, headers: Lines, start: number): void {
  const hosts = valuesOf(headers, "host");
  if (hosts.length > 1) throw new StrictError("several Hosts", start);
  if (hosts.length === 0 && !old) throw new StrictError("no Host", start);
  const host = hosts[0];
  if (host !== undefined) readAuthority(host, start, "80");
  if (method === "CONNECT") {
    if (!/:[0-9]+$/.test(target)) throw new StrictError("CONNECT without a port", start);
    const wanted = readAuthority(target, start, "80");
    if (host !== undefined && readAuthority(host, start, "80") !== wanted) throw new StrictError("two hosts", start);
    return;
  }
  if (target.startsWith("/") || (target === "*" && method === "OPTIONS")) return;
  const url = absolute.exec(target);
  if (url === null) throw new StrictError("a malformed target", start);
  const port = url[1]!.toLowerCase() === "https" ? "443" : "80";
  const wanted = readAuthority(url[2]!, start, port);
  if (host !== undefined && readAuthority(host, start, port) !== wanted) throw new StrictError("two hosts", start);
}

function isUpgrade(headers: Lines): boolean {
  const options = valuesOf(headers, "connection")
    .join(",")
    .toLowerCase()
    .split(/[ \t]*,[ \t]*/);
  return options.includes("upgrade") && valuesOf(headers, "upgrade").length > 0;
}

function readBody(
  source: Source,
  start: number,
  framing: Announced,
): Pick<StrictMessage, "body" | "trailers" | "framing" | "end"> {
  const { bytes } = source;
  if (framing.kind === "chunked") return { framing: "chunked", ...readChunks(source, start) };
  const length = framing.kind === "length" ? framing.length : framing.kind === "none" ? 0 : bytes.length - start;
  if (start + length > bytes.length) throw new StrictError("a body cut short", bytes.length, true);
  const end = start + length;
  return { framing: framing.kind, body: bytes.slice(start, end), trailers: [], end };
}

function readChunks(source: Source, start: number): Pick<StrictMessage, "body" | "trailers" | "end"> {
  const { bytes, text } = source;
  const parts: Uint8Array[] = [];
  let position = start;
  for (;;) {
    const [line = "", hex = ""] = source.match(chunkLine, position, "a chunk line");
    position += line.length;
    const size = Number.parseInt(hex, 16);
    if (size === 0) break;
    if (position + size > bytes.length) throw new StrictError("a chunk cut short", bytes.length, true);
    parts.push(bytes.slice(position, position + size));
    position += size;
    if (!text.startsWith("\r\n", position)) {
      throw new StrictError("no line end after a chunk", position, "\r\n".startsWith(text.slice(position)));
    }
    position += 2;
  }
  const [trailers, end] = readFields(source, position);
  return { body: new Uint8Array(Buffer.concat(parts)), trailers, end };
}
