// Answers that the balancer makes by itself: faults, redirects and fixed answers. All of them are whole and small.
import { Method } from "@plimsoll/wire/http1";
import { latin1 } from "../base/bytes.ts";
import { type FaultCode, faults } from "../base/fault.ts";
import type { ErrorPages } from "./error-pages.ts";
import type { FixedAnswer } from "./steps/fixed.ts";

/** The same shape for all of them. */
export type OwnAnswer = FixedAnswer;

const readinessLines = latin1("Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n");
/** What a listener's `readyPath` answers while the balancer wants traffic, and from when it stops. */
export const readyAnswer: OwnAnswer = { status: 200, lines: readinessLines, body: latin1("ready\n") };
export const stoppingAnswer: OwnAnswer = { status: 503, lines: readinessLines, body: latin1("stopping\n") };

/** Reason phrases of RFC 9110 §15 and its successors; an unknown status has none. */
const reasons: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  204: "No Content",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  413: "Content Too Large",
  414: "URI Too Long",
  417: "Expectation Failed",
  418: "I'm a teapot",
  421: "Misdirected Request",
  425: "Too Early",
  426: "Upgrade Required",
  428: "Precondition Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  451: "Unavailable For Legal Reasons",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
  507: "Insufficient Storage",
};

export function reasonPhrase(status: number): string {
  return reasons[status] ?? "";
}

/** Body bytes of it that go out to who asked with this method (RFC 9110 §6.4.1). */
export function sentLength({ status, body }: OwnAnswer, method: number): number {
  return method === Method.head || status === 204 || status === 304 ? 0 : body.length;
}

/** What of the request shapes a fault's answer. */
export interface FaultRequest {
  /** Value of Accept; "" = anything. */
  readonly accept: string;
  readonly requestId: string;
}

type Form = "html" | "json" | "text";

/**
 * The answer for a fault: `Proxy-Status` (RFC 9209) tells machines and operators that it was the balancer who made it and
 * why, the body tells people. The endpoint's address and the system's error text stay in the log.
 */
export function faultAnswer(code: FaultCode, request: FaultRequest, pages: ErrorPages): OwnAnswer {
  const { status, proxyStatus, text } = faults[code];
  const form = acceptedForm(request.accept);
  const found = pages.find(status);
  // A page is for people: a program that asks for JSON could only fail to read it.
  const page = form === "json" && found?.contentType !== "application/json" ? undefined : found;
  const title = `${status} ${reasonPhrase(status)}`;
  const type =
    page?.contentType ??
    { html: "text/html; charset=utf-8", json: "application/json", text: "text/plain; charset=utf-8" }[form];
  const body = page?.body ?? latin1(renderBody(form, title, status, code, text, request.requestId));
  const lines =
    `Content-Type: ${type}\r\nCache-Control: no-store\r\n` +
    `Proxy-Status: plimsoll; error=${proxyStatus}; details="${code}"\r\n` +
    (request.requestId === "" ? "" : `X-Request-Id: ${request.requestId}\r\n`);
  return { status, lines: latin1(lines), body };
}

function renderBody(form: Form, title: string, status: number, code: string, text: string, id: string): string {
  if (form === "json")
    return `${JSON.stringify({ status, fault: code, message: text, ...(id === "" ? {} : { requestId: id }) })}\n`;
  const reference = id === "" ? "" : `Request ${id}`;
  if (form === "text") return `${title}\n${text}\n${code}\n${reference}${reference === "" ? "" : "\n"}`;
  return (
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title}</title>` +
    "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color:#223}code{color:#667}</style>" +
    `</head><body><h1>${title}</h1><p>${text}</p><p><code>${code}</code></p><p><code>${escapeHtml(reference)}</code></p></body></html>\n`
  );
}

function escapeHtml(value: string): string {
  return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/**
 * HTML, JSON or text by Accept (RFC 9110 §12.5.1): the highest weight wins, the more specific range on a tie, and text when
 * nothing is asked for.
 */
export function acceptedForm(accept: string): Form {
  let best: Form = "text";
  let bestWeight = 0;
  let bestIsRange = false;
  for (const range of accept.split(",").slice(0, 32)) {
    const [name = "", ...parameters] = range.trim().toLowerCase().split(";");
    const quality = parameters.map((one) => one.trim()).find((one) => one.startsWith("q="));
    const weight = quality === undefined ? 1 : Number(quality.slice(2));
    const type = name.trim();
    const form = formOf(type);
    const isRange = type.endsWith("*");
    if (form !== null && (weight > bestWeight || (weight === bestWeight && bestIsRange && !isRange))) {
      best = form;
      bestWeight = weight;
      bestIsRange = isRange;
    }
  }
  return best;
}

function formOf(range: string): Form | null {
  if (range === "text/html" || range === "application/xhtml+xml") return "html";
  if (range === "application/json" || range.endsWith("+json")) return "json";
  return range === "text/plain" || range === "text/*" ? "text" : null;
}
