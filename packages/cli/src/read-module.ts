// A configuration written in TypeScript is a program, and what a program can do must not happen to the balancer: one that waits
// for ever would hold up every later change and the stop, one that exits would end it. So it runs in a process of its own. That
// also reads anew what it imports; in this process modules are kept, and a reload would not see a change in them.
import { unplaced } from "@plimsoll/balancer/src/config/module-failure.ts";
import type { ModuleMessage } from "./module-reader.ts";
import { moduleReaderCommand } from "./own-parts.ts";

/** Ms that a module may take; it may ask others for values, but a reload waits for it. */
const patience = 10_000;

/** Runs `file`, absolute, in the folder `cwd`; its default export, awaited, or called where it is a function. Plain data only. */
export async function readModule(
  file: string,
  cwd: string,
  env: Readonly<Record<string, string | undefined>>,
  limit = patience,
): Promise<ModuleMessage> {
  const { promise, resolve } = Promise.withResolvers<ModuleMessage>();
  const failed = (why: string): void => resolve({ kind: "failed", failure: unplaced(why) });
  const child = Bun.spawn([...moduleReaderCommand(file)], {
    cwd,
    env: { ...env },
    // What it prints must not get between the JSON that a command prints.
    stdio: ["ignore", 2, "inherit"],
    serialization: "advanced",
    ipc: (message) => resolve(message as ModuleMessage),
    onExit: (_, code, signal) =>
      // A message that was sent may still be on its way.
      void setTimeout(() => failed(`it ended before it said anything (${signal ?? `exit code ${code}`})`), 100),
  });
  const timer = setTimeout(() => failed(`it was not done after ${limit / 1000} s`), limit);
  const message = await promise;
  clearTimeout(timer);
  child.kill("SIGKILL");
  await child.exited;
  return message;
}
