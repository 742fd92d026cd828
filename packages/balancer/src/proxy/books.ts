// What an exchange leaves in the access log. Called only when there is a log.
import { faults, type FaultCode } from "../base/fault.ts";
import type { AccessSink, TryRecord } from "../observe/access-record.ts";
import type { CurrentRequest } from "./current-request.ts";
import type { EngineContext } from "./engine-context.ts";

/** What of an exchange the log tells; times are the clock's, in ms. */
export interface BookedExchange {
  readonly startedAt: number;
  /** 0 when no answer began. */
  readonly firstByteAt: number;
  readonly route: { readonly name: string } | null;
  readonly source: string;
  readonly logged: LoggedText | null;
  readonly minor: number;
  readonly status: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly fault: FaultCode | "";
  readonly requestId: string;
  /** What the client's handshake found; null = plain text. */
  readonly tls: { readonly version: string; readonly cipher: string; readonly serverName: string } | null;
  readonly tries: BookedTries;
}

/** What of its tries. */
export interface BookedTries {
  readonly endpoint: { readonly pool: string; readonly id: string } | null;
  readonly sentAt: number;
  readonly connectMs: number;
  readonly queueMs: number;
  readonly attempts: number;
  readonly records: readonly TryRecord[];
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
  const { logged, tries } = exchange;
  record.time = context.clock.wall() - (now - exchange.startedAt);
  record.listener = listener;
  record.route = exchange.route?.name ?? "";
  record.pool = tries.endpoint?.pool ?? "";
  record.endpoint = tries.endpoint?.id ?? "";
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
  record.upstreamMs = exchange.firstByteAt === 0 ? -1 : exchange.firstByteAt - tries.sentAt;
  record.connectMs = tries.connectMs;
  record.queueMs = tries.queueMs;
  record.attempts = tries.attempts;
  record.tries = tries.records;
  record.fault = exchange.fault;
  record.rung = exchange.fault === "" ? "" : faults[exchange.fault].rung;
  record.requestId = exchange.requestId;
  record.ended = "";
  record.reusedConnection = tries.reused;
  record.tls = exchange.tls?.version ?? "";
  record.cipher = exchange.tls?.cipher ?? "";
  record.serverName = exchange.tls?.serverName ?? "";
  (context.log as AccessSink).exchange(record);
}
