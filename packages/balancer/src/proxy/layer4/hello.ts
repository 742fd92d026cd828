// What is read of a TLS client before it is passed on unread: the name and the protocols that it asks for. The words in which
// it is refused are TLS's own, so that it says why in its own log.
import { type ClientHello, ClientHelloReader, HelloViolation } from "@plimsoll/wire/client-hello";
import type { FaultCode } from "../../base/fault.ts";

/** The descriptions of alerts that are sent (RFC 8446 §6.2). */
const Alert = { decodeError: 50, internalError: 80, unrecognizedName: 112 } as const;

/** A fatal alert in a record of its own. */
function alertRecord(description: number): Uint8Array {
  return Uint8Array.of(21, 3, 3, 0, 2, 2, description);
}

/** Reads a ClientHello as it comes in. */
export class HelloWait {
  readonly #reader = new ClientHelloReader();

  get hello(): ClientHello {
    return this.#reader.hello;
  }

  /** Whether the client spoke TLS as far as it was heard. */
  get isTls(): boolean {
    return this.#reader.violation !== HelloViolation.absent;
  }

  get whole(): boolean {
    return this.#reader.done;
  }

  /** Takes bytes; false when they are no ClientHello. */
  take(bytes: Uint8Array): boolean {
    this.#reader.step(bytes, 0, bytes.length);
    return this.#reader.violation === 0;
  }
}

/** What a client is told in TLS of why it is refused; null where there is nothing to tell or nobody who would understand. */
export function alertFor(code: FaultCode): Uint8Array | null {
  switch (code) {
    case "client-hello-malformed":
      return alertRecord(Alert.decodeError);
    case "route-not-found":
      return alertRecord(Alert.unrecognizedName);
    case "client-hello-timeout":
    case "client-gone":
    case "draining":
      return null;
    default:
      return alertRecord(Alert.internalError);
  }
}
