// Ready is who answers an HTTP/1.1 request with one of the expected statuses. The answer's head is read as strictly as that
// of any other answer: an endpoint whose answers would be refused is not ready. Its body is not looked at.
import { AnswerHead, answerLimits, Method, parseAnswerHead, violations } from "@plimsoll/wire/http1";
import type { Address } from "../../net/transport.ts";
import type { ReadinessPlan } from "../plan.ts";
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

/** One request and the head of its answer. */
class Question implements Dialogue {
  readonly #plan: ReadinessPlan;
  readonly #request: Uint8Array;
  readonly #method: number;
  readonly #head = new AnswerHead();
  #received: Uint8Array = new Uint8Array(0);
  #interim = 0;

  constructor(plan: ReadinessPlan, request: Uint8Array) {
    this.#plan = plan;
    this.#request = request;
    this.#method = plan.method === "HEAD" ? Method.head : Method.get;
  }

  opened(attempt: Attempt): void {
    attempt.send(this.#request);
  }

  received(bytes: Uint8Array, attempt: Attempt): void {
    // Borrowed bytes have to be copied. A head is rarely in two pieces, and never longer than its limit.
    const all = new Uint8Array(this.#received.length + bytes.length);
    all.set(this.#received);
    all.set(bytes, this.#received.length);
    let from = 0;
    for (;;) {
      const end = parseAnswerHead(all, from, all.length, answerLimits, this.#head, this.#method);
      if (end < 0) return attempt.judgeAndClose(false, `invalid answer: ${violations[-end]!.text}`);
      if (end === 0) break;
      if (this.#head.status >= 200 || this.#head.status === 101) return this.#judge(attempt);
      if (++this.#interim > mostInterim) return attempt.judgeAndClose(false, "only interim answers");
      from = end;
    }
    this.#received = all.subarray(from);
  }

  ended(attempt: Attempt): void {
    const begun = this.#received.length > 0 || this.#interim > 0;
    attempt.judge(false, begun ? "answer ended within its head" : "connection closed before an answer");
  }

  #judge(attempt: Attempt): void {
    const { status } = this.#head;
    const ok = this.#plan.expect.some(([low, high]) => status >= low && status <= high);
    attempt.judge(ok, ok ? `status ${status}` : `status ${status}, expected ${this.#expected()}`, status);
  }

  #expected(): string {
    return this.#plan.expect.map(([low, high]) => (low === high ? `${low}` : `${low}-${high}`)).join(" or ");
  }
}
