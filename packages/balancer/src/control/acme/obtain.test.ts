import { expect, test } from "bun:test";
import { unlessAborted } from "./obtain.ts";

test("work that does not hear of the end is left alone, and what comes of it later is nobody's", async () => {
  const stop = new AbortController();
  const work = Promise.withResolvers<string>();
  const waited = unlessAborted(work.promise, stop.signal);
  stop.abort();
  expect(waited).rejects.toThrow("the program is stopping");
  await waited.catch(() => undefined);
  work.reject(new Error("the fortieth look was in vain"));
  expect(unlessAborted(Promise.resolve("there"), stop.signal)).rejects.toThrow("the program is stopping");
  expect(await unlessAborted(Promise.resolve("there"), new AbortController().signal)).toBe("there");
});
