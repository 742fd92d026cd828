// What a scenario is, and the plain one that the others differ from.

/** How large a run is: the real thing, or a quick one that only shows that everything works. */
export type Scale = "full" | "quick";

export type Layer = "http" | "https" | "tcp" | "udp";

/** Load of one kind, by wrk or a program of ours; of datagrams only the connections count, as clients. */
export interface Load {
  readonly connections: number;
  /** Paths asked for in turn; most scenarios have one. */
  readonly paths: readonly string[];
  /** Body bytes of each request; 0 = GET. */
  readonly bodyBytes: number;
  /** A new connection for each request. */
  readonly closing: boolean;
  /** Each of them resumes the TLS session of its client's last one; only with `closing`. */
  readonly resuming: boolean;
  /** Each connection is a WebSocket, and a request is a message in it and its echo. */
  readonly tunnels: boolean;
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** What it shows, in one sentence for the report. */
  readonly text: string;
  /** "rate": requests a second, latency, CPU. "memory": resident memory after so many requests, and after ten times as many. */
  readonly measures: "rate" | "memory";
  /**
   * "tcp", "udp": what is carried is passed on as bytes or datagrams, by those rivals that can. "https": clients speak TLS, with the
   * same certificate (ECDSA P-256) and versions for all.
   */
  readonly layer: Layer;
  /** Connections to the endpoints begin with a PROXY header of version 1; only with "tcp". */
  readonly proxyProtocol: boolean;
  readonly endpoints: (scale: Scale) => number;
  /** 0 = one route for everything. */
  readonly routes: (scale: Scale) => number;
  /** Connections that rest meanwhile. */
  readonly idle: (scale: Scale) => number;
  readonly load: (scale: Scale) => Load;
}

/** A scenario from what is special about it. */
export function scenario(special: Pick<Scenario, "name" | "title" | "text"> & Partial<Scenario>): Scenario {
  return {
    measures: "rate",
    layer: "http",
    proxyProtocol: false,
    endpoints: () => 2,
    routes: () => 0,
    idle: () => 0,
    load: () => load(),
    ...special,
  };
}

/** The plain load, 64 kept connections, with what is special about this one. */
export function load(special: Partial<Load> = {}): Load {
  return { connections: 64, paths: ["/"], bodyBytes: 0, closing: false, resuming: false, tunnels: false, ...special };
}
