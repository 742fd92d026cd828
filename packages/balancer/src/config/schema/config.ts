// The whole configuration. Everything else (types, defaults, checks, docs/config.md, the JSON Schema) is read off here.
import { z } from "zod";
import { acmeSchema } from "./issuing.ts";
import { adminSchema, memorySchema, shutdownSchema, workersSchema } from "./admin.ts";
import { written } from "./leaf.ts";
import { listenerSchema } from "./listeners.ts";
import { logSchema } from "./log.ts";
import { poolSchema } from "./pools.ts";

/** Names go into metrics, messages and the admin API's paths. */
const name = written({ noun: "a name", hint: "letters, digits, . - and _" }, (key) =>
  /^[A-Za-z0-9_][\w.-]{0,63}$/.test(key)
    ? key
    : { reason: "a name has letters, digits, . - and _ only, 64 at most", hint: "write it without spaces" },
);

export const configSchema = z.strictObject({
  listeners: z.record(name, listenerSchema).describe("Where clients are accepted, by name."),
  pools: z.record(name, poolSchema).default({}).describe("The applications, by name."),
  acme: acmeSchema.optional(),
  admin: adminSchema,
  log: logSchema,
  workers: workersSchema,
  memory: memorySchema,
  shutdown: shutdownSchema,
});

/** What a person writes, in YAML or with `defineConfig`. */
export type ConfigInput = z.input<typeof configSchema>;

/** What a person wrote, with defaults and with every value parsed. */
export type Config = z.output<typeof configSchema>;
