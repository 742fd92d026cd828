// Configuration as a TypeScript module: `export default defineConfig({ ... })`. The same keys and checks as in YAML;
// problems have a path instead of a line. `${...}` is left alone, because the language has its own.
import type { FileReader } from "./error-pages.ts";
import { planValue, type Loaded } from "./load.ts";
import { Places } from "./place.ts";
import { error } from "./problem.ts";
import type { ConfigInput } from "./schema/config.ts";

/** Gives an editor the types of a configuration. Returns it as it is. */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config;
}

/** Checks and plans a configuration made by a program. `file` is named in problems and anchors relative paths. */
export function loadObject(value: unknown, file: string, reader: FileReader): Loaded {
  const places = new Places(file, null);
  if (typeof value !== "object" || value === null) {
    const hint = "write `export default defineConfig({ ... })`";
    return { problems: [places.problem(error([], "the module has no configuration as its default export", hint))] };
  }
  return planValue(value, { places, problems: [], unfilled: [] }, reader);
}

/**
 * Imports `plimsoll.config.ts`. Its default export is a configuration, or a function that returns one, or a promise of
 * either. `file` is absolute. `version` tells two readings of one file apart (a reload): modules are otherwise imported once only.
 */
export async function loadModule(file: string, reader: FileReader, version = 0): Promise<Loaded> {
  let value: unknown;
  try {
    const specifier = version > 0 ? `${file}?v=${version}` : file;
    const module = (await import(specifier)) as { readonly default?: unknown };
    value = await (typeof module.default === "function" ? (module.default as () => unknown)() : module.default);
  } catch (cause) {
    return notLoaded(cause instanceof Error ? cause.message : String(cause), file);
  }
  return loadObject(value, file, reader);
}

/** What there is to say when a module gave no value. */
export function notLoaded(why: string, file: string): Loaded {
  const hint = why.includes("@plimsoll/")
    ? "without that package at hand, `export default { ... }` does the same"
    : undefined;
  return { problems: [new Places(file, null).problem(error([], `the module cannot be loaded: ${why}`, hint))] };
}
