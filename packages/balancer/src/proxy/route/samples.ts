// For tests of this room and of steps/: routes and requests in few words.
import type { HeaderEditsPlan, MatchPlan, RoutePlan, ValueMatch } from "../plan.ts";
import type { RequestView } from "./view.ts";

const noEdits: HeaderEditsPlan = { set: [], add: [], remove: [] };

/** A route to the pool "app" that matches everything, but for what is given. */
export function route(match: Partial<MatchPlan> = {}, rest: Partial<RoutePlan> = {}): RoutePlan {
  return {
    name: "route",
    match: {
      host: { kind: "any" },
      path: { kind: "any" },
      methods: [],
      headers: [],
      query: [],
      cookies: [],
      alpn: [],
      sources: [],
      ...match,
    },
    action: { kind: "pool", pool: "app" },
    rewrite: null,
    requestHeaders: noEdits,
    answerHeaders: noEdits,
    mirror: "",
    maxBodyBytes: 0,
    timeouts: {},
    retry: null,
    declared: {},
    cancel: true,
    ...rest,
  };
}

/** The host of a match as an operator writes it: "*", "*.example.com", "example.com". */
export function host(text: string): MatchPlan["host"] {
  if (text === "*") return { kind: "any" };
  return text.startsWith("*.") ? { kind: "suffix", host: text.slice(2) } : { kind: "exact", host: text };
}

/** The path of a match as an operator writes it: "*", "/v1/*", "~^/v[0-9]", "/v1". */
export function path(text: string): MatchPlan["path"] {
  if (text === "*") return { kind: "any" };
  if (text.startsWith("~")) return { kind: "regex", source: text.slice(1) };
  return text.endsWith("/*") ? { kind: "prefix", path: text.slice(0, -2) } : { kind: "exact", path: text };
}

/** A wanted value: "*" any, "~..." a regex, else exactly this. */
export function value(text: string): ValueMatch {
  if (text === "*") return { kind: "present" };
  return text.startsWith("~") ? { kind: "regex", source: text.slice(1) } : { kind: "exact", value: text };
}

/** What a sample request is made of; the rest is "GET /" from nowhere. */
export interface Sample {
  readonly method?: string;
  readonly host?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly cookies?: Readonly<Record<string, string>>;
  readonly source?: string;
}

/** A request as routing sees it, which counts how often it is asked. */
export function request(sample: Sample): RequestView & { asked: number } {
  const counted = {
    asked: 0,
    method: () => (counted.asked++, sample.method ?? "GET"),
    host: () => (counted.asked++, sample.host ?? ""),
    path: () => (counted.asked++, sample.path ?? "/"),
    header: (name: string) => (counted.asked++, sample.headers?.[name]),
    query: (name: string) => (counted.asked++, sample.query?.[name]),
    cookie: (name: string) => (counted.asked++, sample.cookies?.[name]),
    source: () => (counted.asked++, sample.source ?? ""),
  };
  return counted;
}
