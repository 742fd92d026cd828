// What a connection that was never made is called, by why it was not.
import type { FaultCode } from "../base/fault.ts";
import type { CloseReason } from "../net/transport.ts";

export const connectFaults: Readonly<Record<CloseReason, FaultCode>> = {
  closed: "connect-failed",
  reset: "connect-failed",
  refused: "connect-refused",
  unreachable: "connect-failed",
  handshake: "upstream-tls-failed",
  untrusted: "upstream-certificate-invalid",
  expired: "upstream-certificate-expired",
  misnamed: "upstream-certificate-misnamed",
};
