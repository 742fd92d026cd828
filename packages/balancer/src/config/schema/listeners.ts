// Where clients are accepted and what is asked of them.
import { z } from "zod";
import { parseListen } from "../address.ts";
import { duration, integer, oneOf, oneOrMany, size, text, written } from "./leaf.ts";
import { cidr } from "./match.ts";
import { routeSchema } from "./routes.ts";
import { httpsRedirectSchema, listenerTlsSchema } from "./tls.ts";

/** An address to listen on. */
export function listenAddress() {
  return written(
    {
      noun: "an address to listen on",
      hint: "write an address and a port: 127.0.0.1:8080, or :8080 for all IPv4 addresses",
    },
    parseListen,
  );
}

const limitsSchema = z
  .strictObject({
    headBytes: size(1024, 65_536)
      .prefault("16KiB")
      .describe("Longest request line and fields together; beyond it 431."),
    targetBytes: size(256, 65_536)
      .describe("Longest request target; beyond it 414. 8KiB, or `headBytes` if that is less.")
      .optional(),
    fieldBytes: size(256, 65_536)
      .describe("Longest single field; beyond it 431. 8KiB, or `headBytes` if that is less.")
      .optional(),
    fields: integer(10, 1000).default(100).describe("Most fields of a request, trailers included; beyond it 431."),
    requestsPerConnection: integer(0, 1_000_000_000)
      .default(10_000)
      .describe("Requests after which a client's connection is closed in order; 0 for no limit."),
    maxConnections: integer(0, 10_000_000)
      .default(0)
      .describe(
        "Most connections at a time in each worker; more are closed at once. 0: as many as there are descriptors.",
      ),
    connectionsPerClient: integer(0, 10_000_000)
      .default(0)
      .describe(
        "Most connections at a time of one client address (of IPv6, one network of 64 bits) in each worker; more are closed at once, before a handshake. Those of `trustedProxies` are not counted, unless the PROXY protocol names their client. 0: no limit.",
      ),
    minBodyRate: integer(0, 1_000_000_000)
      .default(256)
      .describe(
        "Bytes a second that a request body must bring, over 30s (or `timeouts.body` if that is longer) in which this program waits for it; else 408. A client that sends a byte now and then would hold a place at an endpoint for ever. Not asked once the answer has begun. 0: any speed.",
      ),
    minReadRate: integer(0, 1_000_000_000)
      .default(256)
      .describe(
        "Bytes a second that a client must take of an answer that waits for it, over each `timeouts.body`; else it is cut off. An event stream with little to say does not wait for its client. 0: any speed, though not standing still.",
      ),
  })
  .prefault({})
  .describe("Limits on what clients may send.");

const udpSchema = z
  .strictObject({
    idle: duration()
      .prefault("1m")
      .describe("Silence in both directions after which a flow is forgotten: a client's next datagram begins another."),
    maxFlows: integer(1, 1_000_000)
      .default(10_000)
      .describe(
        "Most flows at a time in each worker, each with a descriptor; beyond it the one that was silent longest is forgotten.",
      ),
    answers: integer(0, 1_000_000)
      .default(0)
      .describe(
        "Answers to each datagram of a client after which its flow is over at once: 1 for DNS and all that asks and answers. 0 if nobody knows.",
      ),
    amplification: integer(0, 1_000_000)
      .default(0)
      .describe(
        "Most bytes to a client for each byte from it; what is beyond is dropped. Senders can be forged, and then answers hit somebody who never asked. 0 for no limit.",
      ),
  })
  .prefault({})
  .describe("With `protocol: udp`: how long and how many flows are known. A flow is a client's address and port.");

