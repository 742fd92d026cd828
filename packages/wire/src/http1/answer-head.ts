// What is known of an answer once its head is parsed.
import { Fields } from "./fields.ts";

/** What a parse found, as positions into the bytes it was given. Reused from answer to answer; valid after success only. */
export class AnswerHead {
  readonly fields = new Fields();
  /** 0 or 1. */
  minor = 0;
  status = 0;
  /** The reason phrase, without the space before it; empty also where the upstream left that space out. */
  reasonStart = 0;
  reasonEnd = 0;
  /** A `Framing`. None for HEAD, 1xx, 204, 304 and a 2xx to CONNECT, whatever the fields say. */
  framing = 0;
  /** What Content-Length says, -1 without one. Where framing is none (HEAD, 304) it speaks of a body that is not sent. */
  contentLength = -1;
  keepAlive = false;
  /** Whole seconds of `Keep-Alive: timeout=N`, -1 if not said. */
  keepAliveTimeout = -1;
  /** A 101 whose Connection names upgrade and that has one Upgrade field. */
  upgrade = false;
  upgradeStart = 0;
  upgradeEnd = 0;
  /** Position after the head. */
  end = 0;
}
