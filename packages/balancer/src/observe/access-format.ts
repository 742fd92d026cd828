// observe/: counters, logs and metrics. It must not know sockets, configuration or processes: it is given numbers,
// names and a place to write to.
//
// This file: the formats of the access log. Each turns a record into one line of plain ASCII: whatever bytes a client sent, a line
// stays one line, JSON stays JSON, and no terminal is spoken to.
import type { AccessRecord, TryRecord } from "./access-record.ts";

/** Makes one line, with its line feed. */
export type AccessFormatter = (record: AccessRecord) => string;

/** Longest value that is written whole; the rest of it is cut and marked by "...". */
const longest = 4096;

// What must not stand in a quoted value as it is. Tested first, because nearly every value is clean.
const unsafe = /[\u0000-\u001f"\\\u007f-\uffff]/;
const unsafeEach = /[\u0000-\u001f"\\\u007f-\uffff]/g;

function cut(value: string): string {
  return value.length > longest ? `${value.slice(0, longest)}...` : value;
}

/** A JSON string of ASCII only. */
function quoted(value: string): string {
  const text = cut(value);
  return unsafe.test(text) ? `"${text.replace(unsafeEach, jsonEscape)}"` : `"${text}"`;
}

function jsonEscape(character: string): string {
  if (character === '"') return '\\"';
  if (character === "\\") return "\\\\";
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** nginx's escaping: \xHH for quotes, backslashes, control characters and everything beyond ASCII; "-" for nothing. */
function escaped(value: string): string {
  if (value === "") return "-";
  const text = cut(value);
  return unsafe.test(text) ? text.replace(unsafeEach, hexEscape) : text;
}

function hexEscape(character: string): string {
  const code = character.charCodeAt(0);
  if (code < 256) return `\\x${hex(code)}`;
  // Not from a peer (those are bytes) but from a name in the configuration: its UTF-8.
  let out = "";
  for (const byte of Buffer.from(character, "utf8")) out += `\\x${hex(byte)}`;
  return out;
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, "0");
}

/** Milliseconds with at most three decimals. */
function ms(value: number): string {
  return value >= 0 && value < 1e15 ? String(Math.round(value * 1000) / 1000) : "null";
}

function count(value: number): string {
  return Number.isFinite(value) ? String(value) : "0";
}

// A date costs a microsecond, and thousands of exchanges share a second.
let isoSecond = NaN;
let isoPrefix = "";
let commonSecond = NaN;
let commonText = "";

function isoTime(wall: number): string {
  const whole = validTime(wall);
  const second = Math.floor(whole / 1000);
  if (second !== isoSecond) {
    isoSecond = second;
    isoPrefix = new Date(second * 1000).toISOString().slice(0, 20);
  }
  return `${isoPrefix}${String(whole - second * 1000).padStart(3, "0")}Z`;
}

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"] as const;

/** "10/Oct/2000:13:55:36 +0000", always UTC: a fleet's logs can then be merged. */
function commonTime(wall: number): string {
  const second = Math.floor(validTime(wall) / 1000);
  if (second !== commonSecond) {
    commonSecond = second;
    const at = new Date(second * 1000);
    const iso = at.toISOString();
    const month = months[at.getUTCMonth()] ?? "";
    commonText = `${iso.slice(8, 10)}/${month}/${iso.slice(0, 4)}:${iso.slice(11, 19)} +0000`;
  }
  return commonText;
}

/** Four-digit years only: a broken clock must not break the log. */
function validTime(wall: number): number {
  const whole = Math.floor(wall);
  return whole >= 0 && whole < 253402300800000 ? whole : 0;
}

function json(record: AccessRecord): string {
  return (
    `{"time":"${isoTime(record.time)}","listener":${quoted(record.listener)},"route":${quoted(record.route)}` +
    `,"pool":${quoted(record.pool)},"endpoint":${quoted(record.endpoint)},"client":${quoted(record.client)}` +
    `,"method":${quoted(record.method)},"host":${quoted(record.host)},"target":${quoted(record.target)}` +
    `,"protocol":${quoted(record.protocol)},"status":${count(record.status)}` +
    `,"bytesIn":${count(record.bytesIn)},"bytesOut":${count(record.bytesOut)}` +
    `,"durationMs":${ms(record.durationMs)},"upstreamMs":${ms(record.upstreamMs)}` +
    `,"connectMs":${ms(record.connectMs)},"queueMs":${ms(record.queueMs)},"attempts":${count(record.attempts)}` +
    `,"reusedConnection":${record.reusedConnection},"fault":${quoted(record.fault)},"rung":${quoted(record.rung)}` +
    `,"tries":${record.tries.length === 0 ? "[]" : jsonTries(record.tries)}` +
    `,"requestId":${quoted(record.requestId)},"userAgent":${quoted(record.userAgent)}` +
    `,"referer":${quoted(record.referer)},"tls":${quoted(record.tls)},"cipher":${quoted(record.cipher)}` +
    `,"serverName":${quoted(record.serverName)},"ended":${quoted(record.ended)}}
`
  );
}

function jsonTries(tries: readonly TryRecord[]): string {
  const texts = tries.map(
    (one) =>
      `{"endpoint":${quoted(one.endpoint)},"fault":${quoted(one.fault)},"status":${count(one.status)},"ms":${ms(one.ms)}}`,
  );
  return `[${texts.join(",")}]`;
}

/** "127.0.0.1:3001=connect-refused/0.4,127.0.0.1:3002=200/12": endpoint, what became of it, ms. */
function tryList(tries: readonly TryRecord[]): string {
  const texts = tries.map((one) => `${one.endpoint}=${one.fault === "" ? one.status : one.fault}/${duration(one.ms)}`);
  return escaped(texts.join(","));
}

/** nginx's `combined`, byte for byte, but for the time zone: always UTC. */
function combined(record: AccessRecord): string {
  const request = `${escaped(record.method)} ${escaped(record.target)} ${escaped(record.protocol)}`;
  return (
    `${escaped(record.client)} - - [${commonTime(record.time)}] "${request}" ${count(record.status)} ` +
    `${count(record.bytesOut)} "${escaped(record.referer)}" "${escaped(record.userAgent)}"\n`
  );
}

type Piece = (record: AccessRecord) => string;

function duration(value: number): string {
  return value >= 0 && value < 1e15 ? String(Math.round(value * 1000) / 1000) : "-";
}

/** What a template may name. */
const pieces: Readonly<Record<keyof AccessRecord, Piece>> = {
  time: (record) => isoTime(record.time),
  listener: (record) => escaped(record.listener),
  route: (record) => escaped(record.route),
  pool: (record) => escaped(record.pool),
  endpoint: (record) => escaped(record.endpoint),
  client: (record) => escaped(record.client),
  method: (record) => escaped(record.method),
  target: (record) => escaped(record.target),
  host: (record) => escaped(record.host),
  protocol: (record) => escaped(record.protocol),
  status: (record) => count(record.status),
  bytesIn: (record) => count(record.bytesIn),
  bytesOut: (record) => count(record.bytesOut),
  durationMs: (record) => duration(record.durationMs),
  upstreamMs: (record) => duration(record.upstreamMs),
  connectMs: (record) => duration(record.connectMs),
  queueMs: (record) => duration(record.queueMs),
  attempts: (record) => count(record.attempts),
  tries: (record) => tryList(record.tries),
  fault: (record) => escaped(record.fault),
  rung: (record) => escaped(record.rung),
  requestId: (record) => escaped(record.requestId),
  userAgent: (record) => escaped(record.userAgent),
  referer: (record) => escaped(record.referer),
  ended: (record) => escaped(record.ended),
  reusedConnection: (record) => String(record.reusedConnection),
  tls: (record) => escaped(record.tls),
  cipher: (record) => escaped(record.cipher),
  serverName: (record) => escaped(record.serverName),
};

/** The names that a template may hold in braces. */
export const accessFields = Object.keys(pieces) as readonly (keyof AccessRecord)[];

/**
 * Folds a format once: "json", "combined", or a template such as "{method} {target} {status}". Everything outside braces
 * is written as it stands. A problem is a sentence for the operator.
 */
export function compileAccessFormat(format: string): AccessFormatter | { readonly problem: string } {
  if (format === "json") return json;
  if (format === "combined") return combined;
  return compileTemplate(format);
}

function compileTemplate(template: string): AccessFormatter | { readonly problem: string } {
  const parts: Piece[] = [];
  let at = 0;
  let fields = 0;
  for (const found of template.matchAll(/\{([^{}]*)\}/g)) {
    const name = found[1] ?? "";
    if (!Object.hasOwn(pieces, name)) {
      return { problem: `the access log format names "{${name}}"; known are ${accessFields.join(", ")}` };
    }
    literal(parts, template.slice(at, found.index));
    parts.push(pieces[name as keyof AccessRecord]);
    fields++;
    at = found.index + found[0].length;
  }
  if (fields === 0) {
    return {
      problem: `the access log format "${template}" is neither json, combined, nor a template with a field in braces`,
    };
  }
  literal(parts, template.slice(at));
  return (record) => {
    let line = "";
    for (const part of parts) line += part(record);
    return `${line}\n`;
  };
}

function literal(parts: Piece[], text: string): void {
  if (text === "") return;
  // The operator's own text may hold quotes; what is beyond printable ASCII is escaped like values are.
  const clean = text.replace(/[\u0000-\u001f\u007f-\uffff]/g, hexEscape);
  parts.push(() => clean);
}
