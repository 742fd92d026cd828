import { describe, expect, test } from "bun:test";
import { commands } from "./commands.ts";
import { completionScript, shells, type Shell } from "./completions.ts";

const script = completionScript("bash", commands);

/** What bash offers for the last of `words`. */
function complete(...words: readonly string[]): string[] {
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const program = `${script}
COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; _plimsoll; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr, exitCode } = Bun.spawnSync(["bash", "--norc", "-c", program], { cwd: import.meta.dir });
  expect([stderr.toString(), exitCode]).toEqual(["", 0]);
  return stdout
    .toString()
    .split("\n")
    .filter((line) => line !== "")
    .toSorted();
}

describe("bash", () => {
  test("the script is valid", () => {
    const { exitCode, stderr } = Bun.spawnSync(["bash", "-n"], { stdin: new TextEncoder().encode(script) });
    expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  });

  test("commands", () => {
    expect(complete("plimsoll", "u")).toEqual(["undrain", "up", "upgrade"]);
    expect(complete("plimsoll", "")).toEqual(
      [...commands.map((spec) => spec.name), "help", "--help", "--version"].toSorted(),
    );
  });

  test("options of a command, and the values they take", () => {
    expect(complete("plimsoll", "explain", "--o")).toEqual(["--offline"]);
    expect(complete("plimsoll", "explain", "-X", "P")).toEqual(["POST", "PUT"]);
    expect(complete("plimsoll", "run", "--log-format", "")).toEqual(["json", "text"]);
    expect(complete("plimsoll", "up", "--drain", "")).toEqual([]);
  });

  test("files, words and commands as arguments", () => {
    expect(complete("plimsoll", "check", "-c", "completions.te")).toEqual(["completions.test.ts"]);
    expect(complete("plimsoll", "completions", "")).toEqual(["bash", "fish", "zsh"]);
    expect(complete("plimsoll", "help", "dem")).toEqual(["demo"]);
    expect(complete("plimsoll", "up", "ech")).toContain("echo");
  });
});

describe("zsh and fish", () => {
  const checkers: Partial<Record<Shell, readonly string[]>> = { zsh: ["zsh", "-n"], fish: ["fish", "--no-execute"] };
  for (const shell of shells) {
    test(`${shell}: every command and every option is in the script`, () => {
      const text = completionScript(shell, commands);
      for (const spec of commands) {
        expect(text).toContain(spec.name);
        for (const option of spec.options) {
          const long = /--([\w-]+)/.exec(option.flags)?.[1] ?? "";
          expect(text).toContain(shell === "fish" ? `-l ${long}` : `--${long}`);
        }
      }
      // Quotes of an about text must not end the shell's.
      expect((text.match(/'/g) ?? []).length % 2).toBe(0);
    });

    const checker = checkers[shell];
    if (checker !== undefined && Bun.which(shell) !== null) {
      test(`${shell}: the script is valid`, () => {
        const stdin = new TextEncoder().encode(completionScript(shell, commands));
        const { exitCode, stderr } = Bun.spawnSync([...checker], { stdin });
        expect([exitCode, stderr.toString()]).toEqual([0, ""]);
      });
    }
  }
});
