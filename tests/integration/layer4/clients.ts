// Programs that are clients, run to their end.
import { startProgram } from "@plimsoll/testbed/processes";

/** How one ended, and what it printed. */
export interface Said {
  readonly code: number;
  readonly text: string;
}

export async function client(argv: readonly string[]): Promise<Said> {
  const program = await startProgram(argv);
  const { code } = await program.ended;
  await program.kill();
  return { code, text: program.output };
}
