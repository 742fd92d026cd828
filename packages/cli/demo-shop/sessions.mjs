// Sessions in this process's memory: what most frameworks do by default, and what breaks as soon as there are two processes.
import { randomUUID } from "node:crypto";

/** @typedef {{ id: string, cart: Map<string, number>, lostCart: boolean, seen: number }} Session */

/** @type {Map<string, Session>} */
const sessions = new Map();
const most = 10_000;

/**
 * The session of a request. A cookie that this instance never gave out means that another one did: the cart is there.
 * @param {import("node:http").IncomingMessage} request
 * @returns {{ session: Session, cookie: string | null }}
 */
export function sessionOf(request) {
  const id = /(?:^|;\s*)shop_session=([\w-]{36})/.exec(request.headers.cookie ?? "")?.[1];
  const known = id === undefined ? undefined : sessions.get(id);
  if (known !== undefined) {
    known.seen = Date.now();
    return { session: known, cookie: null };
  }
  const session = { id: id ?? randomUUID(), cart: new Map(), lostCart: id !== undefined, seen: Date.now() };
  if (sessions.size >= most) sessions.delete(sessions.keys().next().value ?? "");
  sessions.set(session.id, session);
  const cookie = id === undefined ? `shop_session=${session.id}; Path=/; HttpOnly; SameSite=Lax` : null;
  return { session, cookie };
}

/** @param {Session} session */
export function itemsIn(session) {
  let items = 0;
  for (const count of session.cart.values()) items += count;
  return items;
}
