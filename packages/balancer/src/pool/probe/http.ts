// Ready is who answers an HTTP/1.1 request with one of the expected statuses and, if one is asked for, a body that matches.
// The answer's head is read as strictly as that of any other answer: an endpoint whose answers would be refused is not ready.
import { AnswerHead, answerLimits, Field, Method, parseAnswerHead, violations } from "@plimsoll/wire/http1";
import type { Address } from "../../net/transport.ts";
import type { ReadinessPlan } from "../plan.ts";
import { BodyStart } from "./body.ts";
import { Attempt, type Dialogue, type Probe, type ProbeNetwork } from "./probe.ts";

/** Interim answers (100, 103) that are read over before the real one. */
const mostInterim = 8;

const encoder = new TextEncoder();

export function httpProbe(network: ProbeNetwork): Probe {
  return {
    name: "http",
    run: (subject, plan, signal) =>
      Attempt.make(network, subject, plan, signal, new Question(plan, requestOf(plan, subject.address))),
  };
}

/** The request as bytes. */
export function requestOf(plan: ReadinessPlan, address: Address): Uint8Array {
  const given = new Set(plan.headers.map(([name]) => name.toLowerCase()));
  const lines = [`${plan.method} ${plan.path} HTTP/1.1`];
  if (!given.has("host")) lines.push(`Host: ${plan.host === "" ? authority(address) : plan.host}`);
  if (!given.has("user-agent")) lines.push("User-Agent: plimsoll-probe/1");
  for (const [name, value] of plan.headers) if (!ours.has(name.toLowerCase())) lines.push(`${name}: ${value}`);
  // RFC 9110 §8.6: a method that anticipates content says that there is none.
  if (plan.method === "POST" || plan.method === "PUT" || plan.method === "PATCH") lines.push("Content-Length: 0");
  lines.push("Connection: close", "", "");
  return encoder.encode(lines.join("\r\n"));
}

/** Fields that decide where the request ends; the probe alone writes them. */
const ours: ReadonlySet<string> = new Set(["connection", "content-length", "transfer-encoding"]);

function authority(address: Address): string {
  if (address.kind === "unix") return "localhost";
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** One request and its answer, the body as far as it matters. */
class Question implements Dialogue {
  readonly #plan: ReadinessPlan;
  readonly #request: Uint8Array;
  readonly #method: number;
  readonly #head = new AnswerHead();
  #received: Uint8Array = new Uint8Array(0);
  #interim = 0;
  #body: BodyStart | null = null;

  constructor(plan: ReadinessPlan, request: Uint8Array) {
    this.#plan = plan;
    this.#request = request;
    this.#method = plan.method === "HEAD" ? Method.head : Method.get;
  }

  opened(attempt: Attempt): void {
    attempt.send(this.#request);
  }

  received(bytes: Uint8Array, attempt: Attempt): void {
    if (this.#body !== null) return this.#readBody(this.#body, bytes, 0, attempt);
    // Borrowed bytes have to be copied. A head is rarely in two pieces, and never longer than its limit.
    const all = new Uint8Array(this.#received.length + bytes.length);
    all.set(this.#received);
    all.set(bytes, this.#received.length);
    let from = 0;
    for (;;) {
      const end = parseAnswerHead(all, from, all.length, answerLimits, this.#head, this.#method);
      if (end < 0) return attempt.judgeAndClose(false, `invalid answer: ${violations[-end]!.text}`);
      if (end === 0) break;
      if (this.#head.status >= 200 || this.#head.status === 101) return this.#judge(all, end, attempt);
      if (++this.#interim > mostInterim) return attempt.judgeAndClose(false, "only interim answers");
      from = end;
    }
    this.#received = all.subarray(from);
  }

  ended(attempt: Attempt): void {
    if (this.#body !== null) {
      this.#body.end();
      this.#judgeBody(this.#body, attempt);
      return;
    }
    const begun = this.#received.length > 0 || this.#interim > 0;
    attempt.judge(false, begun ? "answer ended within its head" : "connection closed before an answer");
  }

  #judge(bytes: Uint8Array, end: number, attempt: Attempt): void {
    const { status, fields } = this.#head;
    const { expect, drainOn, body } = this.#plan;
    // Before `expect`: whoever names a status for draining means it.
    if (within(status, drainOn)) {
      return attempt.judge(false, `status ${status}, which asks to be drained`, { status, drain: "status" });
    }
    if (!within(status, expect)) {
      const asks = fields.ids.subarray(0, fields.count).includes(Field.retryAfter);
      const detail = `status ${status}${asks ? " with Retry-After" : ""}, expected ${shown(expect)}`;
      return attempt.judge(false, detail, asks ? { status, drain: "retry-after" } : { status });
    }
    if (body === null) return attempt.judge(true, `status ${status}`, { status });
    this.#body = new BodyStart(this.#head, body.within);
    this.#readBody(this.#body, bytes, end, attempt);
  }

  #readBody(body: BodyStart, bytes: Uint8Array, from: number, attempt: Attempt): void {
    body.take(bytes, from);
    if (body.enough) this.#judgeBody(body, attempt);
  }

  #judgeBody(body: BodyStart, attempt: Attempt): void {
    const { status } = this.#head;
    const wanted = this.#plan.body;
    if (wanted === null) return;
    if (body.problem !== "") return attempt.judge(false, `status ${status}, but ${body.problem}`, { status });
    const found = new RegExp(wanted.pattern).test(body.text);
    const what = `status ${status}, body ${found ? "matches" : "does not match"} /${wanted.pattern}/`;
    attempt.judge(found, found ? what : `${what}: ${excerpt(body.text)}`, { status });
  }
}

type Ranges = readonly (readonly [number, number])[];

function within(status: number, ranges: Ranges): boolean {
  return ranges.some(([low, high]) => status >= low && status <= high);
}

function shown(ranges: Ranges): string {
  return ranges.map(([low, high]) => (low === high ? `${low}` : `${low}-${high}`)).join(" or ");
}

/** What stands in a log line: one line, short. */
function excerpt(body: string): string {
  const line = body.replaceAll(/\s+/g, " ").trim();
  return line === "" ? "it is empty" : JSON.stringify(line.length > 80 ? `${line.slice(0, 79)}…` : line);
}
