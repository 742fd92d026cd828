// Words of other balancers, and what they are called here: most people arrive with another one's file in mind.

const ours: Readonly<Record<string, readonly string[]>> = {
  listeners: ["frontend", "frontends", "entrypoints", "servers", "server", "bind"],
  pools: ["upstream", "upstreams", "backend", "backends", "clusters", "cluster", "services", "targetgroups"],
  endpoints: [
    "servers",
    "server",
    "targets",
    "target",
    "hosts",
    "instances",
    "members",
    "nodes",
    "backends",
    "upstreams",
  ],
  routes: ["rules", "routers", "locations", "location", "paths"],
  address: ["listen", "bind", "url", "addr", "host"],
  balance: ["algorithm", "lb", "lbpolicy", "policy", "strategy", "method", "loadbalancer"],
  readiness: ["healthcheck", "healthchecks", "health", "check", "probe"],
  sticky: ["affinity", "session", "sessionaffinity", "stickiness", "stickysessions", "persistence", "iphash"],
  appCookie: ["appsession", "learn", "route", "sessioncookie"],
  secret: ["key", "secrets", "hashkey", "dynamiccookiekey"],
  maxAge: ["expires", "ttl", "expiry", "lifetime", "maxlife", "maxidle", "timeout"],
  tls: ["ssl", "https"],
  match: ["when", "if", "matcher", "condition", "conditions"],
  pool: ["proxypass", "backend", "upstream", "service", "cluster", "target", "forward", "to"],
  respond: ["return", "fixed", "static", "response", "reply"],
  answer: ["response"],
  split: ["weighted", "canary", "weights"],
  errorPages: ["errorpage", "errors", "errorfile"],
  inFlight: ["maxconn", "maxconnections", "maxrequests", "concurrency"],
  firstByte: ["read", "response", "server", "request", "readtimeout"],
  maxBodyBytes: ["clientmaxbodysize", "maxbody", "bodylimit", "maxbodysize"],
  expect: ["status", "statuses", "codes", "expectedstatus"],
  fall: ["unhealthythreshold", "failures", "retries", "maxfails"],
  rise: ["healthythreshold", "successes", "passes"],
  trustedProxies: ["realip", "setrealipfrom", "trusted", "forwardedheaders"],
  attempts: ["retries", "tries", "max", "count"],
  methods: ["method", "verbs"],
  source: ["ip", "sourceip", "cidr", "remoteaddr", "clientip"],
  certificates: ["certs", "certificate", "cert"],
};

/** A hint for a key that is well known elsewhere, if its name here is among `known`. */
export function foreignKeys(key: string, known: readonly string[]): string | undefined {
  const plain = key.toLowerCase().replace(/[-_]/g, "");
  // Restarting is for whoever started it. Where nothing can be restarted, a liveness probe is a readiness probe by another name.
  if (plain === "liveness" && known.includes("readiness")) {
    return "the balancer restarts only what it has started: `plimsoll up --live-path`; here it is `readiness`";
  }
  const name = known.find((candidate) => ours[candidate]?.includes(plain) === true);
  return name === undefined ? undefined : `here it is called "${name}"`;
}

/** Values that others have for what is called otherwise here. */
const ourWords: Readonly<Record<string, readonly string[]>> = {
  leastOutstanding: ["leastconn", "leastconnections", "leastrequest", "leastrequests"],
  roundRobin: ["rr", "weightedroundrobin", "wrr"],
  p2c: ["poweroftwo", "randomtwo", "twochoices"],
  ringHash: ["hash", "consistenthash", "consistent", "iphash", "sourceiphash", "ring"],
  off: ["none", "never", "disabled", "false", "no"],
  http1: ["http", "http11", "http/1.1", "h1"],
  http2: ["h2", "h2c", "grpc"],
};

/** The word among `known` that means the same as `value` elsewhere. */
export function foreignWord(value: string, known: readonly string[]): string | undefined {
  const plain = value.toLowerCase().replace(/[-_ .]/g, "");
  return known.find((candidate) => candidate.toLowerCase() === plain || ourWords[candidate]?.includes(plain) === true);
}
