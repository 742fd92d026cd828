// Requests to the authority, below the library: with a limit in time and size, verified by the authorities that were configured,
// and never repeated here. What a refusal asked for (Retry-After) is kept, because the library's errors do not carry it.
import { readRetryAfter } from "./schedule.ts";

/** How an authority is reached. */
export interface CaReach {
  /** PEM; "" = the system's authorities. */
  readonly ca: string;
  readonly userAgent: string;
  /** Wall-clock ms. */
  readonly wall: () => number;
}

/** What the library hands over, of an axios request. */
interface LibraryRequest {
  readonly url?: string;
  readonly method?: string;
  readonly headers?: unknown;
  readonly data?: unknown;
}

export interface LibraryReply {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Record<string, string>;
  readonly data: string;
  readonly config: LibraryRequest;
}

/** Ms for one request; Let's Encrypt answers within one second, and within thirty when it is in trouble. */
const patience = 60_000;
/** Characters of an answer: a chain has some 10 KiB. */
const longest = 1024 * 1024;

/** The authority could not be reached, or answered nonsense. The message is for people. */
export class CaError extends Error {
  override readonly name = "CaError";
}

/** Carries the requests of one authority. */
export class CaRequests {
  readonly #reach: CaReach;
  readonly #signal: AbortSignal;
  /** Ms that the last refusal asked to wait; 0 if it did not. */
  retryAfter = 0;
  /** Whether the last answer was a refusal because of a rate limit. */
  limited = false;

  constructor(reach: CaReach, signal: AbortSignal) {
    this.#reach = reach;
    this.#signal = signal;
  }

  /** In the place of axios's own way to the network. */
  readonly adapter = async (request: LibraryRequest): Promise<LibraryReply> => {
    const { ca, userAgent, wall } = this.#reach;
    const { url = "", method = "get" } = request;
    if (!url.startsWith("https://")) throw new CaError(`the authority names an address that is not https: ${url}`);
    let reply: Response;
    let data: string;
    try {
      reply = await fetch(url, {
        method: method.toUpperCase(),
        headers: { "content-type": "application/jose+json", "user-agent": userAgent },
        ...(method.toLowerCase() === "post" && { body: asText(request.data) }),
        redirect: "error",
        signal: AbortSignal.any([this.#signal, AbortSignal.timeout(patience)]),
        ...(ca !== "" && { tls: { ca } }),
      });
      data = await reply.text();
    } catch (error) {
      throw new CaError(`${new URL(url).host} cannot be asked: ${(error as Error).message}`);
    }
    if (data.length > longest) throw new CaError(`${new URL(url).host} answers more than can be meant`);
    const { status, statusText } = reply;
    if (status >= 400) {
      this.limited = status === 429;
      this.retryAfter = readRetryAfter(reply.headers.get("retry-after") ?? "", wall());
    }
    return { status, statusText, headers: Object.fromEntries(reply.headers), data, config: request };
  };
}

function asText(data: unknown): string {
  return typeof data === "string" ? data : JSON.stringify(data ?? "");
}
