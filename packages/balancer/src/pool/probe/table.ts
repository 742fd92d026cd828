// Every probe by its name in the configuration. A new one is one file and one line here.
import type { ProbeName } from "../plan.ts";
import { commandProbe } from "./command.ts";
import { httpProbe } from "./http.ts";
import { mysqlProbe } from "./mysql.ts";
import { postgresProbe } from "./postgres.ts";
import type { Probe, ProbeNetwork } from "./probe.ts";
import { redisProbe } from "./redis.ts";
import { scriptProbe } from "./script.ts";
import { smtpProbe } from "./smtp.ts";
import { tcpProbe } from "./tcp.ts";
import { tlsProbe } from "./tls.ts";

/** The probes, able to reach endpoints through `network`. */
export function makeProbes(network: ProbeNetwork): Readonly<Record<ProbeName, Probe>> {
  return {
    http: httpProbe(network),
    tcp: tcpProbe(network),
    tls: tlsProbe(network),
    command: commandProbe(network),
    script: scriptProbe(network),
    postgres: postgresProbe(network),
    redis: redisProbe(network),
    mysql: mysqlProbe(network),
    smtp: smtpProbe(network),
  };
}
