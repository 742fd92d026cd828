// An Io that remembers, for the tests of this package only.
import type { Io } from "./spec.ts";

export interface TestIo extends Io {
  readonly printed: { out: string; err: string };
}

export function testIo(cwd = "/", env: Record<string, string | undefined> = {}): TestIo {
  const printed = { out: "", err: "" };
  return {
    printed,
    out: (text) => void (printed.out += text),
    err: (text) => void (printed.err += text),
    env,
    cwd,
    colour: false,
    columns: 100,
  };
}
