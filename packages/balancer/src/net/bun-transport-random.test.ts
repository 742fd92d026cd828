import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import fc from "fast-check";
import { createBunTransport } from "./bun-transport.ts";
import { asKind, describeKinds, type Kind } from "./fixtures/encrypted.ts";
import type { CloseReason, Connection, ConnectionHandler } from "./transport.ts";

// Both sides of real connections do random things in random order. Whatever they do, the promises of transport.ts hold.

const operations = ["write", "write a lot", "pause", "resume", "shutdown", "close", "reset", "pass"] as const;
const move = fc.record({ side: fc.nat(1), operation: fc.constantFrom(...operations) });

class Side implements ConnectionHandler {
  connection!: Connection;
  accepted = 0;
  received = 0;
  ended = false;
  reason: CloseReason | undefined;
  broken = "";
  /** A method of the connection runs: nothing may be told meanwhile. */
  calling = false;
  paused = false;
  shut = false;
  readonly #told = new Set<string>();

  #tell(what: string): void {
    if (this.calling) this.broken ||= `${what} inside a call`;
    if (this.reason !== undefined) this.broken ||= `${what} after close`;
    if (what !== "data" && what !== "drain" && this.#told.has(what)) this.broken ||= `${what} twice`;
    this.#told.add(what);
  }
  onOpen(): void {
    this.#tell("open");
  }
  onData(bytes: Uint8Array): void {
    this.#tell("data");
    if (this.paused) this.broken ||= "data while paused";
    if (this.ended) this.broken ||= "data after end";
    this.received += bytes.length;
  }
  onDrain(): void {
    this.#tell("drain");
  }
  onEnd(): void {
    this.#tell("end");
    this.ended = true;
  }
  onClose(reason: CloseReason): void {
    this.#tell("close");
    this.reason = reason;
  }
  do(operation: (typeof operations)[number]): void {
    const { connection } = this;
    this.calling = true;
    if (operation === "write" || operation === "write a lot") {
      const chunk = operation === "write" ? small : large;
      const alive = this.reason === undefined && !this.shut;
      const accepted = connection.write(chunk, 0, chunk.length);
      if (accepted < 0 || accepted > chunk.length) this.broken ||= `write returned ${accepted}`;
      if (alive) this.accepted += accepted;
    } else if (operation !== "pass") {
      connection[operation]();
      if (operation === "pause") this.paused = true;
      else if (operation === "resume") this.paused = false;
      else this.shut = true;
    }
    this.calling = false;
  }
}

const small = new Uint8Array(100);
const large = new Uint8Array(3_000_000);

describeKinds("random lives", (kind) => {
  test("of connections keep every promise and leave no descriptor", () => live(kind), 120_000);
});

async function live(kind: Kind): Promise<void> {
  const defects: unknown[] = [];
  const transport = asKind(createBunTransport({ onDefect: (error) => defects.push(error) }));
  let far: Side | undefined;
  const listener = transport.listen({ address: { kind: "tcp", host: "127.0.0.1", port: 0 } }, (connection) => {
    far = new Side();
    far.connection = connection;
    return far;
  });
  const before = readdirSync("/proc/self/fd").length;
  await fc.assert(
    fc.asyncProperty(fc.array(move, { maxLength: 25 }), fc.boolean(), async (moves, orderly) => {
      far = undefined;
      const near = new Side();
      near.connection = transport.connect({ kind: "tcp", host: "127.0.0.1", port: listener.port }, near);
      while (far === undefined) await turn();
      const sides = [near, far as Side] as const;
      let cut = false;
      for (const { side, operation } of moves) {
        if (operation === "close" || operation === "reset") {
          if (orderly) continue;
          cut = true;
        }
        if (operation === "pass") await turn();
        else sides[side]!.do(operation);
      }
      if (orderly) {
        // Everything accepted arrives, then the end, on both sides.
        for (const side of sides) side.do("resume");
        for (const side of sides) side.do("shutdown");
        while (sides.some((side) => side.reason === undefined)) await turn();
        expect(cut).toBe(false);
        expect(sides.map((side) => [side.received, side.ended, side.reason])).toEqual([
          [sides[1].accepted, true, "closed"],
          [sides[0].accepted, true, "closed"],
        ]);
      } else {
        for (const side of sides) side.do("reset");
        while (sides.some((side) => side.reason === undefined)) await turn();
        await turn();
        expect(sides[0].received).toBeLessThanOrEqual(sides[1].accepted);
        expect(sides[1].received).toBeLessThanOrEqual(sides[0].accepted);
      }
      expect(sides.map((side) => side.broken)).toEqual(["", ""]);
    }),
    { numRuns: kind === "plain" ? 150 : 60 },
  );
  while (readdirSync("/proc/self/fd").length > before) await turn();
  listener.close();
  expect(defects).toEqual([]);
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}
