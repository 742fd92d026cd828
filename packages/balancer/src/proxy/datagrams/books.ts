// proxy/datagrams/: datagrams that are passed on: which endpoint a client's go to, how its answers find back, when that is
// forgotten. Knows pools, routes and counters; must not know what is in a datagram, nor HTTP.
//
// This file: what a flow leaves in the access log.
import type { AccessSink } from "../../observe/access-record.ts";
import { faults } from "../../base/fault.ts";
import type { EngineContext } from "../engine-context.ts";
import type { Flow } from "./flow.ts";

/** Fills the worker's one record and hands it to the sink, which formats it at once. */
export function logFlow(context: EngineContext, flow: Flow, listener: string): void {
  const { record, clock } = context;
  const duration = clock.now() - flow.since;
  record.time = clock.wall() - duration;
  record.listener = listener;
  record.route = flow.route.name;
  record.pool = flow.destination.pool.plan.name;
  record.endpoint = flow.endpoint.id;
  record.client = flow.client.address;
  record.method = record.target = record.host = record.userAgent = record.referer = record.requestId = "";
  record.protocol = "UDP";
  record.status = 0;
  record.bytesIn = flow.bytesIn;
  record.bytesOut = flow.bytesOut;
  record.durationMs = duration;
  record.upstreamMs = flow.firstByteAt === 0 ? -1 : flow.firstByteAt - flow.since;
  record.connectMs = record.queueMs = -1;
  record.attempts = 1;
  record.tries = [];
  record.fault = flow.fault;
  record.rung = flow.fault === "" ? "" : faults[flow.fault].rung;
  record.reusedConnection = false;
  record.ended = flow.ended;
  record.tls = record.cipher = record.serverName = "";
  (context.log as AccessSink).exchange(record);
}
