import { expect, test } from "bun:test";
import { type AccessRecord, blankAccessRecord } from "../../observe/access-record.ts";
import type { EngineContext } from "../engine-context.ts";
import { type BookedConnection, logConnection } from "./books.ts";

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

const connection: BookedConnection = {
  startedAt: 100,
  protocol: "TLS",
  source: "192.0.2.7",
  name: "db.example.com",
  route: null,
  dial: null,
  firstByteAt: 0,
  bytesIn: 3,
  bytesOut: 0,
  fault: "route-not-found",
  ended: "",
};

test("nothing of an earlier line is left in that of a connection", () => {
  const { context, logged } = worker();
  logConnection(context, connection, "tls");
  const values = JSON.stringify(logged[0]);
  expect(values).not.toContain("stale");
  expect(values).not.toContain("4711");
  expect(logged[0]).toMatchObject({
    time: 1_000_100,
    listener: "tls",
    host: "db.example.com",
    serverName: "db.example.com",
    durationMs: 400,
    connectMs: -1,
    queueMs: -1,
    attempts: 0,
    fault: "route-not-found",
    reusedConnection: false,
    tls: "",
  });
});
