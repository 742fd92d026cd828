import { expect, test } from "bun:test";
import { staleWorker } from "../fixtures/stale-worker.ts";
import { logFlow } from "./books.ts";

test("nothing of an earlier line is left in that of a flow", () => {
  const { context, logged } = staleWorker();
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
