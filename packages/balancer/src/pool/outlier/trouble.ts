// What a failed try says of its endpoint.
import type { FaultCode } from "../../base/fault.ts";
import { EndpointCell } from "../../observe/table.ts";

/**
 * The cell in which a failed try is counted against its endpoint, or -1 where the endpoint is not to blame. `reused` says that
 * the connection had carried an exchange before: its end before an answer is then the keep-alive race, which is the
 * balancer's to avoid. Connect failures are counted where the connecting is.
 */
export function troubleOf(code: FaultCode, reused: boolean): number {
  switch (code) {
    case "upstream-closed":
    case "upstream-reset":
      return reused ? -1 : EndpointCell.resets;
    case "answer-truncated":
    case "answer-malformed":
      return EndpointCell.resets;
    case "first-byte-timeout":
    case "try-timeout":
    case "answer-idle-timeout":
    case "upload-idle-timeout":
      return EndpointCell.timeouts;
    default:
      return -1;
  }
}
