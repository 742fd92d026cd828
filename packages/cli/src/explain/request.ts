// The request that is asked about, as routing would see it.
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
}

/** The request as routing sees it, and the port that the URL names. */
export interface SeenRequest {
  readonly view: RequestView;
  readonly port: number;
  readonly path: string;
}

/** Reads the URL as it was typed: the URL class would resolve "/../" and the like, which routing must get to see. */
export function seeRequest(asked: AskedRequest): SeenRequest {
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
  };
  return { view, path, port: parsed.port === "" ? (parsed.protocol === "https:" ? 443 : 80) : Number(parsed.port) };
}

function withScheme(url: string): string {
  return /^[a-z]+:\/\//i.test(url) ? url : `http://${url}`;
}
