// Where a house rule does not hold, file by file, each with its reason. An entry that nothing needs any more fails the
// check, so this list can only hold what is true today.

/** One file that may break one rule. */
export interface Exception {
  readonly rule: string;
  readonly file: string;
  readonly because: string;
}

export const exceptions: readonly Exception[] = [
  {
    rule: "no-io",
    file: "packages/balancer/src/observe/table.ts",
    because: "the shared table is a memory-mapped file; only the supervisor and the start of a worker open it",
  },
  {
    rule: "no-io",
    file: "packages/balancer/src/observe/line-writer.ts",
    because: "the access log's own descriptor; formats and limits beside it stay pure",
  },
  {
    rule: "no-io",
    file: "packages/balancer/src/config/disk.ts",
    because: "the one door from configuration to real files; everything else gets a FileReader",
  },
  {
    rule: "no-io",
    file: "packages/balancer/src/config/generate.ts",
    because: "a script that writes docs/config.md and the JSON Schema; no program imports it",
  },
  {
    rule: "no-clock",
    file: "packages/balancer/src/config/disk.ts",
    because: "the same door: whether a certificate is valid depends on the day",
  },
  {
    rule: "no-throw",
    file: "packages/wire/src/http1/strict-reader.ts",
    because: "the slow reader that tests judge with; no part of the data plane",
  },
  {
    rule: "no-throw",
    file: "packages/balancer/src/net/bun-transport.ts",
    because: "listening fails at start or reload, never for a request; transport.ts promises an Error with a code",
  },
  {
    rule: "no-throw",
    file: "packages/balancer/src/net/datagrams.ts",
    because: "a door is opened at start or reload, never for a datagram; it fails as listening does",
  },
  {
    rule: "no-throw",
    file: "packages/balancer/src/net/libc.ts",
    because: "a system whose C library is not found cannot run at all",
  },
  {
    rule: "no-throw",
    file: "packages/balancer/src/net/listening-socket.ts",
    because: "the supervisor's sockets, at start and reload",
  },
  {
    rule: "no-throw",
    file: "packages/balancer/src/net/descriptor-passing.ts",
    because: "descriptors between our own processes, at start and reload",
  },
  {
    rule: "no-throw",
    file: "packages/balancer/src/net/packet-socket.ts",
    because: "between programs of ours, when one takes over from the other",
  },
  {
    rule: "no-throw",
    file: "packages/balancer/src/proxy/assemble.ts",
    because: "a snapshot is built while reloading; what cannot be built is told before any request meets it",
  },
  {
    rule: "no-throw",
    file: "packages/balancer/src/proxy/engine.ts",
    because: "a listener that the plan does not have is the caller's mistake, at start and reload",
  },
  {
    rule: "no-clock",
    file: "packages/balancer/src/control/app/fake-host.ts",
    because: "the stand-in host of the process manager's tests",
  },
  {
    rule: "no-io",
    file: "packages/balancer/src/proxy/route/reference.ts",
    because: "the slow reference that tests hold the route table against; node's BlockList is its second opinion",
  },
  {
    rule: "no-slow-sockets",
    file: "packages/balancer/src/proxy/route/reference.ts",
    because: "the same: BlockList lives in node:net and opens no socket",
  },
  {
    rule: "no-slow-sockets",
    file: "packages/balancer/src/control/acme/ca-requests.ts",
    because: "a few requests to an authority every two months, in the supervisor",
  },
  {
    rule: "no-slow-sockets",
    file: "packages/balancer/src/net/tls-handshake.ts",
    because: "a probe's handshake every few seconds, in the supervisor; no request passes through it",
  },
  {
    rule: "no-throw",
    file: "packages/balancer/src/proxy/listener-tls.ts",
    because: "folded when a snapshot is built, which is refused then; no handshake passes through it",
  },
  {
    rule: "no-slow-sockets",
    file: "packages/balancer/src/net/tls-context.ts",
    because: "createSecureContext is the only way to a native context; Bun's own sockets carry the bytes",
  },
  {
    rule: "no-slow-sockets",
    file: "packages/balancer/src/net/bun-tls.ts",
    because: "checkServerIdentity compares a certificate with a name, and opens no socket",
  },
];
