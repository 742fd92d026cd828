// What is known of a request once its head is parsed.
import { Fields } from "./fields.ts";

/** What a parse found, as positions into the bytes it was given. Reused from request to request; valid after success only. */
export class RequestHead {
  readonly fields = new Fields();
  /** First byte of the method: empty lines before it are skipped. */
  start = 0;
  methodEnd = 0;
  /** A `Method` id. */
  method = 0;
  targetStart = 0;
  targetEnd = 0;
  /** A `TargetForm`. */
  form = 0;
  /**
   * The path, without authority and query. For an absolute target without path pathStart equals pathEnd: "/" is meant, or
   * "*" for OPTIONS without query (RFC 9112 §3.2.4).
   */
  pathStart = 0;
  pathEnd = 0;
  /** End of the query with its "?"; equals pathEnd if there is none. */
  queryEnd = 0;
  /** 0 or 1. An HTTP/1.2 to 1.9 counts as 1.1 (RFC 9110 §6.2), so write the version, never copy it. */
  minor = 0;
  /** The effective `host[:port]`: Host's value, or an absolute target's where HTTP/1.0 sent no Host. Empty if neither. */
  hostStart = 0;
  hostEnd = 0;
  /** Index of the Host field; -1 only in HTTP/1.0. */
  hostIndex = -1;
  /** A `Framing`: none, length or chunked. */
  framing = 0;
  /** Bytes of body; -1 if not announced. */
  contentLength = -1;
  keepAlive = false;
  /** HTTP/1.1, Connection names upgrade, there is one Upgrade field, and it does not ask for another HTTP. */
  upgrade = false;
  upgradeStart = 0;
  upgradeEnd = 0;
  /** A body is announced and the client waits for a 100. In HTTP/1.0 Expect is ignored and marked hop. */
  expectContinue = false;
  /** TE names trailers. */
  acceptsTrailers = false;
  /** Position after the head. */
  end = 0;
  /** An absolute or authority target's `host[:port]`. */
  authorityStart = 0;
  authorityEnd = 0;
  /** 80 or 443 by an absolute target's scheme, else 80. */
  defaultPort = 80;
}
