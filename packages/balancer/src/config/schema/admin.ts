// schema/: one schema by area, which gives types, defaults, checks, documents and editor support at once. It must not know
// how parts refer to each other (that is meaning/) nor where they stand in a file. Here: the operator's own door.
import { z } from "zod";
import { parseListen } from "../address.ts";
import { ownGraceSchema } from "./declared.ts";
import { parseSize } from "../../base/units.ts";
import { duration, integer, leafFacts, shorthand, written } from "./leaf.ts";

export const adminSchema = shorthand(
  "address",
  z.strictObject({
    address: written({ noun: "an address to listen on", hint: "write 127.0.0.1:9090, or off" }, (text) =>
      text === "off" ? null : parseListen(text),
    )
      .meta({ examples: ["127.0.0.1:9090", "off"] })
      .prefault("127.0.0.1:9090")
      .describe(
        "IP address and port, or `off`. Whoever reaches it can stop and change this program: keep it on loopback.",
      ),
  }),
)
  .prefault({})
  .describe("Metrics, status and commands. `admin: off` closes it.");

export const workersSchema = z
  .union([z.literal("auto"), integer(1, 256)])
  .register(leafFacts, { noun: "a number of processes or auto", hint: "write auto, or a whole number from 1 to 256" })
  .default("auto")
  .describe(
    "Processes that carry traffic; `auto` is one for each core that this process may use: affinity, cpuset and the quota of its control group count. Another number takes effect with `plimsoll upgrade`.",
  );

const leastMemory = 32 * 1024 * 1024;

export const memorySchema = written(
  { noun: "a size or auto", hint: "write auto, or a size such as 512MiB" },
  (text) => {
    if (text === "auto") return text;
    const bytes = parseSize(text);
    if (typeof bytes !== "number" || bytes >= leastMemory) return bytes;
    return { reason: "it is less than a worker needs to start", hint: "write auto, or 32MiB at least" };
  },
)
  .meta({ pattern: "^(\\$\\{.*|auto|\\d+(\\.\\d+)?([KMGT]i?)?B)$", examples: ["auto", "512MiB"] })
  .prefault("auto")
  .describe(
    "Memory that all workers together may use; `auto` is what their control group or the machine has. From 90 % of it idle connections are closed, from 95 % no new ones are accepted: they wait in the kernel.",
  );

export const shutdownSchema = z
  .strictObject({
    lag: duration({ zero: true })
      .prefault("2s")
      .describe(
        "After SIGTERM, how long new connections are still accepted while readiness already says no: whatever stands in front needs that long to hear of it.",
      ),
    window: duration({ zero: true }).prefault("30s").describe("Longest wait for what is in flight before it is cut."),
    stopGrace: ownGraceSchema,
  })
  .prefault({})
  .describe("How the program stops.");
