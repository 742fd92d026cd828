// What control/ asks of an engine. proxy/engine.ts is the one; a test may bring another.
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Address, Listener, Transport } from "../net/transport.ts";
import type { Wheel } from "../net/wheel.ts";
import type { AccessSink } from "../observe/access-record.ts";
import type { SharedTable } from "../observe/table.ts";
import type { EnginePlan } from "./messages.ts";

/** What an engine lives on. */
export interface EngineNeeds {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly wheel: Wheel;
  readonly table: SharedTable;
  readonly row: number;
  readonly log: AccessSink | null;
}

/** A snapshot that is built and waits. */
export interface Prepared {
  commit(): void;
  discard(): void;
}

/** The part of an engine that control/ calls. */
export interface WorkerEngine {
  /** Builds a snapshot; nothing changes before `commit`. */
  prepare(plan: EnginePlan): Prepared | { readonly problem: string };
  /** Begins to accept for a listener of the current snapshot, on an inherited socket. */
  listen(listener: string, fd: number | undefined, address: Address): Listener;
  /** Stops accepting, finishes what is in flight for up to `window` ms, then cuts. */
  stop(window: number): Promise<void>;
  /** Called about every 25 ms. */
  tick(now: number): void;
}

export type CreateEngine = (needs: EngineNeeds) => WorkerEngine;
