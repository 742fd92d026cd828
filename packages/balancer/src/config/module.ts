// Configuration as a TypeScript module: `export default defineConfig({ ... })`. The same keys and checks as in YAML;
// problems have a path instead of a line, unless the module itself does not run. `${...}` is left alone, because the
// language has its own.
import type { FileReader } from "./file-reader.ts";
import { planValue, type Loaded } from "./load.ts";
import type { ModuleFailure } from "./module-failure.ts";
import { Places } from "./place.ts";
import { error } from "./problem.ts";

/** Checks and plans a configuration made by a program. `file` is named in problems and anchors relative paths. */
export function loadObject(value: unknown, file: string, reader: FileReader): Loaded {
  const places = new Places(file, null);
  if (typeof value !== "object" || value === null) {
    const hint = "write `export default defineConfig({ ... })`";
    return { problems: [places.problem(error([], "the module has no configuration as its default export", hint))] };
  }
  return planValue(value, { places, problems: [], unfilled: [] }, reader);
}

/** What there is to say when a module gave no value. `file` is absolute. */
export function notLoaded({ why, file: failed, line, column }: ModuleFailure, file: string): Loaded {
  const hint = why.includes("@plimsoll/")
    ? "without that package at hand, `export default { ... }` does the same"
    : undefined;
  const problem = new Places(file, null).problem(error([], `the module cannot be loaded: ${why}`, hint));
  return { problems: [line === 0 ? problem : { ...problem, file: failed, line, column }] };
}
