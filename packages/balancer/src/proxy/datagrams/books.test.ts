import { expect, test } from "bun:test";
import { type AccessRecord, blankAccessRecord } from "../../observe/access-record.ts";
import type { EngineContext } from "../engine-context.ts";
import { logFlow } from "./books.ts";

/** A worker whose last line was full of other things, and what it logs next. */
function worker(): { readonly context: EngineContext; readonly logged: AccessRecord[] } {
  const logged: AccessRecord[] = [];
  const record = blankAccessRecord() as unknown as Record<string, unknown>;
  for (const [key, value] of Object.entries(record)) {
    record[key] =
      typeof value === "string" ? "stale" : typeof value === "number" ? 4711 : value === false ? true : ["stale"];
  }
  const context = {
    clock: { now: () => 500, wall: () => 1_000_500 },
    record,
    log: { exchange: (one: AccessRecord) => void logged.push({ ...one }) },
  };
  return { context: context as unknown as EngineContext, logged };
}

test("nothing of an earlier line is left in that of a flow", () => {
  const { context, logged } = worker();
  const flow = {
    since: 100,
    route: { name: "all" },
    destination: { pool: { plan: { name: "dns" } } },
    endpoint: { id: "127.0.0.1:53" },
    client: { address: "192.0.2.7" },
    bytesIn: 1,
    bytesOut: 2,
    firstByteAt: 0,
    fault: "",
    ended: "idle",
  };
  logFlow(context, flow as unknown as Parameters<typeof logFlow>[1], "dns");
  const values = JSON.stringify(logged[0]);
  expect(values).not.toContain("stale");
  expect(values).not.toContain("4711");
});
