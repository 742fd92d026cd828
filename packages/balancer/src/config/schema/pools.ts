// Pools: the instances of an application and how work is spread over them.
import { z } from "zod";
import { parseDuration, type Misread } from "../../base/units.ts";
import { algorithms } from "../../pool/balance/table.ts";
import type { AlgorithmName } from "../../pool/plan.ts";
import { parseEndpoint } from "../address.ts";
import { parseCookieName, parseEditableName, parseHeaderName } from "../header-rules.ts";
import { duration, flag, integer, leafFacts, notYet, oneOf, shortForms, shorthand, text, written } from "./leaf.ts";
import { outliersSchema } from "./outliers.ts";
import { poolDeclaredSchema } from "./declared.ts";
import { readinessSchema } from "./readiness.ts";
import { retrySchema } from "./retry.ts";
import { stickySchema } from "./sticky.ts";
import { poolTlsSchema } from "./tls.ts";

export const endpointSchema = shorthand(
  "address",
  z.strictObject({
    address: written({ noun: "an address", hint: "write an address and a port: 127.0.0.1:3000" }, parseEndpoint)
      .meta({
        examples: [
          "127.0.0.1:3001",
          "[::1]:3000",
          "app.internal:3000",
          "srv+_http._tcp.app.internal",
          "unix:/run/app.sock",
        ],
      })
      .describe(
        "Address and port, `unix:/path`, a DNS name and a port, or `srv+` and the name of an SRV record. Names are resolved again and again, and the last good answer is kept.",
      ),
    weight: integer(0, 1000).default(1).describe("Its part of the work, relative to the others; 0 gets nothing new."),
    zone: text("a zone").describe("Where it runs; see the pool's `zone`.").optional(),
    backup: flag().default(false).describe("Used only when no other endpoint is usable."),
  }),
).describe("One instance of the application: its address, or more about it.");

const hashKeySchema = (
  z.preprocess(
    (value): unknown => (value === "source" || value === "path" ? { [value]: true } : value),
    z.strictObject({
      header: written({ noun: "a header name", hint: "write x-tenant" }, parseHeaderName)
        .describe("Name of a header.")
        .optional(),
      cookie: written({ noun: "a cookie name", hint: "write session" }, parseCookieName)
        .describe("Name of a cookie.")
        .optional(),
      query: text("the name of a query parameter").describe("Name of a query parameter.").optional(),
      source: z.literal(true).describe("The client's address.").optional(),
      path: z.literal(true).describe("The path.").optional(),
    }),
  ) as unknown as z.ZodType<HashKeyConfig, HashKeyConfig | "source" | "path">
)
  .register(shortForms, { json: { enum: ["source", "path"] } })
  .meta({ examples: [{ header: "x-tenant" }, "source"] })
  .describe(
    "What ringHash and maglev hash, one of: a header, a cookie, a query parameter, `source` (the client's address, the default), `path`.",
  );

interface HashKeyConfig {
  readonly header?: string | undefined;
  readonly cookie?: string | undefined;
  readonly query?: string | undefined;
  readonly source?: true | undefined;
  readonly path?: true | undefined;
}

const windowSchema = written(
  { noun: "a duration or auto", hint: "write auto, or a number and a unit: 30s, 2m" },
  (text): number | "auto" | Misread => {
    if (text === "auto") return text;
    const ms = parseDuration(text);
    return ms === 0 ? { reason: "it must be longer than nothing", hint: "write auto, or 1s at least" } : ms;
  },
).meta({ pattern: "^(\\$\\{.*|auto|(\\d+(\\.\\d+)?(d|h|m|s|ms))+)$", examples: ["30s", "auto"] });

const algorithmNames = Object.keys(algorithms) as [AlgorithmName, ...AlgorithmName[]];

