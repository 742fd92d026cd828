// The request that is asked about, as routing would see it.
import { isIP } from "node:net";
import { cookieValue, queryValue, type RequestView } from "@plimsoll/balancer/src/proxy/route/view.ts";
import { UsageError } from "../spec.ts";

/** What was asked about. */
export interface AskedRequest {
  readonly method: string;
  readonly url: string;
  /** Names in lower case. */
  readonly headers: readonly (readonly [string, string])[];
  /** The client's address. */
  readonly source: string;
  /** Protocols that a TLS client offers by ALPN; what browsers offer if left out. */
  readonly alpn?: readonly string[];
}

/** What the URL says is spoken: a request, or what is passed on as bytes. */
export type AskedProtocol = "http" | "tcp" | "tls" | "udp";

/** The request as routing sees it, and the port that the URL names. */
export interface SeenRequest {
  readonly view: RequestView;
  readonly port: number;
  readonly path: string;
  readonly protocol: AskedProtocol;
  /** The client speaks TLS. */
  readonly secure: boolean;
}

/** Reads the URL as it was typed: the URL class would resolve "/../" and the like, which routing must get to see. */
export function seeRequest(asked: AskedRequest): SeenRequest {
  const bytes = /^(tcp|tls|udp):\/\/(.*)$/i.exec(asked.url);
  if (bytes !== null) return seeConnection(asked, bytes[1]?.toLowerCase() as "tcp" | "tls" | "udp", bytes[2] ?? "");
  const match = /^(https?):\/\/([^/?#\s]+)([^?#\s]*)(?:\?([^#\s]*))?(?:#.*)?$/i.exec(withScheme(asked.url));
  const parsed = match === null ? null : URL.parse(`${match[1]}://${match[2]}/`);
  if (match === null || parsed === null || parsed.username !== "") {
    throw new UsageError(`A URL is written like http://api.example.com/v1/users, not "${asked.url}".`);
  }
  const query = match[4] ?? "";
  const path = match[3] === undefined || match[3] === "" ? "/" : match[3];
  const fields = (name: string): string | undefined => {
    const values = asked.headers.filter(([other]) => other === name).map(([, value]) => value);
    // RFC 6265 §5.4: cookies are a list of their own kind.
    if (values.length > 0) return values.join(name === "cookie" ? "; " : ", ");
    return name === "host" ? parsed.host : undefined;
  };
  const host = URL.parse(`http://${fields("host")}/`)?.hostname ?? parsed.hostname;
  const view: RequestView = {
    method: () => asked.method,
    host: () => host,
    path: () => path,
    query: (name) => queryValue(query, name),
    header: fields,
    cookie: (name, nth) => cookieValue(fields("cookie") ?? "", name, nth),
    source: () => asked.source,
    alpn: () => asked.alpn ?? usualProtocols,
  };
  const secure = parsed.protocol === "https:";
  const port = parsed.port === "" ? (secure ? 443 : 80) : Number(parsed.port);
  return { view, path, port, protocol: "http", secure };
}

/** What browsers and curl offer. */
const usualProtocols = ["h2", "http/1.1"] as const;

/** A connection has an address and, in TLS, the name that its client asks for. */
function seeConnection(asked: AskedRequest, protocol: "tcp" | "tls" | "udp", place: string): SeenRequest {
  const parsed = /^[^/?#\s]+\/?$/.test(place) ? URL.parse(`http://${place}`) : null;
  const port = parsed?.port === "" && place.replace(/\/$/, "").endsWith(":80") ? "80" : (parsed?.port ?? "");
  if (parsed === null || port === "" || parsed.username !== "") {
    throw new UsageError(`A connection is written like ${protocol}://db.example.com:5432, not "${asked.url}".`);
  }
  const host =
    /^[[0-9.]/.test(parsed.hostname) && isIP(parsed.hostname.replace(/^\[|\]$/g, "")) !== 0 ? "" : parsed.hostname;
  const view: RequestView = {
    method: () => "",
    host: () => (protocol === "tls" ? host : ""),
    path: () => "/",
    query: () => undefined,
    header: () => undefined,
    cookie: () => undefined,
    source: () => asked.source,
    alpn: () => (protocol === "tls" ? (asked.alpn ?? []) : []),
  };
  return { view, path: "/", port: Number(port), protocol, secure: protocol === "tls" };
}

function withScheme(url: string): string {
  return /^[a-z]+:\/\//i.test(url) ? url : `http://${url}`;
}
