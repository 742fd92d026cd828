// Where the client of an exchange belongs: read before an endpoint is picked, told to the client with the answer, and counted.
import { type AnswerHead, Field } from "@plimsoll/wire/http1";
import { text } from "../base/bytes.ts";
import { PoolCell } from "../observe/table.ts";
import type { Endpoint } from "../pool/endpoint.ts";
import type { Pool } from "../pool/pool.ts";
import { Carried, newVisit, resetVisit, type Stick, type StickyRequest, type Visit } from "../pool/stick/stick.ts";
import { isCacheable } from "./cacheable.ts";
import { cookieFrom, cookieTo, findCookie } from "./cookies.ts";
import type { Destination, SplitChoice } from "./folded-route.ts";

/** Reads a request into `visit`, which is made if there is none yet. */
export function readVisit(stick: Stick, visit: Visit | null, request: StickyRequest, wallNow: number): Visit {
  const filled = visit ?? newVisit();
  resetVisit(filled);
  stick.read(request, wallNow, filled);
  return filled;
}

/**
 * Closes the books on one visit: `endpoint` has answered with this head. Returns the line that tells the client where it
 * belongs, or null. A client is told nothing by an answer that shared caches may keep, nor by a 5xx: nobody should be tied
 * to an endpoint that fails.
 */
export function stickyLine(
  pool: Pool,
  stick: Stick,
  visit: Visit,
  endpoint: Endpoint,
  bytes: Uint8Array,
  head: AnswerHead,
  wallNow: number,
): Uint8Array | null {
  const own = visit.endpoint === endpoint;
  if (visit.carried >= Carried.known) pool.count(own ? PoolCell.stickyHits : PoolCell.stickyMoved);
  else {
    pool.count(PoolCell.stickyNew);
    if (visit.carried !== Carried.nothing) pool.count(PoolCell.stickyRefused);
  }
  if (stick.learnsFrom !== "") learn(stick, endpoint, bytes, head);
  if ((own && !visit.stale) || head.status >= 500) return null;
  const cacheable = pool.plan.sticky?.cookie?.cacheable === false && isCacheable(bytes, head, wallNow);
  return cacheable ? null : stick.write(visit, endpoint, wallNow);
}

function learn(stick: Stick, endpoint: Endpoint, bytes: Uint8Array, { fields }: AnswerHead): void {
  for (let i = 0, k = 0; i < fields.count; i++, k += 4) {
    if (fields.ids[i] !== Field.setCookie) continue;
    const from = fields.at[k + 2]!;
    const to = fields.at[k + 3]!;
    // The pair comes first (RFC 6265 §4.1.1); an attribute of that name is none.
    const end = bytes.indexOf(59, from);
    const pairEnd = end < 0 || end > to ? to : end;
    if (findCookie(bytes, from, pairEnd, stick.learnsFrom) < 0) continue;
    stick.learn(text(bytes, cookieFrom, cookieTo), endpoint);
  }
}

/**
 * A split that keeps a client in the part where it has an endpoint: else every request of it would be drawn anew, and those
 * that fall to the other part would find no session. A part of weight 0 keeps nobody: its operator wants it empty.
 */
export function stickySplit(
  parts: readonly Destination[],
  weights: readonly number[],
  draw: () => number,
): SplitChoice {
  // A hash has a place in each part, so it says nothing of where the client was.
  const remembering = parts.filter(({ pool }, index) => weights[index]! > 0 && remembers(pool));
  const visit = newVisit();
  return (request, wallNow) => {
    for (const part of remembering) {
      readVisit(part.pool.stick as Stick, visit, request, wallNow);
      if (visit.carried === Carried.known && visit.endpoint !== null && part.pool.keeps(visit.endpoint)) return part;
    }
    return parts[draw()] as Destination;
  };
}

function remembers({ stick }: Pool): boolean {
  return stick !== null && (stick.name === "cookie" || stick.name === "appCookie");
}
