// What every try of a request begins with: a connection to its endpoint, and the request on it.
import { latin1 } from "../base/bytes.ts";
import { PoolCell } from "../observe/table.ts";
import type { Endpoint } from "../pool/endpoint.ts";
import type { AnswerSink } from "./answer-sink.ts";
import type { EngineContext } from "./engine-context.ts";
import type { Destination } from "./folded-route.ts";
import type { HeadBuffer } from "./head-buffer.ts";
import type { Preface } from "./preface.ts";
import { UpstreamSession } from "./upstream-session.ts";

/**
 * Whether an idle connection may serve. "checked": only after a look whether its end has arrived and waits to be told; a
 * request that cannot be sent twice is worth that system call.
 */
export type Reuse = "no" | "yes" | "checked";

/**
 * An idle connection to `endpoint` that is young enough, if `reuse` allows one, else a new one. Send at once on one that
 * is `open`; otherwise `sink.opened` or `sink.failed` follows, never before this returns.
 */
export function takeUpstream(
  context: EngineContext,
  { pool, timeouts }: Destination,
  endpoint: Endpoint,
  sink: AnswerSink,
  reuse: Reuse,
  preface: Preface | null,
): UpstreamSession {
  const { keepAlive } = pool.plan;
  if (reuse !== "no") {
    const { idle } = endpoint;
    const { now } = context.wheel;
    for (;;) {
      const age = endpoint.idleLimit(keepAlive.idle);
      const kept = (
        preface === null ? idle.take(now, age) : preface.take(endpoint, now, age)
      ) as UpstreamSession | null;
      if (kept === null) break;
      // Left from before a reload: it speaks for somebody.
      if (kept.preface !== preface) {
        kept.retire();
        continue;
      }
      if (reuse === "checked" && kept.ending) {
        kept.retire();
        pool.count(PoolCell.staleAvoided);
        continue;
      }
      kept.attach(sink, timeouts, now - kept.idleSince);
      return kept;
    }
    if (idle.aged()) pool.count(PoolCell.staleAvoided);
  }
  return new UpstreamSession(context, endpoint, keepAlive.maxRequests, timeouts, sink, preface);
}

/** Sends the head, `lines` of this try in it (whole lines, or ""), and what is kept of the body. */
export function sendTry(
  upstream: UpstreamSession,
  head: HeadBuffer,
  method: number,
  upgrade: boolean,
  lines: string,
): void {
  const { bytes, length, kept } = head;
  if (lines === "") upstream.sendHead(bytes, length, method, upgrade);
  else {
    // Before the empty line that ends the head.
    upstream.sendHead(bytes, length - 2, method, upgrade);
    const own = latin1(`${lines}\r\n`);
    upstream.outbox.append(own, 0, own.length);
  }
  if (kept > 0) upstream.outbox.append(bytes, length, length + kept);
}
