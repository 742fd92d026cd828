// What an origin's behaviour is made of. Kept apart from origins and from the ready-made scripts, which both need it.
import type { OriginConnection } from "./origin-connection.ts";

/** One request as the origin saw it. */
export interface SeenRequest {
  readonly method: string;
  readonly target: string;
  /** Names as they arrived, in their order. */
  readonly headers: readonly (readonly [string, string])[];
  /** The body, or its first bytes when it was larger than what the origin keeps. */
  readonly body: Uint8Array;
  /** Length of the whole body. */
  readonly bodyLength: number;
  /** Connections and requests are counted from 0; on one connection, requests are, too. */
  readonly connection: number;
  readonly index: number;
  readonly onConnection: number;
  /** The first value of a field, by its name in any case. */
  header(name: string): string | undefined;
}

/** What answers a request. Called when it is complete, or with its head when `Script.at` is "head". */
export type Answerer = (request: SeenRequest, connection: OriginConnection) => void | Promise<void>;

/** How an origin behaves: on connection, on head, on whole requests. Whatever is missing does nothing. */
export interface Script {
  readonly onConnect?: (connection: OriginConnection) => void;
  readonly onHead?: Answerer;
  readonly onRequest?: Answerer;
  /** The peer has sent its FIN. Without this the origin sends its own once its answers are written. */
  readonly onEnd?: (connection: OriginConnection) => void;
}
