// The operator's own bodies for our error answers, by status ("503") or class ("5xx").
import type { ListenerPlan } from "./plan.ts";

export interface ErrorPage {
  readonly contentType: string;
  readonly body: Uint8Array;
}

export interface ErrorPages {
  /** The page for a status: the exact one before that of its class. */
  find(status: number): ErrorPage | undefined;
}

export function compileErrorPages(plan: ListenerPlan["errorPages"]): ErrorPages {
  const pages = new Map<string, ErrorPage>(
    plan.map((page) => [page.status, { contentType: page.contentType, body: Buffer.from(page.body, "utf8") }]),
  );
  return { find: (status) => pages.get(String(status)) ?? pages.get(`${Math.floor(status / 100)}xx`) };
}
