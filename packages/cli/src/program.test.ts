import { describe, expect, test } from "bun:test";
import { commands } from "./commands.ts";
import { runProgram } from "./program.ts";
import { CommandError, UsageError, type CommandSpec } from "./spec.ts";
import { testIo } from "./test-io.ts";

async function call(args: readonly string[], table: readonly CommandSpec[] = commands) {
  const io = testIo();
  const code = await runProgram(table, args, io, "1.2.3");
  return { code, ...io.printed };
}

/** A command that tells what it got. */
function recorder(change: Partial<CommandSpec> = {}): { spec: CommandSpec; got: unknown[] } {
  const got: unknown[] = [];
  const spec: CommandSpec = {
    name: "record",
    summary: "record",
    options: [],
    examples: [["plimsoll record", "records"]],
    run: ({ options, args }) => {
      got.push({ options, args });
      return Promise.resolve(7);
    },
    ...change,
  };
  return { spec, got };
}

describe("every command", () => {
  for (const spec of commands) {
    test(`${spec.name}: help with a summary and an example that begins with its name`, async () => {
      const { code, out, err } = await call([spec.name, "--help"]);
      expect(code).toBe(0);
      expect(err).toBe("");
      expect(out).toContain(spec.summary);
      expect(out).toMatch(/\nExamples?:\n/);
      expect(spec.examples.length).toBeGreaterThan(0);
      for (const [line] of spec.examples) expect(line).toContain(`plimsoll ${spec.name}`);
      for (const option of spec.options) expect(out).toContain(option.flags);
    });
  }

  test("is in the contract, and the contract is in the table", () => {
    const contract =
      "up run check cert audit explain status top drain undrain disable enable reload upgrade stop demo completions version";
    expect(commands.map((spec) => spec.name).toSorted()).toEqual(contract.split(" ").toSorted());
  });
});

describe("every command's exit codes", () => {
  for (const spec of commands) {
    test(`${spec.name}: 0 for every way to ask for help`, async () => {
      const asked = await call([spec.name, "--help"]);
      expect(asked.out).toStartWith(`Usage: plimsoll ${spec.name} `);
      for (const args of [
        [spec.name, "-h"],
        ["help", spec.name],
        ["help", spec.name, "--help"],
        ["help", "-h", spec.name],
      ]) {
        expect([args, await call(args)]).toEqual([args, asked]);
      }
    });

    test(`${spec.name}: 2 and a sentence on stderr for what it does not know`, async () => {
      for (const args of [
        [spec.name, "--no-such-option"],
        [spec.name, "--no-such-option", "--", "true"],
      ]) {
        const { code, out, err } = await call(args);
        expect([args, code, out]).toEqual([args, 2, ""]);
        expect(err).toMatch(/unknown option '--no-such-option'|is not available yet/);
      }
    });

    test(`${spec.name}: 2 for an option without its value, an argument too few or too many`, async () => {
      for (const { flags } of spec.options) {
        const [, long] = /(--[a-z-]+) </.exec(flags) ?? [];
        if (long === undefined) continue;
        const { code, out, err } = await call([spec.name, long]);
        expect([long, code, out]).toEqual([long, 2, ""]);
        expect(err).toContain("argument missing");
      }
      const names = (spec.args ?? []).map(({ name }) => name);
      const required = names.filter((name) => name.startsWith("<"));
      if (required.length > 0) {
        const { code, out, err } = await call([spec.name, ...required.slice(1).map(() => "x")]);
        expect([code, out]).toEqual([2, ""]);
        expect(err).toMatch(/missing required argument/);
      }
      if (!names.some((name) => name.includes("..."))) {
        const { code, out, err } = await call([spec.name, ...names.map(() => "x"), "x"]);
        expect([code, out]).toEqual([2, ""]);
        expect(err).toMatch(/too many arguments/);
      }
    });
  }

  test("help itself: with and without its own name and option, one command at a time, and the nearest one", async () => {
    const whole = await call(["--help"]);
    expect(whole.code).toBe(0);
    for (const args of [["-h"], ["help"], ["help", "--help"], ["help", "-h"], ["help", "help"]]) {
      expect([args, await call(args)]).toEqual([args, whole]);
    }
    for (const args of [["help", "darin"], ["darin", "--help"], ["darin"]]) {
      const { code, out, err } = await call(args);
      expect([args, code, out]).toEqual([args, 2, ""]);
      expect(err).toContain("unknown command 'darin'");
      expect(err).toContain("drain");
    }
    expect(await call(["help", "drain", "api/1"])).toEqual({
      code: 2,
      out: "",
      err: "plimsoll: help is about one command: plimsoll help drain\n",
    });
    expect((await call(["help", "--no-such"])).code).toBe(2);
    expect((await call(["--no-such"])).code).toBe(2);
  });
});

