// What signals mean to the supervisor.
import { systemClock } from "../net/clock.ts";

/**
 * Signals this close together are one, come by several ways: Ctrl-C reaches the whole foreground group, and npm, npx and our
 * launcher, which are in it, pass it on once more each. In ms.
 */
const sameSignal = 500;

export interface SignalActions {
  /** SIGTERM, SIGINT. */
  stop(signal: string): void;
  /** A second one: no more patience. */
  stopNow(signal: string): void;
  /** SIGHUP. */
  reload(): void;
  /** SIGUSR1, for logrotate. */
  reopenLogs(): void;
  /** SIGUSR2. */
  upgrade(): void;
}

/** Listens for signals until the returned function is called. */
export function listenForSignals(actions: SignalActions): () => void {
  let stops = 0;
  let last = 0;
  const stop = (signal: string) => {
    const now = systemClock.now();
    if (stops > 0 && now - last < sameSignal) return;
    last = now;
    if (stops++ === 0) actions.stop(signal);
    else actions.stopNow(signal);
  };
  const reload = () => actions.reload();
  const reopen = () => actions.reopenLogs();
  const upgrade = () => actions.upgrade();
  // A closed terminal or log collector must not end the program: writing to it fails, and that is enough.
  const ignore = () => {};
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("SIGHUP", reload);
  process.on("SIGUSR1", reopen);
  process.on("SIGUSR2", upgrade);
  process.on("SIGPIPE", ignore);
  return () => {
    process.off("SIGTERM", stop);
    process.off("SIGINT", stop);
    process.off("SIGHUP", reload);
    process.off("SIGUSR1", reopen);
    process.off("SIGUSR2", upgrade);
    process.off("SIGPIPE", ignore);
  };
}
