// Waiting for something to become true, with an end and a reason when it does not.

/**
 * Waits until `look` returns something other than undefined, null and false, and returns that.
 * Throws an Error that says what was waited for after `timeout` ms.
 */
export async function eventually<T>(
  what: string,
  look: () => T | Promise<T>,
  timeout = 10_000,
  interval = 10,
): Promise<Exclude<T, undefined | null | false>> {
  const until = performance.now() + timeout;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== null && seen !== false) return seen as Exclude<T, undefined | null | false>;
    if (performance.now() > until) throw new Error(`not within ${timeout} ms: ${what}`);
    await Bun.sleep(interval);
  }
}

/** `promise`, or an Error that says what was waited for after `timeout` ms. */
export async function within<T>(timeout: number, what: () => string, promise: Promise<T>): Promise<T> {
  let alarm: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    alarm = setTimeout(() => reject(new Error(`not within ${timeout} ms: ${what()}`)), timeout);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(alarm);
  }
}
