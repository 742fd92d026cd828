// What an exchange leaves in the access log. Called only when there is a log.
import type { AccessSink } from "../observe/access-record.ts";
import type { EngineContext } from "./engine-context.ts";
import type { Exchange } from "./exchange.ts";

/** Fills the worker's one record and hands it to the sink, which formats it at once. */
export function logExchange(context: EngineContext, exchange: Exchange, listener: string, now: number): void {
  const { record } = context;
  const { logged } = exchange;
  record.time = context.clock.wall() - (now - exchange.startedAt);
  record.listener = listener;
  record.route = exchange.route?.name ?? "";
  record.pool = exchange.endpoint?.pool ?? "";
  record.endpoint = exchange.endpoint?.id ?? "";
  record.client = exchange.source;
  record.method = logged?.method ?? "";
  record.target = logged?.target ?? "";
  record.host = logged?.host ?? "";
  record.userAgent = logged?.userAgent ?? "";
  record.referer = logged?.referer ?? "";
  record.protocol = exchange.minor === 0 ? "HTTP/1.0" : "HTTP/1.1";
  record.status = exchange.status;
  record.bytesIn = exchange.bytesIn;
  record.bytesOut = exchange.bytesOut;
  record.durationMs = now - exchange.startedAt;
  record.upstreamMs = exchange.firstByteAt === 0 ? -1 : exchange.firstByteAt - exchange.sentAt;
  record.connectMs = exchange.connectMs;
  record.queueMs = exchange.queueMs;
  record.attempts = exchange.attempts;
  record.fault = exchange.fault;
  record.requestId = exchange.requestId;
  record.reusedConnection = exchange.reused;
  (context.log as AccessSink).exchange(record);
}