export const poolSchema = z
  .strictObject({
    protocol: oneOf(["http1", "http2", "auto"])
      .register(notYet, { severity: "error", will: "HTTP/2 will be spoken to the endpoints", except: ["http1"] })
      .default("http1")
      .describe("What is spoken to the endpoints."),
    tls: poolTlsSchema.optional(),
    proxyProtocol: oneOf(["off", "v1", "v2"])
      .default("off")
      .describe(
        "PROXY protocol header that is sent first on every connection to an endpoint, and says who the client is; those of probes say that nobody is. An endpoint that does not expect it takes it for nonsense. v2 carries more: a unique id, and what is known of the client's TLS. With tls it goes first, in plain text. With datagrams it stands in front of each, in v2 only. Connections are then not shared by clients.",
      ),
    endpoints: z
      .array(endpointSchema)
      .min(1)
      .meta({ examples: [["127.0.0.1:3001", { address: "127.0.0.1:3002", weight: 2 }]] })
      .describe("The instances."),
    balance: oneOf(algorithmNames)
      .default("p2c")
      .describe(
        "How an endpoint is picked for a request. leastOutstanding asks every endpoint up to 128, and of more than those 128 for each request.",
      ),
    hashKey: hashKeySchema.optional(),
    hashBalance: z
      .number()
      .min(0)
      .max(10)
      .register(leafFacts, { noun: "a number", hint: "write a number from 0 to 10, such as 1.25" })
      .default(1.25)
      .describe(
        "For ringHash: most share of the mean load that one endpoint may have before its keys go to the next; 0 for no bound.",
      ),
    zone: text("a zone")
      .describe("Where this balancer runs: endpoints of the same zone are preferred. No preference if left out.")
      .optional(),
    readiness: readinessSchema,
    failOpen: flag()
      .default(true)
      .describe(
        "When no endpoint is ready: send to all of them rather than to none. A shared dependency's blip must not become an outage.",
      ),
    sticky: stickySchema.optional(),
    outliers: outliersSchema,
    slowStart: duration({ zero: true })
      .prefault("30s")
      .describe(
        "Time in which an endpoint that joins or comes back rises from 10 % to its full share, beside peers that have theirs. Not when the balancer itself starts or reloads. 0s for at once.",
      ),
    drain: z
      .strictObject({
        window: windowSchema
          .prefault("30s")
          .describe(
            "Longest wait for what is in flight at an endpoint that leaves, before it is cut; `auto` is one and a half times the longest request lately seen, from 5s to 5m.",
          ),
      })
      .prefault({})
      .describe(
        "How an endpoint leaves, whatever makes it leave: a command, a change of the configuration or of DNS, a rolling restart.",
      ),
    retry: retrySchema(
      "When a request is tried again, always at another endpoint: a failed connect for any method, else idempotent methods only.",
    ).prefault({}),
    deadlineHeader: written({ noun: "a header name", hint: "write x-request-deadline" }, parseEditableName)
      .meta({ examples: ["x-request-deadline"] })
      .describe(
        "Header that tells the endpoint how many milliseconds are left for the request: the least of `total`, `perTry` and what a client of `trustedProxies` gave in the same header. A request whose time is over is dropped, also from the queue. `grpc-timeout` is written and read in gRPC's form. None if left out.",
      )
      .optional(),
    timeouts: z
      .strictObject({
        connect: duration().prefault("3s").describe("Longest wait for a connection."),
        firstByte: duration()
          .prefault("60s")
          .describe("Longest wait for the first byte of an answer after the request was sent; beyond it 504."),
        idle: duration().prefault("60s").describe("Longest silence within an answer or an upload."),
        tunnelIdle: duration()
          .prefault("1h")
          .describe("Longest silence in a WebSocket or other tunnel, and in a connection that is passed on as bytes."),
        perTry: duration({ zero: true })
          .prefault("0s")
          .describe(
            "Longest time of one try, from its start (or from the end of the request's body) to the head of its answer; beyond it the request is tried again where that is safe, else 504. 0s for no limit.",
          ),
        total: duration({ zero: true })
          .prefault("0s")
          .describe(
            "Longest time of a whole exchange, from the request's head to the answer's end: queue, all tries and the body included; beyond it 504, or the connection is cut if the answer has begun. Tunnels are not limited. 0s for no limit.",
          ),
      })
      .prefault({})
      .describe("How long endpoints are waited for."),
    limits: z
      .strictObject({
        inFlight: integer(0, 1_000_000)
          .default(0)
          .describe("Most requests at a time for each endpoint, over all workers; 0 for no limit."),
        queue: integer(0, 1_000_000)
          .default(100)
          .describe("Most requests that wait for room in the pool; more are answered with 503."),
        queueTimeout: duration().prefault("1s").describe("Longest wait for room; beyond it 503."),
      })
      .prefault({})
      .describe("How much the pool carries."),
    keepAlive: z
      .strictObject({
        maxIdle: integer(0, 100_000)
          .default(512)
          .describe("Most idle connections kept for each endpoint, in each worker."),
        idle: duration()
          .prefault("4s")
          .describe(
            "Longest rest of a connection before it is used again, until the endpoint tells or shows its own: Node closes after 5 s, and whoever sends just then gets a reset.",
          ),
        maxRequests: integer(0, 1_000_000_000)
          .default(0)
          .describe("Requests after which a connection is closed; 0 for no limit."),
      })
      .prefault({})
      .describe("Connections to endpoints that are kept for the next request."),
    declared: poolDeclaredSchema,
  })
  .describe("One pool.");

export type PoolConfig = z.output<typeof poolSchema>;
export type EndpointConfig = z.output<typeof endpointSchema>;
