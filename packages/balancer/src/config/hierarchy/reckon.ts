// The sums: how long a client may have to wait, and how much of it one try leaves to the application.
import type { SettingName, Values } from "./settings.ts";

/** One addend: a setting, and its ms. */
export interface Part {
  readonly setting: SettingName;
  readonly ms: number;
}

/** Tries that last equally long at most. */
export interface Tries {
  readonly count: number;
  readonly parts: readonly Part[];
}

export interface Longest {
  readonly ms: number;
  /** In order; the last try stands for itself if it can be longer than those before. */
  readonly tries: readonly Tries[];
  /** Whether `total` ends it before the tries are over. */
  readonly capped: boolean;
}

/**
 * How long the balancer takes at most from a request's end to the begin of its answer. A try waits for room (it may have to
 * each time), for a connection, and for an answer; which of those can be followed by another is for `retry.on` to say.
 */
export function longestAnswer(values: Values): Longest {
  const { attempts, queueTimeout, connect, total } = values;
  const before: Part[] = [];
  if (queueTimeout > 0) before.push({ setting: "queueTimeout", ms: queueTimeout });
  before.push({ setting: "connect", ms: connect });
  const wait = answerWait(values);
  // Where bytes alone are passed on there is no answer to wait for.
  const last: Part[] = wait.ms === 0 ? before : [...before, wait];
  const earlier = wait.ms === 0 ? null : repeatedWait(values);
  const others: Part[] = earlier === null ? before : [...before, earlier];
  const tries: Tries[] = [];
  if (attempts > 1 && sum(others) === sum(last)) tries.push({ count: attempts, parts: last });
  else {
    if (attempts > 1) tries.push({ count: attempts - 1, parts: others });
    tries.push({ count: 1, parts: last });
  }
  const all = tries.reduce((ms, { count, parts }) => ms + count * sum(parts), 0);
  const capped = total > 0 && total < all;
  return { ms: capped ? total : all, tries, capped };
}

/** What ends the wait for one answer, whichever is nearer. */
function answerWait({ firstByte, perTry }: Values): Part {
  return perTry > 0 && perTry <= firstByte
    ? { setting: "perTry", ms: perTry }
    : { setting: "firstByte", ms: firstByte };
}

/** How long a try that is followed by another can have waited for its answer; null if only failed connects are. */
function repeatedWait(values: Values): Part | null {
  const wait = answerWait(values);
  const { connect, firstByte, perTry } = values;
  const { timeout, reset } = values.repeats;
  // What `perTry` ends is always tried again, and it runs while the try still connects.
  if (timeout || (perTry > 0 && perTry < connect + firstByte)) return wait;
  if (!reset) return null;
  // Nothing is tried again because of the time it took: it broke, or it answered. An application that keeps to its own
  // limit has done one or the other by then.
  const { app } = values;
  return app > 0 && app < wait.ms ? { setting: "app", ms: app } : wait;
}

/** How long an application may work until somebody gives up on it. */
export interface Room {
  readonly ms: number;
  /** What sets the limit, and what is taken off it. */
  readonly limit: SettingName;
  readonly less: readonly Part[];
}

/** The nearest of the limits that end a try; `perTry` and `total` run while it still queues and connects. */
export function roomForApp(values: Values): Room {
  const none: Room = { ms: Infinity, limit: "firstByte", less: [] };
  return roomsForApp(values).reduce((nearest, room) => (room.ms < nearest.ms ? room : nearest), none);
}

export function roomsForApp({ firstByte, perTry, total, connect, queueTimeout }: Values): Room[] {
  // Where bytes alone are passed on, nobody gives up.
  const rooms: Room[] = firstByte === 0 ? [] : [{ ms: firstByte, limit: "firstByte", less: [] }];
  const connecting: Part = { setting: "connect", ms: connect };
  if (perTry > 0) rooms.push({ ms: Math.max(0, perTry - connect), limit: "perTry", less: [connecting] });
  if (total > 0) {
    const less = queueTimeout > 0 ? [{ setting: "queueTimeout" as const, ms: queueTimeout }, connecting] : [connecting];
    rooms.push({ ms: Math.max(0, total - sum(less)), limit: "total", less });
  }
  return rooms;
}

/** What is known of the longest request: what the application allows itself, or at least what it waits for. */
export function longestWork({ app, downstream }: Values): number {
  return app > 0 ? app : downstream;
}

export function sum(parts: readonly Part[]): number {
  return parts.reduce((total, { ms }) => total + ms, 0);
}