export const listenerSchema = z
  .strictObject({
    address: listenAddress()
      .meta({ examples: ["127.0.0.1:8080", "[::]:8080", ":8080"] })
      .describe("IP address and port. `:8080` is every IPv4 address; port 0 lets the system choose."),
    protocol: oneOf(["http", "tcp", "udp", "tls"])
      .default("http")
      .describe(
        "What is spoken on this listener: `http` reads requests, `tcp` passes connections on as bytes, `tls` does so by the name that a TLS client asks for, without decrypting, `udp` passes datagrams on. What each gives and costs is in layers.md.",
      ),
    trustedProxies: oneOrMany(cidr())
      .default([])
      .meta({ examples: [["10.0.0.0/8"]] })
      .describe(
        "Whose X-Forwarded-* and Forwarded fields, and PROXY protocol headers, are believed. None by default: what others send of them is dropped.",
      ),
    proxyProtocol: oneOf(["off", "accept", "require"])
      .default("off")
      .describe(
        "Whether connections of `trustedProxies` begin with a PROXY protocol header, version 1 or 2: never, some (`accept`: found out by their first bytes), or all (`require`: then nobody else may connect). The client that it names is the client everywhere.",
      ),
    timeouts: z
      .strictObject({
        proxyHeader: duration()
          .prefault("5s")
          .describe("Longest time from the begin of a connection to the end of its PROXY protocol header."),
        handshake: duration()
          .prefault("10s")
          .describe("Longest time of a TLS handshake, from the begin of the connection."),
        headers: duration()
          .prefault("10s")
          .describe("Longest time from the first byte of a request to the end of its head; beyond it 408."),
        body: duration().prefault("30s").describe("Longest silence within a request body; beyond it 408."),
        idle: duration().prefault("75s").describe("Longest rest of a keep-alive connection between two requests."),
        halfClose: duration({ zero: true })
          .prefault("1s")
          .describe(
            "How long an unanswered request goes on after its client closed its side: nearly all such clients are gone, some only have no more to say. Beyond it the request is cancelled.",
          ),
      })
      .prefault({})
      .describe("How long clients are waited for."),
    limits: limitsSchema,
    udp: udpSchema,
    readyPath: written({ noun: "a path", hint: "write /balancer-ready" }, (path) =>
      /^\/[\x21-\x7e]*$/.test(path) && !/[?#]/.test(path)
        ? path
        : { reason: "it must begin with / and be percent-encoded", hint: "write /balancer-ready" },
    )
      .meta({ examples: ["/balancer-ready"] })
      .describe(
        "Where this balancer itself tells whoever routes to it whether it wants traffic: 200, and 503 from the moment when it stops. It goes before all routes. `GET /readyz` on the admin address says the same.",
      )
      .optional(),
    underscores: oneOf(["drop", "reject", "pass"])
      .default("drop")
      .describe("What becomes of field names with `_`: many applications read Content_Length as Content-Length."),
    errorPages: z
      .record(
        written({ noun: "a status", hint: "write 404, 503, 4xx or 5xx" }, (key) =>
          /^([45]\d\d|4xx|5xx)$/.test(key)
            ? key
            : {
                reason: "only answers of 400 and above are made here",
                hint: "write a status such as 404, or a class: 4xx, 5xx",
              },
        ),
        text("the path of a file"),
      )
      .default({})
      .meta({ examples: [{ 404: "./404.html", "5xx": "./5xx.html" }] })
      .describe(
        "Bodies of error answers that this program makes, by status (`404`) or class (`4xx`, `5xx`): files, relative to this one, up to 256 KiB each. A client that prefers JSON gets a page only if it is a .json file, else the JSON that this program makes. An endpoint's own answers are never replaced.",
      ),
    tls: listenerTlsSchema.optional(),
    plainHttp: oneOf(["refuse", "redirect", "serve"])
      .default("refuse")
      .describe(
        "What becomes of clients that speak HTTP without TLS on a port where TLS comes in (`tls`, or `protocol: tls`): told what is wrong and closed (`refuse`), sent to the same address by https (`redirect`), or served by the same routes (`serve`; not with `protocol: tls`, whose routes read no requests). With the latter two the first byte of each connection says which it is.",
      ),
    redirect: httpsRedirectSchema.optional(),
    routes: z
      .array(routeSchema)
      .default([])
      .meta({ examples: [[{ pool: "app" }]] })
      .describe("Routes, in any order: the most specific one wins."),
  })
  .describe("One listener.");

export type ListenerConfig = z.output<typeof listenerSchema>;
