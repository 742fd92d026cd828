// What a configuration written in TypeScript calls. Apart from everything that checks one, because the process in which such a
// file runs needs nothing else.
import type { ConfigInput } from "./schema/config.ts";

/** Gives an editor the types of a configuration. Returns it as it is. */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config;
}
