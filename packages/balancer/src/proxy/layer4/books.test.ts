import { expect, test } from "bun:test";
import { staleWorker } from "../fixtures/stale-worker.ts";
import { type BookedConnection, logConnection } from "./books.ts";

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
  const { context, logged } = staleWorker();
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
