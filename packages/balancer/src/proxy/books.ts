// What an exchange leaves in the access log. Called only when there is a log.
import { faults, type FaultCode } from "../base/fault.ts";
import type { AccessSink, TryRecord } from "../observe/access-record.ts";
import type { CurrentRequest } from "./current-request.ts";
import type { EngineContext } from "./engine-context.ts";

/** What of an exchange the log tells; times are the clock's, in ms. */
export interface BookedExchange {
  readonly startedAt: number;
  readonly sentAt: number;
  /** 0 when no answer began. */
  readonly firstByteAt: number;
  readonly route: { readonly name: string } | null;
  readonly endpoint: { readonly pool: string; readonly id: string } | null;
  readonly source: string;
  readonly logged: LoggedText | null;
  readonly minor: number;
  readonly status: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly connectMs: number;
  readonly queueMs: number;
  readonly attempts: number;
  readonly tries: readonly TryRecord[];
  readonly fault: FaultCode | "";
  readonly requestId: string;
  readonly reused: boolean;
}

/** Text of the request, kept only where there is a log. */
export interface LoggedText {
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly userAgent: string;
  readonly referer: string;
}

/** The tries of nearly every exchange: there was one, and it is told in the record itself. */
export const noTries: TryRecord[] = [];

/** The text of the request that is being routed. */
export function rememberText(request: CurrentRequest): LoggedText {
  return {
    method: request.method(),
    target: request.target(),
    host: request.authority(),
    userAgent: request.header("user-agent") ?? "",
    referer: request.header("referer") ?? "",
  };
}

/** Fills the worker's one record and hands it to the sink, which formats it at once. */
export function logExchange(context: EngineContext, exchange: BookedExchange, listener: string, now: number): void {
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
  record.tries = exchange.tries;
  record.fault = exchange.fault;
  record.rung = exchange.fault === "" ? "" : faults[exchange.fault].rung;
  record.requestId = exchange.requestId;
  record.reusedConnection = exchange.reused;
  (context.log as AccessSink).exchange(record);
}
