// What becomes of a request head on its way upstream, decided from route, listener and peer; request-head.ts then writes it.
import { FieldFlag, Framing, Method, type RequestHead, TargetForm } from "@plimsoll/wire/http1";
import { latin1 } from "../base/bytes.ts";
import type { EngineContext } from "./engine-context.ts";
import type { FoldedRoute } from "./folded-route.ts";
import { type ForwardingLines, linesOfTrusted, type Sender } from "./forwarding.ts";
import type { ListenerSnapshot } from "./listener-state.ts";
import { forwardedPath } from "./route/canonical.ts";
import type { RequestView } from "./route/view.ts";
import type { HeaderEdits } from "./steps/header-edits.ts";

/** Who the client is, as its connection tells. */
export interface Peer extends Sender {
  /** Whether what it says of others is believed. */
  readonly trusted: boolean;
  /** The client's address as far as it can be believed; the peer's own unless that is a trusted proxy. */
  readonly source: string;
}

/** What shapes the head besides the request itself. */
export interface HeadShape {
  /** FieldFlag bits of lines that do not pass. */
  dropped: number;
  /** The target to send in place of the received one; null = as received. */
  target: Uint8Array | null;
  /** Forwarding lines, from forwarding.ts. */
  forwarding: Uint8Array;
  trusted: boolean;
  /** Whether the listener asks clients for certificates: then nobody else tells of them, trusted or not. */
  asksCertificates: boolean;
  edits: HeaderEdits | null;
  /** Whether an Upgrade is passed on. */
  upgrade: boolean;
  /** Whether the connection is not to be kept. */
  close: boolean;
  /** Cookie that is between the client and us, so that it is not passed on; "" = none. */
  ownCookie: string;
  /** Host for an HTTP/1.0 request that has none. */
  ownHost: string;
  /** What is left of Max-Forwards; -1 = it is not there, or not ours to count (RFC 9110 §7.6.2: OPTIONS and TRACE only). */
  maxForwards: number;
}

const asterisk = latin1("*");
/** Filled anew for each request: its head is written before the next one is shaped. */
const shape: HeadShape = {
  dropped: 0,
  target: null,
  forwarding: new Uint8Array(0),
  trusted: false,
  asksCertificates: false,
  edits: null,
  upgrade: false,
  close: false,
  ownCookie: "",
  ownHost: "",
  maxForwards: -1,
};

/** Decides about one request. `context.request` is set to it. The result is good until the next call. */
export function shapeRequest(
  context: EngineContext,
  head: RequestHead,
  listener: ListenerSnapshot,
  route: FoldedRoute,
  peer: Peer,
  lines: ForwardingLines,
): HeadShape {
  const { request } = context;
  const { bytes } = request;
  const { underscores } = listener.plan;
  shape.dropped = FieldFlag.hop | FieldFlag.framing | (underscores === "pass" ? 0 : FieldFlag.underscore);
  shape.trusted = peer.trusted;
  shape.asksCertificates = listener.tls !== null && listener.tls.clientCertificates !== "off";
  shape.forwarding = peer.trusted ? linesOfTrusted(request, peer) : lines.lines(bytes, head, peer);
  shape.target = target(context, head, listener, route);
  shape.edits = route.requestEdits === null ? null : route.requestEdits.prepare(request, peer.scheme, peer.source);
  // An Upgrade with a body could not become a tunnel: the protocol would change in the middle of it.
  shape.upgrade = head.upgrade && head.framing === Framing.none;
  shape.ownHost = context.name;
  shape.maxForwards = Math.max(-1, maxForwards(head.method, request) - 1);
  return shape;
}

function target(
  { request }: EngineContext,
  head: RequestHead,
  listener: ListenerSnapshot,
  route: FoldedRoute,
): Uint8Array | null {
  if (route.rewrite !== null) {
    const rewritten = route.rewrite(`${request.path()}${request.search()}`);
    if (rewritten !== null) return latin1(rewritten);
  }
  if (listener.table.needsPath) {
    // What was matched and what is sent must not be read differently (docs/routing.md).
    const path = forwardedPath(request.path());
    if (path !== null) return latin1(`${path}${request.search()}`);
  }
  // RFC 9112 §3.2.4: OPTIONS for a whole host, asked in absolute-form.
  const wholeHost =
    head.form === TargetForm.absolute && head.pathStart === head.queryEnd && request.method() === "OPTIONS";
  return wholeHost ? asterisk : null;
}

/** How far an OPTIONS or TRACE may still go (RFC 9110 §7.6.2); 0 = it ends here; -1 = it does not say. */
export function maxForwards(method: number, request: RequestView): number {
  if (method !== Method.options && method !== Method.trace) return -1;
  const value = request.header("max-forwards");
  return value !== undefined && /^\d{1,9}$/.test(value) ? Number(value) : -1;
}
