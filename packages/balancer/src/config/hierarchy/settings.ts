// What a way is held to: every setting that takes part in the hierarchy, and where it can stand.
import { formatPath, type Path } from "../problem.ts";

/** Everything that takes part. */
export const settingNames = [
  "client",
  "app",
  "downstream",
  "queueTimeout",
  "attempts",
  "connect",
  "firstByte",
  "perTry",
  "total",
  "keepAlive",
  "idle",
  "drainWindow",
  "stopGrace",
  "shutdownLag",
  "shutdownWindow",
  "ownGrace",
] as const;
export type SettingName = (typeof settingNames)[number];

/** A key at which a setting can stand. */
export interface SettingPlace {
  readonly path: Path;
  /** The path as one text. */
  readonly key: string;
  /** Ms (a count for `attempts`); null = nothing stands here, and the next place counts. */
  readonly value: number | null;
}

/** Where a setting of one way can stand: its route's own key first, then the pool's, which always holds a value. */
export type Setting = readonly SettingPlace[];

/** Whether tries other than the last can end late, and how. */
export interface Repeats {
  /** A try that waited in vain for its answer is followed by another. */
  readonly timeout: boolean;
  /** One that broke or answered with a bad status is. */
  readonly reset: boolean;
}

/** One way through the balancer: a pool as it is, or a route that sets something otherwise than its pool. */
export interface Way {
  /** The key that makes it: ["pools", "api"] or ["listeners", "web", "routes", 2]. */
  readonly path: Path;
  readonly pool: string;
  /** Names of the routes that lead this way. */
  readonly routes: readonly string[];
  readonly settings: Readonly<Record<SettingName, Setting>>;
  readonly repeats: Repeats;
  /** Whether the drain window follows what is observed; its setting then is the longest that it can become. */
  readonly autoDrain: boolean;
}

/** What would be written where, by the key of its place. */
export type Changes = ReadonlyMap<string, number>;

export function settingPlace(path: Path, value: number | null): SettingPlace {
  return { path, key: formatPath(path), value };
}

/** A way's numbers. 0 = not declared, or no limit. */
export type Values = Readonly<Record<SettingName, number>> & {
  readonly repeats: Repeats;
  readonly autoDrain: boolean;
};

/** The numbers of a way after `changes`. */
export function valuesOf(way: Way, changes: Changes): Values {
  const values = {} as Record<SettingName, number>;
  for (const name of settingNames) values[name] = valueAt(way.settings[name], changes);
  const autoDrain = way.autoDrain && !way.settings.drainWindow.some(({ key }) => changes.has(key));
  return { ...values, repeats: way.repeats, autoDrain };
}

function valueAt(setting: Setting, changes: Changes): number {
  for (const { key, value } of setting) {
    const found = changes.get(key) ?? value;
    if (found !== null) return found;
  }
  return 0;
}
