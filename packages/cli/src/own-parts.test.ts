import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { calledAs, moduleReaderCommand, ownParts, shopCommand, workerCommand } from "./own-parts.ts";

test("as npm installs it, every part is a file that is there, run by this Bun with its flags", () => {
  const commands = [workerCommand(), moduleReaderCommand("/app/plimsoll.config.ts").slice(0, -1)];
  for (const command of commands) {
    expect(command.slice(0, -1)).toEqual([process.execPath, ...process.execArgv]);
    expect([command.at(-1), existsSync(command.at(-1) ?? "")]).toEqual([expect.stringMatching(/\.ts$/), true]);
  }
  expect(moduleReaderCommand("/app/plimsoll.config.ts").at(-1)).toBe("/app/plimsoll.config.ts");
  expect(calledAs).toBe("npx plimsoll");
});

test("the shop runs under Node where it is at hand, without flags that are Bun's", () => {
  const node = Bun.which("node");
  const [program, ...rest] = shopCommand();
  expect(program).toBe(node ?? process.execPath);
  expect(rest.at(-1)).toEndWith("/demo-shop/server.mjs");
  if (node !== null) expect(rest).toHaveLength(1);
});

test("no command of the table has the name of a hidden part", () => {
  for (const word of Object.keys(ownParts)) expect(word).toStartWith("__");
});
