// The process in which a configuration written in TypeScript runs, and nothing else: started by read-module.ts, which ends it.
import { moduleFailure } from "@plimsoll/balancer/src/config/module-failure.ts";
import type { ModuleMessage } from "./read-module.ts";

const file = process.argv[2] ?? "";
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
