// What must outlast what, and the incident that each rule prevents. A rule is one line of the table; the message, the ladder
// and the search for better values read it.
import { formatDuration } from "../../base/units.ts";
import { longestAnswer, longestWork, type Longest, type Part, roomsForApp } from "./reckon.ts";
import { longestAutoDrain } from "./ways.ts";
import type { SettingName, Values } from "./settings.ts";

export type RuleId =
  | "client"
  | "firstByte"
  | "perTry"
  | "total"
  | "app"
  | "drain"
  | "stopGrace"
  | "shutdown"
  | "shutdownDrain"
  | "ownGrace"
  | "keepAlive"
  | "tries";

/** Two numbers of a way that a rule compares. */
export interface Compared {
  readonly upper: number;
  readonly lower: number;
}

export interface Rule {
  readonly id: RuleId;
  /** Null when nothing is declared that it could be held against. */
  compare(values: Values): Compared | null;
  /** How bad it is when the upper is shorter. */
  readonly shorter: "error" | "warning";
  /** And when both are equal. */
  readonly equal: "error" | "warning" | "fine";
  /** Whose value to raise so that it holds; raising it can break only rules further up. */
  readonly lift: SettingName;
  /** What may be lowered or set instead, best first. */
  lowers(values: Values): readonly SettingName[];
  /** The settings to point at, the nearest first: the first of them that was written is. */
  readonly at: readonly SettingName[];
  /** What is wrong, with the numbers. */
  say(values: Values): string;
  /** The incident: one sentence. */
  readonly why: string;
}

const ms = formatDuration;

/** How a setting is called where it stands in a sum. */
export const partNames: Readonly<Partial<Record<SettingName, string>>> = {
  queueTimeout: "queue",
  connect: "connect",
  firstByte: "first byte",
  perTry: "per try",
  app: "application",
};

/** "connect 3s + first byte 1m". */
export function sayParts(parts: readonly Part[]): string {
  return parts.map(({ setting, ms: length }) => `${partNames[setting] ?? setting} ${ms(length)}`).join(" + ");
}

/** "2 tries of connect 3s + first byte 1m", or try by try. */
export function saySum({ tries }: Longest): string {
  const [first, second] = tries;
  if (first === undefined) return "";
  if (second === undefined)
    return first.count === 1 ? sayParts(first.parts) : `${first.count} tries of ${sayParts(first.parts)}`;
  const earlier = first.count === 1 ? sayParts(first.parts) : `${first.count} tries of ${sayParts(first.parts)}`;
  return `${earlier}, then ${sayParts(second.parts)}`;
}

function sayLongest(longest: Longest): string {
  return longest.capped ? `its timeouts.total` : saySum(longest);
}

/** "the application works for up to 30s", by what is declared. */
function sayWork(values: Values): string {
  return values.app > 0
    ? `the application may work for ${ms(values.app)}`
    : `the application may wait ${ms(values.downstream)} for what it calls`;
}

function room(limit: "firstByte" | "perTry" | "total"): (values: Values) => Compared | null {
  return (values) => {
    const found = roomsForApp(values).find((each) => each.limit === limit);
    const work = longestWork(values);
    return found === undefined || work === 0 ? null : { upper: found.ms, lower: work };
  };
}

function sayRoom(limit: "firstByte" | "perTry" | "total"): (values: Values) => string {
  return (values) => {
    const found = roomsForApp(values).find((each) => each.limit === limit);
    const { less = [], ms: left = 0 } = found ?? {};
    const taken = less.length === 0 ? "" : `, which leaves ${ms(left)} after ${sayParts(less)}`;
    return `the balancer gives up after ${ms(values[limit])} (timeouts.${limit})${taken}, and ${sayWork(values)}`;
  };
}

const abandoned =
  "the balancer answers 504 and forgets the request while the application still works on it and succeeds: the order that failed on the screen and was shipped all the same, or twice after a retry";
const killed = "SIGKILL comes before the work is done, so that every deploy resets what is in flight";

