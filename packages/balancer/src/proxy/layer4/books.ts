// proxy/layer4/: connections that are passed on as bytes: who gets them, how long they live, how they end. Knows pools, routes
// and sockets; must not know HTTP.
//
// This file: what is told of a connection once it is over.
import type { AccessSink } from "../../observe/access-record.ts";
import { type FaultCode, faults } from "../../base/fault.ts";
import type { EngineContext } from "../engine-context.ts";
import type { Dial } from "./dial.ts";

/** What of a connection the log tells; times are the clock's, in ms. */
export interface BookedConnection {
  readonly startedAt: number;
  readonly protocol: string;
  readonly source: string;
  /** What its client asked for by SNI; "" where that is not known. */
  readonly name: string;
  readonly route: { readonly name: string } | null;
  readonly dial: Dial | null;
  /** 0 when none came. */
  readonly firstByteAt: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly fault: FaultCode | "";
  readonly ended: string;
}

/** Fills the worker's one record and hands it to the sink, which formats it at once. */
export function logConnection(context: EngineContext, connection: BookedConnection, listener: string): void {
  const { record, clock } = context;
  const { dial, fault, startedAt, firstByteAt } = connection;
  const duration = clock.now() - startedAt;
  record.time = clock.wall() - duration;
  record.listener = listener;
  record.route = connection.route?.name ?? "";
  record.pool = dial?.destination.pool.name ?? "";
  record.endpoint = dial?.endpoint?.id ?? "";
  record.client = connection.source;
  record.method = record.target = record.userAgent = record.referer = record.requestId = "";
  record.host = connection.name;
  record.protocol = connection.protocol;
  record.status = 0;
  record.bytesIn = connection.bytesIn;
  record.bytesOut = connection.bytesOut;
  record.durationMs = duration;
  record.connectMs = dial?.connectMs ?? -1;
  record.upstreamMs = firstByteAt === 0 || dial === null ? -1 : firstByteAt - dial.since - dial.connectMs;
  record.queueMs = dial?.queueMs ?? -1;
  record.attempts = dial?.attempts ?? 0;
  record.tries = dial?.records ?? [];
  record.fault = fault;
  record.rung = fault === "" ? "" : faults[fault].rung;
  record.reusedConnection = false;
  record.ended = connection.ended;
  // What a client says in TLS that is passed on is known; what it agrees on with the endpoint is not.
  record.tls = record.cipher = "";
  record.serverName = connection.name;
  (context.log as AccessSink).exchange(record);
}
