// Builds the command line parser from the table. The only file that knows commander.
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { CommandError, exitCode, UsageError, type CommandSpec, type Io, type OptionSpec } from "./spec.ts";

/** What is printed above the list of commands. */
const about = `A load balancer that also finds out what will break when it is put in front of an application.

  plimsoll up -n 3 -- npm start      three instances of your application, balanced
  plimsoll demo                      three instances of a sample shop, to play with`;

/**
 * Parses `args` (without the program's name), runs the command it names and resolves to the exit code: what the command
 * returned, 0 after help, 1 after a CommandError, 2 after a mistake on the command line. Other errors are passed on.
 */
export async function runProgram(
  table: readonly CommandSpec[],
  args: readonly string[],
  io: Io,
  version: string,
): Promise<number> {
  let code: number = exitCode.ok;
  const program = new Command("plimsoll")
    .description(about)
    .version(version, "-v, --version", "print the version")
    .helpOption("-h, --help", "show help")
    .helpCommand("help [command]", "show the help of a command")
    .enablePositionalOptions()
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({ writeOut: io.out, writeErr: io.err, getOutHelpWidth: () => 100, getErrHelpWidth: () => 100 })
    .addHelpText("after", "\nRun `plimsoll <command> --help` for options and an example.");
  for (const spec of table) {
    addCommand(program, spec, async (options, rest) => {
      code = await spec.run({ options, args: rest, io });
    });
  }
  try {
    await program.parseAsync(arrange(table, args), { from: "user" });
    return code;
  } catch (error) {
    return explainFailure(error, io);
  }
}

/**
 * `help drain` becomes `drain --help`, and of a command that there is not, only its name is left: commander takes `help --help`
 * for a mistake, and for `help darin` and `darin --help` prints everything without a word about the mistake.
 */
function arrange(table: readonly CommandSpec[], args: readonly string[]): string[] {
  const asksHelp = args[0] === "help";
  const rest = asksHelp ? args.slice(1).filter((arg) => arg !== "-h" && arg !== "--help" && arg !== "help") : args;
  const [name] = rest;
  if (asksHelp && rest.length > 1) throw new UsageError(`help is about one command: plimsoll help ${name}`);
  if (name !== undefined && !table.some((spec) => spec.name === name) && !name.startsWith("-")) return [name];
  return asksHelp && name?.startsWith("-") !== true ? [...rest, "--help"] : [...rest];
}

function addCommand(
  program: Command,
  spec: CommandSpec,
  run: (options: object, args: readonly string[]) => Promise<void>,
): void {
  const command = program
    .command(spec.name)
    .summary(spec.summary)
    .description(spec.about === undefined ? spec.summary : `${spec.summary}\n\n${spec.about.replaceAll("\n", " ")}`)
    .helpOption("-h, --help", "show this help")
    .allowExcessArguments(false)
    .showHelpAfterError(`(plimsoll ${spec.name} --help shows how)`);
  if (spec.passThrough === true) command.passThroughOptions();
  for (const argument of spec.args ?? []) command.argument(argument.name, argument.about);
  for (const option of spec.options) command.addOption(toOption(option));
  const width = Math.max(...spec.examples.map(([line]) => line.length));
  const lines = spec.examples.map(([line, what]) => `  ${line.padEnd(width)}   ${what}`);
  command.addHelpText("after", `\n${lines.length > 1 ? "Examples" : "Example"}:\n${lines.join("\n")}`);
  command.action(async () => run(command.opts(), command.args));
}

function toOption(spec: OptionSpec): Option {
  const option = new Option(spec.flags, spec.about);
  const { parse, repeat, fallback } = spec;
  if (parse !== undefined || repeat === true) {
    option.argParser((text: string, before: unknown) => {
      const value = parse === undefined ? text : readValue(parse, text);
      return repeat === true ? [...(Array.isArray(before) ? before : []), value] : value;
    });
  }
  if (repeat === true) option.default([], "none");
  if (fallback !== undefined) option.default(parse === undefined ? fallback : parse(fallback), fallback);
  return option;
}

function readValue(parse: (text: string) => unknown, text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof UsageError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

/** Says what went wrong, unless commander has, and gives the exit code. */
function explainFailure(error: unknown, io: Io): number {
  // commander's own exit code for help and version is 0, for every mistake 1; ours for a mistake is 2.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.ok : exitCode.usage;
  if (error instanceof UsageError || error instanceof CommandError) {
    io.err(`plimsoll: ${error.message}\n`);
    return error instanceof UsageError ? exitCode.usage : exitCode.failed;
  }
  throw error;
}