export const rules: readonly Rule[] = [
  {
    id: "client",
    compare: (values) => (values.client === 0 ? null : { upper: values.client, lower: longestAnswer(values).ms }),
    shorter: "error",
    equal: "error",
    lift: "client",
    lowers: (values) => [
      ...(values.total > 0 ? (["total"] as const) : []),
      ...(values.perTry > 0 ? (["perTry"] as const) : []),
      "firstByte",
      ...(values.attempts > 1 ? (["attempts"] as const) : []),
      ...(values.queueTimeout > 0 ? (["queueTimeout"] as const) : []),
      ...(values.total > 0 ? [] : (["total"] as const)),
    ],
    at: ["client"],
    say: (values) => {
      const longest = longestAnswer(values);
      return `clients wait ${ms(values.client)}, and the balancer may take ${ms(longest.ms)} to answer: ${sayLongest(longest)}`;
    },
    why: "whoever has given up asks again while the first request is still being tried, so that a slow minute becomes many times the load and the outage feeds itself",
  },
  {
    id: "firstByte",
    compare: room("firstByte"),
    shorter: "error",
    equal: "error",
    lift: "firstByte",
    lowers: (values) => (values.app > 0 ? ["app"] : ["downstream"]),
    at: ["app", "downstream"],
    say: sayRoom("firstByte"),
    why: abandoned,
  },
  {
    id: "perTry",
    compare: room("perTry"),
    shorter: "error",
    equal: "error",
    lift: "perTry",
    lowers: (values) => (values.app > 0 ? ["app"] : ["downstream"]),
    at: ["app", "downstream"],
    say: sayRoom("perTry"),
    why: abandoned,
  },
  {
    id: "total",
    compare: room("total"),
    shorter: "error",
    equal: "error",
    lift: "total",
    lowers: (values) => (values.app > 0 ? ["app"] : ["downstream"]),
    at: ["app", "downstream"],
    say: sayRoom("total"),
    why: abandoned,
  },
  {
    id: "app",
    compare: ({ app, downstream }) => (app === 0 || downstream === 0 ? null : { upper: app, lower: downstream }),
    shorter: "error",
    equal: "error",
    lift: "app",
    lowers: () => ["downstream"],
    at: ["app"],
    say: ({ app, downstream }) =>
      `the application gives up after ${ms(app)}, and waits ${ms(downstream)} for what it calls`,
    why: "it gives up before it knows why, and its query goes on in the database for nobody: the connection pool runs empty, and the log blames the wrong one",
  },
  {
    id: "drain",
    compare: (values) => {
      const work = longestWork(values);
      return work === 0 ? null : { upper: values.drainWindow, lower: work };
    },
    shorter: "error",
    // A request that began just before the drain is done as the window ends: nothing is to spare, and nothing is lost.
    equal: "warning",
    lift: "drainWindow",
    lowers: (values) => (values.app > 0 ? ["app"] : ["downstream"]),
    at: ["drainWindow", "app", "downstream"],
    say: (values) => {
      const window = values.autoDrain
        ? `the drain window is auto, ${ms(longestAutoDrain)} at most`
        : `the drain window is ${ms(values.drainWindow)}`;
      const spare = values.drainWindow === longestWork(values) ? ": nothing is to spare" : "";
      return `${window}, and ${sayWork(values)}${spare}`;
    },
    why: "requests that are still worked on when the window ends are cut: some users see an error at every deploy",
  },
  {
    id: "stopGrace",
    compare: (values) => {
      if (values.stopGrace === 0) return null;
      const lower = values.autoDrain ? longestWork(values) : values.drainWindow;
      return lower === 0 ? null : { upper: values.stopGrace, lower };
    },
    shorter: "error",
    equal: "error",
    lift: "stopGrace",
    lowers: (values) => (values.autoDrain ? [] : ["drainWindow"]),
    at: ["stopGrace"],
    say: (values) =>
      `an instance is killed ${ms(values.stopGrace)} after SIGTERM, and ` +
      (values.autoDrain ? sayWork(values) : `its drain may take ${ms(values.drainWindow)}`),
    why: killed,
  },
  {
    id: "shutdown",
    compare: (values) => {
      const work = longestWork(values);
      return work === 0 ? null : { upper: values.shutdownWindow, lower: work };
    },
    shorter: "error",
    equal: "fine",
    lift: "shutdownWindow",
    lowers: () => [],
    at: ["shutdownWindow", "app", "downstream"],
    say: (values) =>
      `this program cuts what is in flight ${ms(values.shutdownWindow)} after it began to stop (shutdown.window), and ${sayWork(values)}`,
    why: "each restart of the balancer itself cuts the requests that are still worked on",
  },
  {
    id: "shutdownDrain",
    compare: (values) => {
      // Shorter than the work itself: that is said by the rule above.
      if (values.autoDrain || values.shutdownWindow < longestWork(values)) return null;
      return { upper: values.shutdownWindow, lower: values.drainWindow };
    },
    shorter: "warning",
    equal: "fine",
    lift: "shutdownWindow",
    lowers: () => ["drainWindow"],
    at: ["shutdownWindow", "drainWindow"],
    say: (values) =>
      `this program waits ${ms(values.shutdownWindow)} when it stops (shutdown.window), and a leaving endpoint gets ${ms(values.drainWindow)}`,
    why: "a request that a drain would have let finish is cut when the balancer itself is restarted",
  },
  {
    id: "ownGrace",
    compare: (values) =>
      values.ownGrace === 0 ? null : { upper: values.ownGrace, lower: values.shutdownLag + values.shutdownWindow },
    shorter: "error",
    equal: "error",
    lift: "ownGrace",
    lowers: (values) => (values.shutdownLag > 0 ? ["shutdownWindow", "shutdownLag"] : ["shutdownWindow"]),
    at: ["ownGrace"],
    say: (values) =>
      `this program is killed ${ms(values.ownGrace)} after SIGTERM, and may take ${ms(values.shutdownLag + values.shutdownWindow)} to stop: lag ${ms(values.shutdownLag)} + window ${ms(values.shutdownWindow)}`,
    why: killed,
  },
  {
    id: "keepAlive",
    compare: ({ keepAlive, idle }) => (keepAlive === 0 ? null : { upper: keepAlive, lower: idle }),
    shorter: "error",
    equal: "error",
    lift: "keepAlive",
    lowers: () => ["idle"],
    at: ["idle", "keepAlive"],
    say: ({ keepAlive, idle }) =>
      `the application closes idle connections after ${ms(keepAlive)}, and the balancer uses them again for ${ms(idle)}`,
    why: "a request is sent at the moment in which the application closes: 502s with nothing in its log, the rarer the more traffic there is",
  },
  {
    id: "tries",
    compare: ({ perTry, total }) => (perTry === 0 || total === 0 ? null : { upper: total, lower: perTry }),
    shorter: "warning",
    equal: "warning",
    lift: "total",
    lowers: () => ["perTry"],
    at: ["perTry", "total"],
    say: ({ perTry, total }) =>
      `timeouts.total ends everything after ${ms(total)}, so perTry (${ms(perTry)}) never ends a try`,
    why: "what was meant to be tried again at another endpoint ends as 504 at the client",
  },
];
