import { answers16k } from "./answers-16k.ts";
import { answers1m } from "./answers-1m.ts";
import { endpoints1000 } from "./endpoints-1000.ts";
import { idle10000 } from "./idle-10000.ts";
import { keepAlive512 } from "./keep-alive-512.ts";
import { keepAlive64 } from "./keep-alive-64.ts";
import { memory } from "./memory.ts";
import { newConnections } from "./new-connections.ts";
import { routes10000 } from "./routes-10000.ts";
import { tlsHandshakes } from "./tls-handshakes.ts";
import { tlsKeepAlive64 } from "./tls-keep-alive-64.ts";
import { udpEcho } from "./udp-echo.ts";
import { tlsResumed } from "./tls-resumed.ts";
import { uploads } from "./uploads.ts";
import { tcp1m } from "./tcp-1m.ts";
import { tcpConnections } from "./tcp-connections.ts";
import { tcpProxyProtocol } from "./tcp-proxy-protocol.ts";
import { websocketEcho } from "./websocket-echo.ts";
import type { Scenario } from "./scenario.ts";

/** What is measured, in the order of the report. A new scenario is one file and one line here. */
export const scenarios: readonly Scenario[] = [
  keepAlive64,
  keepAlive512,
  answers16k,
  answers1m,
  uploads,
  newConnections,
  tlsKeepAlive64,
  tlsHandshakes,
  tlsResumed,
  tcp1m,
  tcpConnections,
  tcpProxyProtocol,
  routes10000,
  endpoints1000,
  idle10000,
  websocketEcho,
  udpEcho,
  memory,
];
