// Probes that hand the whole question to somebody else and only watch the clock.
import type { ReadinessPlan } from "../plan.ts";
import type { ProbeNetwork, Seen } from "./probe.ts";

/**
 * Lets `ask` find out, for `plan.timeout` at most. Its signal aborts when time is up or when `signal` does; what it says after
 * that is not heard. `slow` says what is said then.
 */
export async function askWithin(
  network: Pick<ProbeNetwork, "clock" | "timers">,
  plan: ReadinessPlan,
  signal: AbortSignal,
  slow: string,
  ask: (signal: AbortSignal) => Promise<Pick<Seen, "ok" | "detail">>,
): Promise<Seen> {
  const { clock, timers } = network;
  const started = clock.now();
  if (signal.aborted) return { ok: false, detail: "cancelled", took: 0 };
  const over = new AbortController();
  const { promise, resolve } = Promise.withResolvers<Pick<Seen, "ok" | "detail">>();
  const end = (detail: string): void => {
    resolve({ ok: false, detail });
    over.abort();
  };
  const cancelled = (): void => end("cancelled");
  signal.addEventListener("abort", cancelled);
  const stopTimer = timers.after(plan.timeout, () => end(`${slow} within ${plan.timeout} ms`));
  void ask(over.signal).then(resolve);
  const { ok, detail } = await promise;
  stopTimer();
  signal.removeEventListener("abort", cancelled);
  return { ok, detail, took: clock.now() - started };
}
