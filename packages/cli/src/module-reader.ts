// The process in which a configuration written in TypeScript runs, and nothing else: started by read-module.ts, which ends it.
import { defineConfig } from "@plimsoll/balancer/src/config/define.ts";
import { moduleFailure, type ModuleFailure } from "@plimsoll/balancer/src/config/module-failure.ts";

/** What this process says, once. */
export type ModuleMessage =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "failed"; readonly failure: ModuleFailure };

// What it imports of ours is at hand also where nothing is installed beside it: with npx, with a global install, and in the
// single executable.
Bun.plugin({
  name: "plimsoll",
  setup(build) {
    for (const name of ["plimsoll/config", "@plimsoll/balancer/config"]) {
      build.module(name, () => ({ exports: { defineConfig }, loader: "object" }));
    }
  },
});

const file = process.argv.at(-1) ?? "";
let message: ModuleMessage;
try {
  const module = (await import(file)) as { readonly default?: unknown };
  const value = await (typeof module.default === "function" ? (module.default as () => unknown)() : module.default);
  // Fails here, with words, for what cannot cross to another process: functions, mostly.
  message = { kind: "value", value: structuredClone(value) };
} catch (cause) {
  message = { kind: "failed", failure: moduleFailure(cause, file) };
}
process.send?.(message);
