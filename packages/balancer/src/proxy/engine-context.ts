// What every session of a worker shares. One object, made when the worker starts; nothing in it changes with a reload.
import type { AnswerHead, RequestHead } from "@plimsoll/wire/http1";
import type { Clock } from "../base/clock.ts";
import { type FaultCode, faultCodes } from "../base/fault.ts";
import type { Random } from "../base/random.ts";
import type { HandshakeFailure } from "../net/tls.ts";
import type { Transport } from "../net/transport.ts";
import type { Wheel } from "../net/wheel.ts";
import type { AccessRecord, AccessSink } from "../observe/access-record.ts";
import { WorkerCell } from "../observe/table.ts";
import type { CurrentRequest } from "./current-request.ts";

export interface EngineContext {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly wheel: Wheel;
  readonly random: Random;
  /** The shared table's cells; sessions keep offsets into it. */
  readonly cells: Float64Array;
  /** First cell of this worker's own. */
  readonly own: number;
  readonly log: AccessSink | null;
  /** Told of each TLS handshake with a client that failed. */
  readonly handshakeFailed: (listener: string, failure: HandshakeFailure) => void;
  /** Filled anew for each exchange that is logged. */
  readonly record: AccessRecord;
  /** The head that was parsed last; used up before the next one is. */
  readonly requestHead: RequestHead;
  readonly answerHead: AnswerHead;
  readonly request: CurrentRequest;
  /** Makes `GET / HTTP/1.0` without Host whole: what we call ourselves. */
  readonly name: string;
}

const faultIndex = new Map<FaultCode, number>(faultCodes.map((code, index) => [code, index]));

/** Counts a fault; called in one place per exchange, so that none is counted twice. */
export function countFault(context: EngineContext, code: FaultCode): void {
  const cell = context.own + WorkerCell.faults + (faultIndex.get(code) ?? 0);
  context.cells[cell] = (context.cells[cell] ?? 0) + 1;
}
