// Makes completion scripts from the command table. The scripts hold the whole table, so completing starts no program.
import type { CommandSpec, Completion } from "./spec.ts";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

interface Flag {
  /** "--config" and, where there is one, "-c". */
  readonly names: readonly string[];
  readonly about: string;
  /** What its value is completed with; null when it takes none. */
  readonly value: Completion | null;
}

interface Entry {
  readonly name: string;
  readonly about: string;
  readonly flags: readonly Flag[];
  readonly argument: Completion;
  readonly passThrough: boolean;
}

/** The script that a shell sources. */
export function completionScript(shell: Shell, table: readonly CommandSpec[]): string {
  const entries = [...table.map(toEntry), helpEntry(table)];
  if (shell === "bash") return bashScript(entries);
  return shell === "zsh" ? zshScript(entries) : fishScript(entries);
}

function toEntry(spec: CommandSpec): Entry {
  const flags = spec.options.map((option): Flag => ({
    names: option.flags.split(/[ ,]+/).filter((part) => part.startsWith("-")),
    about: option.about,
    value: /[<[]/.test(option.flags) ? (option.complete ?? "none") : null,
  }));
  flags.push({ names: ["--help", "-h"], about: "show this help", value: null });
  return {
    name: spec.name,
    about: spec.summary,
    flags,
    argument: spec.args?.[0]?.complete ?? "none",
    passThrough: spec.passThrough === true,
  };
}

function helpEntry(table: readonly CommandSpec[]): Entry {
  const argument = table.map((spec) => spec.name);
  return { name: "help", about: "show the help of a command", flags: [], argument, passThrough: false };
}

function bashScript(entries: readonly Entry[]): string {
  const cases = entries.map((entry) => {
    const values = entry.flags
      .filter((flag) => flag.value !== null)
      .map((flag) => `        ${flag.names.join("|")}) ${bashReply(flag.value)}; return ;;`);
    const words = entry.flags.flatMap((flag) => flag.names).join(" ");
    return [
      `    ${entry.name})`,
      ...(values.length === 0 ? [] : ['      case "$before" in', ...values, "      esac"]),
      `      if [[ $word == -* ]]; then COMPREPLY=($(compgen -W "${words}" -- "$word")); return; fi`,
      // What follows `up` is another program's command line.
      entry.passThrough ? '      COMPREPLY=($(compgen -c -- "$word"))' : `      ${bashReply(entry.argument)}`,
      "      ;;",
    ].join("\n");
  });
  return `# plimsoll completion for bash
_plimsoll() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W "${entries.map((entry) => entry.name).join(" ")} --help --version" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
  esac
}
complete -F _plimsoll plimsoll
`;
}

function bashReply(completion: Completion | null): string {
  if (completion === "file") return 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$word"))';
  if (completion === null || completion === "none") return ":";
  return `COMPREPLY=($(compgen -W "${completion.join(" ")}" -- "$word"))`;
}

function zshScript(entries: readonly Entry[]): string {
  const names = entries.map((entry) => `    ${quoted(`${entry.name}:${entry.about}`)}`);
  const cases = entries.map((entry) => {
    const specs = entry.flags.map((flag) => zshFlag(flag));
    specs.push(entry.passThrough ? quoted("*::command:_normal") : quoted(`1:argument:${zshAction(entry.argument)}`));
    return `    ${entry.name}) _arguments -s ${specs.join(" ")} ;;`;
  });
  return `#compdef plimsoll
_plimsoll() {
  local -a commands=(
${names.join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local name=$words[2]
  shift words
  (( CURRENT-- ))
  case $name in
${cases.join("\n")}
  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _plimsoll "$@"; else compdef _plimsoll plimsoll; fi
`;
}

function zshFlag(flag: Flag): string {
  const about = flag.about.replace(/[[\]:]/g, (mark) => `\\${mark}`);
  const value = flag.value === null ? "" : `:value:${zshAction(flag.value)}`;
  const alternatives = flag.names.map((name) => quoted(`${name}[${about}]${value}`));
  return alternatives.join(" ");
}

function zshAction(completion: Completion): string {
  if (completion === "file") return "_files";
  return completion === "none" ? " " : `(${completion.join(" ")})`;
}

function fishScript(entries: readonly Entry[]): string {
  const lines = ["# plimsoll completion for fish", "complete -c plimsoll -f"];
  for (const { name, about, flags, argument } of entries) {
    lines.push(`complete -c plimsoll -n __fish_use_subcommand -a ${name} -d ${quoted(about)}`);
    const when = `-n ${quoted(`__fish_seen_subcommand_from ${name}`)}`;
    for (const flag of flags) {
      const names = flag.names.map((text) => (text.startsWith("--") ? `-l ${text.slice(2)}` : `-s ${text.slice(1)}`));
      const value = flag.value === null ? "" : ` ${fishValue(flag.value)}`;
      lines.push(`complete -c plimsoll ${when} ${names.join(" ")}${value} -d ${quoted(flag.about)}`);
    }
    if (argument === "file") lines.push(`complete -c plimsoll ${when} -F`);
    else if (argument !== "none") lines.push(`complete -c plimsoll ${when} -a ${quoted(argument.join(" "))}`);
  }
  return `${lines.join("\n")}\n`;
}

function fishValue(completion: Completion): string {
  if (completion === "file") return "-r -F";
  return completion === "none" ? "-x" : `-x -a ${quoted(completion.join(" "))}`;
}

/** A word in single quotes, for all three shells. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
