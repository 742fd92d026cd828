// Whether the terminal that we were started from is still there. SIGHUP means "reload" to a balancer, and "your terminal was
// closed" to everything else; the terminal itself tells which is meant.
import { closeSync, openSync } from "node:fs";

const atStart = hasTerminal();

/** True when we had a controlling terminal and have lost it. */
export function terminalClosed(): boolean {
  return atStart && !hasTerminal();
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false;
  }
}
