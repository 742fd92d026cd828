// PostgreSQL and Redis, in processes and folders of their own, for the tests of this folder.
import { chmodSync, chownSync, cpSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { freePort, type Program, startProgram } from "@plimsoll/testbed/processes";

/** The folder with PostgreSQL's own programs, which Debian keeps out of the search path. */
function binaries(): string {
  const versions = existsSync("/usr/lib/postgresql") ? readdirSync("/usr/lib/postgresql") : [];
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0];
  if (newest === undefined) throw new Error("there is no PostgreSQL under /usr/lib/postgresql");
  return `/usr/lib/postgresql/${newest}/bin`;
}

/** PostgreSQL refuses to run as root. */
const isRoot = process.getuid?.() === 0;
const asPostgres = isRoot ? ["runuser", "-u", "postgres", "--"] : [];

/** Lets the user postgres pass through the folders above this one, which the test run made for root alone. */
function letThrough(folder: string): void {
  for (let above = dirname(folder); above !== "/"; above = dirname(above)) {
    const { mode } = statSync(above);
    if ((mode & 0o001) === 0) chmodSync(above, mode | 0o001);
  }
}

function output(argv: readonly string[]): string {
  const done = Bun.spawnSync([...argv], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  return done.exitCode === 0 ? done.stdout.toString().trim() : "";
}

export interface Server {
  readonly port: number;
  readonly program: Program;
  /** In order, as an operator stops it. */
  stop(): Promise<void>;
}

/** Several PostgreSQL servers with the same (empty) data; `remove` ends what still runs and takes the data away. */
export async function startPostgres(
  count: number,
): Promise<{ readonly servers: readonly Server[]; remove(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), "layer4-postgres-"));
  if (isRoot) letThrough(folder);
  if (isRoot) chownSync(folder, Number(output(["id", "-u", "postgres"])), Number(output(["id", "-g", "postgres"])));
  const data = (index: number): string => join(folder, `data-${index}`);
  const servers: Server[] = [];
  const remove = async (): Promise<void> => {
    for (const { program } of servers) await program.kill();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const made = await startProgram([
      ...asPostgres,
      join(binaries(), "initdb"),
      ...["-D", data(0), "-U", "shop", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8"],
    ]);
    if ((await made.ended).code !== 0) throw new Error(`initdb failed:\n${made.output}`);
    for (let index = 1; index < count; index++) {
      if (isRoot) output([...asPostgres, "cp", "-r", data(0), data(index)]);
      else cpSync(data(0), data(index), { recursive: true });
    }
    for (let index = 0; index < count; index++) {
      const port = await freePort();
      const program = await startProgram(
        [
          ...asPostgres,
          join(binaries(), "postgres"),
          ...["-D", data(index), "-h", "127.0.0.1", "-p", String(port), "-k", folder, "-F"],
        ],
        { ready: /database system is ready to accept connections/ },
      );
      servers.push({ port, program, stop: () => stopFast(program, data(index)) });
    }
    return { servers, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** "fast": clients are disconnected and nothing is waited for. */
async function stopFast(program: Program, data: string): Promise<void> {
  output([...asPostgres, join(binaries(), "pg_ctl"), "stop", "-D", data, "-m", "fast", "-w"]);
  await program.ended;
}

export async function startRedis(password = ""): Promise<Server> {
  const port = await freePort();
  const argv = ["redis-server", "--bind", "127.0.0.1", "--port", String(port), "--save", "", "--appendonly", "no"];
  if (password !== "") argv.push("--requirepass", password);
  const program = await startProgram(argv, { ready: /Ready to accept connections/, cwd: tmpdir() });
  return { port, program, stop: async () => void (await program.stop()) };
}
