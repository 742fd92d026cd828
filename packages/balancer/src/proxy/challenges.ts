// What an authority finds when it looks whether a name is ours (HTTP-01, RFC 8555 §8.3). Asked before all routes, on every http
// listener; a token that nobody gave us is left to the routes, because an application may order certificates, too.
import { latin1 } from "../base/bytes.ts";
import type { OwnAnswer } from "./own-answer.ts";

/** Answers by path. */
export type Challenges = ReadonlyMap<string, OwnAnswer>;

const lines = latin1("Content-Type: application/octet-stream\r\nCache-Control: no-store\r\n");

/** null where there is nothing to be found, which costs requests one comparison. */
export function foldChallenges(open: readonly (readonly [token: string, body: string])[] = []): Challenges | null {
  if (open.length === 0) return null;
  return new Map(
    open.map(([token, body]) => [`/.well-known/acme-challenge/${token}`, { status: 200, lines, body: latin1(body) }]),
  );
}