describe("mistakes", () => {
  test("the nearest command and option are named, exit code 2", async () => {
    const command = await call(["chekc"]);
    expect(command.code).toBe(2);
    expect(command.err).toContain("unknown command 'chekc'");
    expect(command.err).toContain("check");
    const option = await call(["version", "--jsno"]);
    expect(option.code).toBe(2);
    expect(option.err).toContain("--json");
    expect(option.out).toBe("");
  });

  test("values are refused with a sentence", async () => {
    const { code, err } = await call(["up", "-n", "many", "--", "true"]);
    expect(code).toBe(2);
    expect(err).toContain('The number of instances must be a whole number from 1 to 256, not "many".');
  });

  test("missing and superfluous arguments", async () => {
    expect((await call(["explain"])).code).toBe(2);
    expect((await call(["version", "x"])).code).toBe(2);
    expect((await call(["up"])).code).toBe(2);
  });

  test("no command at all: help on stderr, exit code 2", async () => {
    const { code, out, err } = await call([]);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain("Usage: plimsoll");
  });
});

describe("running", () => {
  test("the command's exit code is the program's", async () => {
    const { spec } = recorder();
    expect((await call(["record"], [spec])).code).toBe(7);
  });

  test("options are parsed, repeated ones collected, defaults filled in", async () => {
    const { spec, got } = recorder({
      options: [
        { flags: "-H, --header <h>", about: "h", repeat: true },
        { flags: "-n, --number <n>", about: "n", fallback: "3", parse: Number },
      ],
    });
    await call(["record", "-H", "a", "-H", "b"], [spec]);
    await call(["record", "-n", "5"], [spec]);
    expect(got).toEqual([
      { options: { header: ["a", "b"], number: 3 }, args: [] },
      { options: { header: [], number: 5 }, args: [] },
    ]);
  });

  test("what follows the first argument of a pass-through command is not ours", async () => {
    const { spec, got } = recorder({
      args: [{ name: "<command...>", about: "c" }],
      options: [{ flags: "-n <n>", about: "n" }],
      passThrough: true,
    });
    await call(["record", "-n", "2", "--", "node", "-n", "9", "--help"], [spec]);
    await call(["record", "node", "-n", "9"], [spec]);
    expect(got).toEqual([
      { options: { n: "2" }, args: ["node", "-n", "9", "--help"] },
      { options: {}, args: ["node", "-n", "9"] },
    ]);
  });

  test("a UsageError is 2, a CommandError 1, both one line; anything else is not caught", async () => {
    const failing = (error: Error) => recorder({ run: () => Promise.reject(error) }).spec;
    const usage = await call(["record"], [failing(new UsageError("not so"))]);
    expect([usage.code, usage.err]).toEqual([2, "plimsoll: not so\n"]);
    const failed = await call(["record"], [failing(new CommandError("not today"))]);
    expect([failed.code, failed.err]).toEqual([1, "plimsoll: not today\n"]);
    await expect(call(["record"], [failing(new TypeError("a defect"))])).rejects.toThrow("a defect");
  });

  test("--version", async () => {
    expect(await call(["--version"])).toEqual({ code: 0, out: "1.2.3\n", err: "" });
  });

  test("what is not built yet says so and exits with 2", async () => {
    for (const name of ["audit", "top"]) {
      const { code, err } = await call([name, "--", "npm", "start"]);
      expect([code, err]).toEqual([2, `plimsoll: ${name} is not available yet.\n`]);
    }
  });
});
