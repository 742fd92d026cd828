import { expect, test } from "bun:test";
import { startAgain, type Started } from "./start-again.ts";

function command(started: Started, binary: string | null): readonly string[] {
  const again = startAgain(started);
  return "command" in again ? again.command(binary) : [];
}

test("from its folder: the same runtime, flags, entry and arguments", () => {
  const started = { execPath: "/n/bun", execArgv: ["--no-install"], argv: ["bun", "/n/main.ts", "run", "-c", "a b"] };
  expect(command(started, null)).toEqual(["/n/bun", "--no-install", "/n/main.ts", "run", "-c", "a b"]);
  expect(command(started, "/opt/plimsoll")).toEqual(["/opt/plimsoll", "run", "-c", "a b"]);
});

test("a single executable has no entry", () => {
  const started = { execPath: "/usr/bin/plimsoll", execArgv: [], argv: ["bun", "/$bunfs/root/plimsoll", "run"] };
  expect(command(started, null)).toEqual(["/usr/bin/plimsoll", "run"]);
  expect(command(started, "/opt/plimsoll")).toEqual(["/opt/plimsoll", "run"]);
});
