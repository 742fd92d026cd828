// The hierarchy of one way as a ladder: every rung with its value and where that comes from, and whether it outlasts the
// next one below. `plimsoll check --explain` draws it, and a running balancer puts what it observes beside it.
import { formatPath, type Path } from "../problem.ts";
import { verdict } from "./judge.ts";
import { longestAnswer, longestWork, roomForApp, type Part, type Tries } from "./reckon.ts";
import { rules, type Rule, type RuleId } from "./rules.ts";
import { valuesOf, type SettingName, type Values, type Way } from "./settings.ts";

/** Where a value comes from. */
export interface Source {
  /**
   * written: in the configuration; default: by default; running: one of the two, of a balancer that runs; reckoned: from
   * other values; undeclared: nowhere.
   */
  readonly kind: "written" | "default" | "running" | "reckoned" | "undeclared";
  /** The key that holds it, or would; "" if it is reckoned. */
  readonly path: string;
  /** "" and 0 where there is none: a default, a configuration without lines. */
  readonly file: string;
  readonly line: number;
}

export interface Rung {
  readonly name: string;
  /** Null: not declared. */
  readonly ms: number | null;
  readonly source: Source;
  /** For the balancer: the tries whose sum it is. */
  readonly tries: readonly Tries[];
  /** For one try: what is taken off its limit, because it passes before the application sees the request. */
  readonly less: readonly Part[];
  /** Anything else to know about the value. */
  readonly note: string;
  /**
   * Against the next rung that is known: whether it is longer. `tight` is a warning, `unknown` means that too little is
   * declared, `last` that nothing is below.
   */
  readonly state: "holds" | "tight" | "broken" | "unknown" | "last";
  /** Ms by which it is longer than it must be at least; negative = too short; null = nothing to compare. */
  readonly spare: number | null;
}

export interface Section {
  readonly title: string;
  /** From the longest down. */
  readonly rungs: readonly Rung[];
}

export interface Ladder {
  /** "pools.api", or "listeners.web.routes[2]". */
  readonly path: string;
  readonly pool: string;
  /** Names of the routes that are held to it. */
  readonly routes: readonly string[];
  readonly sections: readonly Section[];
}

/** Where a key stands in the configuration; null if nobody wrote it. */
export type Locate = (path: Path) => { readonly path: Path; readonly file: string; readonly line: number } | null;

/** `locate` null: the plan runs, and where it was written is forgotten. */
export function ladderOf(way: Way, locate: Locate | null): Ladder {
  const values = valuesOf(way, new Map());
  const found = locate?.(way.path) ?? null;
  const context: Context = { way, values, locate };
  return {
    path: formatPath(found?.path ?? way.path),
    pool: way.pool,
    routes: way.routes,
    sections: [answering(context), leaving(context), stopping(context), keeping(context)],
  };
}

interface Context {
  readonly way: Way;
  readonly values: Values;
  readonly locate: Locate | null;
}

function answering(context: Context): Section {
  const { values } = context;
  const longest = longestAnswer(values);
  const room = roomForApp(values);
  return {
    title: "answering",
    rungs: [
      setting(context, "client", "client", ["client"]),
      {
        ...reckoned("balancer", longest.ms),
        tries: longest.tries,
        note: longest.capped ? "cut short by timeouts.total" : "",
        state: "holds",
      },
      ...(values.firstByte === 0
        ? []
        : [
            {
              ...setting(context, "one try", room.limit, ["firstByte", "perTry", "total", "tries"]),
              ms: room.ms,
              less: room.less,
            },
          ]),
      setting(context, "application", "app", ["app"]),
      { ...setting(context, "downstream", "downstream", []), state: "last" },
    ],
  };
}

function leaving(context: Context): Section {
  const { values } = context;
  const window = setting(context, "drain window", "drainWindow", ["drain"]);
  return {
    title: "an endpoint leaves",
    rungs: [
      setting(context, "stop grace", "stopGrace", ["stopGrace"]),
      values.autoDrain ? { ...window, note: "auto: by what is observed, this at most" } : window,
      work(context),
    ],
  };
}

function stopping(context: Context): Section {
  const { values } = context;
  const whole = reckoned("lag + window", values.shutdownLag + values.shutdownWindow);
  const window = setting(context, "window", "shutdownWindow", ["shutdown", "shutdownDrain"]);
  const grace = setting(context, "stop grace", "ownGrace", ["ownGrace"]);
  const rungs = [grace, { ...whole, state: "holds" as const }, window];
  if (!values.autoDrain) rungs.push({ ...setting(context, "drain window", "drainWindow", []), state: "last" });
  else rungs.push(work(context));
  return { title: "the balancer stops", rungs };
}

function keeping(context: Context): Section {
  return {
    title: "a connection rests",
    rungs: [
      setting(context, "application", "keepAlive", ["keepAlive"]),
      { ...setting(context, "balancer", "idle", []), note: "until the endpoint shows its own", state: "last" },
    ],
  };
}

/** The longest request that is known of. */
function work(context: Context): Rung {
  const { app } = context.values;
  const rung = setting(
    context,
    "longest request",
    app > 0 || longestWork(context.values) === 0 ? "app" : "downstream",
    [],
  );
  return { ...rung, state: "last" };
}

function reckoned(name: string, ms: number): Rung {
  const source: Source = { kind: "reckoned", path: "", file: "", line: 0 };
  return { name, ms, source, tries: [], less: [], note: "", state: "unknown", spare: null };
}

function setting({ way, values, locate }: Context, name: string, of: SettingName, ids: readonly RuleId[]): Rung {
  const ms = values[of];
  const compared = rules.filter(({ id }) => ids.includes(id)).flatMap((rule) => standing(rule, values));
  const spare = compared.length === 0 ? null : Math.min(...compared.map((each) => each.spare));
  return {
    name,
    ms: ms === 0 ? null : ms,
    source: sourceOf(way, of, ms, locate),
    tries: [],
    less: [],
    note: "",
    state: compared.length === 0 ? "unknown" : worst(compared.map((each) => each.state)),
    spare,
  };
}

interface Standing {
  readonly state: "holds" | "tight" | "broken";
  readonly spare: number;
}

function standing(rule: Rule, values: Values): Standing[] {
  const compared = rule.compare(values);
  if (compared === null) return [];
  const found = verdict(rule, compared);
  const state = found === "fine" ? "holds" : found === "warning" ? "tight" : "broken";
  return [{ state, spare: compared.upper - compared.lower }];
}

function worst(states: readonly Standing["state"][]): Standing["state"] {
  return states.includes("broken") ? "broken" : states.includes("tight") ? "tight" : "holds";
}

function sourceOf(way: Way, of: SettingName, ms: number, locate: Locate | null): Source {
  const places = way.settings[of];
  for (const { path } of places) {
    const found = locate?.(path) ?? null;
    if (found !== null) return { kind: "written", path: formatPath(found.path), file: found.file, line: found.line };
  }
  // Last: the pool's own key, or the only one.
  const path = formatPath(places.at(-1)?.path ?? []);
  const kind = ms === 0 ? "undeclared" : locate === null ? "running" : "default";
  return { kind, path, file: "", line: 0 };
}
